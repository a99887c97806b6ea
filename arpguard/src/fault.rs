//! Points between the steps that change something, and at what a kernel may refuse, at which tests make
//! things go wrong.
//!
//! Only a build with debug assertions has them. It reads two variables:
//!
//! - `ARPGUARD_FAULT` says what is to happen: clauses `WHERE WHAT`, separated by `;`. WHERE is a
//!   number (the point that is passed as that one, from 1), a name (the first time that it is
//!   passed), or `every NAME`. WHAT is `die` (as of SIGKILL), `fail ERRNO` (a number; the step is
//!   not taken) or `run COMMAND` (by a shell, before the step is taken).
//! - `ARPGUARD_FAULT_TRACE` names a file that gets the name of each point that is passed, a line
//!   each.

use std::io;

#[cfg(debug_assertions)]
pub(crate) use self::armed::point;

/// A point that nothing can happen at.
///
/// # Errors
/// Never.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) const fn point(_: &'static str) -> io::Result<()> {
    Ok(())
}

/// Takes a step that changes something, behind the point of this name.
///
/// # Errors
/// That of the step, or of the fault that is made in its place.
#[inline]
pub(crate) fn step<T, E: Refusal>(
    name: &'static str,
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    point(name).map_err(E::of)?;
    step()
}

/// An error that a step may end with.
pub(crate) trait Refusal {
    /// As the kernel's refusal would be told.
    fn of(cause: io::Error) -> Self;
}

impl Refusal for io::Error {
    fn of(cause: io::Error) -> Self {
        cause
    }
}

#[cfg(debug_assertions)]
mod armed {
    use std::{
        env,
        fs::OpenOptions,
        io::{self, Write as _},
        process::Command,
        str::FromStr,
        sync::{Mutex, OnceLock, PoisonError},
    };

    use nix::sys::signal::{Signal, raise};

    const FAULT: &str = "ARPGUARD_FAULT";
    const TRACE: &str = "ARPGUARD_FAULT_TRACE";

    static PASSED: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

    #[derive(Debug, PartialEq, Eq)]
    enum Place {
        Number(usize),
        First(String),
        Every(String),
    }

    #[derive(Debug, PartialEq, Eq)]
    enum What {
        Die,
        Fail(i32),
        Run(String),
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Fault {
        place: Place,
        what: What,
    }

    /// Where a test can make something go wrong.
    ///
    /// # Errors
    /// What the test wants, or that it was not understood.
    pub(crate) fn point(name: &'static str) -> io::Result<()> {
        let (number, is_first) = {
            let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
            let is_first = !passed.contains(&name);
            passed.push(name);
            (passed.len(), is_first)
        };
        if let Some(path) = env::var_os(TRACE) {
            let mut trace = OpenOptions::new().append(true).create(true).open(path)?;
            trace.write_all(format!("{name}\n").as_bytes())?;
        }
        for fault in faults()? {
            let is_here = match &fault.place {
                Place::Number(wanted) => *wanted == number,
                Place::First(wanted) => is_first && wanted == name,
                Place::Every(wanted) => wanted == name,
            };
            if is_here {
                fault.what.happen()?;
            }
        }
        Ok(())
    }

    fn faults() -> io::Result<&'static [Fault]> {
        static FAULTS: OnceLock<Result<Vec<Fault>, String>> = OnceLock::new();
        let faults = FAULTS.get_or_init(|| parse(&env::var(FAULT).unwrap_or_default()));
        faults
            .as_deref()
            .map_err(|clause| io::Error::other(format!("{FAULT}: {clause}: not understood")))
    }

    fn parse(text: &str) -> Result<Vec<Fault>, String> {
        let clauses = text.split(';').map(str::trim);
        clauses
            .filter(|clause| !clause.is_empty())
            .map(|clause| clause.parse().map_err(|()| clause.to_owned()))
            .collect()
    }

    impl FromStr for Fault {
        type Err = ();

        fn from_str(clause: &str) -> Result<Self, ()> {
            let (place, what) = match clause.strip_prefix("every ") {
                Some(rest) => {
                    let (name, what) = rest.split_once(' ').ok_or(())?;
                    (Place::Every(name.to_owned()), what)
                }
                None => {
                    let (name, what) = clause.split_once(' ').ok_or(())?;
                    let place = name.parse().map(Place::Number);
                    (
                        place.unwrap_or_else(|_| Place::First(name.to_owned())),
                        what,
                    )
                }
            };
            let what = match what.split_once(' ') {
                None if what == "die" => What::Die,
                Some(("fail", errno)) => What::Fail(errno.parse().map_err(|_| ())?),
                Some(("run", command)) => What::Run(command.to_owned()),
                _ => return Err(()),
            };
            Ok(Self { place, what })
        }
    }

    impl What {
        fn happen(&self) -> io::Result<()> {
            match self {
                Self::Die => Ok(raise(Signal::SIGKILL)?),
                Self::Fail(errno) => Err(io::Error::from_raw_os_error(*errno)),
                Self::Run(command) => {
                    let done = Command::new("sh").args(["-c", command]).status()?;
                    match done.success() {
                        true => Ok(()),
                        false => Err(io::Error::other(format!("{FAULT}: {command}: {done}"))),
                    }
                }
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn clauses_are_understood_or_refused() {
            let fault = |place, what| Fault { place, what };
            assert_eq!(
                parse("3 die; map/rule fail 12;every link/tcx fail 22 ; x run ip link del eth1"),
                Ok(vec![
                    fault(Place::Number(3), What::Die),
                    fault(Place::First("map/rule".to_owned()), What::Fail(12)),
                    fault(Place::Every("link/tcx".to_owned()), What::Fail(22)),
                    fault(
                        Place::First("x".to_owned()),
                        What::Run("ip link del eth1".to_owned())
                    ),
                ])
            );
            assert_eq!(parse(""), Ok(Vec::new()));
            for wrong in ["3", "die", "3 dies", "x fail", "x fail ENOMEM", "every die"] {
                assert_eq!(parse(wrong), Err(wrong.to_owned()));
            }
        }
    }
}

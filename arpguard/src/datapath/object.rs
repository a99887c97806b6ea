//! The eBPF object that the binary carries: loading it, and finding its programs again.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    error::Error as StdError,
    io,
    os::fd::AsFd,
    panic::resume_unwind,
    path::Path,
    thread::{self, Builder},
};

use arpguard_common::abi::{map, program};
use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::Map,
    pin::PinError,
    programs::{Program, ProgramError},
    util::KernelVersion,
};
use nix::{
    errno::Errno,
    sys::resource::{RLIM_INFINITY, Resource, setrlimit},
};

use super::{
    Hook,
    bpffs::{Pins, Unfinished},
    living,
    maps::{self, Maps},
    program::Programs,
    sys::{self, Kind},
};
use crate::{
    error::{Error, Result, errno},
    fault,
};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/arpguard-ebpf"));

const LOAD: &str = "load the programs";
/// How often a program is tried to be loaded where the verifier gives up for a signal, as libbpf does
/// it (`PROG_LOAD_ATTEMPTS`).
const ATTEMPTS: usize = 5;

/// Tells the programs of this binary from those of another build.
pub(super) const BUILD: &str = env!("ARPGUARD_PROGRAMS");

const MAPS: &[&str] = &[
    map::SHAPE,
    map::SIEVE,
    map::ADDRESSES,
    map::BLOCKS,
    map::PREFIXES,
    map::LOCAL,
    map::LOW_DEVICES,
    map::DEVICES,
    map::STATIONS,
    map::LOW_COUNTERS,
    map::COUNTERS,
    map::LISTENER,
    map::EVENTS,
    map::METERS,
    map::CLAIMS,
    map::HEARD,
    map::REQUESTS,
];

/// Those that programs write, and that which has them write.
const WRITTEN: &[&str] = &[
    map::LOW_COUNTERS,
    map::COUNTERS,
    map::LISTENER,
    map::EVENTS,
    map::METERS,
    map::CLAIMS,
    map::HEARD,
    map::REQUESTS,
];

/// The object, as it was read: its maps are in the kernel, its programs are once they were loaded.
pub(super) struct Object(Ebpf);

impl Object {
    /// One of its maps, by the name that it has everywhere else.
    pub(super) fn map(&self, name: &str) -> Result<&Map> {
        self.0.map(&symbol(name)).ok_or_else(|| missing(name))
    }

    /// As [`Self::map`], to write to it.
    pub(super) fn map_mut(&mut self, name: &str) -> Result<&mut Map> {
        self.0.map_mut(&symbol(name)).ok_or_else(|| missing(name))
    }

    /// As [`Self::map`], to keep it.
    pub(super) fn take_map(&mut self, name: &str) -> Result<Map> {
        self.0.take_map(&symbol(name)).ok_or_else(|| missing(name))
    }

    /// One of its programs.
    pub(super) fn program(&self, name: &str) -> Option<&Program> {
        self.0.program(name)
    }
}

/// The name of a map in the object.
fn symbol(map: &str) -> Cow<'_, str> {
    if map::VARIABLES.contains(&map) {
        Cow::Owned(format!(".bss.{map}"))
    } else {
        Cow::Borrowed(map)
    }
}

/// Loads programs and maps into the kernel and pins them, all or nothing.
pub(super) fn load(pins: &Pins) -> Result<()> {
    pins.remove_others()?;
    let loaded = load_unfinished(pins).and_then(|unfinished| pins.finish(&unfinished));
    match loaded {
        Ok(()) => living::remove_gone(pins.home()),
        Err(_) => pins.remove_unfinished()?,
    }
    loaded
}

fn load_unfinished(pins: &Pins) -> Result<Unfinished> {
    let mut object = parse(&mut EbpfLoader::new())?;
    let unfinished = pins.begin()?;
    load_programs(&mut object)?;
    pin_programs(&mut object, &unfinished.programs())?;
    for name in MAPS {
        let path = unfinished.map(name);
        let map = object.map(name)?;
        pin(&path, || map.pin(&path))?;
    }
    let (notes, path) = (maps::create_notes(BUILD)?, unfinished.map(maps::NOTES));
    pin(&path, || notes.pin(&path))?;
    let (checks, path) = (maps::create_checks()?, unfinished.map(maps::CHECKS));
    pin(&path, || checks.pin(&path))?;
    living::mark(&unfinished.living())?;
    Ok(unfinished)
}

/// Loads programs and maps that are gone with the process.
pub(super) fn load_held() -> Result<(Maps, Programs)> {
    let mut object = parse(&mut EbpfLoader::new())?;
    load_programs(&mut object)?;
    let programs = Programs::find(|name| {
        let fd = object.program(name).and_then(|program| program.fd().ok());
        fd.map(|fd| fd.as_fd().try_clone_to_owned())
            .transpose()
            .map_err(|cause| Error::from_cause(LOAD, name, &cause))
    })?;
    let own = (maps::create_notes(BUILD)?, maps::create_checks()?);
    let maps = Maps::take(own, |name, _| object.take_map(name))?;
    Ok((maps, programs))
}

/// Loads this binary's programs over the maps that are there, and pins them to `directory`.
pub(super) fn load_over(pins: &Pins, directory: &Path) -> Result<()> {
    let pinned = MAPS.iter().map(|name| {
        let path = pins.map(name);
        let map = sys::open(&path, Kind::Map)
            .map_err(|cause| Error::from_cause("open a pin", path.display(), &cause))?;
        Ok((*name, map))
    });
    let mut object = parse_over(&pinned.collect::<Result<Vec<_>>>()?)?;
    load_programs(&mut object)?;
    pin_programs(&mut object, directory)
}

/// Loads some of this binary's programs over the policy that is in force, with maps of their own to
/// write to. All of it is gone with the object.
pub(super) fn load_beside(maps: &Maps, names: &[&str]) -> Result<Object> {
    let policy = MAPS.iter().filter(|name| !WRITTEN.contains(name));
    let in_force = policy.map(|name| {
        let map = maps.descriptor(name).ok_or_else(|| missing(name))?;
        Ok((*name, map))
    });
    let mut object = parse_over(&in_force.collect::<Result<Vec<_>>>()?)?;
    for name in names {
        load_named(&mut object, name)?;
    }
    Ok(object)
}

/// Reads the object, with these maps in place of its own.
///
/// The loader takes none but pinned ones, and clears a variable's. So it makes its own, which those are then
/// put in place of, before programs are loaded.
fn parse_over(maps: &[(&str, impl AsFd)]) -> Result<Object> {
    let mut loader = EbpfLoader::new();
    for (name, _) in maps {
        loader.map_max_entries(name, 1);
    }
    let object = parse(&mut loader)?;
    for (name, map) in maps {
        let tried = |cause| Error::from_cause(LOAD, name, &cause);
        let place = maps::descriptor(object.map(name)?).map_err(tried)?;
        sys::put_in_place(place, map).map_err(tried)?;
    }
    Ok(object)
}

/// Before Linux 5.11 the memory of programs and maps counts against this limit. Elsewhere, or without
/// the privilege, a failure means nothing yet.
fn raise_memory_limit() {
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
}

fn parse(loader: &mut EbpfLoader<'_>) -> Result<Object> {
    raise_memory_limit();
    // The programs read nothing of the kernel's own structures.
    let tried =
        |cause: &(dyn StdError + 'static)| Error::from_cause(LOAD, "the eBPF object", cause);
    fault::point("load/maps").map_err(|cause| tried(&cause))?;
    let loaded = loader.btf(None).load(OBJECT);
    loaded.map(Object).map_err(|cause| tried(&cause))
}

/// Loads for each hook the best program that the kernel takes, for all hooks at once: the verifier takes its time.
fn load_programs(object: &mut Object) -> Result<()> {
    let mut programs: BTreeMap<_, _> = object.0.programs_mut().collect();
    let hooks = Hook::ALL.map(|hook| {
        let names = hook.programs().iter();
        let candidates = names.map(|name| (*name, programs.remove(name)));
        candidates.collect::<Vec<_>>()
    });
    thread::scope(|scope| {
        let loading =
            hooks.map(|programs| Builder::new().spawn_scoped(scope, || load_best(programs)));
        loading.into_iter().try_for_each(|thread| {
            let thread = thread.map_err(|cause| Error::from_cause("start", "a thread", &cause))?;
            thread.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    })
}

/// Loads the first of a hook's programs that the kernel takes.
fn load_best(programs: Vec<(&str, Option<&mut Program>)>) -> Result<()> {
    for (name, program) in programs {
        let program = program.ok_or_else(|| no_program(name))?;
        load_program(name, program)?;
        if program.fd().is_ok() {
            break;
        }
    }
    Ok(())
}

fn load_named(object: &mut Object, name: &str) -> Result<()> {
    let program = object.0.program_mut(name);
    load_program(name, program.ok_or_else(|| no_program(name))?)
}

fn no_program(name: &str) -> Error {
    Error::new(LOAD, name, "the eBPF object has no such program")
}

fn load_program(name: &str, program: &mut Program) -> Result<()> {
    fault::point("load/program").map_err(|cause| Error::from_cause(LOAD, name, &cause))?;
    let mut attempts = 1..ATTEMPTS;
    let loaded = loop {
        let loaded = match program {
            Program::Xdp(program) => program.load(),
            Program::SchedClassifier(program) => program.load(),
            _ => {
                let why = "it is of a kind that arpguard has not";
                return Err(Error::new(LOAD, name, why));
            }
        };
        match &loaded {
            Err(cause) if errno(cause) == Some(Errno::EAGAIN) && attempts.next().is_some() => {}
            _ => break loaded,
        }
    };
    match loaded {
        Err(_) if name == program::XDP_FRAGS && !has_multi_buffer_xdp() => Ok(()),
        Err(ProgramError::LoadError {
            io_error,
            verifier_log,
        }) => Err(refusal(name, &io_error, &verifier_log.to_string())),
        loaded => loaded.map_err(|cause| Error::from_cause(LOAD, name, &cause)),
    }
}

fn pin_programs(object: &mut Object, directory: &Path) -> Result<()> {
    for (name, program) in object.0.programs_mut() {
        if program.fd().is_ok() {
            let path = directory.join(name);
            pin(&path, || program.pin(&path))?;
        }
    }
    Ok(())
}

fn pin(path: &Path, pin: impl FnOnce() -> Result<(), PinError>) -> Result<()> {
    fault::step("pin", || pin().map_err(io::Error::other))
        .map_err(|cause| Error::from_cause("pin", path.display(), &cause))
}

fn missing(map: &str) -> Error {
    Error::new(LOAD, map, "the eBPF object has no such map")
}

/// Why the kernel has not loaded a program. The verifier refuses one by these numbers
/// (`kernel/bpf/verifier.c`); with any other its log only tells how far it came.
fn refusal(name: &str, cause: &io::Error, log: &str) -> Error {
    let is_verdict = matches!(
        errno(cause),
        Some(Errno::EACCES | Errno::EINVAL | Errno::EPERM | Errno::E2BIG | Errno::EFAULT)
    );
    match complaint(log).filter(|_| is_verdict) {
        Some(line) => Error::new(LOAD, name, format!("the verifier says: {line}")),
        None => Error::from_cause(LOAD, name, cause),
    }
}

/// What the verifier's log ends with, but for its statistics.
fn complaint(log: &str) -> Option<&str> {
    const STATISTICS: [&str; 3] = ["verification time ", "stack depth ", "processed "];
    let is_statistics = |line: &str| STATISTICS.iter().any(|begin| line.starts_with(begin));
    let mut lines = log.lines().rev().map(str::trim);
    lines.find(|line| !line.is_empty() && !is_statistics(line))
}

fn has_multi_buffer_xdp() -> bool {
    KernelVersion::current().is_ok_and(|current| current >= KernelVersion::new(5, 18, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_quoted_where_the_verifier_has_refused_alone() {
        let log = "812: (7b) *(u64 *)(r10 -160) = r4\ninvalid stack\nprocessed 9 insns\n";
        let told = |errno: Errno| {
            let cause = io::Error::from_raw_os_error(errno as i32);
            refusal("arpguard_in", &cause, log).to_string()
        };
        assert_eq!(
            told(Errno::EACCES),
            "load the programs: arpguard_in: the verifier says: invalid stack"
        );
        assert_eq!(
            told(Errno::ENOMEM),
            "load the programs: arpguard_in: Out of memory"
        );
    }
}

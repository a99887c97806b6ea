//! Tests under another kernel: Debian's, in a virtual machine without help of this one's processor.
//!
//! [`mirror`] and [`apt`] get the packages, [`cache`] keeps what is in them, [`machine`] starts a
//! kernel on this machine's files, and [`suite`] says what it is to run.

mod apt;
mod cache;
mod image;
mod initramfs;
mod machine;
mod mirror;
mod modules;
mod release;
mod suite;
mod tools;

pub(crate) use self::{release::Release, suite::Selection};

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::{Result, ensure};

use self::{cache::Cache, machine::Job, suite::Binaries};
use crate::{setup, tally::Tally};

/// Runs the tests of `selection` under the kernel `release`, and sums up what they report.
pub(crate) fn test(release: Release, selection: Selection) -> Result<ExitCode> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "test: Linux {release}: kernels are fetched and emulated for x86-64 alone; run it on such a \
         machine"
    );
    setup::ensure()?;
    let (tools, image) = {
        let cache = Cache::open()?;
        let tools = cache.tools()?;
        let image = cache.kernel(release, &tools)?;
        (tools, image)
    };
    let script = suite::script(selection, &Binaries::build()?)?;
    println!(
        "Starting Linux {} in a virtual machine; it is emulated, so the tests take their time.",
        image.version
    );
    let job = Job {
        script: &script,
        programs: &["ipvsadm"],
    };
    let mut lines = Lines::default();
    let status = machine::run(&tools, &image, &job, &mut |bytes| {
        let mut output = io::stdout();
        output.write_all(bytes)?;
        output.flush()?;
        lines.hear(bytes);
        Ok(())
    })?;

    println!("Linux {}: {}", image.version, lines.tally);
    ensure!(
        status != 0 || lines.tally.is_success(),
        "test: Linux {release}: no test ran"
    );
    Ok(ExitCode::from(status))
}

/// Puts together lines that come in pieces.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
    tally: Tally,
}

impl Lines {
    fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                self.tally.read(&String::from_utf8_lossy(&self.begun));
                self.begun.clear();
            } else {
                self.begun.push(*byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_in_two_pieces_counts_once() {
        let mut lines = Lines::default();
        lines.hear(b"test result: ok. 2 passed; 0 fai");
        lines.hear(b"led; 0 ignored;\ntest ");
        assert_eq!(lines.tally.to_string(), "2 passed, 0 failed, 0 skipped");
    }
}

//! Which lines of arpguard the tests run: `cargo xtask test --coverage`.
//!
//! Only crates of the workspace are compiled to count, those of the tests too, as what is generic is
//! compiled where it is used. The compiler that cargo calls for the workspace is then this program,
//! which adds the flag, so that all that they depend on is compiled once for both ways. What is counted is written when a process ends: one that was killed
//! tells nothing.

mod lines;
mod tools;

use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{self, Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use self::lines::Lines;
use crate::cargo;

pub(crate) use self::tools::wanted;

/// What is reported.
const DIRECTORIES: [&str; 2] = ["arpguard/src/", "arpguard-common/src/"];
/// The share of its lines that has to be run, in percent.
const FLOOR: f64 = 85.0;
/// Tells this program that cargo calls it in place of the compiler.
const COMPILE: &str = "ARPGUARD_XTASK_COMPILES";
/// How many files the processes of one program share.
const FILES: u32 = 4;
/// The kernel's target, which has no counters.
const KERNEL: &str = "bpf";

/// Builds and runs that are counted.
pub(crate) struct Coverage {
    /// Where programs are.
    directory: PathBuf,
    /// Where they write what they have counted.
    counts: PathBuf,
    tools: tools::Tools,
    objects: Vec<PathBuf>,
}

impl Coverage {
    /// Makes room for what is counted.
    pub(crate) fn new() -> Result<Self> {
        let directory = empty(cargo::target_directory()?.join("coverage"))?;
        // Another user, who has no way into a home, finds it there.
        let counts = empty(env::temp_dir().join(format!("arpguard-coverage-{}", process::id())))?;
        // Cargo replaces this program while it tests it.
        fs::copy(env::current_exe()?, directory.join("compiler"))
            .with_context(|| format!("copy to: {}", directory.display()))?;
        Ok(Self {
            directory,
            counts,
            tools: tools::find()?,
            objects: Vec::new(),
        })
    }

    /// A cargo command whose builds are counted, and what it runs too.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = cargo::cargo();
        cargo
            .env(COMPILE, "1")
            .env("RUSTC_WORKSPACE_WRAPPER", self.directory.join("compiler"))
            .env("LLVM_PROFILE_FILE", self.counts());
        cargo
    }

    /// Processes of one program add to one of some files, in turn.
    fn counts(&self) -> PathBuf {
        self.counts.join(format!("%{FILES}m.profraw"))
    }

    /// Takes a program that was built into account, under a name of its own, away from where others
    /// would take it for one that does not count.
    pub(crate) fn take(&mut self, program: &Path, name: &str) -> Result<PathBuf> {
        let taken = self.directory.join(name);
        fs::rename(program, &taken).with_context(|| format!("move: {}", program.display()))?;
        self.objects.push(taken.clone());
        self.open_to_everybody(&taken)?;
        Ok(taken)
    }

    /// Makes the files that a program adds to, for whatever user runs it: some tests run it as
    /// nobody, and it would tell on standard error that it cannot write.
    fn open_to_everybody(&self, program: &Path) -> Result<()> {
        let mut once = Command::new(program);
        once.arg("--version")
            .env("LLVM_PROFILE_FILE", self.counts())
            .stdout(Stdio::null());
        crate::process::run(&mut once, "run", &program.display().to_string())?;
        for written in profiles(&self.counts)? {
            let name = written.file_name().unwrap_or_default().to_string_lossy();
            let Some((program, _)) = name.rsplit_once('_') else {
                continue;
            };
            for number in 0..FILES {
                let path = self.counts.join(format!("{program}_{number}.profraw"));
                let tried = || format!("make: {}", path.display());
                let mut file = File::options();
                file.append(true)
                    .create(true)
                    .open(&path)
                    .with_context(tried)?;
                fs::set_permissions(&path, Permissions::from_mode(0o666)).with_context(tried)?;
            }
        }
        Ok(())
    }

    /// Takes the programs into account that a cargo command, which only builds, says it has built.
    pub(crate) fn take_built(&mut self, command: &mut Command) -> Result<()> {
        let built = command
            .args(["--no-run", "--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit())
            .output()
            .context("build: the tests: cargo")?;
        ensure!(built.status.success(), "build: the tests: {}", built.status);
        for line in built.stdout.split(|byte| *byte == b'\n') {
            let message: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
            let executable = message["executable"].as_str();
            self.objects.extend(executable.map(PathBuf::from));
        }
        Ok(())
    }

    /// What was counted: a line for each file, and one for all. Fails where that is too little.
    pub(crate) fn report(&self) -> Result<String> {
        let profile = self.merge()?;
        let mut export = Command::new(&self.tools.cov);
        export
            .args(["export", "--format=lcov", "--instr-profile"])
            .arg(&profile);
        for object in &self.objects {
            export.arg("--object").arg(object);
        }
        let exported = export.output().context("read: the coverage: llvm-cov")?;
        ensure!(
            exported.status.success(),
            "read: the coverage: llvm-cov: {}",
            String::from_utf8_lossy(&exported.stderr).trim()
        );
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("");
        let lines = Lines::read(&String::from_utf8_lossy(&exported.stdout), &root)?;
        let lines = lines.within(&DIRECTORIES);
        let sum = lines.sum(&DIRECTORIES);
        let report = format!("{lines}\n{sum}");
        let percent = sum.percent();
        if percent < FLOOR {
            println!("{report}");
            bail!(
                "test: coverage: {percent:.1} % of lines, which is less than {FLOOR} %: write tests"
            );
        }
        Ok(report)
    }

    fn merge(&self) -> Result<PathBuf> {
        let profile = self.directory.join("all.profdata");
        let mut merge = Command::new(&self.tools.profdata);
        merge.args(["merge", "--sparse", "--output"]).arg(&profile);
        merge.args(profiles(&self.counts)?);
        crate::process::run(&mut merge, "merge", "what was counted")?;
        Ok(profile)
    }
}

impl Drop for Coverage {
    fn drop(&mut self) {
        // It is in a directory for what may go at any time.
        let _ = fs::remove_dir_all(&self.counts);
    }
}

/// The directory at this path, made anew.
fn empty(path: PathBuf) -> Result<PathBuf> {
    let tried = || format!("make: {}", path.display());
    if path.exists() {
        fs::remove_dir_all(&path).with_context(tried)?;
    }
    fs::create_dir_all(&path).with_context(tried)?;
    Ok(path)
}

/// The files of what was counted.
fn profiles(directory: &Path) -> Result<Vec<PathBuf>> {
    let tried = || format!("read: {}", directory.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_context(tried)? {
        let path = entry.with_context(tried)?.path();
        // An empty one was made for a process that never came.
        let has_counts = fs::metadata(&path).is_ok_and(|file| file.len() > 0);
        if has_counts && path.extension().is_some_and(|is| is == "profraw") {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Where cargo calls this program for the compiler: becomes that, with the flag for what is counted.
/// Otherwise `None`.
pub(crate) fn compile() -> Option<Result<ExitCode>> {
    env::var_os(COMPILE)?;
    let mut arguments = env::args_os().skip(1);
    // Its own environment has the variable too, when tests run it.
    let compiler = arguments.next()?;
    let arguments: Vec<_> = arguments.collect();
    let mut command = Command::new(&compiler);
    command.args(&arguments);
    let text: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    if is_counted(&text) {
        command.arg("-Cinstrument-coverage");
    }
    let error = command.exec();
    Some(Err(error).with_context(|| format!("compile: {}", compiler.display())))
}

fn is_counted(arguments: &[impl AsRef<str>]) -> bool {
    let after = |flag: &str| {
        let at = arguments.iter().position(|word| word.as_ref() == flag)?;
        arguments.get(at + 1).map(AsRef::as_ref)
    };
    let at_run = |name: &str| name != "build_script_build" && name != "xtask";
    after("--crate-name").is_some_and(at_run)
        && !after("--target").is_some_and(|target: &str| target.starts_with(KERNEL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_on_the_host_is_counted() {
        let counted = |line: &str| is_counted(&line.split(' ').collect::<Vec<_>>());
        assert!(counted("--crate-name arpguard --edition=2024 src/main.rs"));
        assert!(counted("--crate-name arpguard_common src/lib.rs --test"));
        assert!(counted("--crate-name host tests/tests/host.rs --test"));
        assert!(!counted(
            "--crate-name arpguard_common src/lib.rs --target bpfel-unknown-none"
        ));
        assert!(!counted("--crate-name build_script_build build.rs"));
        assert!(!counted("--crate-name xtask src/main.rs"));
        assert!(!counted("-vV"));
    }
}

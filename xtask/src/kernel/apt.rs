//! apt with lists and archives of its own: the machine's are neither read nor written.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::process;

/// Packages that Debian's package of a kernel consists of, beside the image's own name.
const PARTS: [&str; 4] = [
    "linux-image-",
    "linux-modules-",
    "linux-binary-",
    "linux-base-",
];

/// An apt of one's own, in a directory.
#[derive(Debug)]
pub(super) struct Apt {
    directory: PathBuf,
    /// Whether what is installed on the machine counts as there.
    on_top_of_the_machine: bool,
}

impl Apt {
    /// Fetches the lists of packages that `sources` name, below `directory`.
    pub(super) fn update(
        directory: &Path,
        sources: &str,
        on_top_of_the_machine: bool,
    ) -> Result<Self> {
        for part in ["lists/partial", "archives/partial"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).with_context(|| format!("make: {}", path.display()))?;
        }
        let list = directory.join("sources.list");
        fs::write(&list, sources).with_context(|| format!("write: {}", list.display()))?;
        let apt = Self {
            directory: directory.to_owned(),
            on_top_of_the_machine,
        };
        let mut update = apt.command("apt-get");
        // Without this a source that cannot be reached is a warning.
        update.args(["-q", "-o", "APT::Update::Error-Mode=any", "update"]);
        process::run(&mut update, "fetch", "Debian's lists of packages").map_err(|error| {
            anyhow!(
                "{error:#}; apt says above what it could not reach: its sources name that mirror"
            )
        })?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |name: &str| self.directory.join(name).display().to_string();
        let mut options = vec![
            format!("Dir::Etc::SourceList={}", at("sources.list")),
            "Dir::Etc::SourceParts=/dev/null".into(),
            "Dir::Etc::Preferences=/dev/null".into(),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            format!("Dir::State::Lists={}", at("lists")),
            format!("Dir::Cache={}", self.directory.display()),
            format!("Dir::Cache::Archives={}", at("archives")),
            "APT::Default-Release=".into(),
            // The user that apt downloads as may not read a directory of root's.
            "APT::Sandbox::User=root".into(),
            // Nothing is installed, so dpkg is not locked, which would take root.
            "Debug::NoLocking=true".into(),
        ];
        if !self.on_top_of_the_machine {
            options.push("Dir::State::Status=/dev/null".into());
        }
        for option in options {
            command.arg("-o").arg(option);
        }
        command.env("LC_ALL", "C");
        command
    }

    /// Downloads `names` and what they need that is not installed; where the packages are then.
    pub(super) fn download_with_needs(&self, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut install = self.command("apt-get");
        install.args(["-q", "-y", "--no-install-recommends", "--download-only"]);
        install.arg("install").args(names);
        process::run(&mut install, "download", &names.join(" "))?;
        packages_in(&self.directory.join("archives"))
    }

    /// Downloads exactly `names`; where the packages are then.
    pub(super) fn download(&self, names: &BTreeSet<String>) -> Result<Vec<PathBuf>> {
        let into = self.directory.join("archives");
        let mut download = self.command("apt-get");
        download
            .args(["-q", "download"])
            .args(names)
            .current_dir(&into);
        let list: Vec<&str> = names.iter().map(String::as_str).collect();
        process::run(&mut download, "download", &list.join(" "))?;
        packages_in(&into)
    }

    /// The packages with the files of the kernel that the package `name` stands for.
    pub(super) fn parts(&self, name: &str) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut to_ask = vec![name.to_owned()];
        while let Some(name) = to_ask.pop() {
            let record =
                process::ask(
                    self.command("apt-cache")
                        .args(["show", "--no-all-versions", &name]),
                );
            ensure!(!record.is_empty(), "find: {name}: apt has no such package");
            for part in parts(&record) {
                if found.insert(part.clone()) {
                    to_ask.push(part);
                }
            }
        }
        ensure!(!found.is_empty(), "find: {name}: it depends on no kernel");
        Ok(found)
    }
}

/// The parts of a kernel that a package's record names as needed.
fn parts(record: &str) -> Vec<String> {
    let lines = record.lines();
    let needed = lines
        .filter_map(|line| line.strip_prefix("Depends: "))
        .flat_map(|needs| needs.split([',', '|']))
        .filter_map(|need| need.split_whitespace().next());
    needed
        .filter(|name| PARTS.iter().any(|part| is_numbered(name, part)))
        .map(str::to_owned)
        .collect()
}

/// Whether `name` is `part` with a version behind it, rather than a name like `linux-image-amd64`.
fn is_numbered(name: &str, part: &str) -> bool {
    name.strip_prefix(part)
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

fn packages_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(directory)?;
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths.collect()
    };
    let mut paths = read().with_context(|| format!("read: {}", directory.display()))?;
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "deb"));
    Ok(paths)
}

/// Unpacks a package into a directory, installing nothing.
pub(super) fn unpack(package: &Path, into: &Path) -> Result<()> {
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(package).arg(into);
    process::run(&mut unpack, "unpack", &package.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_found_behind_its_general_name() {
        let record = "Package: linux-image-amd64\n\
                      Depends: linux-image-6.12.1+deb13-amd64 (= 6.12.1-1), initramfs-tools | dracut\n\
                      Description: Depends: linux-image-1 is not meant\n";
        assert_eq!(parts(record), ["linux-image-6.12.1+deb13-amd64"]);
    }

    #[test]
    fn modules_may_be_a_package_of_their_own() {
        let record = "Depends: linux-modules-7.2-amd64 (= 7.2-1), linux-base (>= 4), kmod\n";
        assert_eq!(parts(record), ["linux-modules-7.2-amd64"]);
        assert!(parts("Depends: linux-image-amd64\n").is_empty());
    }
}

//! Which of some processes run in this network namespace.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::netns::OWN;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// Its name, which the kernel cuts after 15 bytes.
    pub name: String,
}

/// Processes, and how many of those with a name that was looked for do not tell where they are.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    /// Those in this network namespace, in the order of their numbers.
    pub here: Vec<Process>,
    /// How many may be here or elsewhere.
    pub unknown: usize,
}

impl Processes {
    /// Looks for those with one of these names.
    ///
    /// # Errors
    /// Where `/proc` is not there. A process that ends meanwhile is left out.
    pub fn named(names: &[&str]) -> io::Result<Self> {
        let own = fs::read_link(OWN)?;
        let mut found = Self::default();
        for process in all()? {
            let (id, path) = process?;
            let name = name(&path);
            if !names.contains(&name.as_str()) {
                continue;
            }
            match fs::read_link(path.join(NAMESPACE)) {
                Ok(namespace) if namespace == own => found.here.push(Process { id, name }),
                Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                    found.unknown += 1;
                }
                Ok(_) | Err(_) => {}
            }
        }
        found.here.sort_unstable_by_key(|process| process.id);
        Ok(found)
    }
}

/// Where in its directory a process has its network namespace.
pub(super) const NAMESPACE: &str = "ns/net";

/// All processes: their numbers and directories.
///
/// # Errors
/// Where `/proc` is not there.
pub(super) fn all() -> io::Result<impl Iterator<Item = io::Result<(u32, PathBuf)>>> {
    let process = |entry: io::Result<fs::DirEntry>| match entry {
        Ok(entry) => {
            let id = entry.file_name().to_string_lossy().parse().ok()?;
            Some(Ok((id, entry.path())))
        }
        Err(cause) => Some(Err(cause)),
    };
    Ok(fs::read_dir("/proc")?.filter_map(process))
}

fn name(process: &Path) -> String {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    name.trim_end_matches('\n').to_owned()
}

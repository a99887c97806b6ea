//! Which of some processes run in this network namespace.

use std::{fs, io, path::Path};

const OWN: &str = "/proc/thread-self/ns/net";

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
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(id) = number(&entry.file_name().to_string_lossy()) else {
                continue;
            };
            let name = name(&entry.path());
            if !names.contains(&name.as_str()) {
                continue;
            }
            match fs::read_link(entry.path().join("ns/net")) {
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

fn number(name: &str) -> Option<u32> {
    name.parse().ok()
}

fn name(process: &Path) -> String {
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    name.trim_end_matches('\n').to_owned()
}

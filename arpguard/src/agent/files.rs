//! Changes of the files that have the policy.
//!
//! Their directories are watched, since editors and Kubernetes put a new file in place of the old.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{Instant, timeout_at},
};

use crate::error::{Error, Result};

/// Who writes a file does it in several steps: this long after the last it is read.
const SETTLED: Duration = Duration::from_millis(50);

pub(super) struct Files {
    changes: UnboundedReceiver<()>,
    /// When the last change came that nobody has been told of.
    last: Option<Instant>,
    // Watches until it is dropped.
    _watcher: RecommendedWatcher,
}

impl Files {
    pub(super) fn watch(paths: &[PathBuf]) -> Result<Self> {
        let tried = |path: &Path, cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause("watch", path.display(), cause)
        };
        let (sender, changes) = unbounded_channel();
        let watched: Vec<_> = paths.iter().map(|path| Watched::of(path)).collect();
        let concerns = move |event: &Event| {
            let mut named = event.paths.iter();
            let is_one = |path: &PathBuf| watched.iter().any(|one| one.concerns(path));
            // Reading a file is an event too, and the agent reads it. Where the kernel has dropped
            // events, it names no path.
            !matches!(event.kind, EventKind::Access(_))
                && (event.paths.is_empty() || named.any(is_one))
        };
        let tell = move |event: notify::Result<Event>| {
            if event.map_or(true, |event| concerns(&event)) {
                // The agent has ended, and nobody needs to know.
                let _ = sender.send(());
            }
        };
        let mut watcher = notify::recommended_watcher(tell)
            .map_err(|cause| tried(Path::new("the policy"), &cause))?;
        for path in paths {
            let directory = directory(path);
            watcher
                .watch(&directory, RecursiveMode::NonRecursive)
                .map_err(|cause| tried(&directory, &cause))?;
        }
        Ok(Self {
            changes,
            last: None,
            _watcher: watcher,
        })
    }

    /// Waits for a change, and until no other follows it at once. Who stops waiting in between, for
    /// something else, is told of the change when he waits again.
    pub(super) async fn changed(&mut self) {
        loop {
            let Some(last) = self.last else {
                if self.changes.recv().await.is_none() {
                    std::future::pending::<()>().await;
                }
                self.last = Some(Instant::now());
                continue;
            };
            match timeout_at(last + SETTLED, self.changes.recv()).await {
                Ok(Some(())) => self.last = Some(Instant::now()),
                Ok(None) | Err(_) => {
                    self.last = None;
                    return;
                }
            }
        }
    }
}

/// What of a directory is of the policy. Other files may be there, such as the agent's own log.
struct Watched {
    directory: PathBuf,
    /// The only file; `None` for all that end in `.toml`.
    file: Option<OsString>,
}

impl Watched {
    fn of(path: &Path) -> Self {
        let file = path.file_name().filter(|_| !path.is_dir());
        Self {
            directory: directory(path),
            file: file.map(OsStr::to_owned),
        }
    }

    fn concerns(&self, path: &Path) -> bool {
        if path == self.directory {
            return true;
        }
        let Some(name) = path
            .file_name()
            .filter(|_| path.parent() == Some(&self.directory))
        else {
            return false;
        };
        // Kubernetes links all files anew at once, by one link of its own.
        let is_link = name.as_encoded_bytes().starts_with(b"..");
        is_link
            || match &self.file {
                Some(file) => name == file,
                None => path.extension().is_some_and(|is| is == "toml"),
            }
    }
}

/// What is watched for a path: itself, or the directory that it is in; by the name that events have.
fn directory(path: &Path) -> PathBuf {
    let directory = match path.parent() {
        _ if path.is_dir() => path,
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    };
    // One that is not there cannot be watched, which is told by its own name.
    directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned())
}

//! Changes of the files that have the policy.
//!
//! Their directories are watched, since editors and Kubernetes put a new file in place of the old.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::{sleep, timeout},
};

use crate::error::{Error, Result};

/// Who writes a file does it in several steps: this long after the last it is read.
const SETTLED: Duration = Duration::from_millis(50);

pub(super) struct Files {
    changes: UnboundedReceiver<()>,
    // Watches until it is dropped.
    _watcher: RecommendedWatcher,
}

impl Files {
    pub(super) fn watch(paths: &[PathBuf]) -> Result<Self> {
        let tried = |path: &Path, cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause("watch", path.display(), cause)
        };
        let (sender, changes) = unbounded_channel();
        let tell = move |event: notify::Result<Event>| {
            // Reading a file is an event too, and the agent reads it.
            if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
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
            _watcher: watcher,
        })
    }

    /// Waits for a change, and until no other follows it at once.
    pub(super) async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while timeout(SETTLED, self.changes.recv())
            .await
            .is_ok_and(|change| change.is_some())
        {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What is watched for a path: itself, or the directory that it is in.
fn directory(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => path.to_owned(),
    }
}

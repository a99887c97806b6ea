//! Files, and places in them as people count: lines and columns from one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::READ;
use crate::{
    error::{Error, Result},
    trust,
};

/// A file's text.
#[derive(Debug, Deserialize, Serialize)]
pub struct Source {
    path: PathBuf,
    pub(super) text: String,
}

impl Source {
    pub(super) const fn new(path: PathBuf, text: String) -> Self {
        Self { path, text }
    }

    /// Reads files, and the `*.toml` of directories.
    ///
    /// # Errors
    /// Where one cannot be read, or a directory has none.
    pub fn read(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let read = |path: PathBuf| {
            let file = trust::open(READ, &path)?;
            match io::read_to_string(file) {
                Ok(text) => Ok(Self::new(path, text)),
                Err(cause) => Err(Error::from_cause(READ, path.display(), &cause)),
            }
        };
        files(paths)?.into_iter().map(read).collect()
    }

    /// `FILE:LINE:COLUMN` of the byte at `offset`.
    pub(super) fn place(&self, offset: usize) -> String {
        let end = self.text.floor_char_boundary(offset);
        let before = &self.text[..end];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[start..].chars().count() + 1;
        format!("{}:{line}:{column}", self.path.display())
    }

    /// Refuses what is there.
    pub(super) fn refuse(&self, offset: usize, why: impl Into<String>) -> Error {
        Error::new(READ, self.place(offset), why)
    }
}

/// The files that paths name: of a directory all `*.toml`, in the order of their names, but no
/// hidden ones.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(in_directory(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn in_directory(directory: &Path) -> Result<Vec<PathBuf>> {
    let tried = |cause| Error::from_cause(READ, directory.display(), &cause);
    trust::check(READ, directory)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(tried)? {
        let path = entry.map_err(tried)?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|is| is == "toml") && !hidden && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort_unstable();
    if files.is_empty() {
        // To take it for an empty policy would show what is hidden.
        return Err(Error::new(
            READ,
            directory.display(),
            "it has no file named *.toml",
        ));
    }
    Ok(files)
}

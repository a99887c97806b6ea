//! The seeds, and what was found once: text in the repository, bytes for the targets.
//!
//! `cargo xtask fuzz` is compiled with this file too.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// The file of a corpus that libFuzzer's finds are added to.
const FOUND: &str = "found.hex";
const COMMENT: &str =
    "# Found by `cargo xtask fuzz --keep`: each reaches code that no other does.\n";

/// The seeds in a directory of the repository, by name.
///
/// A file `*.hex` has one seed a line, in hexadecimal digits, spaces between them as one likes; what
/// begins with `#` is a comment. Any other file is one seed as it is.
///
/// # Errors
/// Where the corpus cannot be read, or a line is no bytes.
pub fn seeds(directory: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut seeds = Vec::new();
    for path in files(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.extension().is_none_or(|is| is != "hex") {
            seeds.push((name.into_owned(), fs::read(&path)?));
            continue;
        }
        for (number, line) in fs::read_to_string(&path)?.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let name = format!("{name}:{}", number + 1);
            let bytes = bytes(line).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{name}: no bytes"))
            })?;
            seeds.push((name, bytes));
        }
    }
    Ok(seeds)
}

/// Writes those seeds as libFuzzer takes them: a file each.
///
/// # Errors
/// Where the corpus cannot be read, or a file not be written.
pub fn expand(directory: &Path, into: &Path) -> io::Result<()> {
    fs::create_dir_all(into)?;
    for (name, bytes) in seeds(directory)? {
        fs::write(into.join(name.replace(':', "-")), bytes)?;
    }
    Ok(())
}

/// Adds what libFuzzer has found to such a directory, as the lines of one file.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn keep(directory: &Path, found: &Path) -> io::Result<()> {
    let known: Vec<_> = seeds(directory)?
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    let path = directory.join(FOUND);
    let mut text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => COMMENT.to_owned(),
        Err(error) => return Err(error),
    };
    for path in files(found)? {
        let bytes = fs::read(path)?;
        if !known.contains(&bytes) {
            for byte in bytes {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
    }
    fs::write(path, text)
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    let mut files: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort_unstable();
    Ok(files)
}

fn bytes(line: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = line
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

//! The user's cache, which has QEMU and kernels once they were fetched.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    apt::{self, Apt},
    image::Image,
    mirror::Mirror,
    release::Release,
    tools::{PACKAGES, Tools},
};

/// The file that says which packages a directory was made of.
const MADE_OF: &str = "made-of";

/// A directory with all that was fetched. While it lives, no other process fetches.
#[derive(Debug)]
pub(super) struct Cache {
    root: PathBuf,
    _lock: File,
}

impl Cache {
    /// The user's, made if it is not there.
    pub(super) fn open() -> Result<Self> {
        let root = root(env::var_os("XDG_CACHE_HOME"), env::var_os("HOME"))?;
        fs::create_dir_all(&root).with_context(|| format!("make: {}", root.display()))?;
        let path = root.join("lock");
        let lock = File::create(&path).with_context(|| format!("make: {}", path.display()))?;
        if lock.try_lock().is_err() {
            println!("Waiting for another that fetches into {}", root.display());
            lock.lock()
                .with_context(|| format!("lock: {}", path.display()))?;
        }
        Ok(Self { root, _lock: lock })
    }

    /// QEMU and the other programs, fetched if they are not there.
    pub(super) fn tools(&self) -> Result<Tools> {
        let directory = self.root.join("tools");
        let wanted = PACKAGES.join(" ");
        if made_of(&directory).as_deref() != Some(&wanted) {
            self.say("QEMU");
            self.make(&directory, |new, apt| {
                let sources = Mirror::of_this_machine()?.own_suites();
                let apt = Apt::update(apt, &sources, true)?;
                for package in apt.download_with_needs(&PACKAGES)? {
                    apt::unpack(&package, new)?;
                }
                Ok(wanted)
            })?;
        }
        Tools::at(&directory)
    }

    /// A kernel, fetched if it is not there.
    pub(super) fn kernel(&self, release: Release, tools: &Tools) -> Result<Image> {
        let directory = self.root.join(release.name());
        if made_of(&directory).is_none() {
            self.say(&format!("Linux {release}"));
            self.fetch_kernel(release, &directory, tools)?;
        }
        Image::at(&directory)
    }

    fn fetch_kernel(&self, release: Release, directory: &Path, tools: &Tools) -> Result<()> {
        let mirror = Mirror::of_this_machine()?;
        let mut why = Vec::new();
        for suite in release.suites() {
            let made = self.make(directory, |new, apt| {
                let apt = Apt::update(apt, &mirror.suite(suite), false)?;
                let parts = apt.parts("linux-image-amd64")?;
                for package in apt.download(&parts)? {
                    apt::unpack(&package, new)?;
                }
                let image = Image::at(new)?;
                ensure!(
                    release.is(&image.version),
                    "the kernel of {suite} is {}",
                    image.version
                );
                tools.index_modules(&image)?;
                Ok(parts.into_iter().collect::<Vec<_>>().join(" "))
            });
            match made {
                Ok(()) => return Ok(()),
                Err(error) => why.push(format!("{suite}: {error:#}")),
            }
        }
        bail!(
            "fetch: Linux {release}: {}; see that apt reaches its Debian mirror, and that the mirror \
             has one of these suites",
            why.join("; ")
        )
    }

    fn say(&self, what: &str) {
        println!(
            "Fetching {what} from Debian's packages into {}; nothing is installed.",
            self.root.display()
        );
    }

    /// Makes `directory` as a whole, or not at all. `fill` gets it under another name, and room for
    /// apt, and says what it was made of.
    fn make(
        &self,
        directory: &Path,
        fill: impl FnOnce(&Path, &Path) -> Result<String>,
    ) -> Result<()> {
        let [new, apt] = ["new", "apt"].map(|name| self.root.join(name));
        for path in [&new, &apt] {
            remove(path)?;
        }
        fs::create_dir_all(&new).with_context(|| format!("make: {}", new.display()))?;
        let made_of = fill(&new, &apt)?;
        remove(&apt)?;
        let file = new.join(MADE_OF);
        fs::write(&file, made_of).with_context(|| format!("write: {}", file.display()))?;
        remove(directory)?;
        fs::rename(&new, directory).with_context(|| format!("make: {}", directory.display()))
    }
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove: {}", directory.display()))
        }
        _ => Ok(()),
    }
}

fn made_of(directory: &Path) -> Option<String> {
    fs::read_to_string(directory.join(MADE_OF)).ok()
}

/// Where the cache is (XDG Base Directory Specification): a path that is not absolute counts as none.
fn root(cache: Option<impl Into<PathBuf>>, home: Option<impl Into<PathBuf>>) -> Result<PathBuf> {
    let cache = cache
        .map(Into::into)
        .filter(|path| path.is_absolute())
        .or_else(|| home.map(|home| home.into().join(".cache")));
    let cache = cache.context("fetch: kernels: no place for them: set XDG_CACHE_HOME or HOME")?;
    Ok(cache.join("arpguard/kernels"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_of_the_cache() {
        let place = |cache: Option<&'static str>, home: Option<&'static str>| root(cache, home);
        let at = |path: &str| Some(PathBuf::from(path));
        assert_eq!(
            place(Some("/c"), Some("/h")).ok(),
            at("/c/arpguard/kernels")
        );
        for none in [None, Some(""), Some("c")] {
            let found = place(none, Some("/h")).ok();
            assert_eq!(found, at("/h/.cache/arpguard/kernels"));
        }
        assert!(place(None, None).is_err());
    }
}

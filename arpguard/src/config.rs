//! Policy that is declared in TOML files.
//!
//! [`Config::read`] checks what no host can tell; [`Config::on`] then says what it means on this
//! one. Each error names file, line and column.

mod file;
mod on;
mod pattern;
mod source;

use std::path::PathBuf;

use arpguard_common::verdict::Mode as Carry;

pub(crate) use self::pattern::only;
pub use self::source::Source;
use self::{
    file::{File, List},
    pattern::Pattern,
};
use crate::{
    datapath::Mode,
    error::{Error, Result},
    policy::{self, Hide, MEANT, NEEDED, Part, Refusal, Rip},
};

const READ: &str = "read the policy";

/// A policy, read from files.
#[derive(Debug)]
pub struct Config {
    sources: Vec<Source>,
    devices: Option<(Spot, List<Pattern>)>,
    attach: Option<(Spot, Mode)>,
    hides: Vec<Hide>,
    /// Where each of `hides` comes from.
    origins: Vec<Origin>,
}

/// A place in one of the files.
#[derive(Clone, Copy, Debug)]
struct Spot {
    /// Which of the sources.
    source: usize,
    /// Which byte of it.
    offset: usize,
}

/// Where the parts of one `[[hide]]` are.
#[derive(Debug)]
struct Origin {
    source: usize,
    /// Of each of the prefixes.
    prefixes: Vec<usize>,
    rip: usize,
    dev: Option<List<Pattern>>,
}

impl Config {
    /// Reads files, and the `*.toml` of directories, as one policy.
    ///
    /// # Errors
    /// Where one cannot be read, is not TOML, has an unknown key or a value that makes no sense, or
    /// contradicts another.
    pub fn read(paths: &[PathBuf]) -> Result<Self> {
        Self::of(Source::read(paths)?)
    }

    /// A policy whose text is given, and no file.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn given(text: &str) -> Result<Self> {
        Self::of(vec![Source::new("what was given".into(), text.to_owned())])
    }

    /// Refuses a file that was without a byte when it was read: who writes it in place has just
    /// emptied it. To take it for a policy that hides nothing would show all that is hidden.
    ///
    /// # Errors
    /// Where one was.
    pub fn refuse_emptied(self) -> Result<Self> {
        match self.sources.iter().find(|source| source.text.is_empty()) {
            None => Ok(self),
            Some(source) => Err(source
                .refuse(0, "it is empty, as while it is written")
                .advise("to hide nothing, write a comment into it")),
        }
    }

    /// The policy of files that have been read.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn of(sources: Vec<Source>) -> Result<Self> {
        let mut config = Self {
            sources: Vec::new(),
            devices: None,
            attach: None,
            hides: Vec::new(),
            origins: Vec::new(),
        };
        for source in sources {
            let file: File = toml::from_str(&source.text).map_err(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                source.refuse(offset, error.message().replace('\n', "; "))
            })?;
            config.sources.push(source);
            config.add(file)?;
        }
        policy::check(&config.hides).map_err(|refusal| config.refusal(refusal))?;
        Ok(config)
    }

    /// Adds what the last of the sources says.
    fn add(&mut self, file: File) -> Result<()> {
        let source = self.sources.len() - 1;
        if let Some(devices) = file.devices {
            let spot = Spot {
                source,
                offset: devices.at,
            };
            if let Some((first, known)) = &self.devices
                && names(known) != names(&devices)
            {
                return Err(self.differs("devices", spot, *first));
            }
            self.devices.get_or_insert((spot, devices));
        }
        if let Some(attach) = file.attach {
            let spot = Spot {
                source,
                offset: attach.span().start,
            };
            if let Some((first, known)) = &self.attach
                && known != attach.get_ref()
            {
                return Err(self.differs("attach", spot, *first));
            }
            self.attach.get_or_insert((spot, attach.into_inner()));
        }
        file.hide
            .into_iter()
            .try_for_each(|hide| self.add_hide(source, hide))
    }

    fn add_hide(&mut self, source: usize, hide: file::Hide) -> Result<()> {
        for (offset, is_empty, why) in [
            (
                hide.ip.at,
                hide.ip.elements.is_empty(),
                "it names nothing to hide",
            ),
            hide.dev.as_ref().map_or((0, false, ""), |dev| {
                (
                    dev.at,
                    dev.elements.is_empty(),
                    "it names no device to hide it on",
                )
            }),
        ] {
            if is_empty {
                return Err(self.refuse(Spot { source, offset }, why));
            }
        }
        let prefixes = &hide.ip.elements;
        self.origins.push(Origin {
            source,
            prefixes: prefixes.iter().map(|prefix| prefix.span().start).collect(),
            rip: hide.rip.as_ref().map_or(hide.ip.at, |rip| rip.span().start),
            dev: hide.dev,
        });
        self.hides.push(Hide {
            prefixes: prefixes.iter().map(|prefix| prefix.get_ref().0.0).collect(),
            rip: hide.rip.map_or(Rip::Auto, |rip| rip.into_inner().0.0),
            shield: hide.shield,
            mode: if hide.audit {
                Carry::Audit
            } else {
                Carry::Enforce
            },
            force: hide.force,
        });
        Ok(())
    }

    fn differs(&self, key: &str, spot: Spot, first: Spot) -> Error {
        let why = format!("`{key}` is another at {}", self.place(first));
        self.refuse(spot, why).advise("say it in one file")
    }

    fn place(&self, spot: Spot) -> String {
        match self.sources.get(spot.source) {
            Some(source) => source.place(spot.offset),
            None => String::new(),
        }
    }

    fn refuse(&self, spot: Spot, why: impl Into<String>) -> Error {
        Error::new(READ, self.place(spot), why)
    }

    /// Tells where in the files the reason of a refusal is.
    fn refusal(&self, refusal: Refusal) -> Error {
        let Refusal { block, part, error } = refusal;
        let (Some(origin), Some(hide)) = (self.origins.get(block), self.hides.get(block)) else {
            return error;
        };
        let error = match part {
            Part::Needed(_) => error.advise(format!("{NEEDED}; set `force = true` {MEANT}")),
            Part::Holding(_) | Part::Rip => error,
        };
        let offset = match part {
            Part::Rip => origin.rip,
            Part::Holding(address) | Part::Needed(address) => {
                let parts = hide.prefixes.iter().zip(&origin.prefixes);
                parts
                    .filter(|(prefix, _)| prefix.contains(&address))
                    .max_by_key(|(prefix, _)| prefix.prefix_len())
                    .map_or(origin.rip, |(_, offset)| *offset)
            }
        };
        let source = origin.source;
        error.within(READ, self.place(Spot { source, offset }))
    }
}

/// The patterns of a list, whatever their order.
fn names(list: &List<Pattern>) -> Vec<String> {
    let mut names: Vec<_> = list
        .elements
        .iter()
        .map(|one| one.get_ref().0.to_string())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;

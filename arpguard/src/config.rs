//! Policy that is declared in TOML files.
//!
//! [`Config::read`] checks what no host can tell; [`Config::on`] then says what it means on this
//! one. Each error names file, line and column.

mod file;
mod on;
mod pattern;
mod source;

use std::{path::PathBuf, sync::Arc};

use arpguard_common::verdict::Mode as Carry;
use ipnet::Ipv4Net;
use toml::Spanned;

pub(crate) use self::pattern::only;
pub use self::source::Source;
use self::{
    file::{File, List, Name, Word},
    pattern::Pattern,
};
use crate::{
    check::Check,
    datapath::Mode,
    error::{Error, Result},
    policy::{self, Block, EVERY_ADDRESS, FREE, Kind, MEANT, Part, Refusal, Rip},
    terms::{Fallback, HOLD, LONGEST_HOLD, Terms},
};

const READ: &str = "read the policy";

/// A policy, read from files.
#[derive(Debug)]
pub struct Config {
    sources: Vec<Source>,
    devices: Option<(Spot, List<Pattern>)>,
    attach: Option<(Spot, Mode)>,
    blocks: Vec<Block>,
    /// Where each of `blocks` comes from.
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

/// Where the parts of one block are.
#[derive(Debug)]
struct Origin {
    source: usize,
    /// Of each of the prefixes.
    prefixes: Vec<usize>,
    rip: usize,
    dev: Dev,
    /// What a pin is told beside its device.
    terms: Option<Arc<Terms>>,
    /// What must hold for what is answered.
    check: Option<Check>,
}

/// The devices that a block names.
#[derive(Debug)]
enum Dev {
    /// None, which stands for all.
    Every,
    /// These.
    These(List<Pattern>),
    /// The one that addresses are pinned to, and the one that they go to when it fails.
    Home(Spanned<Word<Name>>, Option<Spanned<Word<Name>>>),
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
            blocks: Vec::new(),
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
        policy::check(&config.blocks).map_err(|refusal| config.refusal(refusal))?;
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
        for hide in file.hide {
            self.add_hide(source, hide)?;
        }
        for pin in file.pin {
            self.add_pin(source, pin)?;
        }
        for strict in file.strict {
            self.add_strict(source, strict)?;
        }
        for answer in file.answer {
            self.add_answer(source, answer)?;
        }
        for bind in file.bind {
            self.add_bind(source, bind)?;
        }
        Ok(())
    }

    fn add_hide(&mut self, source: usize, hide: file::Hide) -> Result<()> {
        let rip = hide.rip.as_ref().map_or(hide.ip.at, |rip| rip.span().start);
        let kind = Kind::Hide {
            rip: hide.rip.map_or(Rip::Auto, |rip| rip.into_inner().0.0),
            shield: hide.shield,
        };
        let (prefixes, places) = self.addresses(source, &hide.ip, "it names nothing to hide")?;
        let dev = self.dev(source, hide.dev, "it names no device to hide it on")?;
        self.origins.push(Origin {
            source,
            prefixes: places,
            rip,
            dev,
            terms: None,
            check: None,
        });
        self.blocks.push(Block {
            kind,
            prefixes,
            mode: mode(hide.audit),
            force: hide.force,
        });
        Ok(())
    }

    fn add_pin(&mut self, source: usize, pin: file::Pin) -> Result<()> {
        let (prefixes, places) = self.addresses(source, &pin.ip, "it names nothing to pin")?;
        let terms = self.terms(source, &pin)?.map(Arc::new);
        self.origins.push(Origin {
            source,
            prefixes: places,
            rip: pin.ip.at,
            dev: Dev::Home(pin.dev, pin.fallback),
            terms,
            check: None,
        });
        self.blocks.push(Block {
            kind: Kind::Pin,
            prefixes,
            mode: mode(pin.audit),
            force: pin.force,
        });
        Ok(())
    }

    /// What a pin is told beside its device.
    fn terms(&self, source: usize, pin: &file::Pin) -> Result<Option<Terms>> {
        let name = |word: &Spanned<Word<Name>>| word.get_ref().0.0.clone();
        let refuse = |offset, why| Err(self.refuse(Spot { source, offset }, why));
        let dev = name(&pin.dev);
        let fallback = match (&pin.fallback, &pin.hold) {
            (None, None) => None,
            (None, Some(hold)) => {
                let why = "`hold` is about a `fallback`, and there is none";
                return refuse(hold.span().start, why);
            }
            (Some(fallback), _) if name(fallback) == dev => {
                return refuse(fallback.span().start, "it is the device itself");
            }
            (Some(_), Some(hold)) if *hold.get_ref() > LONGEST_HOLD => {
                return refuse(hold.span().start, "it is longer than a day");
            }
            (Some(fallback), hold) => Some(Fallback {
                dev: name(fallback),
                hold: hold.as_ref().map_or(HOLD, |hold| *hold.get_ref()),
            }),
        };
        Ok(Terms::of(dev, fallback, pin.route, false))
    }

    fn add_strict(&mut self, source: usize, strict: Spanned<file::Strict>) -> Result<()> {
        let at = strict.span().start;
        let strict = strict.into_inner();
        let dev = self.dev(source, strict.dev, "it names no device to be strict")?;
        self.origins.push(Origin {
            source,
            prefixes: vec![at],
            rip: at,
            dev,
            terms: None,
            check: None,
        });
        self.blocks.push(Block {
            kind: Kind::Strict {
                same_subnet: strict.same_subnet,
            },
            prefixes: vec![EVERY_ADDRESS],
            mode: mode(strict.audit),
            force: false,
        });
        Ok(())
    }

    fn add_answer(&mut self, source: usize, answer: file::Answer) -> Result<()> {
        let (prefixes, places) =
            self.addresses(source, &answer.ip, "it names nothing to answer for")?;
        let dev = self.dev(source, Some(answer.dev), "it names no device to answer on")?;
        let deferred = answer.when.is_some();
        self.origins.push(Origin {
            source,
            prefixes: places,
            rip: answer.ip.at,
            dev,
            terms: None,
            check: answer.when.map(|when| when.0),
        });
        self.blocks.push(Block {
            kind: Kind::Answer {
                mac: answer.mac.map(|mac| mac.0.0),
                deferred,
            },
            prefixes,
            mode: mode(answer.audit),
            force: answer.force,
        });
        Ok(())
    }

    fn add_bind(&mut self, source: usize, bind: file::Bind) -> Result<()> {
        let (prefixes, places) = self.addresses(source, &bind.ip, "it names nothing to bind")?;
        let dev = self.dev(source, bind.dev, "it names no device to bind it on")?;
        self.origins.push(Origin {
            source,
            prefixes: places,
            rip: bind.ip.at,
            dev,
            terms: None,
            check: None,
        });
        self.blocks.push(Block {
            kind: Kind::Bind { mac: bind.mac.0.0 },
            prefixes,
            mode: mode(bind.audit),
            force: false,
        });
        Ok(())
    }

    /// The addresses of a list, and where each is; `nothing` says what is wrong where there are none.
    fn addresses(
        &self,
        source: usize,
        list: &List<file::Prefix>,
        nothing: &str,
    ) -> Result<(Vec<Ipv4Net>, Vec<usize>)> {
        if list.elements.is_empty() {
            let offset = list.at;
            return Err(self.refuse(Spot { source, offset }, nothing));
        }
        let elements = list.elements.iter();
        Ok(elements
            .map(|prefix| (prefix.get_ref().0.0, prefix.span().start))
            .unzip())
    }

    /// The devices of a list; `nothing` says what is wrong where there are none.
    fn dev(&self, source: usize, list: Option<List<Pattern>>, nothing: &str) -> Result<Dev> {
        match list {
            None => Ok(Dev::Every),
            Some(list) if list.elements.is_empty() => {
                let offset = list.at;
                Err(self.refuse(Spot { source, offset }, nothing))
            }
            Some(list) => Ok(Dev::These(list)),
        }
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
        let (Some(origin), Some(block)) = (self.origins.get(block), self.blocks.get(block)) else {
            return error;
        };
        let error = match part {
            Part::Needed { policy, .. } => {
                let cost = policy::cost(policy);
                error.advise(format!("{cost}; set `force = true` {MEANT}"))
            }
            Part::Many(_) => error.advise(format!("set `force = true` {FREE}")),
            Part::Holding(_) | Part::Rip => error,
        };
        let offset = match part {
            Part::Rip => origin.rip,
            Part::Holding(address) | Part::Many(address) | Part::Needed { address, .. } => {
                let parts = block.prefixes.iter().zip(&origin.prefixes);
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

const fn mode(audit: bool) -> Carry {
    if audit { Carry::Audit } else { Carry::Enforce }
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

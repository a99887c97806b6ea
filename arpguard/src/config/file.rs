//! The shape of a policy file: what TOML and types alone can tell.

use std::{fmt, marker::PhantomData, str::FromStr};

use arpguard_common::wire::Mac;
use ipnet::Ipv4Net;
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};
use toml::Spanned;

use super::pattern::Pattern;
use crate::{
    check::Check,
    datapath::Mode,
    policy::{self, parse_mac, parse_prefix, parse_rip},
};

/// A whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The devices to guard.
    pub(super) devices: Option<List<Pattern>>,
    /// The ingress hook to take.
    pub(super) attach: Option<Spanned<Mode>>,
    /// Addresses to hide.
    #[serde(default)]
    pub(super) hide: Vec<Hide>,
    /// Addresses to pin.
    #[serde(default)]
    pub(super) pin: Vec<Pin>,
    /// Devices to hold to what they own.
    #[serde(default)]
    pub(super) strict: Vec<Spanned<Strict>>,
    /// Addresses to answer for.
    #[serde(default)]
    pub(super) answer: Vec<Answer>,
    /// Addresses to bind.
    #[serde(default)]
    pub(super) bind: Vec<Bind>,
}

/// One `[[hide]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hide {
    /// What to hide.
    pub(super) ip: List<Prefix>,
    /// The sender to use instead.
    pub(super) rip: Option<Spanned<Word<Rip>>>,
    /// The devices to hide it on, of those that are guarded; all, where there are none.
    pub(super) dev: Option<List<Pattern>>,
    /// Whether others' claims are kept from this host.
    #[serde(default)]
    pub(super) shield: bool,
    /// Whether it only counts.
    #[serde(default)]
    pub(super) audit: bool,
    /// Whether to hide even what this host needs.
    #[serde(default)]
    pub(super) force: bool,
}

/// One `[[pin]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    /// What to pin.
    pub(super) ip: List<Prefix>,
    /// The device to pin it to.
    pub(super) dev: Spanned<Word<Name>>,
    /// The device to pin it to while that one has no carrier.
    pub(super) fallback: Option<Spanned<Word<Name>>>,
    /// For how many seconds the first has to hold its carrier before it is pinned to that again.
    pub(super) hold: Option<Spanned<u32>>,
    /// Whether replies leave by the device where it is.
    #[serde(default)]
    pub(super) route: bool,
    /// Whether it only counts.
    #[serde(default)]
    pub(super) audit: bool,
    /// Whether to leave another device without an address to speak with.
    #[serde(default)]
    pub(super) force: bool,
}

/// One `[[strict]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Strict {
    /// The devices, of those that are guarded; all, where there are none.
    pub(super) dev: Option<List<Pattern>>,
    /// Whether only who is in a subnet of the device is answered.
    #[serde(default)]
    pub(super) same_subnet: bool,
    /// Whether it only counts.
    #[serde(default)]
    pub(super) audit: bool,
}

/// One `[[answer]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    /// What to answer for.
    pub(super) ip: List<Prefix>,
    /// The devices to answer on, of those that are guarded.
    pub(super) dev: List<Pattern>,
    /// The hardware address to answer with; the device's own, where there is none.
    pub(super) mac: Option<Word<Station>>,
    /// What must hold; nothing, where there is none.
    pub(super) when: Option<Word<Check>>,
    /// Whether it only counts.
    #[serde(default)]
    pub(super) audit: bool,
    /// Whether to answer even for what another machine has.
    #[serde(default)]
    pub(super) force: bool,
}

/// One `[[bind]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bind {
    /// What to bind.
    pub(super) ip: List<Prefix>,
    /// The hardware address that alone may claim it.
    pub(super) mac: Word<Station>,
    /// The devices to bind it on, of those that are guarded; all, where there are none.
    pub(super) dev: Option<List<Pattern>>,
    /// Whether it only counts.
    #[serde(default)]
    pub(super) audit: bool,
}

/// The hardware address of a station.
#[derive(Clone, Copy, Debug)]
pub(super) struct Station(pub(super) Mac);

impl FromStr for Station {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_mac(text)
            .map(Self)
            .map_err(|why| format!("{text}: {why}"))
    }
}

/// The name of one device; no pattern, whatever is in it.
#[derive(Clone, Debug)]
pub(super) struct Name(pub(super) String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

/// An address (of length 32) or a prefix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix(pub(super) Ipv4Net);

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_prefix(text)
            .map(Self)
            .map_err(|why| format!("{text}: {why}"))
    }
}

/// A RIP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rip(pub(super) policy::Rip);

impl FromStr for Rip {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_rip(text)
            .map(Self)
            .map_err(|why| format!("{text}: {why}"))
    }
}

/// What a string says. It is read inside of the visit to the string: a later error would not know
/// the place.
#[derive(Debug)]
pub(super) struct Word<T>(pub(super) T);

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WordVisitor(PhantomData))
    }
}

struct WordVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for WordVisitor<T> {
    type Value = Word<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map(Word).map_err(E::custom)
    }
}

/// One string or a list of them, with the place of each in the file.
#[derive(Debug)]
pub(super) struct List<T> {
    /// Where the whole list begins.
    pub(super) at: usize,
    /// The elements.
    pub(super) elements: Vec<Spanned<Word<T>>>,
}

enum OneOrMany<T> {
    One(Word<T>),
    Many(Vec<Spanned<Word<T>>>),
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = Spanned::<OneOrMany<T>>::deserialize(deserializer)?;
        let span = whole.span();
        Ok(Self {
            at: span.start,
            elements: match whole.into_inner() {
                OneOrMany::One(element) => vec![Spanned::new(span, element)],
                OneOrMany::Many(elements) => elements,
            },
        })
    }
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: FromStr<Err = String>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        WordVisitor(PhantomData).visit_str(text).map(OneOrMany::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(OneOrMany::Many(elements))
    }
}

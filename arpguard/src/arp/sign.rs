//! What shows that a station claims an address.

use super::Question;

/// A frame that tells that a station has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Its answer to a question of this form.
    Answer(Question),
    /// An announcement, or a reply to everybody, that nobody has asked for.
    Announcement,
    /// A request of its own, with the address as its sender: whoever hears it believes it.
    Request,
}

impl Sign {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let answers = Question::ALL.iter().copied().map(Self::Answer);
        answers.chain([Self::Announcement, Self::Request])
    }

    /// The one word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answer(question) => question.name(),
            Self::Announcement => "announcement",
            Self::Request => "request",
        }
    }

    const fn bit(self) -> u16 {
        let position = match self {
            Self::Answer(question) => question as usize,
            Self::Announcement => Question::ALL.len(),
            Self::Request => Question::ALL.len() + 1,
        };
        1 << position
    }
}

/// Which signs were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs(u16);

impl Signs {
    /// Adds one.
    pub fn insert(&mut self, sign: Sign) {
        self.0 |= sign.bit();
    }

    /// Whether this one is among them.
    pub const fn contains(self, sign: Sign) -> bool {
        self.0 & sign.bit() != 0
    }

    /// Those that there are.
    pub fn iter(self) -> impl Iterator<Item = Sign> {
        Sign::all().filter(move |sign| self.contains(*sign))
    }
}

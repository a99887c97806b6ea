//! The kernel's hooks that frames are judged at, and which of them a device has.

use std::fmt;

use arpguard_common::abi::program;
use aya_obj::generated::bpf_attach_type;

/// A hook of a device, as far as a link is kept for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hook {
    /// XDP, in the driver or behind it.
    Xdp,
    /// TC: TCX, or the clsact qdisc.
    Tc(Side),
}

/// A direction of TC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Ingress,
    Egress,
}

impl Hook {
    pub(super) const ALL: [Self; 3] = [Self::Xdp, Self::Tc(Side::Ingress), Self::Tc(Side::Egress)];

    /// Its name in pins and messages.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc(Side::Ingress) => "ingress",
            Self::Tc(Side::Egress) => "egress",
        }
    }

    /// The names of the programs that are for it, the best one first.
    pub(super) const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Xdp => &[program::XDP_FRAGS, program::XDP],
            Self::Tc(Side::Ingress) => &[program::TC_INGRESS],
            Self::Tc(Side::Egress) => &[program::TC_EGRESS],
        }
    }

    pub(super) const fn attach_type(self) -> bpf_attach_type {
        match self {
            Self::Xdp => bpf_attach_type::BPF_XDP,
            Self::Tc(Side::Ingress) => bpf_attach_type::BPF_TCX_INGRESS,
            Self::Tc(Side::Egress) => bpf_attach_type::BPF_TCX_EGRESS,
        }
    }
}

/// Which ingress hook is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The best that works; what is attached already stays.
    #[default]
    Auto,
    /// XDP in the driver.
    Native,
    /// XDP behind the driver.
    Generic,
    /// The TC ingress hook.
    Tc,
}

/// The hook that received frames are judged at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// XDP in the driver.
    Native,
    /// XDP behind the driver.
    Generic,
    /// TCX (Linux 6.6).
    Tcx,
    /// A filter in the clsact qdisc.
    Clsact,
}

/// The hook that sent frames are judged at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Egress {
    /// TCX (Linux 6.6).
    Tcx,
    /// A filter in the clsact qdisc.
    Clsact,
}

impl Ingress {
    /// Its name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "xdp-native",
            Self::Generic => "xdp-generic",
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }

    pub(super) const fn satisfies(self, mode: Mode) -> bool {
        match mode {
            Mode::Auto => true,
            Mode::Native => matches!(self, Self::Native),
            Mode::Generic => matches!(self, Self::Generic),
            Mode::Tc => matches!(self, Self::Tcx | Self::Clsact),
        }
    }
}

impl Egress {
    /// Its name in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// What is attached to a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Where received frames are judged.
    pub ingress: Option<Ingress>,
    /// Where sent frames are judged.
    pub egress: Option<Egress>,
    /// Whether received frames are judged at the TC hook too, beside XDP: a process has died that
    /// changed from the one to the other.
    pub bridged: bool,
    /// Why `ingress` is not a better one, or what it lacks; empty where it is the best.
    pub note: String,
}

impl Attached {
    /// Whether both directions are judged.
    pub const fn is_complete(&self) -> bool {
        self.ingress.is_some() && self.egress.is_some()
    }

    /// Whether both directions are judged, received frames by the hook that is wanted alone.
    pub const fn satisfies(&self, mode: Mode) -> bool {
        match self.ingress {
            Some(ingress) => ingress.satisfies(mode) && !self.bridged && self.egress.is_some(),
            None => false,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Tc => "tc",
        })
    }
}

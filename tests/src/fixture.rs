//! One real server with three devices, and its policy: as command lines, and as a model on the
//! host that is made from the same list.

use std::net::Ipv4Addr;

use arpguard_common::{
    abi::{Local, Rule, Shape},
    policy::{EVERY_DEVICE, Tables},
    verdict::Mode,
    wire::Mac,
};

use crate::lab::{Namespace, Wire};

const fn ip(a: u8, b: u8, c: u8, d: u8) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

/// First address of eth0.
pub const RIP: Ipv4Addr = ip(192, 168, 18, 10);
/// Second address of eth0, in the same subnet.
pub const SECOND: Ipv4Addr = ip(192, 168, 18, 11);
/// Address of eth1.
pub const OTHER: Ipv4Addr = ip(10, 0, 0, 10);
/// Hidden on every device.
pub const VIP: Ipv4Addr = ip(192, 168, 18, 101);
/// Hidden on every device, and others' claims of it are kept away.
pub const SHIELDED: Ipv4Addr = ip(192, 168, 18, 102);
/// Hidden on eth1 alone.
pub const ON_ETH1: Ipv4Addr = ip(192, 168, 18, 103);
/// Audited on every device.
pub const AUDITED: Ipv4Addr = ip(192, 168, 18, 104);
/// Hidden on every device, audited on eth0.
pub const AUDITED_ON_ETH0: Ipv4Addr = ip(192, 168, 18, 105);
/// In the hidden prefix.
pub const IN_PREFIX: Ipv4Addr = ip(192, 168, 19, 200);
/// In the hidden prefix, with a policy of its own.
pub const LONGEST: Ipv4Addr = ip(192, 168, 19, 7);

/// What the real server has on `lo`.
pub const VIPS: [Ipv4Addr; 7] = [
    VIP,
    SHIELDED,
    ON_ETH1,
    AUDITED,
    AUDITED_ON_ETH0,
    IN_PREFIX,
    LONGEST,
];

/// A device of the real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// 192.168.18.10/24 and 192.168.18.11/24.
    Eth0,
    /// 10.0.0.10/24.
    Eth1,
    /// No address.
    Eth2,
}

impl Device {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Eth0, Self::Eth1, Self::Eth2];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eth0 => "eth0",
            Self::Eth1 => "eth1",
            Self::Eth2 => "eth2",
        }
    }

    /// Its hardware address.
    pub const fn mac(self) -> Mac {
        Mac([2, 0, 0, 0, self as u8, 0x10])
    }

    /// The hardware address of the station at the other end.
    pub const fn peer_mac(self) -> Mac {
        Mac([2, 0, 0, 0, self as u8, 0x81])
    }

    /// Its addresses, the primary first.
    pub const fn addresses(self) -> &'static [Ipv4Addr] {
        match self {
            Self::Eth0 => &[RIP, SECOND],
            Self::Eth1 => &[OTHER],
            Self::Eth2 => &[],
        }
    }

    /// The address of the station at the other end, which nobody has.
    pub const fn peer(self) -> Ipv4Addr {
        match self {
            Self::Eth0 | Self::Eth2 => ip(192, 168, 18, 129),
            Self::Eth1 => ip(10, 0, 0, 129),
        }
    }

    /// Its interface index in the model.
    pub const fn index(self) -> u32 {
        2 + self as u32
    }
}

/// One `arpguard hide`.
#[derive(Clone, Copy, Debug)]
pub struct Hide {
    /// Address, or first address of the prefix.
    pub address: Ipv4Addr,
    /// Length of the prefix; 32 for a single address.
    pub length: u8,
    /// What is sent in its place; `None` for `auto`.
    pub rip: Option<Ipv4Addr>,
    /// The only device that it holds on.
    pub device: Option<Device>,
    /// `--shield`
    pub shield: bool,
    /// `--audit`
    pub audit: bool,
}

const ADDRESS: Hide = Hide {
    address: VIP,
    length: 32,
    rip: Some(RIP),
    device: None,
    shield: false,
    audit: false,
};

/// The policy.
pub const POLICY: &[Hide] = &[
    ADDRESS,
    Hide {
        address: SHIELDED,
        shield: true,
        ..ADDRESS
    },
    Hide {
        address: ip(192, 168, 19, 0),
        length: 24,
        rip: None,
        ..ADDRESS
    },
    Hide {
        address: LONGEST,
        rip: Some(SECOND),
        ..ADDRESS
    },
    Hide {
        address: ON_ETH1,
        device: Some(Device::Eth1),
        ..ADDRESS
    },
    Hide {
        address: AUDITED,
        audit: true,
        ..ADDRESS
    },
    Hide {
        address: AUDITED_ON_ETH0,
        rip: None,
        ..ADDRESS
    },
    Hide {
        address: AUDITED_ON_ETH0,
        rip: None,
        device: Some(Device::Eth0),
        audit: true,
        ..ADDRESS
    },
];

impl Hide {
    /// The command line that sets it.
    pub fn command(&self) -> String {
        let mut line = format!("hide {}", self.address);
        if self.length < 32 {
            line += &format!("/{}", self.length);
        }
        line += &match self.rip {
            Some(rip) => format!(" --rip {rip}"),
            None => " --rip auto".to_owned(),
        };
        if let Some(device) = self.device {
            line += &format!(" --dev {}", device.name());
        }
        for (set, flag) in [(self.shield, " --shield"), (self.audit, " --audit")] {
            if set {
                line += flag;
            }
        }
        line
    }

    fn rule(&self) -> Rule {
        let mode = if self.audit {
            Mode::Audit
        } else {
            Mode::Enforce
        };
        Rule::hide(self.length, self.rip, mode, self.shield)
    }

    fn holds_on(&self, device: u32) -> bool {
        self.device.map_or(EVERY_DEVICE, Device::index) == device
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        let shift = 32 - u32::from(self.length);
        self.address.to_bits() >> shift == address.to_bits() >> shift
    }
}

/// What the maps in the kernel hold once [`POLICY`] is set.
#[derive(Clone, Copy, Debug)]
pub struct Model;

impl Model {
    /// Whether an address is hidden on a device by a policy that is carried out.
    pub fn hides(&self, address: Ipv4Addr, device: u32) -> bool {
        self.find(device, address, |_| true)
            .or_else(|| self.find(EVERY_DEVICE, address, |_| true))
            .is_some_and(|rule| rule.mode() == Mode::Enforce)
    }

    fn find(&self, device: u32, address: Ipv4Addr, of: impl Fn(&Hide) -> bool) -> Option<Rule> {
        POLICY
            .iter()
            .filter(|hide| of(hide) && hide.holds_on(device) && hide.has(address))
            .max_by_key(|hide| hide.length)
            .map(Hide::rule)
    }
}

impl Tables for Model {
    fn shape(&self) -> Shape {
        let count = |single: bool, device: bool| {
            POLICY
                .iter()
                .filter(|hide| (hide.length == 32) == single && hide.device.is_some() == device)
                .map(|_| 1)
                .sum()
        };
        Shape {
            exact: count(true, false),
            exact_on_device: count(true, true),
            prefixes: count(false, false),
            prefixes_on_device: count(false, true),
        }
    }

    fn exact(&self, device: u32, address: Ipv4Addr) -> Option<Rule> {
        self.find(device, address, |hide| hide.length == 32)
    }

    fn prefix(&self, device: u32, address: Ipv4Addr) -> Option<Rule> {
        self.find(device, address, |hide| hide.length < 32)
    }

    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        let device = Device::ALL.into_iter().find(|d| d.index() == device)?;
        // Each device has one subnet: its first address is the sender there and everywhere else.
        let primary = *device.addresses().first()?;
        Some(if device.addresses().contains(&target) {
            Local::own(primary)
        } else {
            Local::subnet(primary)
        })
    }

    fn mac(&self, device: u32) -> Option<Mac> {
        let device = Device::ALL.into_iter().find(|d| d.index() == device)?;
        Some(device.mac())
    }
}

/// The real server in a namespace; each of its devices is one end of a wire.
#[derive(Debug)]
pub struct RealServer {
    /// The real server.
    pub host: Namespace,
    /// What is at the other ends. Its devices have the same names and no addresses.
    pub peer: Namespace,
}

impl RealServer {
    /// Makes it, with the VIPs on `lo` and nothing hidden.
    pub fn new() -> Self {
        let (host, peer) = (Namespace::new("rs"), Namespace::new("peer"));
        for device in Device::ALL {
            Wire::between(
                (&host, device.name(), device.mac()),
                (&peer, device.name(), device.peer_mac()),
            );
            for address in device.addresses() {
                host.sh(&format!("ip addr add {address}/24 dev {}", device.name()));
            }
        }
        for vip in VIPS {
            host.sh(&format!("ip addr add {vip}/32 dev lo"));
        }
        Self { host, peer }
    }

    /// Whether it has this address, on whichever device.
    pub fn has(address: Ipv4Addr) -> bool {
        VIPS.contains(&address) || [RIP, SECOND, OTHER].contains(&address)
    }

    /// Sets [`POLICY`], each command with `options` added.
    pub fn hide(&self, options: &str) {
        for hide in POLICY {
            self.host.guard(&format!("{} {options}", hide.command()));
        }
    }
}

impl Default for RealServer {
    fn default() -> Self {
        Self::new()
    }
}

//! One real server with six devices, and its policy: as command lines, and as a model on the
//! host that is made from the same list.

use std::net::Ipv4Addr;

use arpguard_common::{
    abi::{Local, Rule, Shape},
    policy::{EVERY_DEVICE, Tables},
    verdict::{Mode, Policy},
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

/// Address of eth3.
pub const STRICT: Ipv4Addr = ip(172, 16, 3, 10);
/// Address of eth4.
pub const AUDITED_STRICT: Ipv4Addr = ip(172, 16, 4, 10);
/// Pinned to eth1.
pub const PINNED: Ipv4Addr = ip(192, 168, 18, 106);
/// Pinned to eth1, and audited.
pub const PINNED_AUDITED: Ipv4Addr = ip(192, 168, 18, 107);
/// Pinned to eth1, and hidden on eth0.
pub const PINNED_AND_HIDDEN: Ipv4Addr = ip(192, 168, 18, 108);
/// Pinned to eth3, which is strict.
pub const PINNED_TO_STRICT: Ipv4Addr = ip(192, 168, 18, 109);
/// Pinned to eth5, which is strict and has no address.
pub const PINNED_TO_MUTE: Ipv4Addr = ip(192, 168, 18, 110);
/// Pinned to eth1, in the hidden prefix.
pub const PINNED_IN_HIDDEN: Ipv4Addr = ip(192, 168, 19, 9);
/// In the prefix that is pinned to eth1.
pub const IN_PINNED: Ipv4Addr = ip(192, 168, 21, 200);
/// In that prefix, and hidden on every device.
pub const HIDDEN_IN_PINNED: Ipv4Addr = ip(192, 168, 21, 7);

/// What the real server has on `lo`.
pub const VIPS: [Ipv4Addr; 15] = [
    PINNED,
    PINNED_AUDITED,
    PINNED_AND_HIDDEN,
    PINNED_TO_STRICT,
    PINNED_TO_MUTE,
    PINNED_IN_HIDDEN,
    IN_PINNED,
    HIDDEN_IN_PINNED,
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
    /// 172.16.3.10/24. Strict, and answers its own subnet only.
    Eth3,
    /// 172.16.4.10/24. Strict, and audited.
    Eth4,
    /// No address. Strict.
    Eth5,
}

impl Device {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Eth0,
        Self::Eth1,
        Self::Eth2,
        Self::Eth3,
        Self::Eth4,
        Self::Eth5,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eth0 => "eth0",
            Self::Eth1 => "eth1",
            Self::Eth2 => "eth2",
            Self::Eth3 => "eth3",
            Self::Eth4 => "eth4",
            Self::Eth5 => "eth5",
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
            Self::Eth3 => &[STRICT],
            Self::Eth4 => &[AUDITED_STRICT],
            Self::Eth2 | Self::Eth5 => &[],
        }
    }

    /// The address of the station at the other end, which nobody has.
    pub const fn peer(self) -> Ipv4Addr {
        match self {
            Self::Eth0 | Self::Eth2 | Self::Eth5 => ip(192, 168, 18, 129),
            Self::Eth1 => ip(10, 0, 0, 129),
            Self::Eth3 => ip(172, 16, 3, 129),
            Self::Eth4 => ip(172, 16, 4, 129),
        }
    }

    /// Its interface index in the model.
    pub const fn index(self) -> u32 {
        2 + self as u32
    }
}

/// One `arpguard hide`, `pin` or `strict on`.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// Which of them.
    pub policy: Policy,
    /// Address, or first address of the prefix.
    pub address: Ipv4Addr,
    /// Length of the prefix; 32 for a single address.
    pub length: u8,
    /// What is sent in its place; `None` for `auto`.
    pub rip: Option<Ipv4Addr>,
    /// The only device that it holds on; the only one that it does not hold on, for a pin.
    pub device: Option<Device>,
    /// `--shield`, and for strict `--same-subnet`
    pub more: bool,
    /// `--audit`
    pub audit: bool,
}

const HIDE: Set = Set {
    policy: Policy::Hide,
    address: VIP,
    length: 32,
    rip: Some(RIP),
    device: None,
    more: false,
    audit: false,
};

const PIN: Set = Set {
    policy: Policy::Pin,
    address: PINNED,
    rip: None,
    device: Some(Device::Eth1),
    ..HIDE
};

const STRICT_ON: Set = Set {
    policy: Policy::Strict,
    address: Ipv4Addr::UNSPECIFIED,
    length: 0,
    rip: None,
    ..HIDE
};

/// The policy.
pub const POLICY: &[Set] = &[
    HIDE,
    Set {
        address: SHIELDED,
        more: true,
        ..HIDE
    },
    Set {
        address: ip(192, 168, 19, 0),
        length: 24,
        rip: None,
        ..HIDE
    },
    Set {
        address: LONGEST,
        rip: Some(SECOND),
        ..HIDE
    },
    Set {
        address: ON_ETH1,
        device: Some(Device::Eth1),
        ..HIDE
    },
    Set {
        address: AUDITED,
        audit: true,
        ..HIDE
    },
    Set {
        address: AUDITED_ON_ETH0,
        rip: None,
        ..HIDE
    },
    Set {
        address: AUDITED_ON_ETH0,
        rip: None,
        device: Some(Device::Eth0),
        audit: true,
        ..HIDE
    },
    PIN,
    Set {
        address: PINNED_AUDITED,
        audit: true,
        ..PIN
    },
    Set {
        address: PINNED_AND_HIDDEN,
        ..PIN
    },
    Set {
        address: PINNED_AND_HIDDEN,
        rip: Some(SECOND),
        device: Some(Device::Eth0),
        ..HIDE
    },
    Set {
        address: PINNED_TO_STRICT,
        device: Some(Device::Eth3),
        ..PIN
    },
    Set {
        address: PINNED_TO_MUTE,
        device: Some(Device::Eth5),
        ..PIN
    },
    Set {
        address: PINNED_IN_HIDDEN,
        ..PIN
    },
    Set {
        address: ip(192, 168, 21, 0),
        length: 24,
        ..PIN
    },
    Set {
        address: HIDDEN_IN_PINNED,
        ..HIDE
    },
    Set {
        device: Some(Device::Eth3),
        more: true,
        ..STRICT_ON
    },
    Set {
        device: Some(Device::Eth4),
        audit: true,
        ..STRICT_ON
    },
    Set {
        device: Some(Device::Eth5),
        ..STRICT_ON
    },
];

impl Set {
    /// The command line that sets it.
    pub fn command(&self) -> String {
        let prefix = match self.length {
            32 => self.address.to_string(),
            length => format!("{}/{length}", self.address),
        };
        let mut line = match self.policy {
            Policy::Hide => match self.rip {
                Some(rip) => format!("hide {prefix} --rip {rip}"),
                None => format!("hide {prefix} --rip auto"),
            },
            Policy::Pin => format!("pin {prefix}"),
            Policy::Strict => "strict on".to_owned(),
        };
        if let Some(device) = self.device {
            line += &format!(" --dev {}", device.name());
        }
        let more = match self.policy {
            Policy::Hide | Policy::Pin => " --shield",
            Policy::Strict => " --same-subnet",
        };
        for (set, flag) in [(self.more, more), (self.audit, " --audit")] {
            if set {
                line += flag;
            }
        }
        line
    }

    fn mode(&self) -> Mode {
        if self.audit {
            Mode::Audit
        } else {
            Mode::Enforce
        }
    }

    fn rule(&self) -> Rule {
        let mode = self.mode();
        match self.policy {
            Policy::Hide => Rule::hide(self.length, self.rip, mode, self.more),
            Policy::Pin => Rule::pin(self.length, self.device.map_or(0, Device::index), mode),
            Policy::Strict => Rule::strict(self.more, mode),
        }
    }

    /// The device in the key of the rule.
    fn place(&self) -> u32 {
        match self.policy {
            Policy::Hide | Policy::Strict => self.device.map_or(EVERY_DEVICE, Device::index),
            Policy::Pin => EVERY_DEVICE,
        }
    }

    fn has(&self, address: Ipv4Addr) -> bool {
        let shift = 32 - u32::from(self.length);
        let of = |address: Ipv4Addr| u64::from(address.to_bits()) >> shift;
        of(self.address) == of(address)
    }
}

/// What the maps in the kernel hold once [`POLICY`] is set.
#[derive(Clone, Copy, Debug)]
pub struct Model;

impl Model {
    /// The policy that keeps an address out of a device's ARP, where it is carried out.
    pub fn keeps_out(&self, address: Ipv4Addr, device: u32) -> Option<Policy> {
        let places = [EVERY_DEVICE, device];
        let found = POLICY
            .iter()
            .filter(|set| places.contains(&set.place()) && set.has(address))
            .max_by_key(|set| (set.length, set.place() != EVERY_DEVICE))?;
        let on = |named: Option<Device>| named.map_or(EVERY_DEVICE, Device::index) == device;
        let holds = match found.policy {
            Policy::Hide => true,
            // A frame of a VLAN is not the parent's business.
            Policy::Pin => device != EVERY_DEVICE && !on(found.device),
            Policy::Strict => {
                let named = Device::ALL.into_iter().find(|one| one.index() == device);
                named.is_some_and(|device| !device.addresses().contains(&address))
            }
        };
        (holds && found.mode() == Mode::Enforce).then_some(found.policy)
    }

    fn find(&self, device: u32, address: Ipv4Addr, of: impl Fn(&Set) -> bool) -> Option<Rule> {
        POLICY
            .iter()
            .filter(|set| of(set) && set.place() == device && set.has(address))
            .max_by_key(|set| set.length)
            .map(Set::rule)
    }
}

impl Tables for Model {
    fn shape(&self) -> Shape {
        let count = |single: bool, device: bool| {
            POLICY
                .iter()
                .filter(|set| (set.length == 32) == single)
                .filter(|set| (set.place() != EVERY_DEVICE) == device)
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
        self.find(device, address, |set| set.length == 32)
    }

    fn prefix(&self, device: u32, address: Ipv4Addr) -> Option<Rule> {
        self.find(device, address, |set| set.length < 32)
    }

    fn local(&self, device: u32, target: Ipv4Addr) -> Option<Local> {
        let device = Device::ALL.into_iter().find(|d| d.index() == device)?;
        // Each device has one subnet: its first address is the sender there and everywhere else.
        let primary = *device.addresses().first()?;
        let subnet = |address: Ipv4Addr| address.to_bits() >> 8;
        Some(if device.addresses().contains(&target) {
            Local::own(primary)
        } else if subnet(target) == subnet(primary) {
            Local::subnet(primary)
        } else {
            Local::elsewhere(primary)
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
        let own = |device: Device| device.addresses().contains(&address);
        VIPS.contains(&address) || Device::ALL.into_iter().any(own)
    }

    /// Sets [`POLICY`], each `hide` with `options` added.
    pub fn guard(&self, options: &str) {
        for set in POLICY {
            let options = match set.policy {
                Policy::Hide => options,
                Policy::Pin | Policy::Strict => "",
            };
            self.host.guard(&format!("{} {options}", set.command()));
        }
    }
}

impl Default for RealServer {
    fn default() -> Self {
        Self::new()
    }
}

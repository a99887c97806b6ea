//! One real server with six devices, and its policy: as command lines, and as a model on the
//! host that is made from the same list.

use std::net::Ipv4Addr;

use arpguard_common::{
    abi::{Book, EVERY_DEVICE, InUse, Key, LOW_INDEXES, Local, Rule, Shape},
    policy::Tables,
    verdict::{Mode, Policy},
    wire::Mac,
};

use crate::{
    arp,
    lab::{Namespace, Port, Wire},
};

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

/// Hidden and shielded on every device, and promoted.
pub const PROMOTED: Ipv4Addr = ip(192, 168, 18, 111);
/// Hidden on every device, and promoted on eth0.
pub const PROMOTED_ON_ETH0: Ipv4Addr = ip(192, 168, 18, 118);
/// In the hidden prefix, and promoted.
pub const PROMOTED_IN_PREFIX: Ipv4Addr = ip(192, 168, 19, 11);

/// Answered on eth1, and hidden on every device.
pub const ANSWERED: Ipv4Addr = ip(192, 168, 18, 112);
/// Answered on eth1 with [`GIVEN`], and nobody's.
pub const ANSWERED_WITH: Ipv4Addr = ip(192, 168, 18, 113);
/// Answered on eth1, and audited.
pub const ANSWERED_AUDITED: Ipv4Addr = ip(192, 168, 18, 114);
/// Answered on eth1, where the peer claims it, though this host has it.
pub const CONTESTED: Ipv4Addr = ip(192, 168, 18, 115);
/// Second address of eth1, answered there, where the peer claims it.
pub const CONTESTED_OWN: Ipv4Addr = ip(10, 0, 0, 11);
/// Answered on eth1 by force, where the peer claims it.
pub const FORCED: Ipv4Addr = ip(192, 168, 18, 116);
/// Answered on eth1 by the agent, while a check holds.
pub const DEFERRED: Ipv4Addr = ip(192, 168, 18, 119);
/// In the prefix that is answered on eth3, which is strict.
pub const IN_ANSWERED: Ipv4Addr = ip(192, 168, 22, 9);
/// The hardware address that [`ANSWERED_WITH`] is answered with.
pub const GIVEN: Mac = Mac([2, 0, 0, 0, 9, 9]);
/// Bound to the peer of eth0.
pub const BOUND: Ipv4Addr = ip(192, 168, 18, 1);
/// Bound to the peer of eth0, and audited.
pub const BOUND_AUDITED: Ipv4Addr = ip(192, 168, 18, 2);
/// Bound on eth1 to a virtual router.
pub const BOUND_TO_VRRP: Ipv4Addr = ip(10, 0, 0, 1);
/// The hardware address of virtual router 51.
pub const VRRP: Mac = Mac([0, 0, 0x5e, 0, 1, 51]);
/// In the prefix that is bound to the peer of eth0.
pub const IN_BOUND: Ipv4Addr = ip(192, 168, 23, 9);

/// Hidden on every device, and bound to the peer of eth0.
pub const BOUND_AND_HIDDEN: Ipv4Addr = ip(192, 168, 18, 117);

/// What the real server has on `lo`.
pub const VIPS: [Ipv4Addr; 22] = [
    CONTESTED,
    PROMOTED,
    PROMOTED_ON_ETH0,
    PROMOTED_IN_PREFIX,
    BOUND_AND_HIDDEN,
    ANSWERED,
    ANSWERED_AUDITED,
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
    /// 10.0.0.10/24 and 10.0.0.11/24.
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
            Self::Eth1 => &[OTHER, CONTESTED_OWN],
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

    /// Its interface index: of half of them so high that they are counted apart ([`LOW_INDEXES`]).
    pub const fn index(self) -> u32 {
        let index = 2 + self as u32;
        match self {
            Self::Eth0 | Self::Eth1 | Self::Eth2 => index,
            Self::Eth3 | Self::Eth4 | Self::Eth5 => LOW_INDEXES + index,
        }
    }
}

/// One `arpguard hide`, `pin`, `strict on`, `answer` or `bind`.
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
    /// The hardware address that is answered with, or that may claim the address.
    pub mac: Option<Mac>,
    /// `--shield`; for strict `--same-subnet`, and `--force` for what is answered.
    pub more: bool,
    /// `--audit`
    pub audit: bool,
    /// `--when`, of what is answered: nothing checks.
    pub when: bool,
    /// Whether it is promoted.
    pub standing: Standing,
}

/// Whether what is hidden is promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is not.
    Hidden,
    /// It is, by itself.
    Promoted,
    /// It is, and another `hide` hides it.
    Lent,
}

const HIDE: Set = Set {
    policy: Policy::Hide,
    address: VIP,
    length: 32,
    rip: Some(RIP),
    device: None,
    mac: None,
    more: false,
    audit: false,
    when: false,
    standing: Standing::Hidden,
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

const ANSWER: Set = Set {
    policy: Policy::Answer,
    address: ANSWERED,
    rip: None,
    device: Some(Device::Eth1),
    ..HIDE
};

const BIND: Set = Set {
    policy: Policy::Bind,
    address: BOUND,
    rip: None,
    mac: Some(Device::Eth0.peer_mac()),
    ..HIDE
};

/// The policy.
pub const POLICY: &[Set] = &[
    ANSWER,
    Set {
        address: ANSWERED,
        ..HIDE
    },
    Set {
        address: ANSWERED_WITH,
        mac: Some(GIVEN),
        ..ANSWER
    },
    Set {
        address: ANSWERED_AUDITED,
        audit: true,
        ..ANSWER
    },
    Set {
        address: CONTESTED,
        ..ANSWER
    },
    Set {
        address: CONTESTED_OWN,
        ..ANSWER
    },
    Set {
        address: FORCED,
        more: true,
        ..ANSWER
    },
    Set {
        address: DEFERRED,
        when: true,
        ..ANSWER
    },
    Set {
        address: ip(192, 168, 22, 0),
        length: 24,
        device: Some(Device::Eth3),
        ..ANSWER
    },
    BIND,
    Set {
        address: BOUND_AUDITED,
        audit: true,
        ..BIND
    },
    Set {
        address: BOUND_TO_VRRP,
        device: Some(Device::Eth1),
        mac: Some(VRRP),
        ..BIND
    },
    Set {
        address: ip(192, 168, 23, 0),
        length: 24,
        ..BIND
    },
    Set {
        address: BOUND_AND_HIDDEN,
        ..BIND
    },
    Set {
        address: BOUND_AND_HIDDEN,
        ..HIDE
    },
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
    Set {
        address: PROMOTED,
        more: true,
        standing: Standing::Promoted,
        ..HIDE
    },
    Set {
        address: PROMOTED_ON_ETH0,
        ..HIDE
    },
    Set {
        address: PROMOTED_ON_ETH0,
        device: Some(Device::Eth0),
        standing: Standing::Lent,
        ..HIDE
    },
    Set {
        address: PROMOTED_IN_PREFIX,
        rip: None,
        standing: Standing::Lent,
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
    /// The command lines that set it, with `options` for a `hide`.
    fn commands(&self, options: &str) -> Vec<String> {
        let options = match self.policy {
            Policy::Hide => options,
            Policy::Pin | Policy::Strict | Policy::Answer | Policy::Bind => "",
        };
        let set = format!("{} {options}", self.command());
        let mut promote = format!("promote {} --count 0", self.address);
        if let Some(device) = self.device {
            promote += &format!(" --dev {}", device.name());
        }
        match self.standing {
            Standing::Hidden => vec![set],
            Standing::Promoted => vec![set, promote],
            Standing::Lent => vec![promote],
        }
    }

    /// The command line that sets it, unless it is promoted.
    fn command(&self) -> String {
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
            Policy::Answer => format!("answer {prefix}"),
            Policy::Bind => format!("bind {prefix}"),
        };
        match (self.policy, self.mac) {
            (Policy::Bind, Some(mac)) => line += &format!(" {mac}"),
            (_, Some(mac)) => line += &format!(" --mac {mac}"),
            (_, None) => {}
        }
        if let Some(device) = self.device {
            line += &format!(" --dev {}", device.name());
        }
        let more = match self.policy {
            Policy::Hide | Policy::Pin => " --shield",
            Policy::Strict => " --same-subnet",
            Policy::Answer | Policy::Bind => " --force",
        };
        for (set, flag) in [
            (self.more, more),
            (self.audit, " --audit"),
            (self.when, " --when false"),
        ] {
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
            Policy::Hide => {
                let rule = Rule::hide(self.length, self.rip, mode, self.more);
                match self.standing {
                    Standing::Hidden => rule,
                    Standing::Promoted => rule.promoted(),
                    Standing::Lent => rule.lent(),
                }
            }
            Policy::Pin => Rule::pin(self.length, self.device.map_or(0, Device::index), mode),
            Policy::Strict => Rule::strict(self.more, mode),
            Policy::Answer => Rule::answer(self.length, self.mac, mode, self.when, self.more),
            Policy::Bind => Rule::bind(self.length, self.mac.unwrap_or_default(), mode),
        }
    }

    /// The device in the key of the rule.
    fn place(&self) -> u32 {
        match self.policy {
            Policy::Hide | Policy::Strict | Policy::Answer | Policy::Bind => {
                self.device.map_or(EVERY_DEVICE, Device::index)
            }
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
            .filter(|set| set.policy.book() == Book::Own)
            .filter(|set| places.contains(&set.place()) && set.has(address))
            .max_by_key(|set| (set.length, set.place() != EVERY_DEVICE))?;
        let on = |named: Option<Device>| named.map_or(EVERY_DEVICE, Device::index) == device;
        let holds = match found.policy {
            Policy::Hide => found.standing == Standing::Hidden,
            // A frame of a VLAN is not the parent's business.
            Policy::Pin => device != EVERY_DEVICE && !on(found.device),
            Policy::Strict => {
                let named = Device::ALL.into_iter().find(|one| one.index() == device);
                named.is_some_and(|device| !device.addresses().contains(&address))
            }
            Policy::Answer | Policy::Bind => false,
        };
        (holds && found.mode() == Mode::Enforce).then_some(found.policy)
    }

    fn find(&self, key: Key, of: impl Fn(&Set) -> bool) -> Option<Rule> {
        POLICY
            .iter()
            .filter(|set| of(set) && set.policy.book() == key.book())
            .filter(|set| set.place() == key.device() && set.has(key.address.into()))
            .max_by_key(|set| set.length)
            .map(Set::rule)
    }
}

impl Tables for Model {
    fn in_use(&self) -> InUse {
        let mut shape = Shape::default();
        for set in POLICY {
            let counts = shape.of_mut(set.policy.book());
            *match (set.length == 32, set.place() == EVERY_DEVICE) {
                (true, true) => &mut counts.exact,
                (true, false) => &mut counts.exact_on_device,
                (false, true) => &mut counts.prefixes,
                (false, false) => &mut counts.prefixes_on_device,
            } += 1;
        }
        shape.in_use()
    }

    fn exact(&self, key: Key) -> Option<Rule> {
        self.find(key, |set| set.length == 32)
    }

    fn prefix(&self, key: Key) -> Option<Rule> {
        self.find(key, |set| set.length < 32)
    }

    fn claimant(&self, key: Key) -> Option<Mac> {
        let device = Device::Eth1;
        let claimed = [CONTESTED, CONTESTED_OWN, FORCED]
            .map(|claimed| Key::new(Book::Own, device.index(), claimed));
        claimed.contains(&key).then(|| device.peer_mac())
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
            Wire::numbered(
                (&host, device.name(), device.mac()),
                device.index(),
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
            for command in set.commands(options) {
                self.host.guard(&command);
            }
        }
        self.claim();
    }

    /// The peer of eth1 claims what it claims in the model.
    fn claim(&self) {
        let device = Device::Eth1;
        let peer = Port::open(&self.peer, device.name());
        let host = Port::open(&self.host, device.name());
        for claimed in [CONTESTED, CONTESTED_OWN, FORCED] {
            let claim = arp::announcement(device.peer_mac(), claimed).bytes();
            peer.send(&claim);
            host.until(|frame| frame == claim);
        }
    }
}

impl Default for RealServer {
    fn default() -> Self {
        Self::new()
    }
}

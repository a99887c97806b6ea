//! What `net.ipv4.conf` says about ARP, for each device of this network namespace.

use std::{collections::BTreeMap, fs, io, path::Path};

/// `/proc/sys/net` is that of the network namespace that the reading process is in.
const CONF: &str = "/proc/sys/net/ipv4/conf";
/// The entry that holds for all devices.
const ALL: &str = "all";

/// A setting that each device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Which requests are answered.
    ArpIgnore,
    /// Which sender requests have.
    ArpAnnounce,
    /// Whether only what would be answered by the same device is answered.
    ArpFilter,
    /// Whether what came from the wrong side is discarded: 1 strict, 2 loose.
    RpFilter,
    /// Whether addresses behind other devices are answered for.
    ProxyArp,
    /// Whether addresses behind the same device are answered for.
    ProxyArpPvlan,
    /// Whether packets are forwarded, without which nothing is proxied.
    Forwarding,
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ArpIgnore,
        Self::ArpAnnounce,
        Self::ArpFilter,
        Self::RpFilter,
        Self::ProxyArp,
        Self::ProxyArpPvlan,
        Self::Forwarding,
    ];

    /// Its name below `net.ipv4.conf.DEVICE`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ArpIgnore => "arp_ignore",
            Self::ArpAnnounce => "arp_announce",
            Self::ArpFilter => "arp_filter",
            Self::RpFilter => "rp_filter",
            Self::ProxyArp => "proxy_arp",
            Self::ProxyArpPvlan => "proxy_arp_pvlan",
            Self::Forwarding => "forwarding",
        }
    }
}

/// The settings of all devices. What could not be read is 0, the kernel's default.
#[derive(Clone, Debug, Default)]
pub struct Sysctls(BTreeMap<(String, Setting), u32>);

impl Sysctls {
    /// Reads them.
    ///
    /// # Errors
    /// Where `/proc/sys` is not there. A device that vanishes meanwhile is left out.
    pub fn read() -> io::Result<Self> {
        let mut settings = BTreeMap::new();
        for entry in fs::read_dir(CONF)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            for setting in Setting::ALL {
                let path = Path::new(CONF).join(&name).join(setting.name());
                let text = fs::read_to_string(path).unwrap_or_default();
                if let Ok(value) = text.trim().parse() {
                    settings.insert((name.clone(), setting), value);
                }
            }
        }
        Ok(Self(settings))
    }

    /// Sets what a device, or `all`, has.
    pub fn set(&mut self, device: &str, setting: Setting, value: u32) {
        self.0.insert((device.to_owned(), setting), value);
    }

    /// What the device itself has.
    pub fn own(&self, device: &str, setting: Setting) -> u32 {
        let key = (device.to_owned(), setting);
        self.0.get(&key).copied().unwrap_or_default()
    }

    /// What holds for every device.
    pub fn all(&self, setting: Setting) -> u32 {
        self.own(ALL, setting)
    }

    /// What counts on the device: the larger of its own value and that of all, as `IN_DEV_MAXCONF`
    /// and `IN_DEV_ORCONF` in `include/linux/inetdevice.h` have it. Forwarding is the device's alone.
    pub fn effective(&self, device: &str, setting: Setting) -> u32 {
        match setting {
            Setting::Forwarding => self.own(device, setting),
            Setting::ArpIgnore
            | Setting::ArpAnnounce
            | Setting::ArpFilter
            | Setting::RpFilter
            | Setting::ProxyArp
            | Setting::ProxyArpPvlan => self.own(device, setting).max(self.all(setting)),
        }
    }
}

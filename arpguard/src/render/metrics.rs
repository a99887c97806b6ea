//! What an agent measures, in the text format of Prometheus (version 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use arpguard_common::{
    abi::{Counts, ROWS, Shape, counter, row},
    verdict::{Mode, Policy, Reason},
};

use crate::datapath::{Egress, Ingress, Left, Totals};

/// What an agent measures.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// The devices that something is attached to.
    pub devices: Vec<Device>,
    /// How many rules there are.
    pub rules: Shape,
    /// How many pins with a fallback are on it, by the names of their device and their fallback.
    pub moved: BTreeMap<(String, String), u64>,
    /// How many addresses are promoted, counting each device that one is named for.
    pub promoted: u64,
    /// Whether all that is declared is in force.
    pub is_in_force: bool,
    /// Whether the policy could be read when it was last tried.
    pub is_reloaded: bool,
    /// When it could be read last, in seconds since 1970.
    pub reloaded_at: u64,
}

/// What is measured of one device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Where received frames are judged.
    pub ingress: Option<Ingress>,
    /// Where sent frames are judged.
    pub egress: Option<Egress>,
    /// How many frames were judged.
    pub frames: Totals,
    /// How many of its events nobody was told, by [`row`].
    pub untold: [Left; ROWS],
}

/// Who decided: a policy and how it is applied; `None` where there was none.
type Decider = Option<(Policy, Mode)>;

const NONE: &str = "none";

impl Display for Metrics {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = "arpguard_frames_total";
        let help = "ARP frames by what was done to them, or under audit would have been.";
        head(f, name, "counter", help)?;
        self.devices
            .iter()
            .try_for_each(|one| frames(f, name, one))?;
        for (name, help, of) in UNTOLD {
            head(f, name, "counter", help)?;
            self.devices
                .iter()
                .try_for_each(|one| untold(f, name, one, of))?;
        }
        let name = "arpguard_device_info";
        let help = "A guarded device, and the hooks where its received and sent frames are judged.";
        head(f, name, "gauge", help)?;
        self.devices
            .iter()
            .try_for_each(|one| hooks(f, name, one))?;
        self.rules(f)?;
        self.moved(f)?;
        for (name, help, value) in [
            (
                "arpguard_promoted_addresses",
                "Hidden addresses that this host is the director of for the time being.",
                self.promoted,
            ),
            (
                "arpguard_policy_in_force",
                "Whether the kernel has all of the declared policy.",
                u64::from(self.is_in_force),
            ),
            (
                "arpguard_last_reload_successful",
                "Whether the policy could be read when it was last tried.",
                u64::from(self.is_reloaded),
            ),
            (
                "arpguard_last_reload_success_timestamp_seconds",
                "When the policy could be read last.",
                self.reloaded_at,
            ),
        ] {
            head(f, name, "gauge", help)?;
            sample(f, name, &[], value)?;
        }
        let name = "arpguard_build_info";
        head(f, name, "gauge", "The version of the agent.")?;
        sample(f, name, &[("version", env!("CARGO_PKG_VERSION"))], 1)
    }
}

impl Metrics {
    fn moved(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = "arpguard_pins_moved";
        let help = "Pins that are on their fallback, since their device has no carrier.";
        head(f, name, "gauge", help)?;
        for ((device, fallback), number) in &self.moved {
            let labels = [("device", device.as_str()), ("fallback", fallback)];
            sample(f, name, &labels, *number)?;
        }
        Ok(())
    }

    fn rules(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sum = |count: fn(&Counts) -> u32| {
            let Shape { own, claims } = &self.rules;
            u64::from(count(own)) + u64::from(count(claims))
        };
        let name = "arpguard_rules";
        let help = "Rules in the kernel, by what they are about and the devices they hold on.";
        head(f, name, "gauge", help)?;
        for (about, devices, number) in [
            ("address", "every", sum(Counts::on_every)),
            ("address", "one", sum(Counts::on_device)),
            ("prefix", "every", sum(|counts| counts.prefixes)),
            ("prefix", "one", sum(|counts| counts.prefixes_on_device)),
        ] {
            let labels = [("about", about), ("devices", devices)];
            sample(f, name, &labels, number)?;
        }
        Ok(())
    }
}

/// A series of what nobody was told: its name, its help, and which number of it.
type Untold = (&'static str, &'static str, fn(&Left) -> u64);

const UNTOLD: [Untold; 2] = [
    (
        "arpguard_events_suppressed_total",
        "Events that `arpguard monitor` was not told, since they exceeded its rate.",
        |left| left.suppressed,
    ),
    (
        "arpguard_events_lost_total",
        "Events that `arpguard monitor` was not told, since it did not read them fast enough.",
        |left| left.lost,
    ),
];

/// Also those that there were none of yet, so that the first one is seen as an increase.
fn frames(f: &mut Formatter<'_>, name: &str, device: &Device) -> fmt::Result {
    for decider in deciders() {
        for reason in Reason::ALL {
            let number = device.frames[counter(decider, *reason)];
            if number == 0 && !may_decide(decider, *reason) {
                continue;
            }
            let [policy, mode] = labels(decider);
            let labels = [
                ("device", device.name.as_str()),
                policy,
                mode,
                ("reason", reason.name()),
                ("outcome", reason.outcome()),
            ];
            sample(f, name, &labels, number)?;
        }
    }
    Ok(())
}

fn untold(f: &mut Formatter<'_>, name: &str, device: &Device, of: fn(&Left) -> u64) -> fmt::Result {
    for decider in deciders() {
        let [policy, mode] = labels(decider);
        let labels = [("device", device.name.as_str()), policy, mode];
        let number = device.untold.get(row(decider)).map_or(0, of);
        sample(f, name, &labels, number)?;
    }
    Ok(())
}

fn hooks(f: &mut Formatter<'_>, name: &str, device: &Device) -> fmt::Result {
    let labels = [
        ("device", device.name.as_str()),
        ("ingress", device.ingress.map_or(NONE, Ingress::name)),
        ("egress", device.egress.map_or(NONE, Egress::name)),
    ];
    sample(f, name, &labels, 1)
}

fn deciders() -> impl Iterator<Item = Decider> {
    let modes =
        |policy: &'static Policy| [Mode::Enforce, Mode::Audit].map(|mode| Some((*policy, mode)));
    Policy::ALL.iter().flat_map(modes).chain([None])
}

/// Whether what has this reason may have been decided so.
const fn may_decide(decider: Decider, reason: Reason) -> bool {
    let policy = match decider {
        Some((policy, _)) => Some(policy),
        None => None,
    };
    match reason {
        Reason::Permitted | Reason::Unparsed => policy.is_none(),
        Reason::HiddenRequest
        | Reason::HiddenProbe
        | Reason::MartianRequest
        | Reason::LeakingProbe => matches!(policy, Some(Policy::Hide | Policy::Pin)),
        Reason::AnsweredRequest | Reason::DeferredRequest | Reason::ContestedRequest => {
            matches!(policy, Some(Policy::Answer))
        }
        Reason::FalseClaim => matches!(policy, Some(Policy::Bind)),
        Reason::FlipFlop => matches!(policy, Some(Policy::Hide | Policy::Pin | Policy::Answer)),
        Reason::ShieldedClaim => matches!(policy, Some(Policy::Hide)),
        Reason::ForeignRequest | Reason::ForeignProbe | Reason::WrongSubnet => {
            matches!(policy, Some(Policy::Strict))
        }
        Reason::LeakingRequest
        | Reason::NoRip
        | Reason::LeakingAnnouncement
        | Reason::LeakingReply => {
            matches!(policy, Some(Policy::Hide | Policy::Pin | Policy::Strict))
        }
    }
}

fn labels(decider: Decider) -> [(&'static str, &'static str); 2] {
    let (policy, mode) = match decider {
        Some((policy, Mode::Enforce)) => (policy.name(), "enforce"),
        Some((policy, Mode::Audit)) => (policy.name(), "audit"),
        None => (NONE, NONE),
    };
    [("policy", policy), ("mode", mode)]
}

fn head(f: &mut Formatter<'_>, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(f, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn sample(f: &mut Formatter<'_>, name: &str, labels: &[(&str, &str)], value: u64) -> fmt::Result {
    f.write_str(name)?;
    let mut before = "{";
    for (label, text) in labels {
        write!(f, "{before}{label}=\"{}\"", Escaped(text))?;
        before = ",";
    }
    let after = if labels.is_empty() { "" } else { "}" };
    writeln!(f, "{after} {value}")
}

/// A label's value. The kernel lets a device's name have almost any byte.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                letter => write!(f, "{letter}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

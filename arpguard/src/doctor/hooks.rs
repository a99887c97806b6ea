//! What can be attached to a device, and what arpguard takes of it by itself.

use serde::Serialize;

use super::{
    Facts, State, hardware,
    others::{is_foreign, is_in_the_way},
};
use crate::{
    datapath::{Choice, Egress, Ingress, Mode, described},
    device::Device,
    host::{Hardware, Native},
};

/// The hooks of one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hooks {
    /// The name of the device.
    pub device: String,
    /// That of its driver; `None` where it does not tell.
    pub driver: Option<String>,
    /// Its MTU, in bytes; `None` where it does not tell.
    pub mtu: Option<u32>,
    /// What its driver says of native XDP; `None` where the kernel does not know.
    pub native: Option<Native>,
    /// The hooks for received frames that can be had: native XDP, generic, the TC hook. The last one is
    /// also that for sent frames. Empty where sent frames cannot be judged.
    pub can: Vec<&'static str>,
    /// Those that only trying tells of.
    pub may: Vec<&'static str>,
    /// The hook that received frames are judged at; `None`: the device is not guarded.
    pub guarded: Option<String>,
    /// What `--attach auto` tries, in its order; the last one can be had. What is guarded stays as it
    /// is. Empty where that cannot be known.
    pub auto: Vec<&'static str>,
    /// Why `auto`, or `guarded`, does not begin with a better one; empty where there is none.
    pub why: String,
}

/// The TC hook of which it is not known how programs get there.
const TC: &str = "tc";
/// Why generic XDP comes first, or the TC hook.
const NO_NATIVE: &str = "its driver has no native XDP";
const TOO_LARGE: &str = "its driver refuses native XDP with this MTU";

/// What can be attached to the devices that are looked at: to none, where the kernel has no bpf system
/// call.
pub fn hooks(facts: &Facts) -> Vec<Hooks> {
    let devices = facts.speaking().filter(|_| !facts.lacks_bpf);
    devices.map(|device| of(facts, device)).collect()
}

/// Whether native XDP can be had.
enum Chance {
    /// It can, as far as the driver tells.
    Can,
    /// Only trying tells.
    May,
    /// It cannot, for this reason.
    Cannot(&'static str),
}

fn of(facts: &Facts, device: &Device) -> Hooks {
    let unknown = Hardware::default();
    let hardware = facts.hardware.get(&device.name).unwrap_or(&unknown);
    let guard = facts.guards.get(&device.name).cloned().unwrap_or_default();
    let native = facts.native.get(&device.index).copied();
    let chance = chance(native, hardware);
    let is_taken = is_foreign(&guard, device);
    let tc = facts.tc.map_or(TC, Egress::name);
    let [native_xdp, generic_xdp] = [Ingress::Native, Ingress::Generic].map(Ingress::name);
    let mut can = Vec::new();
    // The kernel has one XDP program on a device, unless somebody shares it out.
    if !is_taken {
        can.extend(matches!(chance, Chance::Can).then_some(native_xdp));
        can.push(generic_xdp);
    }
    can.push(tc);
    let is_open = matches!(chance, Chance::May) && !is_taken;
    let program = device.xdp.as_ref().map(|found| found.program);
    let foreign = program.filter(|_| is_taken).map(|program| {
        let name = facts.xdp.get(&program).map(String::as_str);
        described(program, name)
    });
    let choice = Choice::of(Mode::Auto, device, foreign.as_deref());
    let mut why: Vec<_> = choice.why.iter().map(String::as_str).collect();
    let mut auto = Vec::new();
    for step in choice.steps {
        match (step, &chance) {
            (Mode::Native, Chance::Cannot(reason)) => {
                why.push(reason);
                why.extend(choice.left_out());
                continue;
            }
            (Mode::Native, _) => auto.push(native_xdp),
            (Mode::Generic, _) => auto.push(generic_xdp),
            (Mode::Tc | Mode::Auto, _) => auto.push(tc),
        }
        // It can be had, so no other is tried.
        if *step != Mode::Native || matches!(chance, Chance::Can) {
            break;
        }
    }
    let mut why = why.join("; ");
    if guard.ingress.is_some() {
        (auto, why) = (Vec::new(), guard.note);
    } else if is_taken && facts.state != State::Read {
        // The program may be arpguard's.
        (auto, why) = (Vec::new(), String::new());
    }
    let mut may: Vec<_> = is_open.then_some(native_xdp).into_iter().collect();
    if is_in_the_way(facts, device) {
        // The hook for sent frames is taken first.
        (can, may, auto) = (Vec::new(), Vec::new(), Vec::new());
        why = "an ingress qdisc is in the place of clsact".to_owned();
    }
    let kind = device.kind.clone();
    Hooks {
        device: device.name.clone(),
        driver: Some(hardware.driver.clone())
            .filter(|driver| !driver.is_empty())
            .or(kind),
        mtu: Some(hardware.mtu).filter(|mtu| *mtu != 0),
        native,
        can,
        may,
        guarded: guard.ingress,
        auto,
        why,
    }
}

fn chance(native: Option<Native>, hardware: &Hardware) -> Chance {
    match native {
        Some(Native::None) => Chance::Cannot(NO_NATIVE),
        Some(Native::MultiBuffer) => Chance::Can,
        Some(Native::OneBuffer) | None => match hardware::takes_mtu(hardware) {
            Some(false) => Chance::Cannot(TOO_LARGE),
            Some(true) if native.is_some() => Chance::Can,
            Some(true) | None => Chance::May,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{Xdp, fixture::device},
        doctor::Guard,
        host::Host,
    };

    /// One NIC, of which its driver and the kernel say this.
    fn facts(driver: &str, mtu: u32, native: Option<Native>) -> Facts {
        let hardware = Hardware {
            driver: driver.to_owned(),
            mtu,
            ..Hardware::default()
        };
        Facts {
            host: Host {
                devices: vec![device(1, "lo", &[]), device(2, "eth0", &[])],
                default_sources: Vec::new(),
            },
            state: State::Read,
            native: native.map(|native| (2, native)).into_iter().collect(),
            tc: Some(Egress::Tcx),
            hardware: [("eth0".to_owned(), hardware)].into(),
            ..Facts::default()
        }
    }

    fn only(facts: &Facts) -> Hooks {
        let [one] = &hooks(facts)[..] else {
            panic!("{:?}", hooks(facts));
        };
        one.clone()
    }

    #[test]
    fn what_a_driver_says_and_its_mtu_decide() {
        const ALL: &[&str] = &["xdp-native", "xdp-generic", "tcx"];
        const REST: &[&str] = &["xdp-generic", "tcx"];
        const TRIED: &[&str] = &["xdp-native", "xdp-generic"];
        const NATIVE: &[&str] = &["xdp-native"];
        const GENERIC: &[&str] = &["xdp-generic"];
        let (one, several) = (Some(Native::OneBuffer), Some(Native::MultiBuffer));
        // What is known, what can be had, what may be, what is tried, and why.
        for (driver, mtu, native, can, may, auto, why) in [
            ("mlx5_core", 9000, several, ALL, &[] as &[&str], NATIVE, ""),
            ("tun", 1500, one, ALL, &[], NATIVE, ""),
            ("tun", 1501, one, REST, NATIVE, TRIED, ""),
            ("ixgbe", 3050, one, ALL, &[], NATIVE, ""),
            ("ixgbe", 3051, one, REST, &[], GENERIC, TOO_LARGE),
            (
                "e1000e",
                1500,
                Some(Native::None),
                REST,
                &[],
                GENERIC,
                NO_NATIVE,
            ),
            // Before Linux 6.3.
            ("e1000e", 1500, None, REST, NATIVE, TRIED, ""),
            ("igc", 1501, None, REST, &[], GENERIC, TOO_LARGE),
            // A driver that tells nothing of itself.
            ("", 0, one, REST, NATIVE, TRIED, ""),
        ] {
            let told = only(&facts(driver, mtu, native));
            let expected = Hooks {
                device: "eth0".to_owned(),
                driver: Some(driver.to_owned()).filter(|driver| !driver.is_empty()),
                mtu: Some(mtu).filter(|mtu| *mtu != 0),
                native,
                can: can.to_vec(),
                may: may.to_vec(),
                guarded: None,
                auto: auto.to_vec(),
                why: why.to_owned(),
            };
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn the_kind_of_a_device_decides_what_is_tried() {
        let left_out =
            format!("{NO_NATIVE}; generic XDP would get its frames without their VLAN tags");
        for (kind, native, auto, why) in [
            (
                "veth",
                Native::MultiBuffer,
                "tcx",
                "on veth XDP would copy every packet",
            ),
            ("bond", Native::MultiBuffer, "xdp-native", ""),
            ("bond", Native::None, "tcx", &left_out),
            ("vlan", Native::None, "xdp-generic", NO_NATIVE),
        ] {
            let mut facts = facts("", 1500, Some(native));
            facts.host.devices[1].kind = Some(kind.to_owned());
            let told = only(&facts);
            assert_eq!((told.auto, told.why.as_str()), (vec![auto], why), "{kind}");
            assert_eq!(told.driver.as_deref(), Some(kind));
        }
    }

    #[test]
    fn a_program_that_is_there_leaves_the_tc_hook() {
        let mut facts = facts("mlx5_core", 1500, Some(Native::MultiBuffer));
        facts.tc = None;
        facts.host.devices[1].xdp = Some(Xdp {
            program: 7,
            generic: false,
        });
        let told = only(&facts);
        assert_eq!((told.can, told.auto), (vec!["tc"], vec!["tc"]));
        assert_eq!(told.why, "the XDP program (id 7) is attached");
        // It may be arpguard's.
        facts.state = State::Unknown;
        let told = only(&facts);
        assert_eq!(
            (told.can, told.auto, told.why),
            (vec!["tc"], vec![], String::new())
        );
        // It is.
        facts.state = State::Read;
        facts.guards = [(
            "eth0".to_owned(),
            Guard {
                name: "eth0".to_owned(),
                ingress: Some("xdp-native".to_owned()),
                egress: Some("clsact".to_owned()),
                note: "as told".to_owned(),
            },
        )]
        .into();
        let told = only(&facts);
        assert_eq!(told.can, ["xdp-native", "xdp-generic", "tc"]);
        assert_eq!(told.guarded.as_deref(), Some("xdp-native"));
        assert_eq!((told.auto, told.why.as_str()), (vec![], "as told"));
        // Sent frames cannot be judged.
        facts.lacks_clsact = ["eth0".to_owned()].into();
        facts.tc = Some(Egress::Tcx);
        assert_eq!(only(&facts).can, ["xdp-native", "xdp-generic", "tcx"]);
        facts.tc = Some(Egress::Clsact);
        let told = only(&facts);
        assert_eq!((told.can, told.may, told.auto), (vec![], vec![], vec![]));
        assert_eq!(told.why, "an ingress qdisc is in the place of clsact");
        // Without the system call nothing can be had.
        facts.lacks_bpf = true;
        assert_eq!(hooks(&facts), []);
    }
}

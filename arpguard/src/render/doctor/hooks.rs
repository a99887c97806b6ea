//! What can be attached to devices, in words.

use crate::{datapath::Ingress, doctor::Hooks, host::Native};

/// As many devices as are told by their names.
const FEW: usize = 8;

/// Two texts for all devices of which the same is to be told, in the order of the first of them: what
/// can be attached, and what arpguard takes, where that is known.
pub(super) fn texts(devices: &[Hooks]) -> Vec<[Option<String>; 2]> {
    let mut alike = Vec::<(Hooks, Vec<&str>)>::new();
    for one in devices {
        let nameless = Hooks {
            device: String::new(),
            ..one.clone()
        };
        match alike.iter_mut().find(|(same, _)| *same == nameless) {
            Some((_, names)) => names.push(&one.device),
            None => alike.push((nameless, vec![&one.device])),
        }
    }
    let text = |(hooks, names): &(Hooks, Vec<&str>)| [Some(can(hooks, names)), takes(hooks)];
    alike.iter().map(text).collect()
}

fn can(hooks: &Hooks, names: &[&str]) -> String {
    let names = match names {
        [first, .., last] if names.len() > FEW => {
            format!("{} devices, {first} to {last}", names.len())
        }
        few => few.join(", "),
    };
    let mtu = hooks.mtu.map(|mtu| format!("MTU {mtu}"));
    let about: Vec<_> = hooks.driver.iter().cloned().chain(mtu).collect();
    let can: Vec<_> = hooks
        .can
        .iter()
        .map(|hook| described(hooks, hook))
        .collect();
    let may = hooks.may.iter().map(|hook| {
        let why = match hooks.native {
            Some(_) => "its driver has one buffer for a frame",
            None => "the kernel knows what drivers have from Linux 6.3 on",
        };
        format!("; whether {hook} can, only trying tells: {why}")
    });
    let may: String = may.collect();
    let about = match about.as_slice() {
        [] => String::new(),
        about => format!(" ({})", about.join(", ")),
    };
    match can.as_slice() {
        [] => format!("{names}{about}: nothing can attach: {}", hooks.why),
        can => format!("{names}{about}: {} can attach{may}", listed(can)),
    }
}

/// A hook, and of native XDP on which frames.
fn described(hooks: &Hooks, hook: &str) -> String {
    let frames = match hooks.native {
        Some(Native::MultiBuffer) => " (multi-buffer)",
        Some(Native::OneBuffer) => " (one buffer)",
        Some(Native::None) | None => "",
    };
    let is_native = hook == Ingress::Native.name();
    format!("{hook}{}", if is_native { frames } else { "" })
}

fn takes(hooks: &Hooks) -> Option<String> {
    let text = match (&hooks.guarded, hooks.auto.as_slice()) {
        (Some(hook), _) => format!("arpguard judges received frames by {hook}"),
        (None, []) => return None,
        (None, [one]) => format!("by itself arpguard takes {one}"),
        (None, several) => format!("by itself arpguard tries {}", several.join(", then ")),
    };
    Some(match hooks.why.as_str() {
        "" => text,
        why => format!("{text}: {why}"),
    })
}

/// Words, with `and` before the last.
fn listed(words: &[String]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        few => few.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        doctor::{Hooks, Place},
        host::Native,
        render::doctor::{Diagnosis, paragraphs},
    };

    fn shown(devices: Vec<Hooks>, width: Option<u16>) -> String {
        let diagnosis = Diagnosis::new(Vec::new(), Vec::new(), devices, &Place::default());
        let mut out = Vec::new();
        paragraphs(&mut out, &diagnosis, width).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn nic(name: &str) -> Hooks {
        Hooks {
            device: name.to_owned(),
            driver: Some("ena".to_owned()),
            mtu: Some(9001),
            native: Some(Native::OneBuffer),
            can: vec!["xdp-generic", "tcx"],
            may: vec!["xdp-native"],
            guarded: None,
            auto: vec!["xdp-native", "xdp-generic"],
            why: String::new(),
        }
    }

    #[test]
    fn devices_that_are_alike_are_told_together_as_wide_as_the_terminal() {
        let taken = Hooks {
            device: "eth3".to_owned(),
            why: "an ingress qdisc is in the place of clsact".to_owned(),
            ..Hooks::default()
        };
        let quiet = Hooks {
            device: "eth1".to_owned(),
            can: vec!["tc"],
            ..Hooks::default()
        };
        let devices = vec![nic("eth0"), quiet, nic("eth2"), taken];
        let wide = "\
device   eth0, eth2 (ena, MTU 9001): xdp-generic and tcx can attach; whether xdp-native can, only trying tells: its driver has one buffer for a frame
         by itself arpguard tries xdp-native, then xdp-generic

device   eth1: tc can attach

device   eth3: nothing can attach: an ingress qdisc is in the place of clsact

0 serious, 0 warnings, 0 notes
";
        assert_eq!(shown(devices.clone(), None), wide);
        // Narrower than anybody reads, nothing is broken.
        assert_eq!(shown(devices.clone(), Some(30)), wide);
        let narrow = "\
device   eth0, eth2 (ena, MTU 9001): xdp-generic
         and tcx can attach; whether xdp-native
         can, only trying tells: its driver has
         one buffer for a frame
         by itself arpguard tries xdp-native,
         then xdp-generic

device   eth1: tc can attach

device   eth3: nothing can attach: an ingress
         qdisc is in the place of clsact

0 serious, 0 warnings, 0 notes
";
        assert_eq!(shown(devices, Some(48)), narrow);
    }

    #[test]
    fn many_devices_that_are_alike_are_counted() {
        let mut devices: Vec<_> = (0..9).map(|number| nic(&format!("eth{number}"))).collect();
        for one in &mut devices {
            one.guarded = Some("clsact".to_owned());
            one.why = "as told".to_owned();
            (one.native, one.mtu) = (None, None);
        }
        let text = "\
device   9 devices, eth0 to eth8 (ena): xdp-generic and tcx can attach; whether xdp-native can, only trying tells: the kernel knows what drivers have from Linux 6.3 on
         arpguard judges received frames by clsact: as told

0 serious, 0 warnings, 0 notes
";
        assert_eq!(shown(devices, None), text);
    }
}

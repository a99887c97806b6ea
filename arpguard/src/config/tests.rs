use std::{
    fs,
    path::{Path, PathBuf},
};

use arpguard_common::{
    abi::{EVERY_DEVICE, Rule},
    verdict::Policy,
};

use super::*;
use crate::device::fixture::device;
use crate::{datapath::Place, host::Host};

fn hiding(device: u32, prefix: &str) -> Place {
    Place::new(Policy::Hide, device, prefix.parse().unwrap())
}

fn host() -> Host {
    Host {
        devices: vec![
            device(1, "lo", &["127.0.0.1/8", "192.168.18.101/32"]),
            device(2, "eth0", &["192.168.18.10/24"]),
            device(3, "bond0", &["10.0.0.10/24", "10.0.0.11/24"]),
            device(4, "bond1", &[]),
        ],
        default_sources: Vec::new(),
    }
}

fn config(texts: &[&str]) -> Result<Config> {
    let source = |(number, text): (usize, &&str)| {
        let name = PathBuf::from(format!("{}.toml", ["a", "b"][number]));
        Source::new(name, (*text).to_owned())
    };
    Config::of(texts.iter().enumerate().map(source).collect())
}

/// What it means on the host, or why it means nothing.
fn told(texts: &[&str]) -> String {
    let wanted = config(texts).and_then(|config| config.on(&host()));
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(error) => return error.to_string(),
    };
    let guard = wanted.devices.iter().map(|device| device.name.clone());
    let rules = wanted.rules.iter().map(|(place, rule)| {
        let Place { device, prefix, .. } = place;
        let rip = rule.rip().map_or("auto".to_owned(), |rip| rip.to_string());
        format!("{prefix}@{device}={rip}")
    });
    guard.chain(rules).collect::<Vec<_>>().join(" ")
}

fn refused(text: &str, place: &str, why: &str) {
    assert_eq!(
        told(&[text]),
        format!("read the policy: a.toml:{place}: {why}"),
        "{text}"
    );
}

#[test]
fn reads_the_file_of_the_documentation() {
    let text = r#"
        devices = ["eth0", "bond*"]
        attach  = "native"

        [[hide]]
        ip  = ["192.168.18.101", "192.168.19.0/24"]
        rip = "192.168.18.10"

        [[hide]]
        ip = "10.0.0.101"
        dev = "bond?"
        shield = true
        audit = true
    "#;
    assert_eq!(
        told(&[text]),
        "eth0 bond0 bond1 192.168.18.101/32@0=192.168.18.10 192.168.19.0/24@0=192.168.18.10 \
         10.0.0.101/32@3=auto 10.0.0.101/32@4=auto"
    );
    let wanted = config(&[text]).unwrap().on(&host()).unwrap();
    assert_eq!(wanted.attach, Mode::Native);
    let rule = wanted.rules.at(hiding(3, "10.0.0.101/32")).unwrap();
    assert!(rule.shields());
    assert_eq!(rule.mode(), Carry::Audit);
    let rule = wanted
        .rules
        .at(hiding(EVERY_DEVICE, "192.168.19.0/24"))
        .unwrap();
    assert!(!rule.shields());
    assert_eq!(rule.mode(), Carry::Enforce);
}

#[test]
fn an_empty_file_hides_nothing_on_every_device() {
    assert_eq!(told(&[""]), "eth0 bond0 bond1");
    assert_eq!(told(&["devices = []"]), "");
    assert_eq!(told(&["devices = 'bond[!0]'"]), "bond1");
}

#[test]
fn tells_what_is_wrong_with_a_file_and_where() {
    for (text, place, why) in [
        ("devices = [", "1:12", "unclosed array, expected `]`"),
        (
            "hide = 1",
            "1:8",
            "invalid type: integer `1`, expected a sequence",
        ),
        (
            "device = []",
            "1:1",
            "unknown field `device`, expected one of `devices`, `attach`, `hide`, `pin`, `strict`, `answer`, `bind`",
        ),
        (
            "[[hide]]\nip = '10.0.0.1'\nvip = 1",
            "3:1",
            "unknown field `vip`, expected one of `ip`, `rip`, `dev`, `shield`, `audit`, `force`",
        ),
        ("[[hide]]\nrip = 'auto'", "1:1", "missing field `ip`"),
        ("[[pin]]\nip = '10.0.0.1'", "1:1", "missing field `dev`"),
        (
            "[[pin]]\nip = []\ndev = 'eth0'",
            "2:6",
            "it names nothing to pin",
        ),
        (
            "[[pin]]\nip = '10.0.0.1'\ndev = ['eth0']",
            "3:7",
            "invalid type: sequence, expected a string",
        ),
        (
            "[[strict]]\ndev = []",
            "2:7",
            "it names no device to be strict",
        ),
        (
            "[[strict]]\nsame_subnet = true",
            "2:1",
            "unknown field `same_subnet`, expected one of `dev`, `same-subnet`, `audit`",
        ),
        (
            "attach = 'fast'",
            "1:10",
            "unknown variant `fast`, expected one of `auto`, `native`, `generic`, `tc`",
        ),
        (
            "[[hide]]\nip = 10",
            "2:6",
            "invalid type: integer `10`, expected a string or a list of strings",
        ),
        (
            "[[hide]]\nip = [10]",
            "2:7",
            "invalid type: integer `10`, expected a string",
        ),
        ("[[hide]]\nip = []", "2:6", "it names nothing to hide"),
        (
            "[[hide]]\nip = '10.0.0.1'\ndev = []",
            "3:7",
            "it names no device to hide it on",
        ),
        (
            "[[hide]]\nip = '10.0.0.256'",
            "2:6",
            "10.0.0.256: not an IPv4 address or prefix",
        ),
        (
            "# é\n[[hide]]\nip = [\n  '10.0.0.1', # é\n  \"é\",\n]",
            "5:3",
            "é: not an IPv4 address or prefix",
        ),
        (
            "[[hide]]\nip = ['10.0.0.1', '10.0.0.1/24']",
            "2:19",
            "10.0.0.1/24: it has host bits set; 10.0.0.0/24 or 10.0.0.1?",
        ),
        ("[[hide]]\nip = '::1'", "2:6", "::1: IPv6 has no ARP"),
        (
            "[[hide]]\nip = '10.0.0.1'\nrip = '10'",
            "3:7",
            "10: neither an IPv4 address nor auto",
        ),
        (
            "[[hide]]\nip = '10.0.0.1'\naudit = 'yes'",
            "3:9",
            "invalid type: string \"yes\", expected a boolean",
        ),
        (
            "devices = ['eth0', 'bond[']",
            "1:20",
            "bond[: not a pattern: invalid range pattern",
        ),
    ] {
        refused(text, place, why);
    }
}

#[test]
fn refuses_what_makes_no_sense_on_any_host() {
    refused(
        "[[hide]]\nip = ['10.0.0.101', '127.0.0.1']",
        "2:21",
        "127.0.0.1: loopback addresses are not on any LAN",
    );
    refused(
        "[[hide]]\nip = '10.0.0.101'\nrip = '192.168.18.10'\n[[hide]]\nip = '192.168.18.0/24'",
        "3:7",
        "192.168.18.0/24: the RIP 192.168.18.10 would be hidden itself; \
         name an address of this host that is its own on the LAN",
    );
    refused(
        "[[answer]]\nip = ['10.1.0.0/20', '10.2.0.0/30', '10.3.0.1']\ndev = 'eth0'",
        "2:37",
        "10.3.0.1: more than 4096 addresses are too many to ask the LAN for; \
         set `force = true` if no other machine has one of them",
    );
}

#[test]
fn refuses_what_makes_no_sense_on_this_host() {
    for (text, place, why) in [
        (
            "[[hide]]\nip = '10.0.0.101'\nrip = '10.0.0.12'",
            "3:7",
            "10.0.0.12: this host does not have the address; it could be 192.168.18.10 (eth0), \
             10.0.0.10 (bond0), 10.0.0.11 (bond0)",
        ),
        (
            "[[hide]]\nip = ['10.0.0.101', '192.168.18.0/24']",
            "2:21",
            "192.168.18.10: it is the only address of eth0; the LAN would lose this host; \
             set `force = true` if that is meant",
        ),
        (
            "[[hide]]\nip = ['10.0.0.101', '10.0.0.255']",
            "2:21",
            "10.0.0.255: it is the broadcast address of a subnet of bond0",
        ),
        (
            "devices = ['eth0', 'eth7']",
            "1:20",
            "eth7: there is no such device; there are lo, eth0, bond0, bond1",
        ),
        (
            "devices = ['lo']",
            "1:12",
            "lo: it is the loopback device, which speaks no ARP",
        ),
        (
            "devices = 'wan*'\n[[hide]]\nip = '10.0.0.101'",
            "1:11",
            "no device here is one of these, so no policy would hold",
        ),
        (
            "devices = 'eth0'\n[[hide]]\nip = '10.0.0.101'\ndev = 'bond0'",
            "4:7",
            "bond0: it is not one of the `devices` to guard",
        ),
    ] {
        refused(text, place, why);
    }
    refused(
        "[[pin]]\nip = '10.0.0.101'\ndev = 'lo'",
        "3:7",
        "lo: it is the loopback device, which speaks no ARP",
    );
    refused(
        "[[pin]]\nip = ['10.0.0.101', '192.168.18.0/24']\ndev = 'bond0'",
        "2:21",
        "192.168.18.10: it is the only address of eth0; that device would have no address to \
         speak with; set `force = true` if that is meant",
    );
    refused(
        "[[hide]]\nip = '10.0.0.101'\nrip = '10.0.0.11'\n\
         [[pin]]\nip = '10.0.0.11'\ndev = 'eth0'\nforce = true",
        "3:7",
        "10.0.0.11: it is hidden itself; it could be 192.168.18.10 (eth0), 10.0.0.10 (bond0)",
    );
    let forced = "devices = 'eth0'\n[[hide]]\nip = '192.168.18.10'\nforce = true";
    assert_eq!(told(&[forced]), "eth0 192.168.18.10/32@0=auto");
}

#[test]
fn an_address_has_one_rule_on_one_device() {
    let first = "[[hide]]\nip = ['10.0.0.101', '10.0.0.102']\ndev = 'bond*'\n";
    let same = format!("{first}[[hide]]\nip = '10.0.0.102'\ndev = 'bond0'");
    assert_eq!(told(&[&same]), told(&[first]));
    let otherwise = format!("{first}[[hide]]\nip = '10.0.0.102'\ndev = 'bond1'\nshield = true");
    refused(
        &otherwise,
        "5:6",
        "10.0.0.102: it is hidden otherwise on bond1 at a.toml:2:21",
    );
    let everywhere = "[[hide]]\nip = '10.0.0.101'\n[[hide]]\nip = '10.0.0.101'\naudit = true";
    refused(
        everywhere,
        "4:6",
        "10.0.0.101: it is hidden otherwise at a.toml:2:6",
    );
    // A device may have a rule of its own.
    let own = format!("{first}[[hide]]\nip = '10.0.0.102'\nshield = true");
    assert_eq!(told(&[&own]).split(' ').count(), 8);
}

#[test]
fn addresses_are_pinned_and_devices_are_strict() {
    let text = r#"
        [[pin]]
        ip  = ["10.0.0.11", "10.0.1.0/24"]
        dev = "bond0"

        [[pin]]
        ip    = "192.168.18.101"
        dev   = "eth0"
        audit = true

        [[strict]]

        [[strict]]
        dev         = "bond*"
        same-subnet = true
    "#;
    let wanted = config(&[text]).unwrap().on(&host()).unwrap();
    let rule = |device, prefix: &str| wanted.rules.at(hiding(device, prefix));
    let pin = |length, home| Some(Rule::pin(length, home, Carry::Enforce));
    let strict = |same_subnet| Some(Rule::strict(same_subnet, Carry::Enforce));
    assert_eq!(rule(EVERY_DEVICE, "10.0.0.11/32"), pin(32, 3));
    assert_eq!(rule(EVERY_DEVICE, "10.0.1.0/24"), pin(24, 3));
    assert_eq!(
        rule(EVERY_DEVICE, "192.168.18.101/32"),
        Some(Rule::pin(32, 2, Carry::Audit))
    );
    assert_eq!(rule(EVERY_DEVICE, "0.0.0.0/0"), strict(false));
    assert_eq!(rule(3, "0.0.0.0/0"), strict(true));
    assert_eq!(rule(4, "0.0.0.0/0"), strict(true));
    assert_eq!(wanted.rules.iter().count(), 6);
    // A RIP that is pinned to the device that has it is no secret there.
    let text = "[[pin]]\nip = '10.0.0.10'\ndev = 'bond0'\n\
                [[hide]]\nip = '10.0.0.101'\nrip = '10.0.0.10'";
    assert_eq!(told(&[text]).split(' ').count(), 5);
}

#[test]
fn two_policies_at_one_place_are_an_error() {
    let hide = "[[hide]]\nip = '10.0.0.101'\n";
    let pin = "[[pin]]\nip = '10.0.0.101'\ndev = 'bond0'\n";
    refused(
        &format!("{hide}{pin}"),
        "4:6",
        "10.0.0.101: it is hidden on every device at a.toml:2:6",
    );
    refused(
        &format!("{hide}dev = 'bond0'\n{pin}"),
        "5:6",
        "10.0.0.101: it is hidden on bond0 at a.toml:2:6",
    );
    refused(
        &format!("{pin}[[pin]]\nip = '10.0.0.101'\ndev = 'eth0'"),
        "5:6",
        "10.0.0.101: it is pinned otherwise at a.toml:2:6",
    );
    refused(
        "[[strict]]\n[[strict]]\naudit = true",
        "2:1",
        "0.0.0.0/0: it is strict otherwise at a.toml:1:1",
    );
    let beside = format!("{hide}dev = 'eth0'\n{pin}");
    assert_eq!(told(&[&beside]).split(' ').count(), 5);
}

#[test]
fn several_files_are_one_policy() {
    let (one, other) = (
        "devices = ['eth0', 'bond0']\nattach = 'tc'",
        "[[hide]]\nip = '10.0.0.101'",
    );
    assert_eq!(told(&[one, other]), "eth0 bond0 10.0.0.101/32@0=auto");
    assert_eq!(told(&[one, "devices = ['bond0', 'eth0']"]), "eth0 bond0");
    assert_eq!(
        told(&[one, "\ndevices = ['bond0']"]),
        "read the policy: b.toml:2:11: `devices` is another at a.toml:1:11; say it in one file"
    );
    assert_eq!(
        told(&[one, "attach = 'auto'"]),
        "read the policy: b.toml:1:10: `attach` is another at a.toml:2:10; say it in one file"
    );
    assert_eq!(
        told(&[other, "[[hide]]\nip = '10.0.0.101'\nshield = true"]),
        "read the policy: b.toml:2:6: 10.0.0.101: it is hidden otherwise at a.toml:2:6"
    );
}

/// A directory that is gone when the test is.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("arpguard-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_directory_is_its_toml_files_in_the_order_of_their_names() {
    let directory = Directory::new("order");
    for name in [
        "20-b.toml",
        "10-a.toml",
        "README",
        ".30-c.toml",
        "40-d.toml~",
    ] {
        directory.write(name, "");
    }
    let single = directory.write("single", "");
    let found = source::files(&[single, directory.0.clone()]).unwrap();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let found: Vec<_> = found.iter().map(name).collect();
    assert_eq!(found, ["single", "10-a.toml", "20-b.toml"]);
}

#[test]
fn refuses_what_cannot_be_read() {
    let refusal = |path: &Path| Config::read(&[path.to_owned()]).unwrap_err().to_string();
    let directory = Directory::new("unreadable");
    let path = directory.0.display();
    assert_eq!(
        refusal(&directory.0),
        format!("read the policy: {path}: it has no file named *.toml")
    );
    assert_eq!(
        refusal(&directory.0.join("gone")),
        format!("read the policy: {path}/gone: No such file or directory")
    );
}

#[test]
fn a_place_is_told_past_the_end_and_inside_a_character() {
    let source = Source::new("a".into(), "é\né".to_owned());
    for (offset, place) in [
        (0, "a:1:1"),
        (1, "a:1:1"),
        (2, "a:1:2"),
        (3, "a:2:1"),
        (99, "a:2:2"),
    ] {
        assert_eq!(source.place(offset), place);
    }
}

#[test]
fn a_pin_may_have_a_fallback_and_routes() {
    let text = "[[pin]]\nip = '10.0.0.101'\ndev = 'bond0'\n";
    let terms = |text: &str| {
        let wanted = config(&[text]).unwrap().on(&host()).unwrap();
        let terms = wanted.terms.get(&"10.0.0.101/32".parse().unwrap());
        let home = wanted.rules.at(hiding(EVERY_DEVICE, "10.0.0.101/32"));
        (home.unwrap().home(), terms.map(|terms| Terms::clone(terms)))
    };
    let fallback = |dev: &str, hold| {
        let dev = dev.to_owned();
        Some(Fallback { dev, hold })
    };
    let of = |dev: &str, fallback, route| Terms::of(dev.to_owned(), fallback, route, false);
    assert_eq!(terms(text), (3, None));
    let with = format!("{text}fallback = 'bond1'\n");
    let two = of("bond0", fallback("bond1", 10), false);
    assert_eq!(terms(&with), (3, two));
    let with = format!("{text}fallback = 'bond1'\nhold = 0\nroute = true\n");
    let all = of("bond0", fallback("bond1", 0), true);
    assert_eq!(terms(&with), (3, all));
    assert_eq!(
        terms(&format!("{text}route = true\n")),
        (3, of("bond0", None, true))
    );
    // One of the two may be away.
    let gone = "[[pin]]\nip = '10.0.0.101'\ndev = 'eth7'\nfallback = 'bond1'\n";
    assert_eq!(terms(gone), (4, of("eth7", fallback("bond1", 10), false)));
    let gone = format!("{text}fallback = 'eth7'\n");
    assert_eq!(terms(&gone), (3, of("bond0", fallback("eth7", 10), false)));
    for (more, place, why) in [
        ("fallback = 'bond0'", "4:12", "it is the device itself"),
        (
            "hold = 3",
            "4:8",
            "`hold` is about a `fallback`, and there is none",
        ),
        (
            "fallback = 'bond1'\nhold = 86401",
            "5:8",
            "it is longer than a day",
        ),
        (
            "fallback = 'lo'",
            "4:12",
            "lo: it is the loopback device, which speaks no ARP",
        ),
        (
            "[[pin]]\nip = '10.0.0.101'\ndev = 'bond0'\nroute = true",
            "5:6",
            "10.0.0.101: it is pinned otherwise at a.toml:2:6",
        ),
        (
            "fallback = 'bond1'\n[[hide]]\nip = '10.0.0.101'\ndev = 'bond1'",
            "2:6",
            "10.0.0.101: it is hidden on bond1 at a.toml:6:6",
        ),
    ] {
        refused(&format!("{text}{more}"), place, why);
    }
    refused(
        &format!("devices = ['bond0', 'eth0']\n{text}fallback = 'bond1'"),
        "5:12",
        "bond1: it is not one of the `devices` to guard, and both have to be",
    );
}

//! Policy that is declared: `arpguard apply` and `arpguard save`.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also in its helpers"
)]

use std::{
    fmt::Write as _,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    lab::{Namespace, Port, Wire, fewer, patience},
    server::{pins, real_server},
};

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const CLIENT_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x81]);

/// A directory for policy files that is gone when the test is.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("arpguard-apply-{}-{number}", process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nobody can be told while a test unwinds.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A second device, and the namespace at its other end.
fn second_device(server: &Namespace) -> Namespace {
    let peer = Namespace::new("peer1");
    let mac = Mac([2, 0, 0, 0, 1, 0x10]);
    Wire::between((server, "eth1", mac), (&peer, "eth1", None));
    server.sh("ip addr add 10.0.0.10/24 dev eth1");
    peer
}

const POLICY: &str = r#"
[[hide]]
ip = ["192.168.18.101", "192.168.19.0/24"]
rip = "192.168.18.10"

[[hide]]
ip = "192.168.18.102"
dev = "eth1"
shield = true
audit = true
"#;

#[test]
fn applies_a_file_and_then_has_nothing_to_do() {
    let (server, _peer) = real_server();
    let _other = second_device(&server);
    let directory = Directory::new();
    let file = directory.write("policy.toml", POLICY);
    let plan = "\
guard eth0
guard eth1
+ hide 192.168.18.101 sender 192.168.18.10
+ hide 192.168.19.0/24 sender 192.168.18.10
+ hide 192.168.18.102 sender auto dev eth1 shield audit
";
    assert_eq!(server.guard(&format!("apply --dry-run {file}")), plan);
    assert_eq!(server.guard(&format!("apply {file}")), "");
    assert_eq!(
        server.guard("list"),
        "\
POLICY  ADDRESS          DEVICE  SENDER         OPTIONS
hide    192.168.18.101   every   192.168.18.10  -
hide    192.168.18.102   eth1    auto           shield audit
hide    192.168.19.0/24  every   192.168.18.10  -
"
    );
    for again in ["apply", "apply --dry-run"] {
        assert_eq!(server.guard(&format!("{again} {file}")), "nothing to do\n");
        assert_eq!(server.guard(&format!("-o json {again} {file}")), "[]\n");
    }
}

#[test]
fn a_plan_is_told_to_programs() {
    let (server, _peer) = real_server();
    let _other = second_device(&server);
    let directory = Directory::new();
    server.guard("hide 192.168.18.101 192.168.18.103 --rip 192.168.18.10");
    let file = directory.write(
        "policy.toml",
        "devices = 'eth0'\n[[hide]]\nip = ['192.168.18.101', '192.168.18.102']\ndev = 'eth0'\n\
         [[hide]]\nip = '192.168.18.103'\nshield = true",
    );
    let json = r#"[
  {"op":"change","policy":"hide","address":"192.168.18.103/32","device":null,"rip":"auto","shield":true,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"op":"add","policy":"hide","address":"192.168.18.101/32","device":"eth0","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"op":"add","policy":"hide","address":"192.168.18.102/32","device":"eth0","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"op":"remove","policy":"hide","address":"192.168.18.101/32","device":null,"rip":"192.168.18.10","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"op":"leave","device":"eth1"}
]
"#;
    let text = "\
~ hide 192.168.18.103 sender auto shield
+ hide 192.168.18.101 sender auto dev eth0
+ hide 192.168.18.102 sender auto dev eth0
- hide 192.168.18.101 sender 192.168.18.10
leave eth1
";
    assert_eq!(server.guard(&format!("apply {file} --dry-run")), text);
    assert_eq!(
        server.guard(&format!("-o json apply {file} --dry-run")),
        json
    );
    assert_eq!(server.guard(&format!("-o json apply {file}")), json);
    assert_eq!(server.guard(&format!("apply {file}")), "nothing to do\n");
    let status = server.guard("status");
    assert!(
        status.contains("eth1    -        -       not guarded"),
        "{status}"
    );
    assert_eq!(server.sh("tc filter show dev eth1 ingress"), "");
}

#[test]
fn what_is_saved_can_be_applied_and_is_what_it_was() {
    let (server, _peer) = real_server();
    let _other = second_device(&server);
    let directory = Directory::new();
    let round_trip = |devices: &str| {
        let saved = server.guard("save");
        assert_eq!(saved.contains("devices = "), !devices.is_empty(), "{saved}");
        assert!(saved.contains(devices), "{saved}");
        let file = directory.write("saved.toml", &saved);
        assert_eq!(
            server.guard(&format!("apply {file}")),
            "nothing to do\n",
            "{saved}"
        );
        let list = server.guard("list");
        server.guard("detach");
        server.guard(&format!("apply {file}"));
        assert_eq!(server.guard("list"), list);
        assert_eq!(server.guard("save"), saved);
    };
    round_trip("devices = []");
    for hide in [
        "192.168.18.101 192.168.18.9 --rip 192.168.18.10",
        "192.168.19.0/24 --shield",
        "192.168.18.101 --dev eth1 --audit",
        "10.0.0.10 --force",
    ] {
        server.guard(&format!("hide {hide}"));
        round_trip("");
    }
    server.guard("detach");
    server.guard("hide 192.168.18.101 --dev eth0");
    round_trip("devices = [\"eth0\"]\n");
    server.guard("flush");
    round_trip("devices = [\"eth0\"]\n");
}

/// Keeps asking for addresses while something else happens, and tells which were answered.
fn flood(peer: &Namespace, asked: &[Ipv4Addr], meanwhile: impl FnOnce()) -> Vec<Ipv4Addr> {
    let (port, done) = (Port::open(peer, "eth0"), AtomicBool::new(false));
    let mut answered = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answered = Vec::new();
            while !done.load(Ordering::Relaxed) {
                for address in asked {
                    // The queue may be full; there are more where that came from.
                    let _ = port.try_send(&arp::request(CLIENT_MAC, CLIENT, *address).bytes());
                }
                answered.extend(replies(&port));
            }
            answered
        });
        meanwhile();
        done.store(true, Ordering::Relaxed);
        asking.join().unwrap()
    });
    // What was sent before this is judged before its answer comes.
    let own = Ipv4Addr::new(192, 168, 18, 10);
    let is_last = |frame: &[u8]| replied(frame) == Some(own);
    port.send(&arp::request(CLIENT_MAC, CLIENT, own).bytes());
    answered.extend(
        port.until(is_last)
            .iter()
            .filter_map(|frame| replied(frame)),
    );
    answered.sort_unstable();
    answered.dedup();
    answered
}

fn replies(port: &Port) -> Vec<Ipv4Addr> {
    port.drain()
        .iter()
        .filter_map(|frame| replied(frame))
        .collect()
}

fn replied(frame: &[u8]) -> Option<Ipv4Addr> {
    let frame = Frame::read(frame)?;
    (frame.op == arp::REPLY).then_some(frame.spa)
}

/// The VIP is in all of the files, by a rule of its own, by a prefix or on the device alone.
#[test]
fn an_address_in_the_old_and_the_new_file_is_never_answered() {
    let (server, peer) = real_server();
    let [vip, other, none] = [101, 102, 103].map(|last| Ipv4Addr::new(192, 168, 18, last));
    for address in [vip, other, none] {
        server.sh(&format!("ip addr add {address}/32 dev lo"));
    }
    let mut many = String::from("[[hide]]\nrip = '192.168.18.10'\nip = [");
    for number in 0..fewer(20_000) {
        let address = Ipv4Addr::from_bits(u32::from_be_bytes([10, 64, 0, 0]) + number);
        write!(many, "'{address}',").unwrap();
    }
    let directory = Directory::new();
    let files = [
        format!("[[hide]]\nip = ['{vip}', '{other}']"),
        format!("{many}'192.168.18.100/30']"),
        "[[hide]]\nip = '192.168.18.100/31'\ndev = 'eth0'".to_owned(),
        format!("{many}'{vip}']\n[[hide]]\nip = '192.168.18.100/30'\naudit = true"),
        "[[hide]]\nip = '192.168.18.96/29'\nshield = true".to_owned(),
    ];
    let files: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(number, text)| directory.write(&format!("{number}.toml"), text))
        .collect();
    server.guard(&format!("apply {}", files[0]));
    for _ in 0..3 {
        for file in files[1..].iter().chain(&files[..1]) {
            let answered = flood(&peer, &[vip], || {
                server.guard(&format!("apply {file}"));
            });
            assert_eq!(answered, [Ipv4Addr::UNSPECIFIED; 0], "apply {file}");
        }
    }
    // It would have been seen: of two others, one is answered again, one is always.
    let vip_alone = directory.write("alone.toml", &format!("[[hide]]\nip = '{vip}'"));
    let answered = flood(&peer, &[vip, other, none], || {
        server.guard(&format!("apply {vip_alone}"));
        // Until the flood has come round again.
        let port = Port::open(&peer, "eth0");
        port.until(|frame| replied(frame) == Some(other));
    });
    assert_eq!(answered, [other, none]);
}

#[test]
fn a_broken_file_changes_nothing() {
    let (server, _peer) = real_server();
    let directory = Directory::new();
    let good = directory.write("good.toml", "[[hide]]\nip = '192.168.18.101'");
    let broken = [
        (
            "[[hide]]\nip = ['192.168.18.102', '192.168.18']",
            "2:25: 192.168.18: not an IPv4 address or prefix",
        ),
        (
            "[[hide]]\nip = '192.168.18.102'\n[[hid]]",
            "3:3: unknown field `hid`, expected one of `devices`, `attach`, `hide`, `pin`, `strict`, `answer`, `bind`",
        ),
        (
            "[[hide]]\nip = '192.168.18.102'\n[[pin]]\nip = '192.168.18.102'\ndev = 'eth0'",
            "4:6: 192.168.18.102: it is hidden on every device at {file}:2:6",
        ),
        (
            "[[hide]]\nip = '192.168.18.102'\nrip = '192.168.18.12'",
            "3:7: 192.168.18.12: this host does not have the address; it could be 192.168.18.10 (eth0)",
        ),
        (
            "[[hide]]\nip = '192.168.18.102'\nshield = true\n[[hide]]\nip = '192.168.18.10'",
            "5:6: 192.168.18.10: it is the only address of eth0; the LAN would lose this host; set `force = true` if that is meant",
        ),
        (
            "devices = ['eth0', 'eth7']",
            "1:20: eth7: there is no such device; there are lo, eth0",
        ),
    ];
    // With nothing loaded, nothing is loaded; with a policy in force, that stays.
    for loaded in [false, true] {
        if loaded {
            server.guard(&format!("apply {good}"));
        }
        let before = (
            server.guard("list"),
            server.guard("save"),
            server.guard("status"),
        );
        for (text, why) in broken {
            let file = directory.write("broken.toml", text);
            for arguments in [&["apply", &good, &file][..], &["apply", &file, "--dry-run"]] {
                let output = server.arpguard(arguments);
                let why = why.replace("{file}", &file);
                let line = format!("arpguard: read the policy: {file}:{why}\n");
                assert_eq!(output.told(), (Some(1), "", line.as_str()));
            }
            let after = (
                server.guard("list"),
                server.guard("save"),
                server.guard("status"),
            );
            assert_eq!(after, before);
        }
    }
}

#[test]
fn a_change_that_fails_in_the_middle_is_undone() {
    let (server, _peer) = real_server();
    let _other = second_device(&server);
    let directory = Directory::new();
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    server.guard("answer 192.168.18.103 --dev eth0 --when tcp:80");
    let before = (server.guard("list"), server.guard("save"));
    // Another check, another address under one, and one prefix more than there is room for.
    let mut text = "devices = 'eth0'\n\
        [[answer]]\nip = ['192.168.18.103', '192.168.18.104']\ndev = ['eth0']\nwhen = 'false'\n\
        [[hide]]\nip = ["
        .to_owned();
    for number in 0..=1_u32 << 16 {
        let address = Ipv4Addr::from_bits(u32::from_be_bytes([10, 64, 0, 0]) + number * 2);
        write!(text, "'{address}/31',").unwrap();
    }
    let file = directory.write("many.toml", &format!("{text}]"));
    let output = server.arpguard(&["apply", &file]);
    let line = "arpguard: write a rule: 10.66.0.0/31: there is room for 65536 prefixes, all \
                taken; hide fewer, or make room with `arpguard unhide`\n";
    assert_eq!(output.told(), (Some(1), "", line));
    assert_eq!((server.guard("list"), server.guard("save")), before);
}

/// Where the machine's pins are, for each namespace.
fn pinned() -> Vec<PathBuf> {
    let mut pinned: Vec<_> = fs::read_dir("/sys/fs/bpf/arpguard")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    pinned.sort_unstable();
    pinned
}

/// The identity of a namespace among the pins: that of a command which is made to load.
fn pins_of(server: &Namespace) -> PathBuf {
    let version = pins(server);
    version.parent().unwrap().to_owned()
}

#[test]
fn a_dry_run_leaves_no_trace() {
    let (server, _peer) = real_server();
    let directory = Directory::new();
    let file = directory.write("policy.toml", "[[hide]]\nip = '192.168.18.101'");
    let dry_run = format!("apply {file} --dry-run");
    let plan = "guard eth0\n+ hide 192.168.18.101 sender auto\n";
    assert_eq!(server.guard(&dry_run), plan);
    let after_dry_run = pinned();
    assert_eq!(
        server.guard("status"),
        "arpguard is not loaded in this network namespace\n"
    );
    // Others may come and go meanwhile, but not this one.
    server.guard(&format!("apply {file}"));
    let home = pins_of(&server);
    assert!(home.is_dir());
    assert!(!after_dry_run.contains(&home), "{after_dry_run:?}");
    server.guard("detach");
    assert_eq!(server.guard(&dry_run), plan);
    assert!(!Path::new(&home).exists());
}

#[test]
fn a_directory_is_one_policy() {
    let (server, _peer) = real_server();
    let directory = Directory::new();
    directory.write("10-devices.toml", "devices = 'eth*'\nattach = 'tc'");
    directory.write("20-web.toml", "[[hide]]\nip = '192.168.18.101'");
    directory.write("30-mail.toml", "[[hide]]\nip = '192.168.18.102'");
    directory.write("old.toml.bak", "[[hide]]\nip = '192.168.18.103'");
    server.guard(&format!("apply {}", directory.path()));
    let list = server.guard("list");
    assert_eq!(list.lines().count(), 3, "{list}");
    let last = directory.write(
        "40-shop.toml",
        "[[hide]]\nip = '192.168.18.102'\naudit = true",
    );
    let output = server.arpguard(&["apply", directory.path()]);
    let line = format!(
        "arpguard: read the policy: {last}:2:6: 192.168.18.102: it is hidden otherwise at \
         {}/30-mail.toml:2:6\n",
        directory.path()
    );
    assert_eq!(output.told(), (Some(1), "", line.as_str()));
    fs::remove_file(&last).unwrap();
    assert_eq!(
        server.guard(&format!("apply {}", directory.path())),
        "nothing to do\n"
    );
    let empty = Directory::new();
    let output = server.arpguard(&["apply", empty.path()]);
    let line = format!(
        "arpguard: read the policy: {}: it has no file named *.toml\n",
        empty.path()
    );
    assert_eq!(output.told(), (Some(1), "", line.as_str()));
    assert_eq!(server.guard("list"), list);
}

#[test]
fn another_hook_is_taken_where_the_file_says_so() {
    let (server, _peer) = real_server();
    let directory = Directory::new();
    let file = |attach: &str| {
        let text = format!("attach = '{attach}'\n[[hide]]\nip = '192.168.18.101'");
        directory.write(&format!("{attach}.toml"), &text)
    };
    server.guard(&format!("apply {}", file("tc")));
    for attach in ["generic", "native", "tc"] {
        let file = file(attach);
        assert_eq!(
            server.guard(&format!("apply {file} --dry-run")),
            "guard eth0\n"
        );
        server.guard(&format!("apply {file}"));
        assert_eq!(server.guard(&format!("apply {file}")), "nothing to do\n");
    }
    assert_eq!(
        server.guard(&format!("apply {}", file("auto"))),
        "nothing to do\n"
    );
}

#[test]
fn a_hundred_thousand_addresses() {
    let many = fewer(100_000);
    let (server, peer) = real_server();
    let directory = Directory::new();
    let vip = Ipv4Addr::new(10, 64, 0, 7);
    server.sh(&format!("ip addr add {vip}/32 dev lo"));
    let mut text = "[[hide]]\nrip = '192.168.18.10'\nip = [\n".to_owned();
    for number in 0..many {
        let address = Ipv4Addr::from_bits(u32::from_be_bytes([10, 64, 0, 0]) + number);
        writeln!(text, "  '{address}',").unwrap();
    }
    let file = directory.write("many.toml", &format!("{text}]\n"));
    server.guard(&format!("apply {file}"));
    assert!(
        server
            .guard("status")
            .starts_with(&format!("rules for {many} addresses and 0 prefixes; "))
    );
    assert_eq!(server.guard(&format!("apply {file}")), "nothing to do\n");
    let saved = directory.write("saved.toml", &server.guard("save"));
    assert_eq!(server.guard(&format!("apply {saved}")), "nothing to do\n");
    assert_eq!(flood(&peer, &[vip], || ()), [Ipv4Addr::UNSPECIFIED; 0]);
    let empty = directory.write("empty.toml", "");
    server.guard(&format!("apply {empty}"));
    assert_eq!(server.guard("list"), "no policy is in force here\n");
    let port = Port::open(&peer, "eth0");
    port.send(&arp::request(CLIENT_MAC, CLIENT, vip).bytes());
    let answer = port.receive(patience());
    assert_eq!(answer.and_then(|frame| replied(&frame)), Some(vip));
}

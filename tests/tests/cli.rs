//! The command line: what it says, to whom, and with which exit status.

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use arpguard_tests::{
    kernel::tc_hook,
    lab::{Output, arpguard},
    server::{pins, real_server},
};

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Each: the arguments, the exit status, and the one line on standard error.
const WRONG: &[(&str, i32, &str)] = &[
    (
        "hide 192.168.18.300",
        2,
        "read the arguments: 192.168.18.300: not an IPv4 address or prefix; see `arpguard hide --help`",
    ),
    (
        "hide 192.168.18.1/24",
        2,
        "read the arguments: 192.168.18.1/24: it has host bits set; 192.168.18.0/24 or \
         192.168.18.1?; see `arpguard hide --help`",
    ),
    (
        "hide 2001:db8::1",
        2,
        "read the arguments: 2001:db8::1: IPv6 has no ARP; see `arpguard hide --help`",
    ),
    (
        "hide",
        2,
        "read the arguments: VIP: it is required; see `arpguard hide --help`",
    ),
    (
        "hide 192.168.18.101 --rip eth0",
        2,
        "read the arguments: --rip eth0: neither an IPv4 address nor auto; see `arpguard hide --help`",
    ),
    (
        "hide 192.168.18.101 --attach best",
        2,
        "read the arguments: --attach best: it can be auto, native, generic, tc; \
         see `arpguard hide --help`",
    ),
    (
        "hide 192.168.18.101 --rpi 192.168.18.10",
        2,
        "read the arguments: --rpi: there is no such option; see `arpguard hide --help`",
    ),
    (
        "list all",
        2,
        "read the arguments: all: it is one word too many; see `arpguard list --help`",
    ),
    (
        "hied 192.168.18.101",
        2,
        "read the arguments: hied: there is no such command; did you mean hide?",
    ),
    (
        "hide 192.168.18.101 --rip 192.168.18.101",
        2,
        "hide: 192.168.18.101: the RIP 192.168.18.101 would be hidden itself; \
         name an address of this host that is its own on the LAN",
    ),
    (
        "hide 127.0.0.1",
        2,
        "hide: 127.0.0.1: loopback addresses are not on any LAN",
    ),
    (
        "hide 224.0.0.18",
        2,
        "hide: 224.0.0.18: multicast addresses are not resolved by ARP",
    ),
    (
        "hide 255.255.255.255",
        2,
        "hide: 255.255.255.255: the broadcast address is not resolved by ARP",
    ),
    (
        "hide 0.0.0.0",
        2,
        "hide: 0.0.0.0: 0.0.0.0 is no host's address: probes have it as their sender",
    ),
    (
        "hide 192.168.18.255",
        1,
        "hide: 192.168.18.255: it is the broadcast address of a subnet of eth0",
    ),
    (
        "hide 192.168.18.101 --rip 192.168.18.12",
        1,
        "use as RIP: 192.168.18.12: this host does not have the address; \
         it could be 192.168.18.10 (eth0)",
    ),
    (
        "hide 192.168.18.10",
        1,
        "hide: 192.168.18.10: it is the only address of eth0; \
         the LAN would lose this host; use --force if that is meant",
    ),
    (
        "hide 192.168.18.101 --dev eth7",
        1,
        "find the device: eth7: there is no such device; there are lo, eth0",
    ),
    (
        "hide 192.168.18.101 --dev lo",
        1,
        "guard: lo: it is the loopback device, which speaks no ARP",
    ),
    (
        "hide 192.168.18.101 --add-to dummy0",
        1,
        "find the device: dummy0: there is no such device; there are lo, eth0",
    ),
    (
        "hide 192.168.19.0/24 --add-to lo",
        2,
        "hide --add-to: 192.168.19.0/24: only a single address can be put on a device",
    ),
    (
        "unhide 192.168.18.101",
        1,
        "unhide: 192.168.18.101: it is not hidden there; `arpguard list` shows what is",
    ),
    (
        "--bpffs /tmp list",
        1,
        "find a BPF file system to pin to: /tmp: it is not a BPF file system; \
         mount one: mount -t bpf bpf /tmp",
    ),
];

#[test]
fn wrong_input_is_told_in_one_line_and_changes_nothing() {
    let (server, _peer) = real_server();
    for (line, status, message) in WRONG {
        server.refuses(line, *status, message);
    }
    // Nothing was even loaded.
    let status = server.arpguard(&["status"]);
    assert_eq!(
        status.told(),
        (
            Some(0),
            "arpguard is not loaded in this network namespace\n",
            ""
        )
    );
    // And with a policy in force, it stays as it is.
    server.guard("hide 192.168.18.101 --rip 192.168.18.10");
    let before = server.guard("list");
    for (line, status, _) in WRONG
        .iter()
        .filter(|(line, ..)| !line.starts_with("unhide"))
    {
        assert_eq!(
            server.arpguard(&words(line)).status.code(),
            Some(*status),
            "arpguard {line}"
        );
        assert_eq!(server.guard("list"), before, "arpguard {line}");
    }
}

#[test]
fn a_namespace_that_is_not_there_is_told() {
    let output = Output::of(Command::new(arpguard()).args(["--netns", "no-such", "list"]));
    let message = "arpguard: enter the network namespace: /run/netns/no-such: \
                   No such file or directory; `ip netns` lists those with names\n";
    assert_eq!(output.told(), (Some(1), "", message));
}

#[test]
fn a_namespace_can_be_named_by_its_path() {
    let (server, _peer) = real_server();
    let path = format!("/run/netns/{}", server.name());
    let by_path =
        |verb: &[&str]| Output::of(Command::new(arpguard()).args(["--netns", &path]).args(verb));
    assert!(by_path(&["hide", "192.168.18.101"]).success());
    assert_eq!(by_path(&["list"]).stdout, server.guard("list"));
}

#[test]
fn without_privilege_it_names_the_capabilities() {
    let copy = Copy::of(arpguard()).unwrap();
    let output = Output::of(
        Command::new("setpriv")
            .args(["--reuid", "65534", "--clear-groups"])
            .arg(&copy.0)
            .args(["hide", "192.168.18.101"]),
    );
    let message = "arpguard: use BPF: this process: it lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN; \
                   run it as root, or with CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN\n";
    assert_eq!(output.told(), (Some(1), "", message));
}

/// A copy of the binary where another user may run it.
struct Copy(std::path::PathBuf);

impl Copy {
    fn of(binary: std::path::PathBuf) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("arpguard-{}", std::process::id()));
        std::fs::copy(binary, &path)?;
        Ok(Self(path))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn list_shows_rules_for_people_and_for_programs() {
    let (server, _peer) = real_server();
    assert_eq!(server.guard("list"), "no policy is in force here\n");
    assert_eq!(server.guard("-o json list"), "[]\n");
    server.guard("hide 192.168.18.102 192.168.18.101 --rip 192.168.18.10");
    server.guard("hide 192.168.19.0/24 --shield --audit");
    server.guard("hide 192.168.18.103 --dev eth0 --rip auto");
    let table = "\
POLICY  ADDRESS          DEVICE  SENDER         OPTIONS
hide    192.168.18.101   every   192.168.18.10  -
hide    192.168.18.102   every   192.168.18.10  -
hide    192.168.18.103   eth0    auto           -
hide    192.168.19.0/24  every   auto           shield audit
";
    assert_eq!(server.guard("list"), table);
    let json = r#"[
  {"policy":"hide","address":"192.168.18.101/32","device":null,"rip":"192.168.18.10","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"hide","address":"192.168.18.102/32","device":null,"rip":"192.168.18.10","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"hide","address":"192.168.18.103/32","device":"eth0","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"hide","address":"192.168.19.0/24","device":null,"rip":"auto","shield":true,"audit":true,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false}
]
"#;
    assert_eq!(server.guard("-o json list"), json);

    server.guard("unhide 192.168.18.103 192.168.19.0/24");
    server.guard("hide 192.168.18.101 --shield");
    let table = "\
POLICY  ADDRESS         DEVICE  SENDER         OPTIONS
hide    192.168.18.101  every   auto           shield
hide    192.168.18.102  every   192.168.18.10  -
";
    assert_eq!(server.guard("list"), table);
    server.guard("flush");
    assert_eq!(server.guard("list"), "no policy is in force here\n");
}

#[test]
fn status_shows_devices_and_hooks() {
    let (server, _peer) = real_server();
    let status = server.guard("-o json status");
    assert_eq!(
        status,
        r#"{
  "pins": null,
  "held": false,
  "addresses": 0,
  "prefixes": 0,
  "promoted": 0,
  "devices": [
    {
      "name": "eth0",
      "index": 2,
      "ingress": null,
      "egress": null,
      "note": "",
      "strict": false,
      "claims": [],
      "counters": []
    }
  ],
  "moved": []
}
"#
    );
    server.guard("hide 192.168.18.101 192.168.19.0/24 --attach generic");
    // A device that comes later is not guarded by itself, and that is told.
    server.sh("ip link add veth8 type veth peer name veth9");
    let status = server.guard("status");
    let (first, rest) = status.split_once('\n').unwrap();
    let pins = pins(&server);
    assert_eq!(
        first,
        format!(
            "rules for 1 address and 1 prefix; pinned at {}",
            pins.display()
        )
    );
    let expected = format!(
        "
DEVICE  INGRESS      EGRESS  NOTE
eth0    xdp-generic  {:<6}  as told
veth9   -            -       not guarded
veth8   -            -       not guarded

no ARP was seen yet
",
        tc_hook()
    );
    assert_eq!(rest, expected);
}

#[test]
fn addresses_are_read_from_standard_input() {
    let (server, _peer) = real_server();
    let feed = |text: &str| {
        let mut child = server
            .command(arpguard())
            .args(["hide", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(
        feed("192.168.18.101 # one\n\n10.9.0.0/16\n"),
        (Some(0), String::new())
    );
    assert!(server.guard("list").contains("10.9.0.0/16"));
    let before = server.guard("list");
    assert_eq!(
        feed("10.1.1.1\n10.1.1\n"),
        (
            Some(2),
            "arpguard: read addresses: standard input, line 2: 10.1.1: \
             not an IPv4 address or prefix\n"
                .to_owned()
        )
    );
    assert_eq!(
        feed("# nothing\n"),
        (
            Some(2),
            "arpguard: read addresses: standard input: there are none\n".to_owned()
        )
    );
    assert_eq!(server.guard("list"), before);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (server, _peer) = real_server();
    server.guard("hide 10.9.0.0/16 10.8.0.0/16");
    let mut child = server
        .command(arpguard())
        .arg("list")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut complaint = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complaint)
        .unwrap();
    assert_eq!((status.code(), complaint.as_str()), (Some(0), ""));
}

#[test]
fn help_completions_and_man_pages_come_from_the_same_definitions() {
    let run = |line: &str| Output::of(Command::new(arpguard()).args(words(line)));
    for verb in [
        "hide", "unhide", "pin", "unpin", "strict", "list", "status", "monitor", "probe", "doctor",
        "announce", "flush", "detach",
    ] {
        assert!(
            run("--help").stdout.contains(&format!("\n  {verb} ")),
            "{verb}"
        );
        assert!(
            run(&format!("{verb} --help"))
                .stdout
                .contains(&format!("arpguard {verb}"))
        );
        for shell in ["bash", "zsh", "fish"] {
            assert!(
                run(&format!("completions {shell}")).stdout.contains(verb),
                "{shell} {verb}"
            );
        }
        assert!(
            run("man").stdout.contains(&format!("arpguard\\-{verb}(1)")),
            "{verb}"
        );
    }
    assert_eq!(run("").status.code(), Some(2));
    assert!(run("").stderr.contains("Usage: arpguard"), "{}", run(""));
    assert_eq!(
        run("--version").stdout,
        concat!("arpguard ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let pages = std::env::temp_dir().join(format!("arpguard-man-{}", std::process::id()));
    std::fs::create_dir(&pages).unwrap();
    let written = run(&format!("man {}", pages.display()));
    let page = std::fs::read_to_string(pages.join("arpguard-hide.1"));
    std::fs::remove_dir_all(&pages).unwrap();
    assert!(written.success(), "{written}");
    assert!(page.unwrap().contains("\\-\\-add\\-to"));
}

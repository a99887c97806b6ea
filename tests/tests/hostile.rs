//! Names, files, pins and surroundings that somebody has chosen to do harm.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
    process::{Command, Stdio},
};

use arpguard_tests::{
    lab::{Namespace, Output, arpguard, faulty},
    pins::Pins,
    running::{Agent, Directory, eventually, logging},
    server::real_server,
};
use aya::maps::{Array, HashMap, MapData};
use nix::sys::signal::Signal;

const NOBODY: u32 = 65534;
const POLICY: &str = "[[hide]]\nip = \"192.168.18.101\"\n";

fn refused(server: &Namespace, arguments: &[&str]) -> String {
    let output = server.arpguard(arguments);
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), ""));
    output.stderr
}

fn mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_name_with_controls_is_shown_and_not_obeyed() {
    let (server, _peer) = real_server();
    let name = "e\u{1b}[31m\u{9b}\"";
    let directory = Directory::new("controls");
    server.run(["ip", "link", "set", "eth0", "down"]);
    server.run(["ip", "link", "set", "eth0", "name", name]);
    server.run(["ip", "link", "set", name, "up"]);
    let shown = "e\\u001b[31m\\u009b\"";
    assert!(
        server
            .arpguard(&["hide", "192.168.18.101", "--dev", name])
            .success()
    );
    for verb in ["list", "status", "doctor", "save"] {
        let output = server.arpguard(&[verb]).stdout;
        assert!(!output.contains(['\u{1b}', '\u{9b}']), "{verb}: {output:?}");
    }
    assert!(server.guard("list").contains(shown));
    assert!(server.guard("status").contains(shown));
    let json: serde_json::Value = serde_json::from_str(&server.guard("-o json list")).unwrap();
    assert_eq!(json[0]["device"], name);
    let unknown = refused(&server, &["hide", "192.168.18.102", "--dev", "\u{1b}x"]);
    assert!(unknown.starts_with("arpguard: find the device: \\u001bx: there is no such device"));
    assert!(unknown.contains(shown), "{unknown}");
    let saved = directory.write("saved.toml", &server.guard("save"));
    assert_eq!(server.guard(&format!("apply {saved}")), "nothing to do\n");

    server.guard("detach");
    let policy = directory.write("policy.toml", POLICY);
    let log = directory.file("log");
    let mut command = server.command(arpguard());
    command.args(["run", "--config", &policy]);
    command.stderr(fs::File::create(&log).unwrap());
    let agent = Agent::of(command);
    let said = || fs::read_to_string(&log).unwrap();
    eventually("the policy is in force", || said().contains("in force"));
    assert!(agent.end(Signal::SIGTERM).success());
    assert!(said().contains("guarding e"), "{}", said());
    assert!(!said().contains(['\u{1b}', '\u{9b}']), "{:?}", said());
}

/// What netlink's reader cannot decode: the name of a device, or another name of it.
#[test]
fn a_device_whose_name_cannot_be_read_is_passed_over_and_told() {
    let (server, _peer) = real_server();
    let sh = |script: &str| server.run(["sh", "-c", script]);
    let remark = |name: &str| {
        format!(
            "arpguard: guard: {name}: it has a name that is not UTF-8; rename it, `ip link set dev \
             {name} name NAME`, or `ip link property del dev {name} altname NAME`\n"
        )
    };
    let row = || {
        let status = server.guard("status");
        let row = status.lines().find(|row| row.contains("if77"));
        let words = row.unwrap_or_else(|| panic!("{status}")).split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    };
    sh("ip link add \"$(printf 'x\\377')\" index 77 type veth peer name ok index 78");
    let output = server.arpguard(&["hide", "192.168.18.101"]);
    assert!(output.success(), "{output}");
    assert_eq!(output.stderr, remark("if77"));
    assert_eq!(
        row(),
        "if77 - - not guarded: it has a name that is not UTF-8"
    );
    let doctor = server.arpguard(&["doctor"]).stdout;
    let found =
        "rules are for every device, and it is not guarded: it has a name that is not UTF-8";
    assert!(doctor.contains(found), "{doctor}");
    let named = refused(&server, &["hide", "192.168.18.102", "--dev", "if77"]);
    assert_eq!(named, remark("if77").repeat(2));

    // What is guarded when it gets such a name stays so, until it is left.
    let attached = |name: &str| {
        let links = fs::read_dir(Pins::of(&server).directory().join("links")).unwrap();
        let links = links.map(|link| link.unwrap().file_name().into_string().unwrap());
        let links = links.filter(|link| link.starts_with("78-"));
        // Where the kernel has no TCX.
        let filters = ["ingress", "egress"].map(|hook| {
            let filters = sh(&format!("tc filter show dev \"$(printf '{name}')\" {hook}"));
            let filters = filters
                .lines()
                .filter(|line| line.contains(" direct-action "));
            let filters = filters.map(|line| format!("{hook} {line}"));
            filters.collect::<Vec<String>>()
        });
        let mut attached: Vec<_> = links.chain(filters.concat()).collect();
        attached.sort_unstable();
        attached
    };
    let guarded = attached("ok");
    assert_eq!(guarded.len(), 2, "{guarded:?}");
    sh("ip link set dev ok name \"$(printf 'y\\377')\"");
    let directory = Directory::new("unreadable");
    let policy = directory.write("policy.toml", POLICY);
    let log = directory.file("log");
    let agent = logging(&server, &["--config", &policy], &log);
    let said = || fs::read_to_string(&log).unwrap();
    eventually("the policy is in force", || said().contains("in force"));
    server.sh("ip link add eth3 type veth peer name eth4");
    eventually("what comes later is guarded", || {
        said().contains("guarding eth4")
    });
    assert!(agent.end(Signal::SIGTERM).success());
    for name in ["if77", "if78"] {
        let remark = remark(name);
        let remark = remark.trim_start_matches("arpguard: ").trim_end();
        assert_eq!(said().matches(remark).count(), 1, "{}", said());
    }
    assert_eq!(attached("y\\377"), guarded);
    server.sh("ip link set dev if78 name ok");
    assert!(!server.guard("status").contains("if78"));
    assert_eq!(attached("ok"), guarded);

    server.sh("ip link set dev if77 name eth77");
    assert_eq!(server.arpguard(&["hide", "192.168.18.101"]).stderr, "");
    assert!(!server.guard("status").contains("not guarded"));
    sh("ip link property add dev eth77 altname \"$(printf 'z\\377')\"");
    assert_eq!(server.arpguard(&["list"]).stderr, remark("eth77"));
    server.guard("detach");
    assert_eq!(
        server.guard("status"),
        "arpguard is not loaded in this network namespace\n"
    );
}

#[test]
fn the_policy_of_another_user_is_refused() {
    let (server, _peer) = real_server();
    let directory = Directory::new("stranger");
    let file = &directory.write("policy.toml", POLICY);
    let folder = directory.path().to_str().unwrap();
    let owned = |path: &str| {
        format!(
            "arpguard: read the policy: {path}: user {NOBODY} owns it, who could change what root \
             is to do; look at it, and give it to root: chown root {path}\n"
        )
    };
    let writable = |path: &str| {
        format!(
            "arpguard: read the policy: {path}: other users can change it, and so what root is to \
             do; look at it, and take that from them: chmod go-w {path}\n"
        )
    };
    chown(file, Some(NOBODY), None).unwrap();
    assert_eq!(refused(&server, &["apply", file]), owned(file));
    assert_eq!(refused(&server, &["apply", folder]), owned(file));
    chown(file, Some(0), None).unwrap();
    mode(file, 0o666);
    assert_eq!(refused(&server, &["apply", file]), writable(file));
    mode(file, 0o644);
    mode(folder, 0o777);
    assert_eq!(refused(&server, &["apply", file]), writable(folder));
    assert_eq!(refused(&server, &["apply", folder]), writable(folder));
    mode(folder, 0o755);
    chown(folder, Some(NOBODY), None).unwrap();
    assert_eq!(refused(&server, &["apply", file]), owned(folder));
    // Who gives it by a descriptor has opened it.
    let mut command = server.command(arpguard());
    command.args(["apply", "/dev/stdin"]);
    let output = Output::of(command.stdin(fs::File::open(file).unwrap()));
    assert!(output.success(), "{output}");
    chown(folder, Some(0), None).unwrap();
    server.guard(&format!("apply {file}"));
}

#[test]
fn pins_that_others_can_change_are_refused() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101");
    let home = Pins::of(&server).directory().parent().unwrap().to_owned();
    mode(&home, 0o777);
    let told = format!(
        "arpguard: use the pins in: {0}: other users can change it, and so what root is to do; \
         look at it, and take that from them: chmod go-w {0}\n",
        home.display()
    );
    for verb in ["list", "status", "detach"] {
        assert_eq!(refused(&server, &[verb]), told);
    }
    mode(&home, 0o700);
    chown(&home, Some(NOBODY), None).unwrap();
    let told = refused(&server, &["hide", "192.168.18.102"]);
    assert!(told.contains(&format!("user {NOBODY} owns it")), "{told}");
    chown(&home, Some(0), None).unwrap();
    assert!(server.guard("list").contains("192.168.18.101"));
}

#[test]
fn what_is_no_namespace_is_refused() {
    let (server, _peer) = real_server();
    let list = |namespace: &str| {
        let output = Output::of(Command::new(arpguard()).args(["--netns", namespace, "list"]));
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), ""));
        output.stderr
    };
    for name in ["", ".", ".."] {
        let told = format!(
            "arpguard: enter the network namespace: {name:?}: it is no name; `ip netns` lists \
             those with names\n"
        );
        assert_eq!(list(name), told);
    }
    for path in ["/proc/self/ns/mnt", "/etc/passwd", "/run/netns/.."] {
        let told = list(path);
        assert!(told.contains("it is no network namespace"), "{told}");
    }
    let directory = Directory::new("netns");
    let link = directory.file("link");
    symlink(format!("/run/netns/{}", server.name()), &link).unwrap();
    let own = Output::of(Command::new(arpguard()).args(["--netns", &link, "list"]));
    assert!(own.success(), "{own}");
    std::os::unix::fs::lchown(&link, Some(NOBODY), None).unwrap();
    assert!(list(&link).contains(&format!("user {NOBODY} owns it")));
}

/// A pin, and what puts something else in its place.
type Swap<'a> = (&'a str, &'a dyn Fn(&Path, &Pins));

#[test]
fn pins_of_somebody_else_are_told_and_detached() {
    let (server, _peer) = real_server();
    let why = "arpguard has not pinned it; to begin anew: arpguard detach";
    let swap: [Swap<'_>; 10] = [
        ("maps/ADDRESSES", &|path, _| {
            // As large as it should be, but no hash.
            let map = Array::<MapData, [u8; 8]>::create(1, 0).unwrap();
            map.pin(path).unwrap();
        }),
        ("maps/PREFIXES", &|path, pins| {
            fs::rename(pins.program("arpguard_in"), path).unwrap();
        }),
        ("programs/arpguard_out", &|path, _| {
            let map = Array::<MapData, [u8; 8]>::create(1, 0).unwrap();
            map.pin(path).unwrap();
        }),
        ("programs/arpguard_in", &|path, _| {
            fs::create_dir(path).unwrap()
        }),
        ("maps/NOTES", &|path, _| fs::create_dir(path).unwrap()),
        // As large as the rules' is not.
        ("maps/ADDRESSES", &|path, _| of_other_sizes(path)),
        ("maps/BLOCKS", &|path, _| of_other_sizes(path)),
        ("journal", &|path, _| of_other_sizes(path)),
        ("journal", &|path, _| {
            let map = Array::<MapData, [u8; 16]>::create(1, 0).unwrap();
            map.pin(path).unwrap();
        }),
        ("journal", &|path, _| fs::create_dir(path).unwrap()),
    ];
    for (name, put) in swap {
        server.guard("hide 192.168.18.101 --rip 192.168.18.10");
        let pins = Pins::of(&server);
        let path = pins.directory().join(name);
        let is_there = path.exists();
        assert_eq!(is_there, name != "journal");
        if is_there {
            fs::remove_file(&path).unwrap();
        }
        put(&path, &pins);
        for verb in [["list", "--"].as_slice(), &["hide", "192.168.18.102"]] {
            let verb: Vec<_> = verb.iter().copied().filter(|word| *word != "--").collect();
            let told = refused(&server, &verb);
            assert!(told.contains(why), "{name}: {told}");
        }
        server.guard("detach");
        assert!(!pins.directory().exists(), "{name}");
        let status = server.guard("status");
        assert_eq!(status, "arpguard is not loaded in this network namespace\n");
    }
}

fn of_other_sizes(path: &Path) {
    let map = HashMap::<MapData, [u8; 4], [u8; 8]>::create(1, 0).unwrap();
    map.pin(path).unwrap();
}

#[test]
fn links_of_somebody_else_are_told_and_detached() {
    let (server, _peer) = real_server();
    let puts: [fn(&Path); 2] = [of_other_sizes, |path| {
        fs::create_dir(path).unwrap();
        fs::create_dir(path.join("more")).unwrap();
    }];
    for (number, put) in puts.into_iter().enumerate() {
        server.guard("hide 192.168.18.101 --attach native");
        let pins = Pins::of(&server);
        let links = pins.list("links");
        let link = links.iter().find(|link| link.ends_with("-xdp")).unwrap();
        let path = pins.directory().join("links").join(link);
        fs::remove_file(&path).unwrap();
        put(&path);
        let device = || server.sh("ip -d link show dev eth0");
        eventually("the link is gone with its pin", || {
            !device().contains("prog/xdp")
        });
        let told = refused(&server, &["hide", "192.168.18.101", "--attach", "native"]);
        let why = "arpguard has not pinned it; to begin anew: arpguard detach";
        assert!(told.contains(why), "{number}: {told}");
        server.guard("detach");
        assert!(!pins.directory().exists(), "{number}");
        let device = device();
        assert!(!device.contains("prog/xdp"), "{number}: {device}");
    }
}

#[test]
fn a_full_disk_is_told_and_an_agent_goes_on() {
    let (server, _peer) = real_server();
    server.guard("hide 192.168.18.101");
    let full = || {
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    for verb in ["save", "list", "status"] {
        let mut command = server.command(arpguard());
        let child = command.arg(verb).stdout(full()).stderr(Stdio::piped());
        let output = child.spawn().unwrap().wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let why = "arpguard: write: standard output: No space left on device\n";
        assert_eq!((output.status.code(), &*told), (Some(1), why), "{verb}");
    }
    let directory = Directory::new("full");
    let policy = directory.write("policy.toml", "[[hide]]\nip = \"192.168.18.102\"\n");
    let mut command = server.command(arpguard());
    command.args(["run", "--config", &policy]).stderr(full());
    let agent = Agent::of(command);
    eventually("the policy is in force", || {
        let list = server.guard("list");
        list.contains("192.168.18.102") && !list.contains("192.168.18.101")
    });
    assert!(agent.end(Signal::SIGTERM).success());
}

/// What a command does in `server` while a device vanishes at a point: one that it is at, or is yet to
/// come to. Told is what happened.
fn vanishing(server: &Namespace, verb: &[&str], by: &str, point: &str, device: &str) -> String {
    let mut command = server.command(faulty());
    let fault = format!("{by}{point} run ip link del {device}");
    let output = Output::of(command.args(verb).env("ARPGUARD_FAULT", fault));
    let told = format!("{by}{point}, {device}: {output}");
    assert!(output.success(), "{told}");
    told
}

/// By TCX, and as on a kernel before 6.6.
const BY: [&str; 2] = ["", "every link/tcx fail 22;"];

#[test]
fn a_device_that_vanishes_in_the_middle_is_passed_over() {
    let hide: &[&str] = &["hide", "192.168.18.101"];
    let points = ["map/counters", "link/tcx", "map/note"];
    let points = points.map(|point| (BY[0], point));
    let clsact = ["map/note", "tc/qdisc", "tc/filter"];
    for (by, point) in points.into_iter().chain(clsact.map(|point| (BY[1], point))) {
        // The one that is attached to at that point, and the one after it.
        for device in ["eth0", "eth1"] {
            let (server, _peer) = real_server();
            server.sh("ip link add eth1 type veth peer name eth2");
            server.sh("ip link add eth3 type veth peer name eth4");
            let told = vanishing(&server, hide, by, point, device);
            let status = server.guard("status");
            assert!(!status.contains("not guarded"), "{told}{status}");
            assert!(!status.contains(device), "{told}{status}");
            assert!(status.contains("eth3 "), "{told}{status}");
        }
    }
}

#[test]
fn a_device_that_vanishes_while_it_is_left_is_done() {
    let directory = Directory::new("vanishing");
    let less = "devices = [\"eth3\"]\n[[hide]]\nip = \"192.168.18.101\"\n";
    let less = directory.write("less.toml", less);
    let points = ["link/detach", "unpin", "map/forget"].map(|point| (BY[0], point));
    let clsact = ["tc/filter/remove", "tc/qdisc/remove", "map/forget"];
    for (by, point) in points.into_iter().chain(clsact.map(|point| (BY[1], point))) {
        // What is left, too, and does not vanish.
        for (verb, device, rest) in [
            (["detach"].as_slice(), "eth0", "eth3"),
            (&["detach"], "eth1", "eth3"),
            (&["apply", &less], "eth0", "eth1"),
            (&["apply", &less], "eth1", "eth0"),
        ] {
            let (server, _peer) = real_server();
            server.sh("ip link add eth1 type veth peer name eth2");
            server.sh("ip link add eth3 type veth peer name eth4");
            let mut command = server.command(faulty());
            let output = Output::of(
                command
                    .args(["hide", "192.168.18.101"])
                    .env("ARPGUARD_FAULT", by),
            );
            assert!(output.success(), "{output}");
            let told = vanishing(&server, verb, by, point, device);
            let status = server.guard("status");
            if verb == ["detach"] {
                let not = "arpguard is not loaded in this network namespace\n";
                assert_eq!(status, not, "{told}");
            } else {
                assert!(!status.contains(device), "{told}{status}");
                assert!(status.contains("eth3 "), "{told}{status}");
            }
            assert_eq!(
                server.sh(&format!("tc qdisc show dev {rest} clsact")),
                "",
                "{told}"
            );
        }
    }
}

#[test]
fn an_agent_outlives_the_name_of_its_namespace() {
    let (server, _peer) = real_server();
    let directory = Directory::new("nameless");
    let policy = directory.write("policy.toml", POLICY);
    let agent = Agent::start(&server, &["--config", &policy, "--detach-on-exit"]);
    eventually("the policy is in force", || {
        server.guard("list").contains("192.168.18.101")
    });
    let pins = Pins::of(&server);
    let gone = Command::new("ip")
        .args(["netns", "del", server.name()])
        .status();
    assert!(gone.unwrap().success());
    server.sh("ip link add eth1 type veth peer name eth2");
    let status = || {
        let mut command = server.command(arpguard());
        Output::of(command.arg("status")).stdout
    };
    eventually("what comes later is guarded", || {
        let status = status();
        status.contains("eth2") && !status.contains("not guarded")
    });
    assert!(agent.end(Signal::SIGTERM).success());
    assert!(!pins.exist());
}

/// The points at which tests make faults are not in what is shipped.
#[test]
fn no_fault_can_be_made_in_the_release() {
    let has = |path: std::path::PathBuf| {
        let binary = fs::read(path).unwrap();
        binary.windows(14).any(|bytes| bytes == b"ARPGUARD_FAULT")
    };
    assert!(has(faulty()));
    assert!(!has(arpguard()));
}

/// In the programs there is no lint for it, as each of them has an attribute that is unsafe.
#[test]
fn unsafe_code_of_the_programs_is_in_adapters_alone() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../arpguard-ebpf/src");
    let with = |words: &[&str]| {
        let files = fs::read_dir(&source).unwrap();
        let found = files.map(|file| file.unwrap().path()).filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            words.iter().any(|word| text.contains(word))
        });
        let mut names: Vec<_> = found
            .map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort_unstable();
        names
    };
    let adapters = [
        "claims", "count", "report", "tables", "tc", "variable", "xdp",
    ];
    let unsafes = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    assert_eq!(with(&unsafes), adapters);
    // These are for who loads the object: names and sections.
    let attributes = ["apart", "claims", "main", "report", "tables", "tc", "xdp"];
    assert_eq!(with(&["#[unsafe("]), attributes);
}

/// The compiler refuses unsafe code elsewhere (`deny(unsafe_code)`), and in these modules where it
/// has no reason (`clippy::undocumented_unsafe_blocks`).
#[test]
fn unsafe_code_is_in_adapters_alone() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../arpguard/src");
    let mut found = Vec::new();
    let mut directories = vec![source.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            if fs::read_to_string(&path).unwrap().contains("unsafe_code,") {
                found.push(path.strip_prefix(&source).unwrap().display().to_string());
            }
        }
    }
    found.sort_unstable();
    let adapters = [
        "arp/socket.rs",
        "clock.rs",
        "datapath/events.rs",
        "datapath/requests.rs",
        "datapath/sys.rs",
        "host/hardware.rs",
        "host/netns.rs",
    ];
    assert_eq!(found, adapters);
    for (file, lint) in [
        ("lib.rs", "#![deny(unsafe_code)]"),
        ("main.rs", "#![forbid(unsafe_code)]"),
        (
            "../../arpguard-common/src/lib.rs",
            "#![forbid(unsafe_code)]",
        ),
        ("../../Cargo.toml", "undocumented_unsafe_blocks = \"warn\""),
    ] {
        assert!(
            fs::read_to_string(source.join(file))
                .unwrap()
                .contains(lint),
            "{file}"
        );
    }
}

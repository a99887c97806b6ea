//! Where nothing can be pinned, the agent holds the programs, and commands ask it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    kernel::tc_hook,
    lab::{Namespace, Output, Port, Wire, arpguard},
    running::{Directory, contained, eventually},
    server::real_server,
};

const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const CLIENT_IP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
const NOBODY: libc::uid_t = 65534;
const NOBODY_ANSWERS: [Ipv4Addr; 0] = [];
const NOT_LOADED: &str = "arpguard is not loaded in this network namespace\n";

fn ask(server: &Namespace, socket: &str, arguments: &[&str]) -> Output {
    let arguments = [&["--socket", socket], arguments].concat();
    Output::of(&mut contained(server, &arguments))
}

/// What a command prints that goes well.
fn told(server: &Namespace, socket: &str, arguments: &[&str]) -> String {
    let output = ask(server, socket, arguments);
    assert!(output.success(), "{output}");
    assert_eq!(output.stderr, "");
    output.stdout
}

/// What a command complains of.
fn refused(server: &Namespace, socket: &str, arguments: &[&str]) -> String {
    let output = ask(server, socket, arguments);
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), ""));
    output.stderr
}

/// An agent in a container; killed when dropped.
struct Agent(Child);

impl Agent {
    fn start(server: &Namespace, socket: &str) -> Self {
        let arguments = ["--socket", socket, "run", "--hide", "192.168.18.101"];
        let mut command = contained(server, &arguments);
        let agent = command.stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Self(agent.spawn().unwrap());
        eventually("the agent listens", || UnixStream::connect(socket).is_ok());
        eventually("the VIP is hidden", || {
            told(server, socket, &["list"]).contains("192.168.18.101")
        });
        agent
    }

    fn signal(mut self, name: &str) {
        let id = self.0.id();
        let inner = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let sent = Command::new("kill")
            .args(["-s", name, inner.trim()])
            .status();
        assert!(sent.unwrap().success());
        self.0.wait().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Which addresses are answered for before the RIP is, which always is.
fn answered(port: &Port) -> Vec<Ipv4Addr> {
    port.drain();
    for target in [VIP, RIP] {
        port.send(&arp::request(CLIENT, CLIENT_IP, target).bytes());
    }
    let reply = |frame: &[u8]| Frame::read(frame).filter(|arp| arp.op == arp::REPLY);
    let until = port.until(|frame| reply(frame).is_some_and(|arp| arp.spa == RIP));
    until
        .iter()
        .filter_map(|frame| reply(frame).map(|arp| arp.spa))
        .collect()
}

/// Whether no filter and no program is left on the device. TCX, which `ip` does not show, is seen
/// by its deeds.
fn is_bare(server: &Namespace) -> bool {
    let shown = [
        "tc filter show dev eth0 ingress",
        "tc filter show dev eth0 egress",
    ];
    let device = server.sh("ip -d link show dev eth0");
    !device.contains("prog/xdp") && shown.iter().all(|line| server.sh(line).is_empty())
}

#[test]
fn commands_ask_it_and_get_what_they_would_get_of_the_kernel() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let directory = Directory::new("held");
    let socket = &directory.file("socket");
    let port = Port::open(&peer, "eth0");
    assert_eq!(answered(&port), [VIP]);

    let agent = Agent::start(&server, socket);
    assert_eq!(answered(&port), NOBODY_ANSWERS);
    let status = told(&server, socket, &["status"]);
    let first = "rules for 1 address and 0 prefixes; held by the agent, and gone when it ends\n";
    assert!(status.starts_with(first), "{status}");
    assert!(
        status.contains("hide    hidden_request  dropped"),
        "{status}"
    );

    assert_eq!(
        told(
            &server,
            socket,
            &["hide", "192.168.18.102", "--dev", "eth0"]
        ),
        ""
    );
    let list = "\
POLICY  ADDRESS         DEVICE  SENDER  OPTIONS
hide    192.168.18.101  every   auto    -
hide    192.168.18.102  eth0    auto    -
";
    assert_eq!(told(&server, socket, &["list"]), list);
    // From outside the container it is the same.
    assert_eq!(server.guard(&format!("--socket {socket} list")), list);
    assert_eq!(
        told(&server, socket, &["-o", "json", "list"]),
        r#"[
  {"policy":"hide","address":"192.168.18.101/32","device":null,"rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false},
  {"policy":"hide","address":"192.168.18.102/32","device":"eth0","rip":"auto","shield":false,"audit":false,"same_subnet":false,"promoted":false,"mac":null,"when":null,"forced":false}
]
"#
    );

    // The agent changes the rule, and who asks it announces.
    let announced = ["promote", "192.168.18.101", "--count", "1"];
    assert_eq!(told(&server, socket, &announced), "");
    let of =
        |frame: &Vec<u8>| Frame::read(frame).is_some_and(|arp| arp.spa == VIP && arp.tpa == VIP);
    assert_eq!(port.drain().iter().filter(|frame| of(frame)).count(), 2);
    assert_eq!(answered(&port), [VIP]);
    let row = "hide    192.168.18.101  every   auto    promoted";
    assert!(told(&server, socket, &["list"]).contains(row));
    let line = "arpguard: promote: 192.168.18.10: it is not hidden here; hide it first, so that it \
                can be demoted\n";
    assert_eq!(
        refused(&server, socket, &["promote", "192.168.18.10"]),
        line
    );
    assert_eq!(told(&server, socket, &["demote", "192.168.18.101"]), "");
    assert_eq!(answered(&port), NOBODY_ANSWERS);
    assert_eq!(told(&server, socket, &["list"]), list);

    let saved = directory.file("saved.toml");
    fs::write(&saved, told(&server, socket, &["save"])).unwrap();
    assert_eq!(told(&server, socket, &["apply", &saved]), "nothing to do\n");
    told(&server, socket, &["unhide", "192.168.18.101"]);
    assert_eq!(answered(&port), [VIP]);
    assert_eq!(
        told(&server, socket, &["apply", "--dry-run", &saved]),
        "+ hide 192.168.18.101 sender auto\n"
    );
    told(&server, socket, &["apply", &saved]);
    assert_eq!(answered(&port), NOBODY_ANSWERS);

    let wrong =
        "arpguard: unhide: 192.168.18.109: it is not hidden there; `arpguard list` shows what is\n";
    assert_eq!(
        refused(&server, socket, &["unhide", "192.168.18.109"]),
        wrong
    );
    let needed = "arpguard: hide: 192.168.18.10: it is the only address of eth0; the LAN would \
                  lose this host; use --force if that is meant\n";
    assert_eq!(refused(&server, socket, &["hide", "192.168.18.10"]), needed);
    let monitor = "arpguard: monitor: this network namespace: its agent holds the state, and \
                   nobody else can read its events; give the agent a BPF file system to pin to, \
                   with --bpffs\n";
    assert_eq!(refused(&server, socket, &["monitor"]), monitor);
    let second = format!(
        "arpguard: listen for commands: {socket}: another agent holds the state of this network \
         namespace, and listens there; end that one: pgrep -a arpguard\n"
    );
    let output = ask(&server, socket, &["run", "--hide", "192.168.18.103"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.ends_with(&second), "{output}");
    assert_eq!(told(&server, socket, &["list"]), list);

    agent.signal("TERM");
    assert!(!PathBuf::from(socket).exists());
    assert!(is_bare(&server));
    assert_eq!(answered(&port), [VIP]);
    assert_eq!(server.guard("status"), NOT_LOADED);
}

#[test]
fn one_that_is_killed_leaves_the_place_to_the_next() {
    let (server, peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let directory = Directory::new("killed");
    let socket = &directory.file("socket");
    let port = Port::open(&peer, "eth0");
    for _ in 0..3 {
        let agent = Agent::start(&server, socket);
        assert_eq!(answered(&port), NOBODY_ANSWERS);
        agent.signal("KILL");
        assert!(PathBuf::from(socket).exists());
    }
    let agent = Agent::start(&server, socket);
    agent.signal("TERM");
    eventually("nothing of it is left", || is_bare(&server));
    assert_eq!(answered(&port), [VIP]);
}

#[test]
fn only_its_own_user_is_answered_and_only_its_own_user_is_asked() {
    let (server, _peer) = real_server();
    let directory = Directory::new("users");
    let socket = &directory.file("socket");
    let agent = Agent::start(&server, socket);
    let as_nobody = || {
        let mut command = server.command("setpriv");
        command.args(["--reuid", &NOBODY.to_string(), "--clear-groups"]);
        command.arg(arpguard()).args(["--socket", socket, "list"]);
        let output = Output::of(&mut command);
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), ""));
        output.stderr
    };
    let denied = format!("arpguard: reach the agent: {socket}: Permission denied");
    assert!(as_nobody().starts_with(&denied));
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).unwrap();
    let unheard = format!(
        "arpguard: ask the agent: {socket}: it hung up without an answer; its log may say why; \
         `arpguard status` shows what is in force\n"
    );
    assert_eq!(as_nobody(), unheard);
    drop(agent);

    let foreign = directory.file("foreign");
    let _listener = thread::scope(|scope| {
        let listen = || {
            let listener = UnixListener::bind(&foreign).unwrap();
            // SAFETY: it changes the effective user of this thread alone, which ends with it.
            let changed = unsafe { libc::syscall(libc::SYS_setresuid, -1, NOBODY, -1) };
            assert_eq!(changed, 0);
            // Who listens is noted when it begins to: do so again.
            let fd = std::os::fd::AsRawFd::as_raw_fd(&listener);
            // SAFETY: the descriptor is the listener's, which is open.
            assert_eq!(unsafe { libc::listen(fd, 8) }, 0);
            listener
        };
        scope.spawn(listen).join().unwrap()
    });
    let why = format!(
        "arpguard: reach the agent: {foreign}: the process that listens there belongs to another \
         user, not to root\n"
    );
    let output = server.arpguard(&["--socket", &foreign, "list"]);
    assert_eq!((output.status.code(), output.stderr), (Some(1), why));
}

#[test]
fn what_it_does_not_understand_it_says() {
    let (server, _peer) = real_server();
    let directory = Directory::new("builds");
    let socket = &directory.file("socket");
    let _agent = Agent::start(&server, socket);
    let say = |text: &str| {
        let mut stream = UnixStream::connect(socket).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["output"], "");
        answer["outcome"]["Err"]["why"].as_str().unwrap().to_owned()
    };
    let other = r#"{"build":"0.0.0 x","page":{"format":"Table","width":null},"request":"Flush"}"#;
    let why = say(other);
    assert!(
        why.starts_with("this is arpguard 0.0.0 x, and the agent is "),
        "{why}"
    );
    for nonsense in ["nonsense", "{}", "\u{0}"] {
        let why = say(nonsense);
        assert!(why.contains("does not understand"), "{why}");
    }
    assert!(told(&server, socket, &["list"]).contains("192.168.18.101"));
}

#[test]
fn a_frame_is_explained_by_the_programs_that_it_holds() {
    let (server, _peer) = real_server();
    server.sh("ip addr add 192.168.18.101/32 dev lo");
    let directory = Directory::new("held-explain");
    let socket = &directory.file("socket");
    let _agent = Agent::start(&server, socket);
    let told_of = |arguments: &[&str]| told(&server, socket, arguments);
    assert_eq!(
        told_of(&["explain", "192.168.18.101"]),
        format!(
            "\
eth0 received: who-has 192.168.18.101 tell 192.168.18.1 (02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff)
verdict  dropped, hidden_request: it asks for an address that is hidden here
rule     hide 192.168.18.101 on every device, sender auto
program  arpguard_in ({}), the one that is attached
then     the kernel never gets it, and nothing is answered
",
            tc_hook()
        )
    );
    let status = told_of(&["status"]);
    assert!(status.ends_with("no ARP was seen yet\n"), "{status}");
}

#[test]
fn a_pin_with_a_fallback_is_told_by_the_socket_and_moved() {
    let (server, peer) = real_server();
    let other = Mac([2, 0, 0, 0, 1, 0x10]);
    Wire::between((&server, "eth1", other), (&peer, "eth1", None));
    let directory = Directory::new("held-pin");
    let socket = &directory.file("socket");
    let _agent = Agent::start(&server, socket);
    let pin = [
        "pin",
        "192.168.18.102",
        "--dev",
        "eth0",
        "--fallback",
        "eth1",
        "--hold",
        "0",
        "--route",
    ];
    assert_eq!(told(&server, socket, &pin), "");
    let list = |device: &str, moved: &str| {
        let list = told(&server, socket, &["list"]);
        let line = format!(
            "pin     192.168.18.102  {device}    auto    fallback eth1 hold 0 route{moved}\n"
        );
        list.contains(&line)
    };
    assert!(list("eth0", ""));
    peer.sh("ip link set eth0 down");
    eventually("it moves", || {
        list("eth1", " (moved from eth0: without carrier)")
    });
    peer.sh("ip link set eth0 up");
    eventually("it is back", || list("eth0", ""));
    let routed = || server.sh("ip rule show").contains("from 192.168.18.102 ");
    assert!(routed());
    assert_eq!(told(&server, socket, &["unpin", "192.168.18.102"]), "");
    assert!(!routed());
}

/// The hardware address that is told for `address`, where one is.
fn told_for(port: &Port, address: Ipv4Addr) -> Option<Mac> {
    port.drain();
    port.send(&arp::request(CLIENT, CLIENT_IP, address).bytes());
    let heard = port.collect(Duration::from_millis(200));
    let mut heard = heard.iter().filter_map(|frame| Frame::read(frame));
    heard
        .find(|arp| arp.op == arp::REPLY && arp.spa == address)
        .map(|arp| arp.sha)
}

#[test]
fn a_check_is_told_by_the_socket_and_made_by_who_holds_the_programs() {
    let (server, peer) = real_server();
    let directory = Directory::new("held-check");
    let socket = &directory.file("socket");
    let _agent = Agent::start(&server, socket);
    let port = Port::open(&peer, "eth0");
    let answered = Ipv4Addr::new(192, 168, 18, 103);
    let under = |check: &str| {
        let line = format!("answer 192.168.18.103 --dev eth0 --when {check}");
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(told(&server, socket, &words), "");
        let line = format!("answer  192.168.18.103  eth0    auto    when {check}\n");
        let list = told(&server, socket, &["list"]);
        assert!(list.contains(&line), "{list}");
    };
    under("tcp:8080");
    assert_eq!(told_for(&port, answered), None);
    server.sh("ip addr add 192.168.18.103/32 dev lo");
    let listener = server.enter(|| TcpListener::bind((answered, 8080)).unwrap());
    let own = Mac([2, 0, 0, 0, 0, 0x10]);
    eventually("it is answered", || told_for(&port, answered) == Some(own));
    under("false");
    eventually("it is silent", || told_for(&port, answered).is_none());
    under("true");
    eventually("it is answered again", || {
        told_for(&port, answered) == Some(own)
    });
    drop(listener);
    let unanswer = ["unanswer", "192.168.18.103"];
    assert_eq!(told(&server, socket, &unanswer), "");
    assert!(!told(&server, socket, &["list"]).contains("192.168.18.103"));
}

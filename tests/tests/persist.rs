//! What is hidden stays hidden when no process is there that has hidden it.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{fs, path::PathBuf, process::Stdio, thread, time::Duration};

use arpguard_tests::{
    cluster::Cluster,
    lab::{Output, arpguard, unhurried},
    pins::Pins,
};

/// How many frames the real servers have sent that tell a VIP, to requests in every form. That the
/// requests got there is known: after them every station has answered for its own address.
fn leaks(cluster: &Cluster) -> usize {
    let mut leaks = 0;
    cluster.ask(cluster.requests().len(), |heard| {
        leaks += heard.iter().filter(|frame| cluster.leaks(frame)).count();
    });
    leaks
}

/// Processes that run the binary under test for this namespace.
fn running(name: &str) -> Vec<PathBuf> {
    let binary = fs::canonicalize(arpguard()).unwrap();
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|process| fs::read_link(process.join("exe")).is_ok_and(|exe| exe == binary))
        .filter(|process| {
            fs::read(process.join("cmdline")).is_ok_and(|line| {
                line.split(|byte| *byte == 0)
                    .any(|word| word == name.as_bytes())
            })
        })
        .collect()
}

#[test]
fn an_address_stays_hidden_when_the_command_has_returned() {
    let cluster = Cluster::direct_routing();
    assert_ne!(leaks(&cluster), 0, "unguarded");
    cluster.guard("");
    for server in &cluster.stations {
        let running = running(server.host.name());
        assert!(running.is_empty(), "{running:?}");
    }
    assert_eq!(leaks(&cluster), 0, "guarded");
}

#[test]
fn an_address_stays_hidden_when_later_commands_are_killed() {
    let cluster = Cluster::direct_routing();
    assert_ne!(leaks(&cluster), 0, "unguarded");
    cluster.guard("");
    let server = &cluster.stations[1].host;
    for number in 0..40 {
        let verb: &[&str] = match number % 4 {
            0 => &["hide", "192.168.18.222", "--rip", "auto"],
            1 => &["unhide", "192.168.18.222"],
            2 => &["hide", "192.168.18.101", "--rip", "192.168.18.11"],
            _ => &["status"],
        };
        let mut command = server
            .command(arpguard())
            .args(verb)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Another moment each time, from its start to behind its end.
        thread::sleep(unhurried(Duration::from_micros(500 * number)));
        // SIGKILL; it may have come to its end before.
        let _ = command.kill();
        command.wait().unwrap();
        if number % 8 == 7 {
            assert_eq!(leaks(&cluster), 0, "after {number} were killed");
        }
    }
    assert_eq!(leaks(&cluster), 0);
    // And the next one finds its way.
    server.guard("hide 192.168.18.223 --rip auto");
    let list = server.guard("list");
    assert!(list.contains("192.168.18.101"), "{list}");
    assert!(list.contains("192.168.18.223"), "{list}");
}

#[test]
fn an_address_stays_hidden_from_a_private_mount_namespace() {
    let cluster = Cluster::direct_routing();
    assert_ne!(leaks(&cluster), 0, "unguarded");
    for server in &cluster.services[0].servers {
        let station = &cluster.stations[*server];
        let ip = station.ip.to_string();
        let output = Output::of(station.host.command_through_ip(arpguard()).args([
            "hide",
            "192.168.18.101",
            "--rip",
            &ip,
        ]));
        assert!(output.success(), "{output}");
    }
    assert_eq!(leaks(&cluster), 0, "guarded");
    for server in &cluster.services[0].servers {
        let list = cluster.stations[*server].host.guard("list");
        assert!(list.contains("192.168.18.101"), "{list}");
    }
}

#[test]
fn a_command_through_ip_undoes_what_was_done_from_outside() {
    let cluster = Cluster::direct_routing();
    cluster.guard("");
    assert_eq!(leaks(&cluster), 0, "guarded");
    let host = &cluster.stations[1].host;
    let output = Output::of(
        host.command_through_ip(arpguard())
            .args(["unhide", "192.168.18.101"]),
    );
    assert!(output.success(), "{output}");
    assert_ne!(leaks(&cluster), 0, "one of three is hidden no longer");
    let list = host.guard("list");
    assert!(!list.contains("192.168.18.101"), "{list}");
}

#[test]
fn what_is_detached_leaves_no_trace() {
    let cluster = Cluster::direct_routing();
    cluster.guard("");
    assert_eq!(leaks(&cluster), 0, "guarded");
    for server in &cluster.services[0].servers {
        let host = &cluster.stations[*server].host;
        let pins = Pins::of(host);
        assert!(pins.exist());
        host.guard("detach");
        assert!(!pins.exist());
        let link = host.sh("ip -d link show eth0");
        assert!(!link.contains("xdp"), "{link}");
        for hook in ["ingress", "egress"] {
            let filters = host.sh(&format!("tc filter show dev eth0 {hook}"));
            assert_eq!(filters, "", "{hook}");
        }
        let attached = host.sh("bpftool net show dev eth0");
        assert!(!attached.contains("arpguard"), "{attached}");
    }
    assert_ne!(leaks(&cluster), 0, "detached");
}

//! The real keepalived promotes and demotes: two machines that are both real servers, and one of
//! them the director.

use std::{collections::BTreeSet, net::Ipv4Addr, path::Path};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    keepalived::Keepalived,
    lab::{Namespace, Segment, arpguard, slower},
    running::{Agent, eventually},
    sampler::Sampler,
};

/// On `lo` of both machines, hidden, and on `eth0` of the master. The example that is packaged has it.
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
/// Beside it, what keepalived moves alone: on `eth0` of the master, and nowhere else.
const MOVED: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 201);
const CLIENT: Mac = Mac([2, 0, 0, 1, 0, 129]);

/// How many samples, ten milliseconds apart, the VIP may be answered for later than what keepalived moves
/// alone: what it takes to start a command, and far less than an interval between advertisements.
const MARGIN: usize = 20;

struct Machine {
    host: Namespace,
    mac: Mac,
}

struct Pair {
    one: Machine,
    two: Machine,
    client: Namespace,
    segment: Segment,
}

impl Pair {
    fn new() -> Self {
        let segment = Segment::new();
        let machine = |name: &str, last: u8| {
            let host = Namespace::new(name);
            let mac = Mac([2, 0, 0, 1, 0, last]);
            segment.attach(&host, "eth0", mac, &[&format!("192.168.18.{last}/24")]);
            Machine { host, mac }
        };
        let (one, two) = (machine("one", 10), machine("two", 11));
        let client = machine("client", 129).host;
        for machine in [&one, &two] {
            machine.host.sh(&format!("ip addr add {VIP}/32 dev lo"));
        }
        Self {
            one,
            two,
            client,
            segment,
        }
    }

    /// Takes the cable of one of them out, or puts it in.
    fn cable(&self, of: &str, state: &str) {
        let port = match of {
            "one" => "p0",
            _ => "p1",
        };
        let line = format!("ip link set {port} {state}");
        self.segment.namespace().sh(&line);
    }
}

fn options(machine: &Machine) -> String {
    let list = machine.host.guard("list");
    let line = list.lines().find(|line| line.contains("192.168.18.101"));
    line.unwrap_or_default()
        .split_whitespace()
        .last()
        .unwrap_or_default()
        .to_owned()
}

/// Waits until `master` alone answers for both addresses.
fn settled(sampler: &Sampler, master: &Machine, from: usize) {
    let only = BTreeSet::from([master.mac]);
    eventually("the master answers for both", || {
        let last = |target| sampler.answers(target, from).last() == Some(&only);
        last(VIP) && last(MOVED)
    });
}

/// How many samples nobody has answered until `master` did.
fn gap(answers: &[BTreeSet<Mac>], master: &Machine) -> usize {
    let answered = |macs: &&BTreeSet<Mac>| macs.contains(&master.mac);
    assert!(answers.iter().any(|macs| answered(&macs)));
    let before = answers.iter().take_while(|macs| !answered(macs));
    before.filter(|macs| macs.is_empty()).count()
}

/// Ends keepalived as the unit in docs/keepalived.md does: the VIP is hidden before another machine
/// hears that it is free.
fn stop(machine: &Machine, keepalived: Keepalived) {
    machine.host.guard("demote 192.168.18.101");
    keepalived.stop();
}

#[test]
fn the_vip_has_one_machine_at_every_failover_and_as_soon_as_keepalived_moves_an_address() {
    let pair = Pair::new();
    let Pair {
        one, two, client, ..
    } = &pair;
    let sampler = Sampler::start(client, CLIENT, &[VIP, MOVED]);
    // Without arpguard both have it: the sampler sees that.
    eventually("both answer", || {
        let answers = sampler.answers(VIP, 0);
        answers
            .iter()
            .any(|macs| *macs == BTreeSet::from([one.mac, two.mac]))
    });
    let agents: Vec<_> = [one, two]
        .map(|machine| {
            let agent = Agent::start(&machine.host, &["--hide", "192.168.18.101"]);
            eventually("the VIP is hidden", || options(machine) == "-");
            agent
        })
        .into();
    let hidden = sampler.len();
    let beside = format!("{MOVED}/32 dev eth0");
    let start = |machine: &Machine| {
        let priority = if machine.mac == one.mac { 150 } else { 100 };
        Keepalived::start(&machine.host, priority, &beside)
    };
    let first = start(one);
    settled(&sampler, one, hidden);
    let second = start(two);
    // It is told to be a backup, once it has begun.
    eventually("keepalived listens", || {
        two.host.sh("ip maddr show dev eth0").contains("224.0.0.18")
    });

    let (mut late, mut begun) = (Vec::new(), Vec::new());
    let mut failover = |from: &Machine, to: &Machine, how: &mut dyn FnMut()| {
        client.sh(&format!(
            "ip neigh replace {VIP} lladdr {} nud stale dev eth0",
            from.mac
        ));
        let begins = sampler.len();
        begun.push(begins);
        how();
        settled(&sampler, to, begins);
        let gap = |target| gap(&sampler.answers(target, begins), to);
        late.push(gap(VIP).saturating_sub(gap(MOVED)));
        eventually("the client believes what is announced", || {
            let entry = client.sh(&format!("ip neigh show to {VIP} dev eth0"));
            entry.contains(&format!("lladdr {}", to.mac))
        });
        eventually("one is promoted", || {
            options(to) == "promoted" && options(from) == "-"
        });
    };

    let mut first = Some(first);
    failover(one, two, &mut || stop(one, first.take().unwrap()));
    let _first = start(one);
    eventually("keepalived listens", || {
        one.host.sh("ip maddr show dev eth0").contains("224.0.0.18")
    });
    failover(two, one, &mut || pair.cable("two", "down"));
    // Who comes back is no master, and says nothing.
    pair.cable("two", "up");
    let back = sampler.len();
    eventually("it is heard again", || sampler.len() > back + 200);
    failover(one, two, &mut || pair.cable("one", "down"));
    pair.cable("one", "up");
    // What is in force is the kernel's: the agent may go.
    drop(agents);
    let mut second = Some(second);
    failover(two, one, &mut || stop(two, second.take().unwrap()));

    let answers = sampler.answers(VIP, hidden);
    let several: Vec<_> = answers.iter().filter(|macs| macs.len() > 1).collect();
    assert!(
        several.is_empty(),
        "{} of {}: {several:?}",
        several.len(),
        answers.len()
    );
    late.sort_unstable();
    println!("samples that the VIP came later than what keepalived moves alone: {late:?}");
    // One of them may have met a busy machine.
    let margin = MARGIN * slower() as usize;
    assert!(late[late.len() / 2] <= margin, "{late:?}");
}

/// The other machine may be faster than its demotion then: that is up to keepalived's timers.
#[test]
fn a_keepalived_that_is_killed_leaves_the_vip_to_the_other() {
    let pair = Pair::new();
    let Pair {
        one, two, client, ..
    } = &pair;
    for machine in [one, two] {
        machine.host.guard("hide 192.168.18.101");
    }
    let sampler = Sampler::start(client, CLIENT, &[VIP, MOVED]);
    let beside = format!("{MOVED}/32 dev eth0");
    let first = Keepalived::start(&one.host, 150, &beside);
    settled(&sampler, one, 0);
    let _second = Keepalived::start(&two.host, 100, &beside);
    first.kill();
    eventually("one is promoted", || {
        options(two) == "promoted" && options(one) == "-"
    });
    let from = sampler.len();
    settled(&sampler, two, from);
}

#[test]
fn the_generic_notify_script_takes_every_state() {
    let pair = Pair::new();
    let host = &pair.one.host;
    host.sh("ip addr add 192.168.18.102/32 dev lo");
    host.guard("hide 192.168.18.101 192.168.18.102");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/keepalived/notify");
    let notify = |vips: &[&str], state: &str| {
        let output = host
            .command(&script)
            .args(vips)
            .args(["INSTANCE", "VI_1", state, "100"])
            .env("ARPGUARD", arpguard())
            .output()
            .unwrap();
        assert!(output.status.success(), "{state}: {output:?}");
        host.guard("list").matches("promoted").count()
    };
    let both: &[&str] = &["192.168.18.101", "192.168.18.102"];
    for state in ["BACKUP", "FAULT", "STOP"] {
        assert_eq!(notify(both, state), 0, "{state}");
        assert_eq!(notify(both, "MASTER"), 2);
        assert_eq!(notify(both, "DELETED"), 2);
        assert_eq!(notify(&both[..1], state), 1, "{state}");
        assert_eq!(notify(both, state), 0, "{state}");
    }
}

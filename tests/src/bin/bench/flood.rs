//! Floods of ARP requests: what one costs where it is dropped, and where it is answered.

use std::{
    fmt::Write as _,
    fs,
    net::Ipv4Addr,
    os::fd::OwnedFd,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    bpf::{Kind, Program, XDP_DROP, XDP_TX},
    lab::{Namespace, Wire},
    running::Directory,
};

use crate::{
    generator::{Generator, SENDER_MAC, Targets},
    plan::{Plan, Subject},
    report::Section,
};

const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const BARE_TX: &str = "bare XDP_TX";
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 0);

/// A sender, and a host that would answer for all of 10.0.0.0/8.
pub(crate) struct Pair {
    pub(crate) host: Namespace,
    sender: Namespace,
    generator: Generator,
    /// What is attached for as long.
    links: Vec<OwnedFd>,
}

impl Pair {
    /// One where the requests are for so many addresses.
    fn new(count: u32) -> Self {
        Self::apart(count, 0)
    }

    /// One where they are for so many, each so many bits apart from the next.
    fn apart(count: u32, shift: u32) -> Self {
        let [host, sender] = ["host", "sender"].map(Namespace::new);
        Wire::between((&host, "eth0", HOST_MAC), (&sender, "gen0", SENDER_MAC));
        host.sh("ip addr add 192.168.18.10/24 dev eth0");
        host.sh("ip route add local 10.0.0.0/8 dev lo");
        // What the kernel answers is thrown away as early as it can be.
        sender.sh("ethtool -K gen0 gro off");
        sender.sh("ip link set gen0 arp off");
        let targets = Targets {
            first: FIRST,
            count,
            shift,
        };
        let generator = Generator::new(&sender, "gen0", targets);
        Self {
            host,
            sender,
            generator,
            links: Vec::new(),
        }
    }

    /// What XDP sends back stays out of the kernel: the cheapest end takes it.
    fn sink(&mut self) {
        self.sender.sh("ethtool -K gen0 gro on");
        let sink = Program::returning(Kind::Xdp, XDP_DROP);
        self.links.push(sink.attach(&self.sender, "gen0"));
    }

    /// Nanoseconds for one frame, until the last of so many was dealt with.
    fn measure(&self, frames: u32) -> f64 {
        let before = received(&self.host);
        let started = Instant::now();
        self.generator.send(&self.sender, frames);
        let mut taken = started.elapsed();
        let mut last = received(&self.host);
        // Under load the kernel may leave the end to a thread of its own.
        while last - before < u64::from(frames) {
            thread::sleep(Duration::from_micros(100));
            let now = received(&self.host);
            if now == last {
                break;
            }
            (last, taken) = (now, started.elapsed());
        }
        assert!(last > before, "no frame has arrived");
        taken.as_secs_f64() * 1e9 / (last - before) as f64
    }
}

/// How many frames the device of a host has taken.
pub(crate) fn received(host: &Namespace) -> u64 {
    let table = host.enter(|| fs::read_to_string("/proc/thread-self/net/dev"));
    let table = table.unwrap();
    let line = table
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("eth0:"));
    let field = line.unwrap().split_whitespace().nth(1).unwrap();
    field.parse().unwrap()
}

fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(FIRST.to_bits() + number)
}

/// Whose `arptables` is measured: there is one of the kernel's own tables, and one of nft's.
pub(crate) fn arptables() -> String {
    let told = Command::new("arptables").arg("--version").output();
    let told = told.map(|told| String::from_utf8_lossy(&told.stdout).trim().to_owned());
    told.unwrap_or_else(|_| "not here".to_owned())
}

/// What drops the requests.
#[derive(Clone, Copy)]
enum Filter {
    None,
    ArpIgnore,
    Arptables(u32),
    NftArp(u32),
    NftNetdev(u32),
    Bare,
}

impl Filter {
    fn name(self) -> String {
        match self {
            Self::None => "the kernel, replying".to_owned(),
            Self::ArpIgnore => "arp_ignore=8".to_owned(),
            Self::Arptables(count) => format!("arptables, {}", thousands(count)),
            Self::NftArp(count) => format!("nft arp, set of {}", thousands(count)),
            Self::NftNetdev(count) => format!("nft netdev ingress, set of {}", thousands(count)),
            Self::Bare => "bare XDP_DROP".to_owned(),
        }
    }

    fn make(self, directory: &Directory) -> Pair {
        let count = match self {
            Self::Arptables(count) | Self::NftArp(count) | Self::NftNetdev(count) => count,
            Self::None | Self::ArpIgnore | Self::Bare => 1000,
        };
        let mut pair = Pair::new(count);
        match self {
            Self::None => {}
            Self::ArpIgnore => pair.host.set("net/ipv4/conf/all/arp_ignore", "8"),
            Self::Arptables(_) => {
                let mut rules = String::from("*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n");
                for number in 0..count {
                    let _ = writeln!(rules, "-A INPUT -j DROP -d {}", address(number));
                }
                // arptables-restore takes its rules by standard input alone.
                let file = directory.write("rules", &rules);
                let line = format!("arptables-restore < {file}");
                pair.host.run(["sh", "-c", &line]);
            }
            Self::NftArp(_) => nft(
                &pair,
                directory,
                "arp",
                "type filter hook input priority 0;",
                count,
            ),
            Self::NftNetdev(_) => {
                let hook = "type filter hook ingress device eth0 priority 0;";
                nft(&pair, directory, "netdev", hook, count);
            }
            Self::Bare => {
                let program = Program::returning(Kind::Xdp, XDP_DROP);
                pair.links.push(program.attach(&pair.host, "eth0"));
            }
        }
        pair
    }
}

fn nft(pair: &Pair, directory: &Directory, family: &str, hook: &str, count: u32) {
    let all: Vec<String> = (0..count)
        .map(|number| address(number).to_string())
        .collect();
    let rules = format!(
        "table {family} f {{\n  set hidden {{\n    type ipv4_addr\n    elements = {{ {} }}\n  }}\n  \
         chain c {{\n    {hook} policy accept;\n    arp daddr ip @hidden drop\n  }}\n}}\n",
        all.join(", ")
    );
    let file = directory.write("nft", &rules);
    pair.host.sh(&format!("nft -f {file}"));
}

/// A number with its thousands apart.
pub(crate) fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

/// So many addresses hidden, as a file. They come as lists, one rule each.
pub(crate) fn policy(count: u32) -> String {
    hidden((0..count).map(address))
}

/// So many that none has another one beside it in its /24.
fn scattered(count: u32) -> String {
    hidden((0..count).map(|number| address(number << SCATTERED)))
}

/// By how many bits these are apart.
const SCATTERED: u32 = 8;

fn hidden(addresses: impl Iterator<Item = Ipv4Addr>) -> String {
    let all: Vec<String> = addresses.map(|address| format!("\"{address}\"")).collect();
    format!("[[hide]]\nip = [{}]\n", all.join(",\n"))
}

/// So many addresses answered, unless somebody else is heard to have them.
fn answered(count: u32) -> String {
    let all: Vec<String> = (0..count)
        .map(|number| format!("\"{}\"", address(number)))
        .collect();
    format!("[[answer]]\nip = [{}]\ndev = [\"eth0\"]\n", all.join(",\n"))
}

fn prefixes(count: u32) -> String {
    let all: Vec<String> = (0..count)
        .map(|number| format!("\"{}/24\"", address(number * 256)))
        .collect();
    format!("[[hide]]\nip = [{}]\n", all.join(",\n"))
}

/// What a dropped request costs.
pub(crate) fn drop(plan: &Plan) -> Section {
    let directory = Directory::new("bench-drop");
    let frames = plan.pick(50_000, 300_000);
    let mut subjects = Vec::new();
    for filter in [
        Filter::None,
        Filter::ArpIgnore,
        Filter::Arptables(1),
        Filter::Arptables(100),
        Filter::Arptables(1000),
        Filter::NftArp(1000),
        Filter::NftNetdev(1000),
        Filter::Bare,
    ] {
        if plan.wants("drop", &filter.name()) {
            let pair = filter.make(&directory);
            subjects.push(Subject::new(filter.name(), move || pair.measure(frames)));
        }
    }
    let largest = plan.pick(100_000, 1_000_000);
    let sizes = [1, 1000, 100_000, 1_000_000]
        .into_iter()
        .filter(|size| *size <= largest);
    let mut policies: Vec<_> = sizes
        .map(|size| {
            (
                thousands(size),
                size,
                policy as fn(u32) -> String,
                (size, 0),
            )
        })
        .collect();
    let alone = plan.pick(5_000, 50_000);
    policies.push((
        format!("{}, each in another /24", thousands(alone)),
        alone,
        scattered,
        (alone, SCATTERED),
    ));
    policies.push(("1,000 prefixes".to_owned(), 1000, prefixes, (256_000, 0)));
    // What a table of that size costs where the processor has the rule at hand.
    let same = format!("{}, the same one asked for", thousands(largest));
    policies.push((same.clone(), largest, policy, (1, 0)));
    for mode in ["native", "generic", "tc"] {
        for (title, size, policy, (targets, shift)) in &policies {
            let name = format!("arpguard {mode}, {title}");
            if plan.wants("drop", &name) && (mode == "native" || *title != same) {
                let file = directory.write("policy.toml", &policy(*size));
                let pair = Pair::apart(*targets, *shift);
                pair.host.guard(&format!("hide 10.1.0.0 --attach {mode}"));
                pair.host.guard(&format!("apply {file}"));
                assert_mode(&pair.host, mode);
                subjects.push(Subject::new(name, move || pair.measure(frames)));
            }
        }
    }
    Section {
        name: "drop",
        title: "A request that is dropped",
        unit: "ns/frame",
        base: "bare XDP_DROP",
        rows: plan.measure(subjects),
    }
}

/// That frames are judged where they shall be: a mode that did not hold would be told as another.
pub(crate) fn assert_mode(host: &Namespace, mode: &str) {
    let status = host.guard("-o json status");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let devices = status["devices"].as_array().unwrap();
    let eth0 = devices
        .iter()
        .find(|device| device["name"] == "eth0")
        .unwrap();
    assert!(eth0.to_string().contains(mode), "not {mode}: {eth0}");
}

/// What a reply costs.
pub(crate) fn answer(plan: &Plan) -> Section {
    let frames = plan.pick(50_000, 300_000);
    let mut subjects = Vec::new();
    if plan.wants("answer", "the kernel") {
        let pair = Pair::new(1000);
        subjects.push(Subject::new("the kernel".to_owned(), move || {
            pair.measure(frames)
        }));
    }
    if plan.wants("answer", BARE_TX) {
        let mut pair = Pair::new(1000);
        let program = Program::returning(Kind::Xdp, XDP_TX);
        pair.links.push(program.attach(&pair.host, "eth0"));
        pair.sink();
        subjects.push(Subject::new(BARE_TX.to_owned(), move || {
            pair.measure(frames)
        }));
    }
    for mode in ["native", "tc"] {
        let name = format!("arpguard {mode}");
        if plan.wants("answer", &name) {
            let directory = Directory::new("bench-answer");
            let file = directory.write("policy.toml", &answered(1000));
            let mut pair = Pair::new(1000);
            pair.host.guard(&format!("hide 10.200.0.0 --attach {mode}"));
            pair.host.guard(&format!("apply {file}"));
            assert_mode(&pair.host, mode);
            if mode == "native" {
                pair.sink();
            }
            subjects.push(Subject::new(name, move || pair.measure(frames)));
        }
    }
    Section {
        name: "answer",
        title: "A request that is answered",
        unit: "ns/frame",
        base: "the kernel",
        rows: plan.measure(subjects),
    }
}

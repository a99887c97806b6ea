//! What the commands and the agent take.

use std::time::{Duration, Instant};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    lab::{Namespace, Wire},
    manager::Manager,
    running::{Agent, Directory},
};

use crate::{
    flood::{policy, thousands},
    plan::{Plan, Subject},
    report::Section,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn host() -> (Namespace, Namespace) {
    let [host, peer] = ["host", "peer"].map(Namespace::new);
    Wire::between(
        (&host, "eth0", Mac([2, 0, 0, 0, 0, 0x10])),
        (&peer, "eth0", None),
    );
    host.sh("ip addr add 192.168.18.10/24 dev eth0");
    (host, peer)
}

/// Milliseconds for one command.
fn time(host: &Namespace, line: &str) -> f64 {
    let started = Instant::now();
    host.guard(line);
    started.elapsed().as_secs_f64() * 1e3
}

/// Starts an agent and waits until it is ready.
fn agent(host: &Namespace, file: &str) -> (Agent, f64) {
    let manager = Manager::new("bench");
    let started = Instant::now();
    let agent = manager.start(host, &["--config", file], None);
    let ready = |lines: &Vec<String>| lines.iter().any(|line| line == "READY=1");
    while !manager
        .hears(PATIENCE)
        .as_ref()
        .map(ready)
        .expect("the agent is ready")
    {}
    (agent, started.elapsed().as_secs_f64() * 1e3)
}

/// The commands.
pub(crate) fn times(plan: &Plan) -> Section {
    let directory = Directory::new("bench-command");
    let file = directory.write("many.toml", &policy(100_000));
    let few = directory.write("one.toml", &policy(1));
    let mut subjects = Vec::new();
    type Make<'a> = fn(Namespace, Namespace, &'a str, &'a str) -> Box<dyn FnMut() -> f64 + 'a>;
    let makes: [(&str, Make<'_>); 5] = [
        ("hide, warm", |host, peer, _, _| {
            host.guard("hide 10.1.0.1");
            let mut number = 0;
            Box::new(move || {
                let _keep = &peer;
                number += 1;
                time(&host, &format!("hide 10.2.0.{number}"))
            })
        }),
        ("hide, cold", |host, peer, _, _| {
            Box::new(move || {
                let _keep = &peer;
                let time = time(&host, "hide 10.1.0.1");
                host.guard("detach");
                time
            })
        }),
        ("apply of 100,000", |host, peer, many, few| {
            Box::new(move || {
                let _keep = &peer;
                host.guard(&format!("apply {few}"));
                time(&host, &format!("apply {many}"))
            })
        }),
        ("list of 100,000", |host, peer, many, _| {
            host.guard(&format!("apply {many}"));
            Box::new(move || {
                let _keep = &peer;
                time(&host, "list")
            })
        }),
        ("agent, until it is ready", |host, peer, _, few| {
            Box::new(move || {
                let _keep = &peer;
                let (_agent, time) = agent(&host, few);
                time
            })
        }),
    ];
    for (name, make) in makes {
        if plan.wants("command", name) {
            let (host, peer) = host();
            let measure = make(host, peer, &file, &few);
            subjects.push(Subject::new(name.to_owned(), measure));
        }
    }
    Section {
        name: "command",
        title: "A command, from its start to its end",
        unit: "ms",
        base: "hide, warm",
        rows: plan.rounds(subjects, plan.pick(2, 5)),
    }
}

/// What the agent holds in memory.
pub(crate) fn memory(plan: &Plan) -> Section {
    let directory = Directory::new("bench-memory");
    let mut subjects = Vec::new();
    for count in [1, 100_000] {
        let name = format!("agent, {}", thousands(count));
        if plan.wants("memory", &name) {
            let file = directory.write(&format!("{count}.toml"), &policy(count));
            let (host, peer) = host();
            let (agent, _) = agent(&host, &file);
            subjects.push(Subject::new(name, move || {
                let resident = agent.status("VmRSS");
                // The closure drops what it holds in the order of its use: the agent goes first.
                let _keep = (&host, &peer);
                resident.split(' ').next().unwrap().parse::<f64>().unwrap() / 1024.0
            }));
        }
    }
    Section {
        name: "memory",
        title: "The agent's memory (resident)",
        unit: "MiB",
        base: "agent, 1",
        rows: plan.rounds(subjects, 1),
    }
}

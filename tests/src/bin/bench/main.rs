//! Measures arpguard beside what is used in its place, and tells what was to be reached. Run by
//! `cargo xtask bench`: `bench [--quick] [--filter TEXT]... [--write ROOT]`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot go on panics, and its guards clean up"
)]

mod command;
mod flood;
mod generator;
mod packet;
mod plan;
mod plot;
mod report;
mod siege;
mod stream;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{ExitCode, exit},
    sync::atomic::Ordering,
    thread,
};

use arpguard_tests::lab::arpguard;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use self::{
    plan::{Plan, STOPPED},
    report::Section,
};

const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

fn main() -> ExitCode {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).expect("signal handlers");
    thread::spawn(move || {
        for (times, signal) in signals.forever().enumerate() {
            STOPPED.store(true, Ordering::Relaxed);
            // Who asks a third time wants out, whatever is left behind.
            if times > 1 {
                exit(128 + signal);
            }
        }
    });
    arpguard();
    let mut plan = Plan {
        quick: false,
        filters: Vec::new(),
    };
    let mut root = None;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => plan.quick = true,
            "--filter" => plan.filters.extend(arguments.next()),
            "--write" => root = arguments.next().map(PathBuf::from),
            other => {
                eprintln!(
                    "bench: {other}: no such option; there are --quick, --filter and --write"
                );
                return ExitCode::from(2);
            }
        }
    }
    let mut sections = Vec::new();
    for measure in [
        flood::drop,
        flood::answer,
        packet::service,
        packet::egress,
        command::times,
        command::memory,
        stream::throughput,
        stream::latency,
        siege::siege,
    ] {
        let section = measure(&plan);
        if STOPPED.load(Ordering::Relaxed) {
            eprintln!("stopped; what was made is removed");
            return ExitCode::from(130);
        }
        if !section.rows.is_empty() {
            println!("{section}");
            sections.push(section);
        }
    }
    if sections.is_empty() {
        eprintln!("bench: nothing that is measured has this in its name");
        return ExitCode::FAILURE;
    }
    let machine = machine();
    let targets = report::targets(&sections);
    println!("{targets}\n{machine}");
    if let Some(root) = root {
        write(&root, &sections, &targets, &machine);
    }
    ExitCode::SUCCESS
}

/// The processor and the kernel, as one sentence.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model
        .unwrap_or("an unnamed processor")
        .trim_start_matches(['\t', ' ', ':']);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    // What follows the release's number is the builder's own.
    let kernel = kernel
        .trim()
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned();
    format!("Measured on {model}, {cores} CPUs, Linux {kernel}.")
}

/// Writes the tables and the plot to `docs`, and the targets between the README's markers.
fn write(root: &Path, sections: &[Section], targets: &str, machine: &str) {
    let tables: Vec<String> = sections.iter().map(Section::to_string).collect();
    let page = format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench`, which measures everything in turn, round \
         after round, in network namespaces; what is told against another is the median of \
         that of each round. {machine}\n\nA flood is made of live frames \
         (`BPF_F_TEST_XDP_LIVE_FRAMES`), each with an address by chance out of those that are \
         filtered, sent to one end of a veth pair; its own cost is in every figure. `arptables`, \
         `nft` and arp_ignore judge behind the driver, so GRO is on at the receiving end: they take \
         the same frames. `arptables` is {}. An answer of the kernel's, and one by TC, ends at the \
         sender's stack, which takes no ARP; one by native XDP at a program that drops it, without \
         which veth would not take it. The test run of a program has a cost of its own too, which is all that \
         there is without a program: it is in the bare one. A program that changes its frame gets a new one for each run, and then \
         the kernel's clock is in every figure, too.\n\n\
         TCP goes over a veth pair as the kernel makes one, with TSO and without GRO. For native \
         XDP veth takes TSO from the peer and copies each packet, which is in these figures: arpguard \
         takes the TC hook of a veth device, unless it is told otherwise. Beside a flood GRO is on \
         and TSO is off for all.\n\n![{}](benchmarks.svg)\n\n\
         ## What was to be reached\n\n{targets}\n## What was measured\n\n{}",
        flood::arptables(),
        sections[0].title,
        tables.join("\n")
    );
    let docs = root.join("docs");
    put(&docs.join("benchmarks.md"), &page);
    put(&docs.join("benchmarks.svg"), &plot::svg(&sections[0]));
    let path = root.join("README.md");
    let readme =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parts = readme
        .split_once(BEGIN)
        .and_then(|(before, rest)| rest.split_once(END).map(|(_, after)| (before, after)));
    let (before, after) = parts.expect("README.md: the markers `bench: begin` and `bench: end`");
    put(
        &path,
        &format!("{before}{BEGIN}\n{targets}\n{machine}\n{END}{after}"),
    );
}

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

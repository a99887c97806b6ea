//! Shows what arpguard does: three hosts in throwaway namespaces, the same questions before and
//! after one command, and what was heard. Run by `cargo xtask demo`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a demonstration that cannot go on panics, and its guards clean up"
)]

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::{ExitCode, exit},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame},
    lab::{Namespace, Output, Port, Segment, arpguard},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
const DIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
const CLIENT_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x81]);
const DIRECTOR_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x02]);
const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const HIDE: [&str; 4] = ["hide", "192.168.18.101", "--rip", "192.168.18.10"];

/// Set by a signal: whoever sees it returns, so that the namespaces are removed.
static STOPPED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).expect("signal handlers");
    thread::spawn(move || {
        let mut times = 0;
        for signal in signals.forever() {
            STOPPED.store(true, Ordering::Relaxed);
            times += 1;
            // Who asks a third time wants out, whatever is left behind.
            if times > 2 {
                exit(128 + signal);
            }
        }
    });
    match show() {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            eprintln!("stopped; what was made is removed");
            ExitCode::from(130)
        }
    }
}

/// Whether it held; `None` where it was stopped.
fn show() -> Option<bool> {
    arpguard();
    println!(
        "A client, a director and a real server of LVS direct routing, on one segment.\n\
         Director and real server both have the VIP; only the director may tell it.\n\n  \
         client       {CLIENT:<15} {CLIENT_MAC}\n  \
         director     {DIP:<15} {DIRECTOR_MAC}   VIP on eth0\n  \
         real server  {RIP:<15} {SERVER_MAC}   VIP on lo\n  \
         VIP          {VIP}\n"
    );
    let lab = Lab::new();
    let before = lab.observe()?;
    println!("On the real server:\n\n  $ arpguard {}", HIDE.join(" "));
    let output = lab.server.arpguard(&HIDE);
    print_indented(&output);
    if !output.success() {
        return Some(false);
    }
    let after = lab.observe()?;
    let list = lab.server.arpguard(&["status"]);
    print!("\n  $ arpguard status\n");
    print_indented(&list);
    println!();
    let held = table(&before, &after);
    println!(
        "\nEvery line is read from frames that went over the segment, but for the client's\n\
         entries, which are its own neighbour table. The namespaces are removed now."
    );
    Some(held)
}

fn print_indented(output: &Output) {
    for line in output.stdout.lines().chain(output.stderr.lines()) {
        println!("  {line}");
    }
}

/// One thing that was asked, what came of it, and what must come of it when the VIP is hidden.
struct Row {
    asked: &'static str,
    heard: String,
    wanted: &'static str,
}

struct Lab {
    client: Namespace,
    _director: Namespace,
    server: Namespace,
    client_port: Port,
    director_port: Port,
    _segment: Segment,
}

impl Lab {
    fn new() -> Self {
        let segment = Segment::new();
        let [client, director, server] = ["client", "director", "rs"].map(Namespace::new);
        segment.attach(&client, "eth0", CLIENT_MAC, &["192.168.18.129/24"]);
        segment.attach(
            &director,
            "eth0",
            DIRECTOR_MAC,
            &["192.168.18.2/24", "192.168.18.101/32"],
        );
        segment.attach(&server, "eth0", SERVER_MAC, &["192.168.18.10/24"]);
        server.sh("ip addr add 192.168.18.101/32 dev lo");
        Self {
            client_port: Port::open(&client, "eth0"),
            director_port: Port::open(&director, "eth0"),
            client,
            _director: director,
            server,
            _segment: segment,
        }
    }

    /// Asks everything; `None` where it was stopped.
    fn observe(&self) -> Option<Vec<Row>> {
        let ask = arp::request(CLIENT_MAC, CLIENT, VIP);
        let tagged = ask.clone().tagged(&[(arp::Q, 0)]);
        let ieee_802 = Frame {
            htype: arp::IEEE_802,
            ..ask.clone()
        };
        let director = "director";
        let questions = [
            ("client to all: who has VIP?", ask.clone(), director),
            (
                "the same to the real server alone",
                ask.to(SERVER_MAC),
                "silence",
            ),
            (
                "client to all: does anybody use VIP?",
                arp::probe(CLIENT_MAC, VIP),
                director,
            ),
            ("hardware type IEEE 802", ieee_802, director),
            ("in a priority tag", tagged, director),
        ];
        let mut rows = Vec::new();
        for (asked, frame, wanted) in questions {
            if STOPPED.load(Ordering::Relaxed) {
                return None;
            }
            let heard = self.who_answers(&frame);
            rows.push(Row {
                asked,
                heard,
                wanted,
            });
        }
        rows.push(Row {
            asked: "director as VIP: who has RIP?",
            heard: self.director_asks(),
            wanted: "real server",
        });
        self.client.sh("ip neigh flush dev eth0");
        rows.push(Row {
            asked: "client forgets, and asks again: its entry",
            heard: self.entry(),
            wanted: director,
        });
        rows.push(Row {
            asked: "real server sends from VIP: its request",
            heard: self.server_asks(),
            wanted: "tells RIP",
        });
        rows.push(Row {
            asked: "client, which heard that: its entry",
            heard: self.entry(),
            wanted: director,
        });
        (!STOPPED.load(Ordering::Relaxed)).then_some(rows)
    }

    /// Who tells the VIP when the client sends this.
    fn who_answers(&self, question: &Frame) -> String {
        self.client_port.drain();
        self.client_port.send(&question.bytes());
        let heard = self.after_all_have_spoken(&self.client_port, CLIENT_MAC, CLIENT);
        names(heard.iter().filter(|frame| frame.spa == VIP))
    }

    fn director_asks(&self) -> String {
        self.director_port.drain();
        let question = arp::request(DIRECTOR_MAC, VIP, RIP);
        self.director_port.send(&question.bytes());
        let heard = self.after_all_have_spoken(&self.director_port, DIRECTOR_MAC, DIP);
        let answers = |frame: &&Frame| frame.spa == RIP && frame.tpa == VIP;
        names(heard.iter().filter(answers))
    }

    /// What the real server's own request tells the client.
    fn server_asks(&self) -> String {
        self.client_port.drain();
        self.server.sh("ip neigh flush dev eth0");
        self.server.enter(|| {
            let socket = UdpSocket::bind((VIP, 0)).unwrap();
            socket.send_to(b"?", (CLIENT, 9)).unwrap();
        });
        let asks = |bytes: &[u8]| {
            Frame::read(bytes).filter(|frame| {
                frame.op == arp::REQUEST && frame.sha == SERVER_MAC && frame.tpa == CLIENT
            })
        };
        let mut told = None;
        while told.is_none() {
            let frame = self.client_port.receive(arpguard_tests::lab::patience());
            told = asks(&frame.expect("the real server has asked nothing"));
        }
        // Once it answers for itself again, it has made of the request what it makes of it.
        self.after_all_have_spoken(&self.director_port, DIRECTOR_MAC, DIP);
        match told.unwrap().spa {
            VIP => "tells VIP".to_owned(),
            RIP => "tells RIP".to_owned(),
            other => format!("tells {other}"),
        }
    }

    /// Who the client takes for the VIP. It asks where it has nobody.
    fn entry(&self) -> String {
        self.client.enter(|| {
            let socket = UdpSocket::bind((CLIENT, 0)).unwrap();
            socket.send_to(b"?", (VIP, 9)).unwrap();
        });
        loop {
            let shown = self.client.sh("ip neigh show to 192.168.18.101 dev eth0");
            for (mac, name) in [(DIRECTOR_MAC, "director"), (SERVER_MAC, "real server")] {
                if shown.contains(&mac.to_string()) {
                    return name.to_owned();
                }
            }
            if STOPPED.load(Ordering::Relaxed) || shown.contains("FAILED") {
                return "nobody".to_owned();
            }
            thread::yield_now();
        }
    }

    /// Has both others answer for their own addresses, so that what they say to an earlier frame
    /// has come; gives what came before.
    fn after_all_have_spoken(&self, port: &Port, mac: Mac, ip: Ipv4Addr) -> Vec<Frame> {
        let others = [(CLIENT_MAC, CLIENT), (DIRECTOR_MAC, DIP), (SERVER_MAC, RIP)];
        let mut heard = Vec::new();
        for (other, address) in others.into_iter().filter(|(other, _)| *other != mac) {
            port.send(&arp::request(mac, ip, address).to(other).bytes());
            let answer = arp::reply(other, address, mac, ip).bytes();
            heard.extend(port.until(|frame| frame == answer));
        }
        heard
            .iter()
            .filter_map(|frame| Frame::read(frame))
            .collect()
    }
}

/// The stations that have sent these frames.
fn names<'a>(frames: impl Iterator<Item = &'a Frame>) -> String {
    let mut names: Vec<&str> = frames
        .map(|frame| match frame.sha {
            DIRECTOR_MAC => "director",
            SERVER_MAC => "real server",
            _ => "somebody else",
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => "silence".to_owned(),
        names => names.join(" + "),
    }
}

/// Prints the two columns, and says whether it held.
fn table(before: &[Row], after: &[Row]) -> bool {
    println!("{:<41} {:<22} after", "", "before");
    println!("{:-<41} {:-<22} {:-<15}", "", "", "");
    let mut held = true;
    let mut harmed = false;
    for (before, after) in before.iter().zip(after) {
        let right = after.heard == after.wanted;
        held &= right;
        harmed |= before.heard != before.wanted;
        let mark = if right { "" } else { "  WRONG" };
        println!(
            "{:<41} {:<22} {}{mark}",
            before.asked, before.heard, after.heard
        );
    }
    if !harmed {
        println!("\nNothing was wrong before: this shows nothing.");
    }
    if !held {
        println!("\nIt did not hold.");
    }
    held && harmed
}

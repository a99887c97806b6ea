//! There is no moment at which a VIP is up and not hidden.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics, also outside of #[test]"
)]

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    arp::{self, Frame, REPLY},
    lab::{Namespace, Port, Segment, fewer, patience},
};

const ROUNDS: u32 = 200;
const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 101);
const RIP: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
const ASKER: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 129);
/// Nobody has it.
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 200);
const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
const ASKER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x81]);

struct Lab {
    server: Namespace,
    asker: Namespace,
    _segment: Segment,
}

impl Lab {
    fn new() -> Self {
        let segment = Segment::new();
        let (server, asker) = (Namespace::new("rs"), Namespace::new("asker"));
        segment.attach(&server, "eth0", SERVER_MAC, &["192.168.18.10/24"]);
        segment.attach(&asker, "eth0", ASKER_MAC, &[]);
        Self {
            server,
            asker,
            _segment: segment,
        }
    }

    /// The real server asks for its neighbour as the VIP.
    fn asks_as_the_vip(&self) {
        // Of the others, which ask at full speed, new entries come faster than they go.
        let flush = format!("ip neigh flush to {NEIGHBOUR} dev eth0");
        self.server.sh(&flush);
        self.server.enter(|| {
            let socket = UdpSocket::bind((VIP, 0)).unwrap();
            socket.send_to(b"?", (NEIGHBOUR, 9)).unwrap();
        });
    }
}

/// What was heard of the real server while it was asked at full speed.
#[derive(Debug, Default)]
struct Heard {
    /// Frames that tell the VIP.
    leaks: Vec<Frame>,
    /// How many of its own requests tell its own address.
    own: usize,
}

/// How often it has answered for its own address.
struct Answers(AtomicU64);

impl Answers {
    /// Waits until it has answered some more.
    fn more(&self) {
        let before = self.0.load(Ordering::Relaxed);
        let deadline = Instant::now() + patience();
        while self.0.load(Ordering::Relaxed) < before + 2 {
            assert!(Instant::now() < deadline, "the real server is not heard");
            thread::yield_now();
        }
    }
}

/// Asks for the VIP, to everybody and to the real server, until `stop`; and now and then for its
/// own address.
fn flood(port: &Port, stop: &AtomicBool) {
    let ask = |destination, tpa| {
        let asked = arp::request(ASKER_MAC, ASKER, tpa);
        asked.to(destination).bytes()
    };
    let broadcast = ask(Mac::BROADCAST, VIP);
    let unicast = ask(SERVER_MAC, VIP);
    let own = ask(SERVER_MAC, RIP);
    while !stop.load(Ordering::Relaxed) {
        for frame in [&broadcast, &unicast]
            .into_iter()
            .cycle()
            .take(62)
            .chain([&own])
        {
            // A full queue is what is wanted.
            let _: io::Result<()> = port.try_send(frame);
        }
    }
}

fn hear(port: &Port, answers: &Answers, stop: &AtomicBool) -> Heard {
    let mut heard = Heard::default();
    loop {
        let Some(bytes) = port.receive(Duration::from_millis(20)) else {
            if stop.load(Ordering::Relaxed) {
                return heard;
            }
            continue;
        };
        let Some(frame) = Frame::read(&bytes) else {
            continue;
        };
        if frame.sha != SERVER_MAC && frame.source != SERVER_MAC {
            continue;
        }
        if frame.spa == VIP {
            heard.leaks.push(frame);
        } else if frame.op == REPLY {
            answers.0.fetch_add(1, Ordering::Relaxed);
        } else {
            heard.own += usize::from(frame.spa == RIP);
        }
    }
}

/// Runs the rounds under fire.
fn under_fire(lab: &Lab, one_round: impl Fn(&Answers)) -> Heard {
    let (stop_asking, stop_hearing) = (AtomicBool::new(false), AtomicBool::new(false));
    let answers = Answers(AtomicU64::new(0));
    let open = || Port::open(&lab.asker, "eth0");
    let (ears, mouths) = (open(), [open(), open()]);
    thread::scope(|scope| {
        let listener = scope.spawn(|| hear(&ears, &answers, &stop_hearing));
        let mut askers = Vec::new();
        for mouth in &mouths {
            askers.push(scope.spawn(|| flood(mouth, &stop_asking)));
        }
        // Threads are to end also when a round panics.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..fewer(ROUNDS) {
                one_round(&answers);
            }
        }));
        stop_asking.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.join().unwrap();
        }
        stop_hearing.store(true, Ordering::Relaxed);
        let heard = listener.join().unwrap();
        if let Err(panic) = done {
            std::panic::resume_unwind(panic);
        }
        heard
    })
}

fn is_never_told(options: &str) {
    let lab = Lab::new();
    let heard = under_fire(&lab, |answers| {
        lab.server
            .guard(&format!("hide {VIP} --rip {RIP} --add-to lo {options}"));
        let addresses = lab.server.sh("ip -4 -o addr show dev lo");
        assert!(addresses.contains(&format!("{VIP}/32")), "{addresses}");
        lab.asks_as_the_vip();
        answers.more();
        lab.server.guard(&format!("unhide {VIP} --del-from lo"));
        let addresses = lab.server.sh("ip -4 -o addr show dev lo");
        assert!(!addresses.contains(&VIP.to_string()), "{addresses}");
    });
    let leaks = heard.leaks.len();
    assert_eq!(
        leaks,
        0,
        "{leaks} frames tell the VIP: {:?}",
        heard.leaks.first()
    );
    assert!(heard.own > 0, "no request of its own was heard");
}

#[test]
fn an_address_that_is_added_while_it_is_asked_for_is_never_told() {
    is_never_told("");
}

#[test]
fn nor_with_native_xdp() {
    is_never_told("--attach native");
}

/// The control: one after the other, there is such a moment.
#[test]
fn an_address_that_is_added_by_hand_is_told() {
    let lab = Lab::new();
    let heard = under_fire(&lab, |answers| {
        lab.server.sh(&format!("ip addr add {VIP}/32 dev lo"));
        answers.more();
        lab.server.sh(&format!("ip addr del {VIP}/32 dev lo"));
    });
    assert!(
        heard.leaks.iter().any(|frame| frame.op == REPLY),
        "{heard:?}"
    );
}

//! A TCP stream over a veth pair: what the programs leave of throughput and latency.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use arpguard_common::wire::Mac;
use arpguard_tests::{
    bpf::{Kind, Program, XDP_PASS},
    lab::{Namespace, Wire},
};

use crate::{
    plan::{Plan, Subject},
    report::{Row, Section},
};

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 18, 10);
pub(crate) const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x10]);

/// A server and its client, connected.
pub(crate) struct Connection {
    pub(crate) streams: Streams,
    _link: Option<OwnedFd>,
    pub(crate) host: Namespace,
    pub(crate) peer: Namespace,
}

const SUBJECTS: [&str; 5] = [
    "no program",
    "bare XDP_PASS",
    "arpguard native",
    "arpguard generic",
    "arpguard tc",
];

impl Connection {
    fn new(subject: &str) -> Self {
        let [host, peer] = ["host", "client"].map(Namespace::new);
        Wire::as_it_comes((&host, "eth0", HOST_MAC), (&peer, "eth0", None));
        Self::over(host, peer, subject)
    }

    /// Between two that are wired.
    pub(crate) fn over(host: Namespace, peer: Namespace, subject: &str) -> Self {
        host.sh("ip addr add 192.168.18.10/24 dev eth0");
        peer.sh("ip addr add 192.168.18.129/24 dev eth0");
        let mut link = None;
        match subject.strip_prefix("arpguard ") {
            Some(mode) => {
                host.guard(&format!("hide 192.168.18.101 --attach {mode}"));
            }
            None if subject == "bare XDP_PASS" => {
                link = Some(Program::returning(Kind::Xdp, XDP_PASS).attach(&host, "eth0"));
            }
            None => {}
        }
        let listener = host.enter(|| TcpListener::bind((HOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = peer.enter(|| TcpStream::connect((HOST, port))).unwrap();
        let (server, _) = listener.accept().unwrap();
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        Self {
            streams: Streams { client, server },
            _link: link,
            host,
            peer,
        }
    }
}

/// Both ends.
pub(crate) struct Streams {
    client: TcpStream,
    server: TcpStream,
}

impl Streams {
    /// Gigabits a second, for about this time.
    pub(crate) fn throughput(&mut self, time: Duration) -> f64 {
        const LAST: u8 = 1;
        let (client, server) = (&mut self.client, &mut self.server);
        thread::scope(|scope| {
            let receiver = scope.spawn(move || {
                let mut buffer = vec![0; 1 << 17];
                let mut total = 0;
                loop {
                    let read = server.read(&mut buffer).unwrap();
                    total += read;
                    if read == 0 || buffer[read - 1] == LAST {
                        return (total, Instant::now());
                    }
                }
            });
            let started = Instant::now();
            let block = vec![0; 1 << 17];
            while started.elapsed() < time {
                client.write_all(&block).unwrap();
            }
            client.write_all(&[LAST]).unwrap();
            let (total, ended) = receiver.join().unwrap();
            total as f64 * 8.0 / (ended - started).as_secs_f64() / 1e9
        })
    }

    /// Microseconds from a byte to its answer, the median of so many.
    fn latency(&mut self, turns: usize) -> f64 {
        let (client, server) = (&mut self.client, &mut self.server);
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut byte = [0];
                for _ in 0..turns {
                    server.read_exact(&mut byte).unwrap();
                    server.write_all(&byte).unwrap();
                }
            });
            let mut byte = [0];
            let mut times: Vec<f64> = Vec::with_capacity(turns);
            for _ in 0..turns {
                let started = Instant::now();
                client.write_all(&byte).unwrap();
                client.read_exact(&mut byte).unwrap();
                times.push(started.elapsed().as_secs_f64() * 1e6);
            }
            times.sort_by(f64::total_cmp);
            times[turns / 2]
        })
    }
}

fn rows(plan: &Plan, section: &str, measure: impl Fn(&mut Streams) -> f64) -> Vec<Row> {
    let measure = &measure;
    let wanted = SUBJECTS
        .into_iter()
        .filter(|name| plan.wants(section, name));
    let subjects = wanted.map(|name| {
        let mut connection = Connection::new(name);
        Subject::new(name.to_owned(), move || measure(&mut connection.streams))
    });
    plan.rounds(subjects.collect(), plan.pick(3, 7))
}

/// How much goes through.
pub(crate) fn throughput(plan: &Plan) -> Section {
    let time = Duration::from_millis(plan.pick(50, 300));
    Section {
        name: "throughput",
        title: "A TCP stream (more is better)",
        unit: "Gbit/s",
        base: "no program",
        rows: rows(plan, "throughput", |streams| streams.throughput(time)),
    }
}

/// How long an answer takes.
pub(crate) fn latency(plan: &Plan) -> Section {
    let turns = plan.pick(500, 5000);
    Section {
        name: "latency",
        title: "A byte by TCP and its answer",
        unit: "µs",
        base: "no program",
        rows: rows(plan, "latency", |streams| streams.latency(turns)),
    }
}

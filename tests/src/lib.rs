//! The harness of the tests that need root, and the table of cases that they share.
//!
//! [`lab`] makes network namespaces, wires and sockets. [`arp`] builds and reads frames.
//! [`fixture`] is one real server and its policy, as command lines and as a model on the host;
//! [`cases`] is what must happen there to every kind of frame. The files under `tests/` run that
//! table on the host, through `BPF_PROG_TEST_RUN` and over veth pairs, and put whole clusters into
//! namespaces. [`differential`] draws policies and frames in place of a table.
//! [`running`] is an agent under way, which [`http`] asks and [`manager`] listens to.
//! [`keepalived`] is one too, and [`sampler`] a client that looks on. [`wall`] is a clock that jumps.
//! [`bpffs`] is a place for pins that nobody else has.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on panics"
)]

pub mod arp;
pub mod bpf;
pub mod bpffs;
pub mod cases;
pub mod cluster;
pub mod dice;
pub mod differential;
pub mod fixture;
pub mod flux;
pub mod former;
pub mod http;
pub mod ipvs;
pub mod keepalived;
pub mod kernel;
pub mod lab;
pub mod lan;
pub mod manager;
pub mod pair;
pub mod pins;
pub mod programs;
pub mod running;
pub mod sampler;
pub mod server;
pub mod wall;

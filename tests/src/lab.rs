//! Network namespaces, and what is put into them.

mod binary;
mod flood;
mod namespace;
mod pace;
mod passer;
mod port;
mod ring;
mod segment;
mod skip;

pub use self::{
    binary::{Output, arpguard, faulty, find_faulty},
    flood::Flood,
    namespace::Namespace,
    pace::{fewer, patience, slower, some, unhurried},
    passer::Passer,
    port::Port,
    ring::ring_position,
    segment::{Segment, Wire},
    skip::skip,
};

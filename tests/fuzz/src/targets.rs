//! The targets.

mod config;
mod event;
mod judge;
mod netlink;
mod wire;

pub use self::{config::config, event::event, judge::judge, netlink::netlink, wire::wire};

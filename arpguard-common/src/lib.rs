//! What arpguard's programs in the kernel and its user space share.
//!
//! A frame is read in one direction: [`frame`] finds the ARP packet behind the Ethernet header and
//! its tags, [`wire`] parses it, [`policy`] finds the rule that holds for an address on a device,
//! and [`judge`] turns the two into a [`verdict`]. Nothing here touches a kernel or a socket, so the
//! same source is compiled for the eBPF programs and for the host, where it is tested.
//!
//! [`abi`] is the layout of the maps through which user space tells the programs what to do.
#![no_std]
#![forbid(unsafe_code)]

pub mod abi;
pub mod frame;
pub mod judge;
pub mod packed;
pub mod policy;
pub mod verdict;
pub mod wire;

//! The fuzz target `netlink`.
#![cfg_attr(fuzzing, no_main)]

arpguard_fuzz::target!(netlink);

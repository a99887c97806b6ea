//! The fuzz target `event`.
#![cfg_attr(fuzzing, no_main)]

arpguard_fuzz::target!(event);

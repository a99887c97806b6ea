//! The fuzz target `wire`.
#![cfg_attr(fuzzing, no_main)]

arpguard_fuzz::target!(wire);

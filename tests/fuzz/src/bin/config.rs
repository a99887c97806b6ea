//! The fuzz target `config`.
#![cfg_attr(fuzzing, no_main)]

arpguard_fuzz::target!(config);

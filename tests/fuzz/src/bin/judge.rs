//! The fuzz target `judge`.
#![cfg_attr(fuzzing, no_main)]

arpguard_fuzz::target!(judge);

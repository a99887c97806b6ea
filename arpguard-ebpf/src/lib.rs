//! Empty: a build dependency on it makes cargo rebuild the programs when they change.
#![no_std]

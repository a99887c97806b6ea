//! arpguard's own commands.
fn main() {}

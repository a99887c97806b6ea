//! How fast the machine is that the tests run on.

use std::{env, sync::LazyLock, time::Duration};

/// How many times slower this machine is than one that is not emulated: `$ARPGUARD_SLOWER`, which
/// `cargo xtask test --kernel` sets.
pub fn slower() -> u32 {
    static SLOWER: LazyLock<u32> = LazyLock::new(|| match env::var("ARPGUARD_SLOWER") {
        Ok(times) => times
            .parse()
            .ok()
            .filter(|times| *times > 0)
            .expect("ARPGUARD_SLOWER: a number from 1 on"),
        Err(_) => 1,
    });
    *SLOWER
}

/// How long to wait for what must come. Never a measure of speed: whoever needs this long has
/// failed.
pub fn patience() -> Duration {
    unhurried(Duration::from_secs(20))
}

/// How long something takes here that takes `duration` on a machine that is not emulated.
pub fn unhurried(duration: Duration) -> Duration {
    duration * slower()
}

/// How often to do here what is done `count` times on a machine that is not emulated.
pub fn fewer(count: u32) -> u32 {
    count.div_ceil(slower())
}

/// Which of `all` to try here: all of them on a machine that is not emulated, else some, spread evenly.
pub fn some<T>(all: Vec<T>) -> Vec<T> {
    let count = fewer(all.len().try_into().unwrap()).max(4) as usize;
    let step = all.len().div_ceil(count).max(1);
    all.into_iter().step_by(step).collect()
}

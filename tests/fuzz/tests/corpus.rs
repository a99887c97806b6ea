//! The targets on their corpus, and on what proptest draws: without libFuzzer, in every test run.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{panic, sync::LazyLock};

use arpguard_fuzz::{
    TARGETS,
    corpus::{keep, seeds},
    directory,
};
use arpguard_tests::running::Directory;
use proptest::prelude::*;

#[test]
fn nothing_in_the_corpus_is_wrong() {
    for (name, target) in TARGETS {
        let seeds = seeds(&directory(name)).unwrap();
        assert!(!seeds.is_empty(), "{name} has no corpus");
        for (seed, bytes) in seeds {
            let done = panic::catch_unwind(|| target(&bytes));
            assert!(done.is_ok(), "{name}: {seed}");
        }
    }
}

#[test]
fn what_is_found_becomes_a_seed_once() {
    let ground = Directory::new("corpus");
    ground.write("own.hex", "# a comment\n00 ff\n\n0a\n");
    ground.write("text.toml", "a = 1\n");
    let found = Directory::new("found");
    for (name, text) in [("a", "a = 1\n"), ("b", "\n"), ("c", "new")] {
        found.write(name, text);
    }
    keep(ground.path(), found.path()).unwrap();
    let own = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    let expected = [
        own("found.hex:2", b"new"),
        own("own.hex:2", b"\0\xff"),
        own("own.hex:4", b"\n"),
        own("text.toml", b"a = 1\n"),
    ];
    assert_eq!(seeds(ground.path()).unwrap(), expected);
    ground.write("own.hex", "0g\n");
    let error = seeds(ground.path()).unwrap_err();
    assert_eq!(error.to_string(), "own.hex:1: no bytes");
}

/// The seeds of each target.
static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    let of = |(name, _)| {
        seeds(&directory(name))
            .unwrap()
            .into_iter()
            .map(|(_, bytes)| bytes)
    };
    TARGETS
        .into_iter()
        .map(|target| of(target).collect())
        .collect()
});

/// One or two seeds of a target, with some bytes changed, and cut.
fn mutated() -> impl Strategy<Value = (usize, Vec<u8>)> {
    let change = (any::<prop::sample::Index>(), any::<u8>());
    let changes = prop::collection::vec(change, 0..6);
    let two = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    let cut = any::<(prop::sample::Index, prop::sample::Index)>();
    (0..TARGETS.len(), two, changes, cut).prop_map(|(target, (one, two, both), changes, cut)| {
        let seeds = &SEEDS[target];
        let mut bytes = seeds[one.index(seeds.len())].clone();
        if both {
            let other = &seeds[two.index(seeds.len())];
            bytes.truncate(cut.0.index(bytes.len() + 1));
            bytes.extend(&other[cut.1.index(other.len() + 1)..]);
        }
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        (target, bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn nothing_near_the_corpus_is_wrong((target, bytes) in mutated()) {
        let (_, run) = TARGETS[target];
        run(&bytes);
    }

    #[test]
    fn no_bytes_are_wrong(
        target in 0..TARGETS.len(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (_, run) = TARGETS[target];
        run(&bytes);
    }
}

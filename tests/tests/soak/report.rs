//! What was done, and what went wrong.

use std::{
    fmt,
    io::{Write as _, stderr},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arpguard_tests::lab::patience;

use super::{census::Census, watch::Watch};

/// How often something was done.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn one(&self) {
        self.many(1);
    }

    pub(crate) fn many(&self, times: u64) {
        self.0.fetch_add(times, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Threads, open files: what an agent at rest has.
pub(crate) type Vitals = Option<(u64, usize)>;

#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) asked: Count,
    pub(crate) answered: Count,
    pub(crate) asked_aside: Count,
    pub(crate) lasting: Count,
    pub(crate) changed: Count,
    pub(crate) brief: Count,
    pub(crate) addresses: Count,
    pub(crate) spoken: Count,
    pub(crate) files: Count,
    pub(crate) broken: Count,
    pub(crate) reloads: Count,
    pub(crate) commands: Count,
    pub(crate) killed: Count,
    pub(crate) ended: Count,
    pub(crate) replaced: Count,
    at_the_end: Mutex<String>,
    faults: Mutex<Vec<String>>,
    aloud: bool,
}

impl Report {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            aloud: length > super::SHORT,
            ..Self::default()
        }
    }

    /// Tells it: of a long run past the test runner, which keeps what a test that passes prints.
    pub(crate) fn say(&self, text: &str) {
        if self.aloud {
            let _ = writeln!(stderr(), "\n{text}");
        } else {
            println!("{text}");
        }
    }

    /// Tells how far a long run has come.
    pub(crate) fn progress(&self, text: &str) {
        if self.aloud {
            self.say(text);
        }
    }

    /// Something is wrong, and the soak goes on. It fails at the end.
    pub(crate) fn fault(&self, text: String) {
        let mut faults = self.faults.lock().unwrap();
        if faults.len() < 50 {
            self.say(&format!("fault: {text}"));
            faults.push(text);
        }
    }

    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().unwrap().clone()
    }

    /// Notes what there is at the end.
    pub(crate) fn end(&self, first: &(Census, Vitals), last: &(Census, Vitals)) {
        *self.at_the_end.lock().unwrap() = format!("{first:?}\n{:<32}{last:?}", "at the end");
    }

    /// Waits until the real server has answered for its own address some more. Without it the
    /// silence about the VIPs would mean nothing.
    pub(crate) fn answers_once_more(&self, watch: &Watch) {
        let (before, started) = (self.answered.get(), Instant::now());
        while self.answered.get() < before + 8 && !watch.is_over() {
            assert!(
                started.elapsed() < patience(),
                "the RIP is not answered for"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("requests and the like sent", &self.asked),
            ("replies for the RIP seen", &self.answered),
            ("the same on devices that came", &self.asked_aside),
            ("devices that came and stayed", &self.lasting),
            ("their changes", &self.changed),
            ("devices that came and went", &self.brief),
            ("addresses that came and went", &self.addresses),
            ("packets sent as a VIP", &self.spoken),
            ("policies written", &self.files),
            ("broken policies written", &self.broken),
            ("reloads by SIGHUP", &self.reloads),
            ("commands beside the agent", &self.commands),
            ("agents killed", &self.killed),
            ("agents ended", &self.ended),
            ("programs of another build", &self.replaced),
        ];
        for (what, count) in rows {
            writeln!(out, "{what:<32}{}", count.get())?;
        }
        let faults = self.faults.lock().unwrap().len();
        writeln!(out, "{:<32}{faults}", "faults")?;
        let at_the_end = self.at_the_end.lock().unwrap();
        write!(out, "{:<32}{at_the_end}", "at first")
    }
}

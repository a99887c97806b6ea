//! Starts the agent, ends it, and looks at it.

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use arpguard_tests::pins::Pins;
use nix::sys::signal::Signal;

use super::{
    agent::Agent,
    dice::Dice,
    ground::Ground,
    policy::Policy,
    report::{Report, Vitals},
    samples::Samples,
    watch::{Watch, eventually},
};

pub(crate) struct Keeper<'a> {
    ground: &'a Ground,
    policy: PathBuf,
    log: PathBuf,
    agent: Mutex<Option<Agent>>,
    samples: Mutex<Samples>,
    /// Whether the one that lives for long is alive.
    long: AtomicBool,
}

impl<'a> Keeper<'a> {
    pub(crate) fn new(ground: &'a Ground, policy: &Policy) -> Self {
        Self {
            ground,
            policy: policy.path(),
            log: policy.log(),
            agent: Mutex::default(),
            samples: Mutex::default(),
            long: AtomicBool::new(true),
        }
    }

    pub(crate) fn start(&self) {
        *self.agent.lock().unwrap() = Some(self.spawn());
    }

    fn spawn(&self) -> Agent {
        Agent::start(&self.ground.server, &self.policy, &self.log)
    }

    /// Has the agent read its policy again; whether there is one that listens.
    pub(crate) fn reload(&self) -> bool {
        let agent = self.agent.lock().unwrap();
        agent
            .as_ref()
            .is_some_and(|agent| agent.signal(Signal::SIGHUP))
    }

    /// One agent lives through all of it.
    pub(crate) fn live(&self, length: Duration, change: &Watch, report: &Report) {
        let steps = 12;
        for step in 0..steps {
            change.sleep(length / steps);
            report.answers_once_more(change);
            self.check_that_it_lives();
            if step > 0 {
                report.progress(&format!("the long life: {} of {steps}", step + 1));
            }
        }
        self.long.store(false, Ordering::Relaxed);
    }

    /// Agents die and others take their place.
    pub(crate) fn die_and_return(
        &self,
        length: Duration,
        change: &Watch,
        mut dice: Dice,
        report: &Report,
    ) {
        let started = std::time::Instant::now();
        while started.elapsed() < length && !change.is_over() {
            let other_build = dice.once_in(3);
            if other_build {
                Pins::of(&self.ground.server).pretend_another_build();
                report.replaced.one();
            }
            // Some of them are killed while they replace programs, guard devices or write rules.
            change.sleep(dice.pause(1200));
            if dice.once_in(3) {
                self.terminate(report);
            } else {
                self.finish(Signal::SIGKILL);
                report.killed.one();
            }
            change.sleep(dice.pause(700));
            report.answers_once_more(change);
            self.start();
        }
    }

    fn terminate(&self, report: &Report) {
        let status = self.finish(Signal::SIGTERM);
        report.ended.one();
        if status != Some(0) {
            report.fault(format!("it was asked to end, and its status is {status:?}"));
        }
    }

    /// Sends a signal that ends it, once it listens; its exit status.
    fn finish(&self, signal: Signal) -> Option<i32> {
        eventually("the agent listens", || {
            self.revive();
            let agent = self.agent.lock().unwrap();
            agent.as_ref().is_some_and(|agent| agent.signal(signal))
        });
        self.agent.lock().unwrap().take()?.wait().code()
    }

    /// Starts it again where it has ended by itself, as it does where the file that it finds is
    /// broken.
    pub(crate) fn revive(&self) {
        let mut agent = self.agent.lock().unwrap();
        let Some(status) = agent.as_mut().and_then(Agent::ended) else {
            return;
        };
        assert_eq!(status.code(), Some(1), "the agent has ended by itself");
        *agent = Some(self.spawn());
    }

    /// Ends it as a service manager does.
    pub(crate) fn end(&self) {
        assert_eq!(self.finish(Signal::SIGTERM), Some(0));
    }

    fn check_that_it_lives(&self) {
        let mut agent = self.agent.lock().unwrap();
        if let Some(agent) = agent.as_mut()
            && let Some(status) = agent.ended()
        {
            panic!("the agent has ended by itself: {status}");
        }
    }

    /// What it holds at this moment.
    pub(crate) fn vitals(&self) -> Vitals {
        self.agent.lock().unwrap().as_ref().and_then(Agent::holds)
    }

    /// Looks at its memory until it is over.
    pub(crate) fn sample(&self, watch: &Watch) {
        let _ends = watch.ends();
        while !watch.is_over() {
            let (before, _) = self.look().unwrap_or_default();
            // While programs are loaded, aya has the kernel's whole BTF in memory: that is gone
            // when the second look is taken.
            thread::sleep(Duration::from_millis(100));
            let Some((after, peak)) = self.look() else {
                continue;
            };
            let Some((threads, files)) = self.vitals() else {
                continue;
            };
            let now = before.min(after);
            let mut samples = self.samples.lock().unwrap();
            if self.long.load(Ordering::Relaxed) {
                samples.long.push(now);
            }
            samples.most = samples.most.max(now);
            samples.peak = samples.peak.max(peak);
            samples.least = Some(samples.least.map_or(after, |least| least.min(after)));
            samples.files = samples.files.max(files);
            samples.threads = samples.threads.max(threads);
        }
    }

    fn look(&self) -> Option<(u64, u64)> {
        self.agent.lock().unwrap().as_ref().and_then(Agent::memory)
    }

    pub(crate) fn samples(&self) -> Samples {
        self.samples.lock().unwrap().clone()
    }
}

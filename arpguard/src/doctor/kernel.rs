//! A kernel that cannot run arpguard, or has nowhere to keep it.

use super::{Cure, Facts, Finding, Severity};
use crate::host::Release;

/// The oldest one that the programs load on.
const OLDEST: Release = Release(5, 10);

pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let old = facts.release.filter(|release| *release < OLDEST);
    let old = old.map(|release| Finding {
        check: "kernel_release",
        severity: Severity::Serious,
        subject: "kernel".to_owned(),
        what: format!("it is Linux {release}"),
        why: format!(
            "arpguard's programs load on {OLDEST} and newer; none of its features needs BTF"
        ),
        cure: None,
    });
    let lacking = facts.lacks_bpf.then(|| Finding {
        check: "kernel_bpf",
        severity: Severity::Serious,
        subject: "kernel".to_owned(),
        what: "it has no bpf system call, or a filter of this process (seccomp) denies it"
            .to_owned(),
        why: "nothing can be hidden: the kernel needs CONFIG_BPF_SYSCALL, and a container the call"
            .to_owned(),
        cure: None,
    });
    let nowhere = facts.lacks_bpffs.then(|| Finding {
        check: "no_bpffs",
        severity: Severity::Note,
        subject: "/sys/fs/bpf".to_owned(),
        what: "no BPF file system is mounted there".to_owned(),
        why: "arpguard mounts one where it may; else only an agent can hide, and for as long as it runs"
            .to_owned(),
        cure: Some(Cure::host("mount -t bpf bpf /sys/fs/bpf")),
    });
    old.into_iter().chain(lacking).chain(nowhere).collect()
}

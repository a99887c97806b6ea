//! What arpguard says where the kernel or its surroundings lack something, and what it makes of
//! mount namespaces.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use arpguard_tests::{
    bpffs::Bpffs,
    lab::{Output, arpguard, faulty},
    running::{Directory, contained, eventually, logging},
    server::{pins, real_server},
};

/// Makes `bpf(2)` in what `command` runs answer as a kernel without BPF.
fn without_bpf(command: &mut Command) -> &mut Command {
    const NUMBER_AT: u32 = 0;
    let jump = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let give = (libc::BPF_RET | libc::BPF_K) as u16;
    let code = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let filter = [
        code(load, 0, 0, NUMBER_AT),
        code(jump, 0, 1, libc::SYS_bpf as u32),
        code(give, 0, 0, enosys),
        code(give, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let install = move || {
        let mut filter = filter;
        let program = libc::sock_fprog {
            len: filter.len() as u16,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: the program outlives the call, and has as many instructions as it says.
        let failed = unsafe {
            libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            )
        };
        if failed == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: it makes one system call, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(install) }
}

#[test]
fn a_kernel_without_bpf_is_told() {
    let (server, _peer) = real_server();
    let mut command = server.command(arpguard());
    let output = Output::of(without_bpf(&mut command).args(["hide", "192.168.18.101"]));
    assert_eq!(
        output.stderr,
        "arpguard: load the programs: the eBPF object: Function not implemented; \
         this kernel lacks it: it needs CONFIG_BPF_SYSCALL, and 5.10 or newer\n"
    );
    assert_eq!(output.status.code(), Some(1));
    let mut command = server.command(arpguard());
    let output = Output::of(without_bpf(&mut command).arg("doctor"));
    let finding = "serious  kernel: it has no bpf system call, or a filter of this process";
    assert!(output.stdout.starts_with(finding), "{output}");
    assert_eq!(output.status.code(), Some(3));
    let status = server.guard("status");
    assert_eq!(status, "arpguard is not loaded in this network namespace\n");
}

#[test]
fn where_no_bpffs_can_be_mounted_that_is_told() {
    let (server, _peer) = real_server();
    let output = Output::of(&mut contained(&server, &["hide", "192.168.18.101"]));
    assert_eq!(
        output.stderr,
        "arpguard: mount a BPF file system: /sys/fs/bpf: Operation not permitted; \
         give the container the host's /sys/fs/bpf, or let the agent hold the programs: \
         arpguard run --hide VIP\n"
    );
    assert_eq!(output.status.code(), Some(1));
}

/// Runs a command on a BPF file system of its own, while something is done at a point.
fn at_point(point: &str, line: &str) -> (Bpffs, Output) {
    let (server, _peer) = real_server();
    let bpffs = Bpffs::new("at-point", 0o700);
    let line = line.replace("BPFFS", bpffs.path());
    let mut command = server.command(faulty());
    command.args(["--bpffs", bpffs.path(), "hide", "192.168.18.101"]);
    let output = Output::of(command.env("ARPGUARD_FAULT", format!("{point} run {line}")));
    (bpffs, output)
}

#[test]
fn a_limit_of_open_files_is_told_in_place_of_waiting_for_ever() {
    let (_bpffs, output) = at_point("pins/home", "prlimit --pid $PPID --nofile=3");
    assert_eq!(output.told().0, Some(1), "{output}");
    assert!(
        output.stderr.ends_with(": Too many open files\n"),
        "{output}"
    );
}

/// The last command of another network namespace has just gone.
#[test]
fn a_directory_that_another_removes_meanwhile_is_made_again() {
    // The second directory is made in the first one.
    let (bpffs, output) = at_point("2", "rmdir BPFFS/arpguard");
    assert!(output.success(), "{output}");
    assert_eq!(fs::read_dir(bpffs.file("arpguard")).unwrap().count(), 1);
}

#[test]
fn what_takes_its_time_with_many_devices_says_how_far_it_is() {
    let (server, _peer) = real_server();
    server.sh("ip link add eth1 type veth peer name eth2");
    // To detach, lo is looked at, too.
    for (verb, point, told) in [
        ("hide 192.168.18.101", "map/counters", "/3 devices"),
        ("detach", "map/forget", "/4 devices"),
    ] {
        let line = format!("{} {verb}", faulty().display());
        let mut command = server.command("script");
        command.args(["-qefc", &line, "/dev/null"]);
        let fault = format!("every {point} run sleep 0.7");
        let output = Output::of(command.env("ARPGUARD_FAULT", fault).stdin(Stdio::null()));
        assert!(output.success(), "{verb}: {output}");
        assert!(output.stdout.contains(told), "{verb}: {output}");
    }
}

#[test]
fn a_pin_made_in_a_private_mount_namespace_stays() {
    let (server, _peer) = real_server();
    let run = |output: Output| {
        assert!(output.success(), "{output}");
        output.stdout
    };
    // `ip netns exec` mounts another /sys over the one with the pins.
    let mut command = server.command_through_ip(arpguard());
    run(Output::of(command.args(["hide", "192.168.18.101"])));
    let outside = server.guard("list");
    assert!(outside.contains("192.168.18.101"), "{outside}");
    let mut command = server.command_through_ip(arpguard());
    assert_eq!(run(Output::of(command.arg("list"))), outside);
    // So does a private mount namespace without any bpffs.
    let script = format!(
        "umount -l /sys/fs/bpf; exec {} hide 192.168.18.102",
        arpguard().display()
    );
    let mut command = server.command("unshare");
    run(Output::of(command.args(["-m", "sh", "-c", &script])));
    assert!(server.guard("list").contains("192.168.18.102"));
    assert!(pins(&server).is_dir());
}

#[test]
fn each_network_namespace_has_its_own_policy() {
    let ((one, _wire), (other, _other_wire)) = (real_server(), real_server());
    one.guard("hide 192.168.18.101");
    other.guard("hide 192.168.18.102");
    assert_ne!(pins(&one), pins(&other));
    assert!(one.guard("list").contains("192.168.18.101"));
    assert!(!one.guard("list").contains("192.168.18.102"));
    one.guard("detach");
    assert!(other.guard("list").contains("192.168.18.102"));
}

#[test]
fn a_bpffs_that_is_unmounted_under_the_agent_is_told_and_what_is_hidden_comes_back_with_it() {
    let (server, _peer) = real_server();
    let directory = Directory::new("unmounted");
    let (bpffs, log) = (&directory.file("bpf"), &directory.file("log"));
    fs::create_dir(bpffs).unwrap();
    let mount = || server.sh(&format!("mount -t bpf bpf {bpffs}"));
    let unmount = || server.sh(&format!("umount -l {bpffs}"));
    let list = || server.arpguard(&["--bpffs", bpffs, "list"]);
    let hides = || list().stdout.contains("192.168.18.101");
    let line = format!(
        "find a BPF file system to pin to: {bpffs}: it is not a BPF file system; mount one: mount \
         -t bpf bpf {bpffs}"
    );
    // Who tries to write to what lies below is told another reason.
    server.sh(&format!("mount -t tmpfs -o ro tmpfs {bpffs}"));
    mount();
    let arguments = ["--bpffs", bpffs, "--hide", "192.168.18.101"];
    let agent = logging(&server, &arguments, log);
    // What it hides is seen before it has written all of it.
    eventually("the policy is in force", || {
        fs::read_to_string(log).unwrap().contains("in force")
    });
    assert!(hides());
    unmount();
    assert_eq!(
        list().told(),
        (Some(1), "", format!("arpguard: {line}\n").as_str())
    );
    server.sh("ip addr add 192.168.18.11/24 dev eth0");
    eventually("the agent tells it", || {
        fs::read_to_string(log).unwrap().contains(&line)
    });
    // Nothing was written to what lies below.
    assert_eq!(fs::read_dir(bpffs).unwrap().count(), 0);
    mount();
    server.sh("ip addr del 192.168.18.11/24 dev eth0");
    eventually("it hides again", hides);
    drop(agent);
    unmount();
    unmount();
}

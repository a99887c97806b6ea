//! Debian's keepalived, under way in a namespace.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    lab::{Namespace, arpguard, slower},
    running::Directory,
};

/// A keepalived that speaks VRRP; ended when dropped.
#[derive(Debug)]
pub struct Keepalived {
    process: Option<Child>,
    _directory: Directory,
}

impl Keepalived {
    /// Starts it in `host` with the example that is packaged, `priority` and one more virtual
    /// address. Its scripts run the arpguard under test.
    pub fn start(host: &Namespace, priority: u8, beside: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/keepalived");
        let example = fs::read_to_string(path.join("keepalived.conf")).unwrap();
        let mut text = example.clone();
        for (old, new) in [
            ("/usr/bin/arpguard", arpguard().to_str().unwrap()),
            ("priority 150", &format!("priority {priority}")),
            // A checkout may be its user's.
            ("    enable_script_security\n", ""),
            (
                "virtual_ipaddress {\n",
                &format!("virtual_ipaddress {{\n        {beside}\n"),
            ),
        ] {
            assert!(text.contains(old), "no {old:?} in {example}");
            text = text.replace(old, new);
        }
        if slower() > 1 {
            // As it ends it gives a script a second, and then kills it (`vrrp_shutdown_backstop_thread`
            // in keepalived's `vrrp_daemon.c`). That is not enough here: so the script is no child.
            let at_once = "notify_stop   \"";
            assert!(text.contains(at_once), "no {at_once:?} in {example}");
            text = text.replace(at_once, "notify_stop \"/usr/bin/setsid --fork ");
        }
        let directory = Directory::new(&format!("keepalived-{}", host.name()));
        let config = directory.write("keepalived.conf", &text);
        let process = host
            .command("keepalived")
            .args(["--dont-fork", "--vrrp", "--use-file", &config])
            .args(["--pid", &directory.file("keepalived.pid")])
            .args(["--vrrp_pid", &directory.file("vrrp.pid")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("keepalived: {error}; run `cargo xtask setup`"));
        Self {
            process: Some(process),
            _directory: directory,
        }
    }

    /// Ends it as a service manager does, and waits for that.
    pub fn stop(mut self) {
        self.end();
    }

    /// Kills it. What it has started ends by itself.
    pub fn kill(mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let id = Pid::from_raw(process.id().try_into().unwrap());
            // It may have ended by itself.
            let _ = kill(id, Signal::SIGTERM);
            let _ = process.wait();
        }
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        self.end();
    }
}

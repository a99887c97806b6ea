//! Making a check: whether what an address is answered by holds.

use std::{net::Ipv4Addr, process::Stdio, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{net::TcpStream, process::Command, time::timeout};

use crate::check::Check;

/// How long a check may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The processes of a command, killed when this is dropped. The shell is only the first of them.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have come to its end by itself.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Whether a check of an address on a device succeeds, in time. What it has started ends with it, if it
/// takes longer or nobody waits any more.
pub(super) async fn holds(check: Check, address: Ipv4Addr, device: String) -> bool {
    let made = async {
        match check {
            Check::Tcp(port) => TcpStream::connect((address, port)).await.is_ok(),
            Check::Command(command) => succeeds(&command, address, &device).await,
        }
    };
    timeout(PATIENCE, made).await.unwrap_or(false)
}

async fn succeeds(command: &str, address: Ipv4Addr, device: &str) -> bool {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", command])
        .env("ARPGUARD_ADDRESS", address.to_string())
        .env("ARPGUARD_DEVICE", device)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let Ok(mut shell) = shell.spawn() else {
        return false;
    };
    let group = shell.id().and_then(|id| i32::try_from(id).ok());
    // Dropped before the shell, which is not reaped by then: so the number is still the group's.
    let mut group = Group(group.map(Pid::from_raw));
    let ended = shell.wait().await;
    // What a command that has ended leaves running is its own business, as in every shell.
    group.0 = None;
    ended.is_ok_and(|status| status.success())
}

//! A service manager that listens to an agent, as systemd does (`sd_notify(3)`).

use std::{os::unix::net::UnixDatagram, process::Stdio, time::Duration};

use crate::{
    lab::{Namespace, arpguard, patience},
    running::{Agent, Directory},
};

/// Where it hears what its service tells.
#[derive(Debug)]
pub struct Manager {
    /// Where the socket is, and room for the service's files.
    pub directory: Directory,
    socket: UnixDatagram,
}

impl Manager {
    /// Begins to listen; `name` becomes part of a directory's name.
    pub fn new(name: &str) -> Self {
        let directory = Directory::new(name);
        let socket = UnixDatagram::bind(directory.file("notify")).unwrap();
        Self { directory, socket }
    }

    /// Starts `arpguard run` with these arguments in `server`; `watchdog` is how many microseconds
    /// without a sign of life it may take.
    pub fn start(&self, server: &Namespace, arguments: &[&str], watchdog: Option<u64>) -> Agent {
        let mut command = server.command(arpguard());
        command
            .arg("run")
            .args(arguments)
            .env("NOTIFY_SOCKET", self.directory.file("notify"))
            .env_remove("WATCHDOG_PID")
            .env_remove("WATCHDOG_USEC")
            .stderr(Stdio::null());
        if let Some(watchdog) = watchdog {
            command.env("WATCHDOG_USEC", watchdog.to_string());
        }
        Agent::of(command)
    }

    /// The lines that it is told next, at once; `None` where nothing comes within `patience`.
    pub fn hears(&self, patience: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).ok()?;
        let text = std::str::from_utf8(bytes.get(..length).unwrap()).unwrap();
        Some(text.lines().map(str::to_owned).collect())
    }

    /// All that it is told up to the message in which `last` holds for a line, without what only
    /// shows life.
    ///
    /// # Panics
    ///
    /// Where that does not come.
    pub fn until(&self, last: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
        let mut heard = Vec::new();
        loop {
            let Some(lines) = self.hears(patience()) else {
                panic!("what was waited for was not told, but {heard:?}");
            };
            if lines == ["WATCHDOG=1"] && !last("WATCHDOG=1") {
                continue;
            }
            let is_last = lines.iter().any(|line| last(line));
            heard.push(lines);
            if is_last {
                return heard;
            }
        }
    }
}

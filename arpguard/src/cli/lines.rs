//! Lines to standard output as they come, for a reader that may be slow or go away.

use std::{
    io::{self, Stdout, Write as _, stdout},
    os::fd::AsFd as _,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    error::{Error, Result},
    interrupt,
    plain::plain,
};

/// How often a signal is looked for while the reader is waited for, in milliseconds.
const PAUSE: u8 = 100;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The reader has it, or its pipe.
    Yes,
    /// There is no reader any more.
    Closed,
    /// The process was asked to end while the reader took nothing.
    Interrupted,
}

/// Standard output.
pub(super) struct Lines(Stdout);

impl Lines {
    pub(super) fn new() -> Self {
        Self(stdout())
    }

    /// Writes one line, and flushes it.
    pub(super) fn write(&self, line: &str) -> Result<Written> {
        loop {
            let state = self.poll(PollFlags::POLLOUT, PollTimeout::from(PAUSE));
            if state.intersects(GONE) {
                return Ok(Written::Closed);
            }
            if state.contains(PollFlags::POLLOUT) {
                break;
            }
            if interrupt::requested() {
                return Ok(Written::Interrupted);
            }
        }
        let mut out = self.0.lock();
        match writeln!(out, "{}", plain(line)).and_then(|()| out.flush()) {
            Ok(()) => Ok(Written::Yes),
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => Ok(Written::Closed),
            Err(cause) => Err(Error::from_cause("write", "standard output", &cause)),
        }
    }

    /// Whether the reader has gone away.
    pub(super) fn is_closed(&self) -> bool {
        self.poll(PollFlags::empty(), PollTimeout::ZERO)
            .intersects(GONE)
    }

    fn poll(&self, wanted: PollFlags, timeout: PollTimeout) -> PollFlags {
        let mut files = [PollFd::new(self.0.as_fd(), wanted)];
        match poll(&mut files, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            // Then writing tells what is wrong.
            Err(_) => return wanted,
        }
        let [file] = files;
        file.revents().unwrap_or(PollFlags::empty())
    }
}

/// A pipe without a reader, a terminal that was closed.
const GONE: PollFlags = PollFlags::POLLERR.union(PollFlags::POLLHUP);

//! What a real server serves.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::lab::Namespace;

/// A TCP server that tells everybody its number, until it is dropped.
#[derive(Debug)]
pub struct Service {
    number: u8,
    over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts one on `host`.
    pub fn start(host: &Namespace, at: (Ipv4Addr, u16), number: u8) -> Self {
        let listener = host.enter(|| TcpListener::bind(at).unwrap());
        listener.set_nonblocking(true).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let server = thread::spawn(move || serve(&listener, number, &ends));
        Self {
            number,
            over,
            server: Some(server),
        }
    }

    /// What it tells.
    pub fn number(&self) -> u8 {
        self.number
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            // It does not panic, and nobody could be told.
            let _ = server.join();
        }
    }
}

fn serve(listener: &TcpListener, number: u8, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        match listener.accept() {
            // Who has asked may be gone.
            Ok((mut stream, _)) => drop(stream.write_all(&[number])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(_) => return,
        }
    }
}

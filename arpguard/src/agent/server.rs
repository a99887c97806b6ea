//! The agent's HTTP server: `/metrics` and `/healthz`, and nothing else.
//!
//! It has a thread of its own, and few places: one request for each connection, short headers, a
//! deadline. Who finds no place waits in the kernel's queue.

mod answer;

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::{LocalSet, spawn_local},
    time::{sleep, timeout},
};
use tracing::warn;

use self::answer::answer;
use super::{declared::Declared, view::View};
use crate::{
    datapath::Store,
    error::{Error, Result},
    netlink::Netlink,
};

const SERVE: &str = "serve metrics";
const PLACES: usize = 32;
const HEADERS: usize = 64;
/// hyper takes no less.
const HEADER_BYTES: usize = 8192;
const TO_ASK: Duration = Duration::from_secs(2);
const TO_TAKE_THE_ANSWER: Duration = Duration::from_secs(30);
/// Where the process has no descriptor left, to try again at once is of no use.
const AFTER_A_FAILURE: Duration = Duration::from_millis(500);

/// Listens, and does not answer yet.
pub(super) struct Server {
    socket: std::net::TcpListener,
    address: SocketAddr,
}

impl Server {
    pub(super) fn bind(address: SocketAddr) -> Result<Self> {
        let tried = |cause: io::Error| {
            let error = Error::from_cause(SERVE, address, &cause);
            match cause.kind() {
                ErrorKind::AddrInUse => error.advise("see who listens there: ss -ltnp"),
                ErrorKind::AddrNotAvailable => {
                    error.advise("name an address of this network namespace, or 0.0.0.0 for all")
                }
                ErrorKind::PermissionDenied => {
                    error.advise("take a port from 1024 on, or give it CAP_NET_BIND_SERVICE")
                }
                _ => error,
            }
        };
        let socket = std::net::TcpListener::bind(address).map_err(tried)?;
        socket.set_nonblocking(true).map_err(tried)?;
        let address = socket.local_addr().map_err(tried)?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on, until the process ends.
    pub(super) fn start(self, store: &Store, declared: &Declared) -> Result<()> {
        let (store, declared) = (store.clone(), declared.clone());
        let (tell, told) = mpsc::channel();
        let work = move || {
            let begun = runtime().and_then(|runtime| {
                let entered = runtime.enter();
                let view = View::new(&store, Netlink::connect()?, &declared);
                let listener = TcpListener::from_std(self.socket)
                    .map_err(|cause| Error::from_cause(SERVE, self.address, &cause))?;
                drop(entered);
                Ok((runtime, serve(listener, view)))
            });
            match begun {
                Ok((runtime, serve)) => {
                    tell.send(Ok(()))?;
                    runtime.block_on(LocalSet::new().run_until(serve));
                    Ok(())
                }
                Err(error) => tell.send(Err(error)),
            }
        };
        let started = |cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause("start", "a thread", cause)
        };
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(work)
            .map_err(|cause| started(&cause))?;
        told.recv().map_err(|cause| started(&cause))?
    }
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        // One comparison at a time.
        .max_blocking_threads(1)
        .build()
        .map_err(|cause| Error::from_cause("start", "the runtime", &cause))
}

async fn serve(listener: TcpListener, view: View) {
    let places = Arc::new(Semaphore::new(PLACES));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let view = view.clone();
                spawn_local(async move {
                    converse(stream, view).await;
                    drop(place);
                });
            }
            Err(cause) => {
                warn!("{SERVE}: accept: {cause}");
                sleep(AFTER_A_FAILURE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, view: View) {
    let answer = service_fn(async |request| Ok::<_, Infallible>(answer(&request, &view).await));
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TO_ASK)
        .max_headers(HEADERS)
        .max_buf_size(HEADER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    // What goes wrong here is the other side's, which has noticed.
    let _ = timeout(TO_TAKE_THE_ANSWER, conversation).await;
}

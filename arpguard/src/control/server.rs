//! The agent's end.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tracing::{info, warn};

use super::{BUILD, Error, LONGEST, Message, Reply, Result, client, is_trusted};
use crate::{datapath::Store, netlink::Netlink, request::Context, trust};

const LISTEN: &str = "listen for commands";
/// How long a client may take to ask, and to take its answer, while others wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket that requests come by. It is removed when this is dropped.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Listens at `path`, whose directory is made, unless another agent does.
    ///
    /// # Errors
    /// Where another agent listens there, or the socket cannot be made.
    pub async fn bind(path: &Path) -> Result<Self> {
        let tried = |cause| {
            Error::from_cause(LISTEN, path.display(), &cause)
                .advise("name a place that can be written, with --socket")
        };
        if client::find(path).await?.is_some() {
            let why = "another agent holds the state of this network namespace, and listens there";
            return Err(
                Error::new(LISTEN, path.display(), why).advise("end that one: pgrep -a arpguard")
            );
        }
        if let Some(directory) = path.parent() {
            let mut builder = fs::DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(tried)?;
            trust::check(LISTEN, directory)?;
        }
        if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
            let why = "it is there, and it is no socket";
            return Err(Error::new(LISTEN, path.display(), why)
                .advise("name a place that is free, with --socket"));
        }
        match fs::remove_file(path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(tried(cause)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(tried)?;
        // Until then, whoever connects is turned away by who they are.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(tried)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Performs what is asked for, one request after the other.
    pub async fn serve(&self, netlink: &Netlink, store: &Store) -> ! {
        loop {
            let served = match self.listener.accept().await {
                Ok((stream, _)) => serve(stream, netlink, store).await,
                Err(cause) => {
                    // Out of descriptors: it may pass.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Err(cause)
                }
            };
            if let Err(cause) = served {
                warn!("a command got no answer: {cause}");
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have gone before, and what others have in the directory keeps that.
        let _ = fs::remove_file(&self.path);
        if let Some(directory) = self.path.parent()
            && directory == Path::new(super::DIRECTORY)
        {
            let _ = fs::remove_dir(directory);
        }
    }
}

async fn serve(mut stream: UnixStream, netlink: &Netlink, store: &Store) -> io::Result<()> {
    if !is_trusted(&stream) {
        return Err(io::Error::other("it is another user's"));
    }
    let mut message = Vec::new();
    let mut limited = (&mut stream).take(LONGEST);
    timeout(PATIENCE, limited.read_to_end(&mut message)).await??;
    // Who only looks whether somebody listens asks nothing.
    if message.is_empty() {
        return Ok(());
    }
    let reply = serde_json::to_vec(&answer(&message, netlink, store).await)?;
    timeout(PATIENCE, stream.write_all(&reply)).await??;
    Ok(())
}

async fn answer(message: &[u8], netlink: &Netlink, store: &Store) -> Reply {
    let mut output = Vec::new();
    let outcome = match read(message) {
        Ok(Message { page, request, .. }) => {
            info!("asked to {}", request.name());
            let context = &mut Context {
                netlink,
                store,
                page,
                out: &mut output,
            };
            request.perform(context).await
        }
        Err(error) => Err(error),
    };
    Reply {
        output: String::from_utf8_lossy(&output).into_owned(),
        outcome,
    }
}

fn read(message: &[u8]) -> Result<Message> {
    let other = |why: String| {
        Err(Error::new("ask the agent", "this network namespace", why)
            .advise("use the binary that the agent was started from, or start the agent anew"))
    };
    match serde_json::from_slice::<Message>(message) {
        Ok(message) if message.build == BUILD => Ok(message),
        Ok(message) => other(format!(
            "this is arpguard {}, and the agent is {BUILD}",
            message.build
        )),
        Err(cause) => other(format!(
            "the agent, arpguard {BUILD}, does not understand: {cause}"
        )),
    }
}

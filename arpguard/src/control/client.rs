//! Asking an agent.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use super::{BUILD, Error, Message, Page, Reply, Request, Result, is_trusted};

/// An agent that listens.
pub struct Agent {
    stream: UnixStream,
    path: PathBuf,
}

/// Finds the agent behind a socket; `None` where there is none.
///
/// # Errors
/// Where it is another user's, or out of reach.
pub async fn find(path: &Path) -> Result<Option<Agent>> {
    let tried = |cause| Error::from_cause("reach the agent", path.display(), &cause);
    let stream = match UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(cause) => return Err(tried(cause)),
    };
    if !is_trusted(&stream) {
        let why = "the process that listens there belongs to another user, not to root";
        return Err(Error::new("reach the agent", path.display(), why));
    }
    let path = path.to_owned();
    Ok(Some(Agent { stream, path }))
}

impl Agent {
    /// Asks it to perform a request.
    ///
    /// # Errors
    /// Where it gives no answer. How the request went is in the reply.
    pub async fn ask(mut self, page: Page, request: Request) -> Result<Reply> {
        let message = Message {
            build: BUILD.to_owned(),
            page,
            request,
        };
        let path = self.path.clone();
        let tried = |cause| Error::from_cause("ask the agent", path.display(), &cause);
        let message = serde_json::to_vec(&message).map_err(|cause| tried(cause.into()))?;
        let reply = match self.exchange(&message).await {
            Err(cause) if is_hang_up(&cause) => Vec::new(),
            reply => reply.map_err(tried)?,
        };
        if reply.is_empty() {
            let why = "it hung up without an answer";
            return Err(Error::new("ask the agent", path.display(), why)
                .advise("its log may say why; `arpguard status` shows what is in force"));
        }
        serde_json::from_slice(&reply).map_err(|cause| tried(cause.into()))
    }

    async fn exchange(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(message).await?;
        self.stream.shutdown().await?;
        let mut reply = Vec::new();
        self.stream.read_to_end(&mut reply).await?;
        Ok(reply)
    }
}

fn is_hang_up(cause: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::NotConnected,
    ];
    kinds.contains(&cause.kind())
}

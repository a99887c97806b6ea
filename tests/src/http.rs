//! Asking the agent by HTTP, byte by byte.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
};

use crate::lab::{Namespace, patience};

/// The port that the tests have the agent serve at, each in a namespace of its own.
pub const PORT: u16 = 9817;

/// What a server answers.
#[derive(Debug)]
pub struct Answer {
    /// The first line.
    pub status: String,
    /// The other lines of the head.
    pub headers: String,
    /// What follows the head.
    pub body: String,
}

/// Connects to the agent in `server`; `None` where nobody listens.
pub fn connect(server: &Namespace) -> Option<TcpStream> {
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, PORT));
    let stream = server.enter(connect).ok()?;
    stream.set_read_timeout(Some(patience())).unwrap();
    Some(stream)
}

/// Asks it; `None` where nobody listens.
pub fn ask(server: &Namespace, method: &str, path: &str) -> Option<Answer> {
    let mut stream = connect(server)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .unwrap();
    Some(answer(stream))
}

/// The whole answer on a connection.
pub fn answer(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let (status, headers) = head.split_once("\r\n").unwrap();
    Answer {
        status: status.into(),
        headers: headers.into(),
        body: body.into(),
    }
}

/// Asks for `path`.
///
/// # Panics
///
/// Where nobody listens.
pub fn get(server: &Namespace, path: &str) -> Answer {
    ask(server, "GET", path).expect("somebody serves")
}

/// What `/healthz` says: nothing where all is well, else why not.
pub fn fault(server: &Namespace) -> Option<String> {
    let Some(Answer { status, body, .. }) = ask(server, "GET", "/healthz") else {
        return Some("nobody serves".into());
    };
    match (status.as_str(), body.as_str()) {
        ("HTTP/1.1 200 OK", "ok\n") => None,
        ("HTTP/1.1 503 Service Unavailable", why) => {
            let line = why.strip_suffix('\n').expect("a line");
            assert!(!line.contains('\n'), "{line}");
            Some(line.into())
        }
        _ => panic!("{status}: {body}"),
    }
}

//! The connection by which the host is observed, and TC filters are written.

use rtnetlink::Handle;

use crate::error::{Error, Result};

/// A connection to the kernel's routing netlink, in the network namespace of the thread that made
/// it.
#[derive(Clone)]
pub struct Netlink(Handle);

impl Netlink {
    /// Connects. Needs a tokio runtime to run in.
    ///
    /// # Errors
    /// Where the kernel gives no netlink socket.
    pub fn connect() -> Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()
            .map_err(|cause| Error::from_cause("connect", "routing netlink", &cause))?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// The handle to make requests with.
    pub const fn handle(&self) -> &Handle {
        &self.0
    }
}

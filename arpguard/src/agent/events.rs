//! What happens to devices, addresses and routes, as the kernel tells it.

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use rtnetlink::{MulticastGroup, new_multicast_connection};

use crate::error::{Error, Result};

type Messages = std::pin::Pin<Box<dyn Stream<Item = ()>>>;

/// The kernel's events. That something happened is all that is taken from them.
pub(super) struct Events(Messages);

impl Events {
    pub(super) fn subscribe() -> Result<Self> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
        ];
        let (connection, _, messages) = new_multicast_connection(&groups)
            .map_err(|cause| Error::from_cause("subscribe to", "routing netlink", &cause))?;
        tokio::spawn(connection);
        Ok(Self(Box::pin(messages.map(|_| ()))))
    }

    /// Waits for an event, and takes all that are there with it.
    pub(super) async fn happened(&mut self) {
        if self.0.next().await.is_none() {
            // The connection has ended, which the kernel does not do: nothing will happen again.
            std::future::pending::<()>().await;
        }
        while self.0.next().now_or_never().flatten().is_some() {}
    }
}

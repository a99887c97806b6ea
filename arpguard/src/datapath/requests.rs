//! The requests that the programs leave to user space.
#![expect(unsafe_code, reason = "aya's ring is registered with the runtime")]

use arpguard_common::abi::{REQUEST_LEN, REQUESTS_LEN, Request, map};
use aya::maps::{Map, MapData, RingBuf};
use tokio::io::{Interest, unix::AsyncFd};

use super::{Reader, Store};
use crate::error::{Error, Result};

const READ: &str = "read the requests";

/// The requests, as they come.
pub struct Requests {
    ring: AsyncFd<RingBuf<MapData>>,
    /// The kernel's number of the map.
    id: u32,
}

impl Requests {
    /// Those of what is loaded now, `before` where that has not changed; `None` where nothing is
    /// loaded. What is in a ring that is opened anew was asked when nobody answered, and is discarded.
    /// Needs a tokio runtime to run in.
    ///
    /// # Errors
    /// Where the ring cannot be opened.
    pub async fn open(store: &Store, before: Option<Self>) -> Result<Option<Self>> {
        let reader = Reader::open_as_it_is(store).await?;
        let Some(descriptor) = reader
            .datapath()
            .and_then(|datapath| datapath.maps.descriptor(map::REQUESTS))
        else {
            return Ok(None);
        };
        let tried = |cause: &(dyn std::error::Error + 'static)| {
            Error::from_cause(READ, "this network namespace", cause)
        };
        let owned = descriptor
            .try_clone_to_owned()
            .map_err(|cause| tried(&cause))?;
        let data = MapData::from_fd(owned).map_err(|cause| tried(&cause))?;
        let id = data.info().map_err(|cause| tried(&cause))?.id();
        if let Some(before) = before.filter(|before| before.id == id) {
            return Ok(Some(before));
        }
        let mut ring = RingBuf::try_from(Map::RingBuf(data)).map_err(|cause| tried(&cause))?;
        // More than there is room for has come meanwhile.
        for _ in 0..REQUESTS_LEN as usize / REQUEST_LEN {
            if ring.next().is_none() {
                break;
            }
        }
        // SAFETY: the ring owns its descriptor, keeps it open until it is dropped, and always gives
        // the same one.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
            .map_err(|cause| tried(&cause))?;
        Ok(Some(Self { ring, id }))
    }

    /// The next ones, `most` of them at most. Waits for the first.
    ///
    /// # Errors
    /// Where the ring cannot be waited for.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Request>> {
        let mut taken = Vec::new();
        loop {
            while taken.len() < most
                && let Some(bytes) = self.ring.get_mut().next()
            {
                taken.extend(Request::from_bytes(&bytes));
            }
            if !taken.is_empty() {
                return Ok(taken);
            }
            let mut guard = self
                .ring
                .readable_mut()
                .await
                .map_err(|cause| Error::from_cause(READ, "the ring of requests", &cause))?;
            guard.clear_ready();
            // What came before that was cleared is taken by the next turn of the loop.
        }
    }
}

//! `arpguard unpin`

use arpguard_common::verdict::Policy;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{Context, unset::unset};
use crate::{error::Result, session::Session};

/// What to leave to every device again.
#[derive(Debug, Deserialize, Serialize)]
pub struct Unpin {
    /// The addresses (of length 32) and prefixes, as they were pinned.
    pub prefixes: Vec<Ipv4Net>,
}

impl Unpin {
    pub(super) async fn perform(self, context: &Context<'_>) -> Result<()> {
        let mut session = Session::begin(context.store, context.netlink).await?;
        let outcome = unset(&mut session, "unpin", Policy::Pin, &self.prefixes, &[]).await;
        session.end(outcome).await
    }
}

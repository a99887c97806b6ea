//! What an agent tells that holds the state.

use serde::Deserialize;

use super::{Guard, Policy, Rule};
use crate::{
    control::Agent,
    error::{Error, Result},
    render::{Format, Page},
    request::Request,
};

#[derive(Deserialize)]
struct Status {
    devices: Vec<Guard>,
}

impl Policy {
    /// What an agent enforces that holds the state.
    ///
    /// # Errors
    /// Where it gives no answer, or not this one.
    pub async fn of(agent: Agent) -> Result<Self> {
        Ok(rules(agent).await?.into_iter().collect())
    }
}

/// Asks for the rules.
///
/// # Errors
/// Where it gives no answer, or not this one.
pub(super) async fn rules(agent: Agent) -> Result<Vec<Rule>> {
    ask(agent, Request::List).await
}

/// Asks for the devices.
///
/// # Errors
/// As [`rules`].
pub(super) async fn guards(agent: Agent) -> Result<Vec<Guard>> {
    let Status { devices } = ask(agent, Request::Status).await?;
    Ok(devices)
}

async fn ask<T: for<'a> Deserialize<'a>>(agent: Agent, request: Request) -> Result<T> {
    let page = Page {
        format: Format::Json,
        width: None,
    };
    let name = request.name();
    let reply = agent.ask(page, request).await?;
    reply.outcome?;
    serde_json::from_str(&reply.output)
        .map_err(|cause| Error::from_cause("read the answer of the agent", name, &cause))
}

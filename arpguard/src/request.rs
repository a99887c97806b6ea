//! What is done with the policy, asked for on the command line or through an agent's socket.
//!
//! A request carries all that its command has read, so it means the same wherever it is performed.

mod answer;
mod apply;
mod bind;
mod detach;
mod flush;
mod hide;
mod judge;
mod list;
mod pin;
mod promote;
mod save;
mod set;
mod status;
mod strict;
mod unhide;
mod unpin;
mod unset;

use std::io;

use serde::{Deserialize, Serialize};

pub use self::{
    answer::{Answer, Unanswer},
    apply::Apply,
    bind::{Bind, Unbind},
    hide::Hide,
    pin::Pin,
    promote::{Demote, Promote},
    strict::{StrictOff, StrictOn},
    unhide::Unhide,
    unpin::Unpin,
};
use crate::{
    datapath::Store,
    error::{Error, Result},
    explain::Question,
    host::{Host, Sysctls},
    netlink::Netlink,
    render::Page,
};

/// What is to be done.
#[derive(Debug, Deserialize, Serialize)]
pub enum Request {
    /// Hide addresses.
    Hide(Hide),
    /// Hide them no longer.
    Unhide(Unhide),
    /// Hide addresses no longer for the time being: this host becomes their director.
    Promote(Promote),
    /// Hide them again.
    Demote(Demote),
    /// Pin addresses to a device.
    Pin(Pin),
    /// Pin them no longer.
    Unpin(Unpin),
    /// Hold devices to what they own.
    StrictOn(StrictOn),
    /// Hold them to it no longer.
    StrictOff(StrictOff),
    /// Answer for addresses.
    Answer(Answer),
    /// Answer for them no longer.
    Unanswer(Unanswer),
    /// Let only one hardware address claim addresses.
    Bind(Bind),
    /// Let everybody claim them.
    Unbind(Unbind),
    /// Make the policy what files say.
    Apply(Apply),
    /// Print the policy as such a file.
    Save,
    /// Show what is hidden.
    List,
    /// Show how devices are guarded.
    Status,
    /// Have the programs judge frames.
    Judge(Question),
    /// Remove all policies.
    Flush,
    /// Remove everything from the kernel.
    Detach,
}

/// What a request is performed with.
pub struct Context<'a> {
    /// The network namespace.
    pub netlink: &'a Netlink,
    /// Its state in the kernel.
    pub store: &'a Store,
    /// What the output is for.
    pub page: Page,
    /// Where it goes.
    pub out: &'a mut dyn io::Write,
}

impl Request {
    /// Its verb on the command line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hide(_) => "hide",
            Self::Unhide(_) => "unhide",
            Self::Promote(_) => "promote",
            Self::Demote(_) => "demote",
            Self::Pin(_) => "pin",
            Self::Unpin(_) => "unpin",
            Self::StrictOn(_) => "strict on",
            Self::StrictOff(_) => "strict off",
            Self::Answer(_) => "answer",
            Self::Unanswer(_) => "unanswer",
            Self::Bind(_) => "bind",
            Self::Unbind(_) => "unbind",
            Self::Apply(_) => "apply",
            Self::Save => "save",
            Self::List => "list",
            Self::Status => "status",
            Self::Judge(_) => "explain",
            Self::Flush => "flush",
            Self::Detach => "detach",
        }
    }

    /// Whether it asks for what only an agent does.
    pub const fn needs_agent(&self) -> bool {
        match self {
            Self::Pin(pin) => pin.fallback.is_some(),
            _ => false,
        }
    }

    /// What is to be known of it though it is done, of a host with these settings.
    pub fn remarks(&self, host: &Host, sysctls: &Sysctls) -> Vec<String> {
        match self {
            Self::Pin(pin) => pin.remarks(host, sysctls),
            _ => Vec::new(),
        }
    }

    /// Does it, all or nothing.
    ///
    /// # Errors
    /// Where it makes no sense here, or the kernel refuses.
    pub async fn perform(self, context: &mut Context<'_>) -> Result<()> {
        match self {
            Self::Hide(hide) => hide.perform(context).await,
            Self::Unhide(unhide) => unhide.perform(context).await,
            Self::Promote(promote) => promote.perform(context).await,
            Self::Demote(demote) => demote.perform(context).await,
            Self::Pin(pin) => pin.perform(context).await,
            Self::Unpin(unpin) => unpin.perform(context).await,
            Self::StrictOn(strict) => strict.perform(context).await,
            Self::StrictOff(strict) => strict.perform(context).await,
            Self::Answer(answer) => answer.perform(context).await,
            Self::Unanswer(unanswer) => unanswer.perform(context).await,
            Self::Bind(bind) => bind.perform(context).await,
            Self::Unbind(unbind) => unbind.perform(context).await,
            Self::Apply(apply) => apply.perform(context).await,
            Self::Save => save::perform(context).await,
            Self::List => list::perform(context).await,
            Self::Status => status::perform(context).await,
            Self::Judge(question) => judge::perform(&question, context).await,
            Self::Flush => flush::perform(context).await,
            Self::Detach => detach::perform(context).await,
        }
    }
}

impl Context<'_> {
    /// Writes output. A reader that has gone away, as `head` does, is no error.
    fn print(&mut self, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<()> {
        match write(self.out).and_then(|()| self.out.flush()) {
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::from_cause("write", "standard output", &cause))
            }
            _ => Ok(()),
        }
    }
}

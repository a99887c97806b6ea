//! All that becomes of a frame.

use super::{Facts, Guarded, Heard, Judged, Judgement, Question, Reaction, Sender};
use crate::{
    datapath::Outcome,
    device::Device,
    error::{Error, Result},
};

/// One frame, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its number in the capture that it is from.
    pub number: Option<u64>,
    /// Whether the capture has not all of it.
    pub is_cut: bool,
    /// The name of the device that it comes to or goes out by.
    pub device: String,
    /// Its interface index.
    pub index: u32,
    /// Whether this host sends it.
    pub is_sent: bool,
    /// What it says.
    pub heard: Heard,
    /// By what it was judged; `None`: by nothing.
    pub guarded: Option<Guarded>,
    /// How.
    pub judged: Judged,
    /// What comes after.
    pub then: Then,
    /// The sender that the kernel itself would take for such a request.
    pub sender: Option<Sender>,
}

/// What comes after the judgement of a frame.
#[derive(Clone, Debug)]
pub enum Then {
    /// Nobody gets it.
    Nothing,
    /// The LAN gets it, or the answer that was made of it.
    Leaves,
    /// The kernel gets it.
    Kernel {
        /// What that does.
        reaction: Reaction,
        /// Its answer, as that is judged on its way out.
        reply: Option<Box<Judged>>,
    },
}

impl Account {
    /// The rule whose address the LAN learns of all the same: nothing judges there, or what does only
    /// counts.
    pub fn leak(&self) -> Option<&super::Ruled> {
        let told = match &self.then {
            Then::Nothing => return None,
            Then::Leaves if !self.is_sent => return None,
            Then::Leaves => &self.judged,
            Then::Kernel { reply, .. } => reply.as_ref()?,
        };
        let is_told = told.outcome == Outcome::Passed && !told.is_rewritten();
        told.kept_out.as_ref().filter(|_| is_told)
    }

    /// What goes on: to the kernel, or to the LAN.
    pub fn out(&self) -> Option<&[u8]> {
        (self.judged.outcome == Outcome::Passed).then_some(&self.judged.frame)
    }

    /// What comes back to the LAN.
    pub fn answer(&self) -> Option<&[u8]> {
        match &self.then {
            Then::Kernel { reply, .. } => reply
                .as_ref()
                .filter(|reply| reply.outcome == Outcome::Passed)
                .map(|reply| reply.frame.as_slice()),
            Then::Leaves if !self.is_sent => Some(&self.judged.frame),
            Then::Leaves | Then::Nothing => None,
        }
    }
}

/// A frame of which an account is to be given.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its number in the capture that it is from.
    pub number: Option<u64>,
    /// Whether the capture has not all of it.
    pub is_cut: bool,
    /// Its bytes.
    pub frame: Vec<u8>,
    /// What they say.
    pub heard: Heard,
    /// The sender that the kernel itself would take for such a request.
    pub sender: Option<Sender>,
}

impl Facts {
    /// Gives account of frames on a device; `judge` has the programs judge.
    ///
    /// # Errors
    /// Where the programs do not, or the kernel does not tell what it would do.
    pub async fn accounts(
        &mut self,
        (device, is_sent): (&Device, bool),
        subjects: Vec<Subject>,
        judge: impl AsyncFn(Question) -> Result<Judgement>,
    ) -> Result<Vec<Account>> {
        let asked = |is_sent, frames| Question {
            device: device.index,
            is_sent,
            frames,
        };
        let frames: Vec<_> = subjects.iter().map(|one| one.frame.clone()).collect();
        let Judgement { guarded, frames } = whole(judge(asked(is_sent, frames)).await?, &subjects)?;
        let mut accounts = Vec::new();
        let mut replies = Vec::new();
        for (subject, judged) in subjects.into_iter().zip(frames) {
            let then = match judged.outcome {
                Outcome::Dropped => Then::Nothing,
                Outcome::Answered => Then::Leaves,
                Outcome::Passed if is_sent => Then::Leaves,
                Outcome::Passed => {
                    let reaction = self.reaction(&subject.heard, device).await?;
                    replies.extend(reply(&reaction, &subject.heard, device));
                    Then::Kernel {
                        reaction,
                        reply: None,
                    }
                }
            };
            accounts.push(Account {
                number: subject.number,
                is_cut: subject.is_cut,
                device: device.name.clone(),
                index: device.index,
                is_sent,
                heard: subject.heard,
                guarded: guarded.clone(),
                judged,
                then,
                sender: subject.sender,
            });
        }
        if replies.is_empty() {
            return Ok(accounts);
        }
        let judgement = judge(asked(true, replies.clone())).await?;
        let mut judged = whole(judgement, &replies)?.frames.into_iter();
        for account in &mut accounts {
            if let Then::Kernel {
                reaction: Reaction::Answers | Reaction::Proxies,
                reply,
            } = &mut account.then
            {
                *reply = judged.next().map(Box::new);
            }
        }
        Ok(accounts)
    }
}

/// The frame that the kernel answers with.
fn reply(reaction: &Reaction, heard: &Heard, device: &Device) -> Option<Vec<u8>> {
    match reaction {
        Reaction::Answers | Reaction::Proxies => Some(heard.arp()?.reply(device.mac?).to_vec()),
        Reaction::Silent(_) => None,
    }
}

/// A judgement that has as many frames as were asked about.
fn whole<T>(judgement: Judgement, asked: &[T]) -> Result<Judgement> {
    if judgement.frames.len() == asked.len() {
        return Ok(judgement);
    }
    let why = "not every frame was judged";
    Err(Error::new("explain", "this network namespace", why))
}

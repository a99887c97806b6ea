//! One frame, for programs.

use std::{
    io::{self, Write},
    net::Ipv4Addr,
};

use arpguard_common::{
    verdict::{Mode, Reason},
    wire::{Header, target_mac},
};
use serde::Serialize;

use super::words::{kernel, name, rewritten, shown, transmitted};
use crate::{
    datapath::Outcome,
    explain::{Account, Judged, Ruled, Then},
    host::Host,
    render::rules::Rule,
};

/// `docs/output.md` tells what each field means.
#[derive(Serialize)]
struct Object<'a> {
    frame: Option<u64>,
    device: &'a str,
    index: u32,
    direction: &'static str,
    kind: Option<&'static str>,
    operation: Option<u16>,
    sha: Option<String>,
    spa: Option<Ipv4Addr>,
    tha: Option<String>,
    tpa: Option<Ipv4Addr>,
    source: String,
    destination: String,
    hook: Option<&'a str>,
    program: Option<&'a str>,
    attached: bool,
    #[serde(flatten)]
    verdict: Verdict,
    rule: Option<Rule>,
    rip: Option<Ipv4Addr>,
    out: Option<String>,
    kernel: Option<Kernel>,
    reply: Option<Verdict>,
    answer: Option<String>,
    note: Option<&'a str>,
    sender: Option<Sender>,
    leak: Option<Rule>,
}

#[derive(Serialize)]
struct Verdict {
    reason: Option<&'static str>,
    outcome: &'static str,
    policy: Option<&'static str>,
    audit: bool,
}

#[derive(Serialize)]
struct Kernel {
    answers: bool,
    why: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Sender {
    arp_announce: u32,
    address: Option<Ipv4Addr>,
}

/// One JSON object, in a line.
pub(crate) fn json(out: &mut dyn Write, account: &Account, host: &Host) -> io::Result<()> {
    let heard = &account.heard;
    let (arp, packet) = (heard.arp(), heard.packet.as_ref());
    let guarded = account.guarded.as_ref();
    let show = |ruled: &Ruled| shown(ruled, host);
    let (reaction, reply) = match &account.then {
        Then::Kernel { reaction, reply } => (Some(reaction), reply.as_ref()),
        Then::Nothing | Then::Leaves => (None, None),
    };
    let object = Object {
        frame: account.number,
        device: &account.device,
        index: account.index,
        direction: super::direction(account),
        kind: arp.map(|arp| arp.kind.name()),
        operation: packet.map(|packet| Header::read(packet).oper),
        sha: arp.map(|arp| arp.sha.to_string()),
        spa: arp.map(|arp| arp.spa),
        tha: arp.and(packet).map(|packet| target_mac(packet).to_string()),
        tpa: arp.map(|arp| arp.tpa),
        source: heard.source.to_string(),
        destination: heard.destination.to_string(),
        hook: guarded.map(|guarded| guarded.hook.as_str()),
        program: guarded.map(|guarded| guarded.program.as_str()),
        attached: guarded.is_some_and(|guarded| guarded.is_attached),
        verdict: Verdict::of(&account.judged),
        rule: account.judged.rule.as_ref().and_then(show),
        rip: rewritten(&account.judged),
        out: account.out().map(hexadecimal),
        kernel: reaction.map(|reaction| Kernel {
            answers: reply.is_some(),
            why: name(reaction),
            text: kernel(reaction, &account.device),
        }),
        reply: reply.map(|reply| Verdict::of(reply)),
        answer: account.answer().map(hexadecimal),
        note: transmitted(account),
        sender: account.sender.as_ref().map(|sender| Sender {
            arp_announce: sender.arp_announce,
            address: sender.address,
        }),
        leak: account.leak().and_then(show),
    };
    serde_json::to_writer(&mut *out, &object)?;
    writeln!(out)
}

impl Verdict {
    /// Under audit, what would have been done.
    fn of(judged: &Judged) -> Self {
        let done = match judged.outcome {
            Outcome::Passed => "passed",
            Outcome::Dropped => "dropped",
            Outcome::Answered => "answered",
        };
        let decided_by = judged.decided_by();
        Self {
            reason: judged.reason().map(Reason::name),
            outcome: judged.reason().map_or(done, Reason::outcome),
            policy: decided_by.map(|(policy, _)| policy.name()),
            audit: matches!(decided_by, Some((_, Mode::Audit))),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! What becomes of frames, as `arpguard explain` tells it: for people or for programs.

mod object;
mod words;

use std::io::{self, Write};

use arpguard_common::{verdict::Mode, wire::Header};

pub(crate) use self::object::json;
use self::words::{because, done, leak, rule_text, then};
use super::{
    events::{Packet, Strange},
    paragraph::{room, rows, wrap},
    table::count,
};
use crate::{
    explain::{Account, Heard, Sender},
    host::Host,
};

/// How many frames of a capture there were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Judged.
    pub judged: u64,
    /// Leaks, of those.
    pub leaks: u64,
    /// Not ARP, and so left out.
    pub others: u64,
}

impl Counts {
    /// Counts one.
    pub fn add(&mut self, account: &Account) {
        self.judged += 1;
        self.leaks += u64::from(account.leak().is_some());
    }

    /// A line for people.
    pub fn line(&self, device: &str) -> String {
        let frames = count(self.judged, "frame", "frames");
        let leaks = count(self.leaks, "leak", "leaks");
        let others = match self.others {
            0 => String::new(),
            others => format!("; {others} left out, which carry no ARP"),
        };
        format!("{frames} on {device}, {leaks}{others}")
    }
}

/// One frame: what it is, and a row for each thing that can be told of it.
pub(crate) fn paragraph(
    out: &mut dyn Write,
    account: &Account,
    host: &Host,
    width: Option<u16>,
) -> io::Result<()> {
    writeln!(
        out,
        "{} {}: {}",
        account.device,
        direction(account),
        frame(&account.heard)
    )?;
    let room = room(width);
    let mut row = |head: &str, text: &str| rows(out, head, &wrap(text, room));
    row("verdict", &verdict(account))?;
    if account.guarded.is_some() {
        let rule = account.judged.rule.as_ref();
        let text = rule.and_then(|rule| rule_text(rule, host));
        row("rule", text.as_deref().unwrap_or("none decides"))?;
    }
    if let Some(guarded) = &account.guarded {
        let same = match guarded.is_attached {
            true => "the one that is attached",
            false => "which is not the one that is attached, but this command's",
        };
        row(
            "program",
            &format!("{} ({}), {same}", guarded.program, guarded.hook),
        )?;
    }
    row("then", &then(account))?;
    if let Some(Sender {
        arp_announce,
        address,
    }) = &account.sender
    {
        let address = match address {
            Some(address) => format!("as {address}"),
            None => "in another device's name".to_owned(),
        };
        let text = format!(
            "the kernel itself would ask {address}: arp_announce is {arp_announce} on {}",
            account.device
        );
        row("kernel", &text)?;
    }
    match leak(account, host) {
        Some(text) => row("leak", &text),
        None => Ok(()),
    }
}

/// One frame of a capture in one line.
pub(crate) fn line(out: &mut dyn Write, account: &Account) -> io::Result<()> {
    if let Some(number) = account.number {
        write!(out, "{number} ")?;
    }
    let reason = match account.judged.reason() {
        Some(reason) => format!("{} ", reason.name()),
        None => String::new(),
    };
    let cut = if account.is_cut {
        " [cut short in the capture]"
    } else {
        ""
    };
    let leak = if account.leak().is_some() {
        " [leak]"
    } else {
        ""
    };
    writeln!(
        out,
        "{} {} {reason}{}: {}{cut}; {}{leak}",
        account.device,
        direction(account),
        done(account),
        frame(&account.heard),
        then(account),
    )
}

fn direction(account: &Account) -> &'static str {
    match account.is_sent {
        true => "sent",
        false => "received",
    }
}

/// The frame, as `arpguard monitor` tells it.
fn frame(heard: &Heard) -> String {
    let says = match (heard.arp(), &heard.packet) {
        (Some(arp), _) => Packet(&arp).to_string(),
        (None, Some(packet)) => Strange(Header::read(packet)).to_string(),
        (None, None) => "it is cut short".to_owned(),
    };
    let vlan = if heard.vlan { " in a VLAN" } else { "" };
    let Heard {
        source,
        destination,
        ..
    } = heard;
    let sha = heard.arp().map(|arp| arp.sha).filter(|sha| sha != source);
    let pretends = sha.map_or_else(String::new, |sha| format!(" as {sha}"));
    format!("{says} ({source} > {destination}){pretends}{vlan}")
}

fn verdict(account: &Account) -> String {
    let Some(reason) = account.judged.reason() else {
        return match account.guarded {
            Some(_) => "passed: the program sees no ARP in it, behind so many tags".to_owned(),
            None => format!(
                "none: nothing is attached to {} for what is {}",
                account.device,
                direction(account)
            ),
        };
    };
    let audit = match account.judged.decided_by() {
        Some((_, Mode::Audit)) => "; the rule only counts",
        Some((_, Mode::Enforce)) | None => "",
    };
    format!(
        "{}, {}: {}{audit}",
        done(account),
        reason.name(),
        because(reason)
    )
}

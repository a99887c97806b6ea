//! What the drivers of devices say of XDP, by the family `netdev` of generic netlink (Linux 6.3).
//!
//! The numbers are those of `include/uapi/linux/netdev.h`.

use std::{collections::BTreeMap, io};

use rtnetlink::packet_core::{NLM_F_DUMP, parse_u32, parse_u64};

use super::generic::{Connection, Generic};
use crate::error::{Error, Result};

const FAMILY: &str = "netdev";
/// `NETDEV_CMD_DEV_GET`, which is the command of its answers too.
const GET: u8 = 1;
/// `NETDEV_A_DEV_IFINDEX`
const INDEX: u16 = 1;
/// `NETDEV_A_DEV_XDP_FEATURES`
const FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_BASIC`: a program can be attached that lets pass, drops and sends back.
const BASIC: u64 = 1;
/// `NETDEV_XDP_ACT_RX_SG`: also one for frames in several buffers.
const SEVERAL: u64 = 32;

/// What a driver says of programs that it runs itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Native {
    /// It says of none that it does.
    None,
    /// It does, on frames in one buffer. How large that is it does not say.
    OneBuffer,
    /// It does, on frames in several buffers too, so whatever the MTU is.
    MultiBuffer,
}

/// What the driver of each device of this thread's network namespace says, by interface index: of
/// none, where the kernel does not know.
///
/// # Errors
/// Where the kernel does not tell.
pub async fn drivers() -> Result<BTreeMap<u32, Native>> {
    match ask().await {
        Ok(told) => Ok(told.iter().filter_map(native).collect()),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(cause) => Err(Error::from_cause(
            "read what drivers say of XDP",
            "this network namespace",
            &cause,
        )),
    }
}

async fn ask() -> io::Result<Vec<Generic>> {
    let connection = Connection::open()?;
    let question = Generic {
        family: connection.family(FAMILY).await?,
        command: GET,
        attributes: Vec::new(),
    };
    connection.ask(question, NLM_F_DUMP).await
}

/// What a message of this family tells of a driver, with the interface index of its device. `None` for
/// any other message, and where either is missing.
pub fn native(message: &Generic) -> Option<(u32, Native)> {
    if message.command != GET {
        return None;
    }
    let index = parse_u32(message.attribute(INDEX)?).ok()?;
    let features = parse_u64(message.attribute(FEATURES)?).ok()?;
    let native = match (features & BASIC != 0, features & SEVERAL != 0) {
        (false, _) => Native::None,
        (true, false) => Native::OneBuffer,
        (true, true) => Native::MultiBuffer,
    };
    Some((index, native))
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};

    use super::*;

    /// What a kernel has told of a device: features, and the frame metadata that it knows.
    fn message(index: u32, features: u64) -> Vec<u8> {
        let attribute = |kind: u16, value: &[u8]| {
            let length = (4 + value.len()) as u16;
            [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat()
        };
        let body = [
            vec![GET, 1, 0, 0],
            attribute(INDEX, &index.to_ne_bytes()),
            attribute(FEATURES, &features.to_ne_bytes()),
            attribute(5, &0_u64.to_ne_bytes()),
        ]
        .concat();
        let length = (16 + body.len()) as u32;
        let header = [
            &length.to_ne_bytes()[..],
            // The family, flags, sequence number and port.
            &20_u16.to_ne_bytes(),
            &2_u16.to_ne_bytes(),
            &[0; 8],
        ];
        [header.concat(), body].concat()
    }

    fn told(bytes: &[u8]) -> Option<(u32, Native)> {
        let message = NetlinkMessage::<Generic>::deserialize(bytes).ok()?;
        match message.payload {
            NetlinkPayload::InnerMessage(message) => native(&message),
            _ => None,
        }
    }

    #[test]
    fn bits_are_told_apart() {
        for (features, native) in [
            (0, Native::None),
            // Sends what others redirect to it, and runs nothing.
            (0b000_0100, Native::None),
            (0b010_0000, Native::None),
            (0b000_1011, Native::OneBuffer),
            (0b010_0011, Native::MultiBuffer),
            // What later kernels may add.
            (u64::MAX, Native::MultiBuffer),
        ] {
            assert_eq!(told(&message(7, features)), Some((7, native)), "{features}");
        }
    }

    #[test]
    fn what_is_cut_off_tells_nothing_and_no_other_device() {
        let whole = message(7, 0b10_0011);
        for length in 0..whole.len() {
            let mut cut = whole[..length].to_vec();
            assert_eq!(told(&cut), None, "{length}");
            // Where the header says that this is all.
            if let Some(field) = cut.first_chunk_mut::<4>() {
                *field = (length as u32).to_ne_bytes();
            }
            let told = told(&cut);
            let is_whole = told == Some((7, Native::MultiBuffer));
            assert!(told.is_none() || is_whole, "{length}: {told:?}");
        }
    }

    #[test]
    fn attributes_of_another_length_and_other_commands_tell_nothing() {
        for (kind, value) in [(INDEX, vec![7; 3]), (FEATURES, vec![1; 4])] {
            let attributes = [(INDEX, vec![7; 4]), (FEATURES, vec![1; 8])];
            let attributes = attributes.map(|(own, usual)| super::super::generic::Attribute {
                kind: own,
                value: if own == kind { value.clone() } else { usual },
            });
            let mut message = Generic {
                family: 20,
                command: GET,
                attributes: attributes.into(),
            };
            assert_eq!(native(&message), None, "{kind}");
            message.attributes.clear();
            assert_eq!(native(&message), None);
        }
        let mut bytes = message(7, 1);
        // The end of a dump of page pools, which the family tells of too.
        bytes[16] = 5;
        assert_eq!(told(&bytes), None);
    }
}

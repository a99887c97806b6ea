//! Messages of generic netlink, whose families the kernel numbers as they come.

use std::io;

use futures_util::StreamExt as _;
use rtnetlink::{
    packet_core::{
        DecodeError, Emitable as _, NLM_F_ACK, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
        NetlinkMessage, NetlinkPayload, NetlinkSerializable, Nla, NlasIterator, parse_u16,
    },
    proto::{ConnectionHandle, new_connection},
    sys::{SocketAddr, protocols::NETLINK_GENERIC},
};

/// `struct genlmsghdr` in `linux/genetlink.h`: command, version, and two bytes that are reserved.
const HEADER: usize = 4;
/// The version that each family here began with; the kernel does not look at it.
const VERSION: u8 = 1;
/// The family that tells of families, in `linux/genetlink.h`: `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`,
/// `CTRL_ATTR_FAMILY_ID`, `CTRL_ATTR_FAMILY_NAME`.
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;

/// A message of a family. Numbers in it are in the order of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generic {
    /// The number of the family.
    pub family: u16,
    /// What is asked or told.
    pub command: u8,
    /// Everything else.
    pub attributes: Vec<Attribute>,
}

/// One attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What it tells, as the family numbers it.
    pub kind: u16,
    /// What it says.
    pub value: Vec<u8>,
}

impl Nla for Attribute {
    fn value_len(&self) -> usize {
        self.value.len()
    }

    fn kind(&self) -> u16 {
        self.kind
    }

    fn emit_value(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.value);
    }
}

impl Generic {
    /// What an attribute says, where it is there; the first, where there are several.
    pub fn attribute(&self, kind: u16) -> Option<&[u8]> {
        let found = self.attributes.iter().find(|one| one.kind == kind)?;
        Some(&found.value)
    }
}

impl NetlinkSerializable for Generic {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        HEADER + self.attributes.as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        if let Some((header, rest)) = buffer.split_first_chunk_mut::<HEADER>() {
            *header = [self.command, VERSION, 0, 0];
            self.attributes.as_slice().emit(rest);
        }
    }
}

impl NetlinkDeserializable for Generic {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some(([command, ..], rest)) = payload.split_first_chunk::<HEADER>() else {
            return Err("a message of generic netlink is shorter than its header".into());
        };
        let attributes = NlasIterator::new(rest).map(|attribute| {
            let attribute = attribute?;
            Ok(Attribute {
                kind: attribute.kind(),
                value: attribute.value().to_vec(),
            })
        });
        Ok(Self {
            family: header.message_type,
            command: *command,
            attributes: attributes.collect::<Result<_, DecodeError>>()?,
        })
    }
}

/// A connection to generic netlink.
pub(super) struct Connection(ConnectionHandle<Generic>);

impl Connection {
    /// Connects, in the network namespace of this thread. Needs a tokio runtime to run in.
    ///
    /// # Errors
    /// Where the kernel gives no netlink socket.
    pub(super) fn open() -> io::Result<Self> {
        let (connection, handle, _) = new_connection(NETLINK_GENERIC)?;
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// The number that the kernel has given a family.
    ///
    /// # Errors
    /// `ENOENT` where it has no family of this name.
    pub(super) async fn family(&self, name: &str) -> io::Result<u16> {
        let name = Attribute {
            kind: FAMILY_NAME,
            value: [name.as_bytes(), b"\0"].concat(),
        };
        let question = Generic {
            family: CONTROL,
            command: GET_FAMILY,
            attributes: vec![name],
        };
        let answers = self.ask(question, 0).await?;
        let mut numbers = answers.iter().filter_map(|one| one.attribute(FAMILY_ID));
        let number = numbers.find_map(|bytes| parse_u16(bytes).ok());
        number.ok_or_else(|| io::Error::other("the kernel has not told the family's number"))
    }

    /// Asks, and returns all answers. `flags` are those of the question alone, as `NLM_F_DUMP`.
    ///
    /// # Errors
    /// What the kernel refuses with.
    pub(super) async fn ask(&self, question: Generic, flags: u16) -> io::Result<Vec<Generic>> {
        let mut message = NetlinkMessage::from(question);
        // Families leave the flag of a part out of many (`netdev_nl_dev_fill` in
        // `net/core/netdev-genl.c`), and the first answer would be taken for the last.
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let kernel = SocketAddr::new(0, 0);
        let sent = self.0.request(message, kernel);
        let mut answers = sent.map_err(io::Error::other)?;
        let mut told = Vec::new();
        while let Some(answer) = answers.next().await {
            match answer.payload {
                NetlinkPayload::InnerMessage(message) => told.push(message),
                NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                _ => {}
            }
        }
        Ok(told)
    }
}

impl From<Generic> for NetlinkPayload<Generic> {
    fn from(message: Generic) -> Self {
        Self::InnerMessage(message)
    }
}

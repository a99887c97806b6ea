//! Frames from a capture: a file of tcpdump's or Wireshark's, pcap or pcapng.

use std::{
    fmt::Display,
    fs::File,
    io::{Read, stdin},
    path::Path,
};

use pcap_parser::{
    Block, Linktype, PcapBlockOwned, PcapError, create_reader,
    traits::{PcapNGPacketBlock as _, PcapReaderIterator},
};

use crate::error::{Error, Result};

const READ: &str = "read the capture";
/// Bytes; longer than any frame with what stands around it. tcpdump takes 256 KiB of one.
const BUFFER: usize = 1 << 19;
const STANDARD_INPUT: &str = "-";

/// A capture, read frame by frame.
pub struct Capture {
    name: String,
    reader: Box<dyn PcapReaderIterator>,
    /// Of each interface of a pcapng section; the one of a pcap file.
    links: Vec<Linktype>,
    number: u64,
}

/// One of its frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The frame's number, from 1, as Wireshark has it.
    pub number: u64,
    /// What was captured of it.
    pub bytes: Vec<u8>,
    /// Whether that is not all.
    pub is_cut: bool,
}

/// What a step of the reader has given.
enum Step {
    Packet {
        interface: usize,
        bytes: Vec<u8>,
        length: u32,
    },
    Other,
    More,
    End,
}

impl Capture {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// Where it cannot be read, or is no capture.
    pub fn open(path: &Path) -> Result<Self> {
        let is_input = path.as_os_str() == STANDARD_INPUT;
        let name = match is_input {
            true => "standard input".to_owned(),
            false => path.display().to_string(),
        };
        let input: Box<dyn Read + Send> = match is_input {
            true => Box::new(stdin()),
            false => {
                Box::new(File::open(path).map_err(|cause| Error::from_cause(READ, &name, &cause))?)
            }
        };
        let reader = create_reader(BUFFER, input).map_err(|fault| failure(&name, &fault))?;
        Ok(Self {
            name,
            reader,
            links: Vec::new(),
            number: 0,
        })
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// Where the file is broken, or has frames of another link layer than Ethernet.
    pub fn take(&mut self) -> Result<Option<Captured>> {
        loop {
            match self.step()? {
                Step::Packet {
                    interface,
                    bytes,
                    length,
                } => {
                    self.number += 1;
                    self.check_link(interface)?;
                    return Ok(Some(Captured {
                        number: self.number,
                        is_cut: (bytes.len() as u64) < u64::from(length),
                        bytes,
                    }));
                }
                Step::Other => {}
                Step::More => self
                    .reader
                    .refill()
                    .map_err(|fault| failure(&self.name, &fault))?,
                Step::End => return Ok(None),
            }
        }
    }

    fn step(&mut self) -> Result<Step> {
        let is_read = self.reader.reader_exhausted();
        let (length, block) = match self.reader.next() {
            Ok(found) => found,
            Err(PcapError::Eof) => return Ok(Step::End),
            Err(PcapError::Incomplete(_)) if !is_read => return Ok(Step::More),
            Err(fault) => return Err(failure(&self.name, &fault)),
        };
        let packet = |interface, bytes: &[u8], length| Step::Packet {
            interface,
            bytes: bytes.to_vec(),
            length,
        };
        let step = match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.links = vec![header.network];
                Step::Other
            }
            PcapBlockOwned::Legacy(one) => packet(0, one.data, one.origlen),
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.links.clear();
                Step::Other
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                self.links.push(interface.linktype);
                Step::Other
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(one)) => {
                packet(one.if_id as usize, one.packet_data(), one.origlen)
            }
            PcapBlockOwned::NG(Block::SimplePacket(one)) => {
                packet(0, one.packet_data(), one.origlen)
            }
            PcapBlockOwned::NG(_) => Step::Other,
        };
        self.reader.consume(length);
        Ok(step)
    }

    fn check_link(&self, interface: usize) -> Result<()> {
        let why = match self.links.get(interface) {
            Some(&Linktype::ETHERNET) => return Ok(()),
            Some(&(Linktype::LINUX_SLL | Linktype::LINUX_SLL2)) => {
                "is Linux cooked, without the Ethernet header that it came in".to_owned()
            }
            Some(Linktype(number)) => format!("is of link type {number}, not Ethernet"),
            None => "is of an interface that the file does not describe".to_owned(),
        };
        let why = format!("frame {} {why}", self.number);
        Err(Error::new(READ, &self.name, why)
            .advise("capture on the device itself, not on any: tcpdump -i eth0 -w FILE arp"))
    }
}

fn failure(name: impl Display, fault: &PcapError<&[u8]>) -> Error {
    let why = match fault {
        PcapError::HeaderNotRecognized => "it is neither pcap nor pcapng",
        PcapError::Eof => "it is empty",
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => "it ends within a frame",
        PcapError::BufferTooSmall => "a frame of it is longer than any can be",
        PcapError::ReadError => "it cannot be read",
        PcapError::NomError(..) | PcapError::OwnedNomError(..) => "it is broken",
    };
    Error::new(READ, name, why)
}

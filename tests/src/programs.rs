//! The pinned programs, run on one frame at a time by `BPF_PROG_TEST_RUN`.

use arpguard_common::abi::program;
use aya::programs::{ProgramError, SchedClassifier, TestRun, TestRunOptions, Xdp};
use aya_obj::programs::XdpAttachType;

use crate::{
    kernel::{Feature, has},
    pins::Pins,
};

/// What a program may return.
#[derive(Debug)]
pub struct Codes {
    /// The frame goes on.
    pub pass: u32,
    /// It does not.
    pub drop: u32,
    /// It goes back.
    pub answer: u32,
}

const XDP: Codes = Codes {
    pass: 2,
    drop: 1,
    answer: 3,
};

/// TC_ACT_UNSPEC, which leaves the verdict to the next program, TC_ACT_SHOT and TC_ACT_REDIRECT.
const TC: Codes = Codes {
    pass: u32::MAX,
    drop: 2,
    answer: 7,
};

/// The name of the program that is loaded for XDP: the best that the kernel takes.
pub fn xdp() -> &'static str {
    if has(Feature::XdpFrags) {
        program::XDP_FRAGS
    } else {
        program::XDP
    }
}

/// A program in the kernel.
#[derive(Debug)]
pub enum Program {
    /// For received frames.
    Xdp(Xdp),
    /// For frames of either way.
    Tc(SchedClassifier),
}

/// What a program made of a frame.
#[derive(Debug)]
pub struct Ran {
    /// One of the [`Codes`].
    pub code: u32,
    /// How many bytes of the buffer are the frame that it left.
    pub length: usize,
}

impl Program {
    /// Opens the one that is pinned by this name.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn open(pins: &Pins, name: &str) -> Self {
        let path = pins.program(name);
        let opened = match name {
            program::XDP | program::XDP_FRAGS => {
                Xdp::from_pin(&path, XdpAttachType::Interface).map(Self::Xdp)
            }
            _ => SchedClassifier::from_pin(&path).map(Self::Tc),
        };
        opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// What it may return.
    pub fn codes(&self) -> Codes {
        match self {
            Self::Xdp(_) => XDP,
            Self::Tc(_) => TC,
        }
    }

    /// Runs it on a frame of a device, by interface index. `out` gets the frame that it leaves, and
    /// has to be as long as that. A device takes part in a test run of XDP once its driver has rings
    /// for it, as when a native XDP program is attached.
    ///
    /// # Errors
    /// Where the kernel does not run it.
    pub fn run(&self, frame: &[u8], device: u32, out: &mut [u8]) -> Result<Ran, ProgramError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let context = match self {
            // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index,
            // egress_ifindex
            Self::Xdp(_) => words([0, length, 0, device, 0, 0, 0, 0, 0, 0, 0]),
            // struct __sk_buff: ifindex is its eleventh word
            Self::Tc(_) => words([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, device]),
        };
        let context = match self {
            Self::Xdp(_) => &context[..6 * size_of::<u32>()],
            Self::Tc(_) => &context,
        };
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(out),
            ctx_in: Some(context),
            ..TestRunOptions::new()
        };
        let result = match self {
            Self::Xdp(program) => program.test_run(options),
            Self::Tc(program) => program.test_run(options),
        }?;
        Ok(Ran {
            code: result.return_value,
            length: result.data_size_out as usize,
        })
    }
}

fn words(words: [u32; 11]) -> [u8; 44] {
    let mut bytes = [0; 44];
    for (to, word) in bytes.chunks_exact_mut(size_of::<u32>()).zip(words) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

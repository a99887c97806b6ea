//! What the kernel that runs has, asked of the kernel itself: versions say little of kernels to which
//! features were brought back.

use std::{fmt, io, process::Command};

use nix::errno::Errno;

use crate::{
    bpf::{self, EXIT, Kind, Program, XDP_DROP, insn},
    lab::skip,
};

/// What not every supported kernel has, and tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// A context, and so a device of one's choice, for a test run of XDP (Linux 5.14).
    XdpContext,
    /// XDP programs for frames in several buffers (Linux 5.18).
    XdpFrags,
    /// Test runs of XDP whose frames go where the program sends them (Linux 5.18).
    LiveFrames,
    /// Telling what drivers have of XDP: the family `netdev` of generic netlink (Linux 6.3).
    DriverFeatures,
    /// TCX (Linux 6.6).
    Tcx,
}

impl fmt::Display for Feature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::XdpContext => "context for a test run of XDP",
            Self::XdpFrags => "multi-buffer XDP",
            Self::LiveFrames => "test runs of XDP with live frames",
            Self::DriverFeatures => "word of what drivers have of XDP",
            Self::Tcx => "TCX",
        })
    }
}

impl Feature {
    /// Asks the kernel, changing nothing.
    fn try_it(self) -> io::Result<()> {
        let drop_all = [insn(0xb7, 0, 0, 0, XDP_DROP), EXIT];
        // As long as the shortest frame.
        let frame = [0; 60];
        match self {
            Self::XdpContext => {
                let program = Program::load(Kind::Xdp, &drop_all);
                // The first words of `struct xdp_md`: data, data_end.
                let context = [0, 60_u32].map(u32::to_ne_bytes).concat();
                bpf::try_test_run(&program, &frame, &context, 1).map(drop)
            }
            Self::XdpFrags => Program::try_load_frags(&drop_all).map(drop),
            Self::LiveFrames => Program::load(Kind::Xdp, &drop_all).try_live(&frame, 1),
            Self::DriverFeatures => {
                let mut genl = Command::new("genl");
                genl.args(["ctrl", "get", "name", "netdev"]);
                match genl.output()?.status.success() {
                    true => Ok(()),
                    false => Err(Errno::EINVAL.into()),
                }
            }
            Self::Tcx => bpf::query_tcx(),
        }
    }
}

/// Whether this kernel has it.
///
/// # Panics
///
/// Where the kernel refuses to be asked.
pub fn has(feature: Feature) -> bool {
    match feature.try_it() {
        Ok(()) => true,
        // What it knows no flag, no field or no hook for.
        Err(error)
            if matches!(
                Errno::from_raw(error.raw_os_error().unwrap_or_default()),
                Errno::EINVAL | Errno::E2BIG
            ) =>
        {
            false
        }
        Err(error) => panic!("ask the kernel for {feature}: {error}"),
    }
}

/// Whether the test of this thread is left out, as this kernel lacks the feature; then that is said.
pub fn lacks(feature: Feature) -> bool {
    let lacks = !has(feature);
    if lacks {
        skip(&format!("this kernel has no {feature}"));
    }
    lacks
}

/// Where this kernel attaches what it judges at the TC hook, as arpguard names it.
pub fn tc_hook() -> &'static str {
    if has(Feature::Tcx) { "tcx" } else { "clsact" }
}

/// What this kernel tells of the hooks of a veth device, as arpguard words it.
pub fn veth_hooks() -> String {
    let tc = tc_hook();
    match has(Feature::DriverFeatures) {
        true => format!("xdp-native (multi-buffer), xdp-generic and {tc} can attach"),
        false => format!(
            "xdp-generic and {tc} can attach; whether xdp-native can, only trying tells: the kernel \
             knows what drivers have from Linux 6.3 on"
        ),
    }
}

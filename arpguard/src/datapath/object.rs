//! The eBPF object that the binary carries: loading it, and finding its programs again.

use std::path::Path;

use arpguard_common::abi::{map, program};
use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    programs::{Program, ProgramError, SchedClassifier, TcAttachType, Xdp},
    util::KernelVersion,
};
use aya_obj::programs::XdpAttachType;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

use super::{
    bpffs::{Pins, Unfinished},
    maps,
};
use crate::error::{Error, Result};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/arpguard-ebpf"));

const LOAD: &str = "load the programs";

/// Tells the programs of this binary from those of another build.
pub(super) const BUILD: &str = env!("ARPGUARD_PROGRAMS");

const MAPS: &[&str] = &[
    map::SHAPE,
    map::ADDRESSES,
    map::PREFIXES,
    map::LOCAL,
    map::DEVICES,
    map::COUNTERS,
    map::LISTENER,
    map::EVENTS,
    map::METERS,
];

/// Loads programs and maps into the kernel and pins them, all or nothing.
pub(super) fn load(pins: &Pins) -> Result<()> {
    let loaded = load_unfinished(pins).and_then(|unfinished| pins.finish(&unfinished));
    if loaded.is_err() {
        pins.remove_unfinished()?;
    }
    loaded
}

fn load_unfinished(pins: &Pins) -> Result<Unfinished> {
    // Before Linux 5.11 the memory of maps counts against this limit. Elsewhere, or without the
    // privilege, a failure means nothing yet.
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    let mut object = parse(&mut EbpfLoader::new())?;
    let unfinished = pins.begin()?;
    pin_programs(&mut object, &unfinished.programs())?;
    for name in MAPS {
        let missing = || Error::new(LOAD, name, "the eBPF object has no such map");
        let path = unfinished.map(name);
        object
            .map(name)
            .ok_or_else(missing)?
            .pin(&path)
            .map_err(|cause| Error::from_cause("pin", path.display(), &cause))?;
    }
    maps::create_notes(&unfinished, BUILD)?;
    Ok(unfinished)
}

/// Loads this binary's programs over the maps that are there, and pins them to `directory`.
pub(super) fn load_over(pins: &Pins, directory: &Path) -> Result<()> {
    let mut loader = EbpfLoader::new();
    for name in MAPS {
        loader.map_pin_path(name, pins.map(name));
    }
    pin_programs(&mut parse(&mut loader)?, directory)
}

fn parse(loader: &mut EbpfLoader<'_>) -> Result<Ebpf> {
    // The programs read nothing of the kernel's own structures.
    loader
        .btf(None)
        .load(OBJECT)
        .map_err(|cause| Error::from_cause(LOAD, "the eBPF object", &cause))
}

fn pin_programs(object: &mut Ebpf, directory: &Path) -> Result<()> {
    object
        .programs_mut()
        .try_for_each(|(name, program)| load_program(&directory.join(name), name, program))
}

fn load_program(path: &Path, name: &str, program: &mut Program) -> Result<()> {
    let loaded = match program {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        _ => {
            return Err(Error::new(
                LOAD,
                name,
                "it is of a kind that arpguard has not",
            ));
        }
    };
    match loaded {
        Ok(()) => {}
        Err(_) if name == program::XDP_FRAGS && !has_multi_buffer_xdp() => return Ok(()),
        Err(ProgramError::LoadError {
            io_error,
            verifier_log,
        }) => {
            return Err(match complaint(&verifier_log.to_string()) {
                Some(line) => Error::new(LOAD, name, format!("the verifier says: {line}")),
                None => Error::from_cause(LOAD, name, &io_error),
            });
        }
        Err(cause) => return Err(Error::from_cause(LOAD, name, &cause)),
    }
    program
        .pin(path)
        .map_err(|cause| Error::from_cause("pin", path.display(), &cause))
}

/// What the verifier's log ends with, but for its statistics.
fn complaint(log: &str) -> Option<&str> {
    let mut lines = log.lines().rev().map(str::trim);
    lines.find(|line| !line.is_empty() && !line.starts_with("processed "))
}

fn has_multi_buffer_xdp() -> bool {
    KernelVersion::current().is_ok_and(|current| current >= KernelVersion::new(5, 18, 0))
}

/// The pinned programs.
pub(super) struct Programs {
    pub(super) xdp: Xdp,
    pub(super) tc_ingress: SchedClassifier,
    pub(super) tc_egress: SchedClassifier,
}

impl Programs {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let xdp = |name| Xdp::from_pin(directory.join(name), XdpAttachType::Interface);
        let tc = |name: &str| {
            let path = directory.join(name);
            SchedClassifier::from_pin(&path).map_err(|cause| unreadable(&path, &cause))
        };
        Ok(Self {
            xdp: xdp(program::XDP_FRAGS)
                .or_else(|_| xdp(program::XDP))
                .map_err(|cause| unreadable(&directory.join(program::XDP), &cause))?,
            tc_ingress: tc(program::TC_INGRESS)?,
            tc_egress: tc(program::TC_EGRESS)?,
        })
    }

    pub(super) const fn tc(&mut self, hook: TcAttachType) -> &mut SchedClassifier {
        match hook {
            TcAttachType::Egress => &mut self.tc_egress,
            TcAttachType::Ingress | TcAttachType::Custom(_) => &mut self.tc_ingress,
        }
    }
}

fn unreadable(path: &Path, cause: &(dyn std::error::Error + 'static)) -> Error {
    Error::from_cause("open a pin", path.display(), cause)
}

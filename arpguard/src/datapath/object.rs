//! The eBPF object that the binary carries: loading it, and finding its programs again.

use std::{os::fd::AsFd as _, path::Path};

use arpguard_common::abi::{map, program};
use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    programs::{Program, ProgramError},
    util::KernelVersion,
};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

use super::{
    bpffs::{Pins, Unfinished},
    maps::{self, Maps},
    program::Programs,
    sys,
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
    map::CLAIMS,
    map::REQUESTS,
];

/// Those that programs write, and that which has them write.
const WRITTEN: &[&str] = &[
    map::COUNTERS,
    map::LISTENER,
    map::EVENTS,
    map::METERS,
    map::CLAIMS,
    map::REQUESTS,
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
    let mut object = parse(&mut EbpfLoader::new())?;
    let unfinished = pins.begin()?;
    load_programs(&mut object)?;
    pin_programs(&mut object, &unfinished.programs())?;
    for name in MAPS {
        let path = unfinished.map(name);
        object
            .map(name)
            .ok_or_else(|| missing(name))?
            .pin(&path)
            .map_err(|cause| Error::from_cause("pin", path.display(), &cause))?;
    }
    maps::create_notes(BUILD)?
        .pin(unfinished.map(maps::NOTES))
        .map_err(|cause| Error::from_cause("pin", maps::NOTES, &cause))?;
    maps::create_checks()?
        .pin(unfinished.map(maps::CHECKS))
        .map_err(|cause| Error::from_cause("pin", maps::CHECKS, &cause))?;
    Ok(unfinished)
}

/// Loads programs and maps that are gone with the process.
pub(super) fn load_held() -> Result<(Maps, Programs)> {
    let mut object = parse(&mut EbpfLoader::new())?;
    load_programs(&mut object)?;
    let programs = Programs::find(|name| {
        let fd = object.program(name).and_then(|program| program.fd().ok());
        fd.map(|fd| fd.as_fd().try_clone_to_owned())
            .transpose()
            .map_err(|cause| Error::from_cause(LOAD, name, &cause))
    })?;
    let own = (maps::create_notes(BUILD)?, maps::create_checks()?);
    let maps = Maps::take(own, |name, _| {
        object.take_map(name).ok_or_else(|| missing(name))
    })?;
    Ok((maps, programs))
}

/// Loads this binary's programs over the maps that are there, and pins them to `directory`.
pub(super) fn load_over(pins: &Pins, directory: &Path) -> Result<()> {
    let mut loader = EbpfLoader::new();
    for name in MAPS {
        loader.map_pin_path(name, pins.map(name));
    }
    let mut object = parse(&mut loader)?;
    load_programs(&mut object)?;
    pin_programs(&mut object, directory)
}

/// Loads some of this binary's programs over the policy that is in force, with maps of their own to
/// write to. All of it is gone with the object.
///
/// Maps that are not pinned cannot be named to the loader. So it makes its own, which what the
/// programs read is then put in place of, before they are loaded.
pub(super) fn load_beside(maps: &Maps, names: &[&str]) -> Result<Ebpf> {
    let policy = || MAPS.iter().filter(|name| !WRITTEN.contains(name));
    let mut loader = EbpfLoader::new();
    for name in policy() {
        loader.map_max_entries(name, 1);
    }
    let mut object = parse(&mut loader)?;
    for name in policy() {
        let tried = |cause| Error::from_cause(LOAD, name, &cause);
        let placeholder = object.map(name).ok_or_else(|| missing(name))?;
        let place = maps::descriptor(placeholder).map_err(tried)?;
        let in_force = maps.descriptor(name).ok_or_else(|| missing(name))?;
        sys::put_in_place(place, &in_force).map_err(tried)?;
    }
    for name in names {
        let program = object.program_mut(name).ok_or_else(|| {
            let why = "the eBPF object has no such program";
            Error::new(LOAD, name, why)
        })?;
        load_program(name, program)?;
    }
    Ok(object)
}

/// Before Linux 5.11 the memory of programs and maps counts against this limit. Elsewhere, or without
/// the privilege, a failure means nothing yet.
fn raise_memory_limit() {
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
}

fn parse(loader: &mut EbpfLoader<'_>) -> Result<Ebpf> {
    raise_memory_limit();
    // The programs read nothing of the kernel's own structures.
    loader
        .btf(None)
        .load(OBJECT)
        .map_err(|cause| Error::from_cause(LOAD, "the eBPF object", &cause))
}

fn load_programs(object: &mut Ebpf) -> Result<()> {
    object
        .programs_mut()
        .try_for_each(|(name, program)| load_program(name, program))
}

fn load_program(name: &str, program: &mut Program) -> Result<()> {
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
        Err(_) if name == program::XDP_FRAGS && !has_multi_buffer_xdp() => Ok(()),
        Err(ProgramError::LoadError {
            io_error,
            verifier_log,
        }) => Err(match complaint(&verifier_log.to_string()) {
            Some(line) => Error::new(LOAD, name, format!("the verifier says: {line}")),
            None => Error::from_cause(LOAD, name, &io_error),
        }),
        loaded => loaded.map_err(|cause| Error::from_cause(LOAD, name, &cause)),
    }
}

fn pin_programs(object: &mut Ebpf, directory: &Path) -> Result<()> {
    for (name, program) in object.programs_mut() {
        if program.fd().is_ok() {
            let path = directory.join(name);
            program
                .pin(&path)
                .map_err(|cause| Error::from_cause("pin", path.display(), &cause))?;
        }
    }
    Ok(())
}

fn missing(map: &str) -> Error {
    Error::new(LOAD, map, "the eBPF object has no such map")
}

/// What the verifier's log ends with, but for its statistics.
fn complaint(log: &str) -> Option<&str> {
    const STATISTICS: [&str; 3] = ["verification time ", "stack depth ", "processed "];
    let is_statistics = |line: &str| STATISTICS.iter().any(|begin| line.starts_with(begin));
    let mut lines = log.lines().rev().map(str::trim);
    lines.find(|line| !line.is_empty() && !is_statistics(line))
}

fn has_multi_buffer_xdp() -> bool {
    KernelVersion::current().is_ok_and(|current| current >= KernelVersion::new(5, 18, 0))
}

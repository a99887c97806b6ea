//! Where maps come from.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use aya::{
    maps::{Map, MapData, MapError, MapType},
    sys::SyscallError,
};

use crate::{
    datapath::{bpffs::Pins, sys},
    error::{Error, Result},
    fault,
};

/// What a map is taken for.
pub(in crate::datapath) type Kind = fn(MapData) -> Map;

/// Where maps come from, by name.
pub(in crate::datapath) struct Source<F>(pub(in crate::datapath) F);

impl<F: FnMut(&str, Kind) -> Result<Map>> Source<F> {
    pub(super) fn typed<M: TryFrom<Map, Error = MapError>>(
        &mut self,
        name: &str,
        kind: Kind,
    ) -> Result<M> {
        let map = (self.0)(name, kind)?;
        M::try_from(map).map_err(|cause| Error::from_cause("open a map", name, &told(cause)))
    }
}

/// A layout has its own directory, so a map of other sizes is none of it.
fn told(cause: MapError) -> io::Error {
    match cause {
        MapError::InvalidKeySize { .. } | MapError::InvalidValueSize { .. } => sys::NotOurs.into(),
        cause => io::Error::other(cause),
    }
}

/// The descriptor of a map, whatever kind of map it is taken for.
pub(in crate::datapath) fn descriptor(map: &Map) -> io::Result<BorrowedFd<'_>> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::LpmTrie(data)
        | Map::PerCpuArray(data)
        | Map::PerCpuHashMap(data)
        | Map::RingBuf(data) => Ok(data.fd().as_fd()),
        _ => Err(io::Error::other("it is of a kind that arpguard has not")),
    }
}

pub(in crate::datapath) fn open<M>(pins: &Pins, name: &str, kind: Kind) -> Result<M>
where
    M: TryFrom<Map, Error = MapError>,
{
    Source(|name: &str, kind| open_any(pins, name, kind)).typed(name, kind)
}

pub(super) fn open_any(pins: &Pins, name: &str, kind: Kind) -> Result<Map> {
    let path = pins.map(name);
    let opened = sys::open(&path, sys::Kind::Map).and_then(|pinned| of_kind(pinned, kind));
    opened.map_err(|cause| Error::from_cause("open a pin", path.display(), &cause))
}

/// The map that is pinned at `path`, if one is.
pub(in crate::datapath) fn find<M>(path: &Path, kind: Kind) -> Result<Option<M>>
where
    M: TryFrom<Map, Error = MapError>,
{
    let found = sys::find(path, sys::Kind::Map).and_then(|pinned| {
        let map = pinned.map(|pinned| of_kind(pinned, kind)).transpose()?;
        map.map(|map| M::try_from(map).map_err(told)).transpose()
    });
    found.map_err(|cause| Error::from_cause("open a pin", path.display(), &cause))
}

fn of_kind(pinned: OwnedFd, kind: Kind) -> io::Result<Map> {
    let data = MapData::from_fd(pinned).map_err(io::Error::other)?;
    let found = data.info().and_then(|info| info.map_type());
    let map = kind(data);
    match found.map_err(io::Error::other)? == type_of(&map) {
        true => Ok(map),
        false => Err(sys::NotOurs.into()),
    }
}

/// Of those that arpguard has.
const fn type_of(map: &Map) -> MapType {
    match map {
        Map::Array(_) => MapType::Array,
        Map::HashMap(_) => MapType::Hash,
        Map::LpmTrie(_) => MapType::LpmTrie,
        Map::LruHashMap(_) => MapType::LruHash,
        Map::PerCpuArray(_) => MapType::PerCpuArray,
        Map::PerCpuHashMap(_) => MapType::PerCpuHash,
        Map::RingBuf(_) => MapType::RingBuf,
        _ => MapType::Unspecified,
    }
}

impl fault::Refusal for MapError {
    fn of(io_error: io::Error) -> Self {
        let call = "bpf";
        Self::from(SyscallError { call, io_error })
    }
}

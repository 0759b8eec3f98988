//! The bytes of a segment, read one copy at a time, and what the system says of it.

use super::picture::{File, SystemV};
use super::seconds;
use crate::error::InspectError;
use crate::layout::control::{Control, Gate, Record, RecordWords};
use crate::layout::geometry::Geometry;
use crate::registry::witness;
use crate::segment::keyed::Reader;
use crate::sys::{file, process};
use core::mem::{offset_of, size_of};
use rustix::fs::{OFlags, Stat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// What is read at once, where much is read.
const CHUNK: usize = 1 << 20;

/// Cells that are further apart than this are read word by word.
const FAR_APART: usize = 4096;

/// So many cells are read at first. As long as one after the other is asked for, it is twice as many each time.
const FIRST: usize = 8;

/// A segment that can be read, and not be written.
#[derive(Debug)]
pub(super) struct Bytes {
    place: Place,
    /// For messages to people.
    name: String,
}

#[derive(Debug)]
enum Place {
    /// A file, open for reading only.
    File(OwnedFd),
    SystemV(Reader),
}

impl Bytes {
    /// Of the file at `path`. `links` says whether to follow them.
    pub(super) fn open(path: &Path, name: String, links: bool) -> Result<Bytes, InspectError> {
        let flags = if links { OFlags::RDONLY } else { OFlags::RDONLY | OFlags::NOFOLLOW };
        match file::open_following(path, flags) {
            Ok(file) => Bytes::of(file, name),
            Err(errno) => Err(open_failed(name, errno)),
        }
    }

    pub(super) fn of(file: OwnedFd, name: String) -> Result<Bytes, InspectError> {
        let stat = rustix::fs::fstat(&file);
        let bytes = Bytes { place: Place::File(file), name };
        match file::not_a_file(&stat.map_err(|errno| bytes.failed(LOOKING, errno.into()))?) {
            None => Ok(bytes),
            Some(found) => Err(InspectError::NotAFile { name: bytes.name, found }),
        }
    }

    /// Of the System V segment that has the key.
    pub(super) fn keyed(key: i32, name: String) -> Result<Bytes, InspectError> {
        match Reader::open(key) {
            Ok(reader) => Ok(Bytes { place: Place::SystemV(reader), name }),
            Err(error) => Err(match Errno::from_io_error(&error) {
                // It may have been removed since it was found.
                Some(Errno::INVAL | Errno::IDRM) => InspectError::NotFound { name },
                Some(errno) => open_failed(name, errno),
                None => InspectError::System { name, doing: "attaching to it", source: error },
            }),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What the system says of it, and what it says of a System V segment only.
    ///
    /// Whoever is to read anything asks this first: in a forked child nothing is attached where its parent's segment was.
    pub(super) fn facts(&self) -> Result<(File, Option<SystemV>), InspectError> {
        let failed = |errno: Errno| self.failed(LOOKING, errno.into());
        match &self.place {
            Place::File(file) => rustix::fs::fstat(file).map(|stat| (of_file(&stat), None)).map_err(failed),
            Place::SystemV(reader) if !reader.view.is_here() => {
                let why = "a forked child does not have what its parent attached; open it anew there";
                Err(self.failed("reading it", io::Error::new(io::ErrorKind::Unsupported, why)))
            }
            Place::SystemV(reader) => of_segment(reader).map_err(failed),
        }
    }

    /// As many bytes of the start as fit.
    pub(super) fn read_start(&self, buffer: &mut [u8]) -> Result<usize, InspectError> {
        match &self.place {
            Place::File(file) => {
                file::read_start(file, buffer).map_err(|error| self.failed("reading its header", error))
            }
            Place::SystemV(reader) => {
                let length = buffer.len().min(reader.view.len());
                reader.view.copy(0, &mut buffer[..length]);
                Ok(length)
            }
        }
    }

    /// Fills `buffer` from the byte `offset` on.
    pub(super) fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), InspectError> {
        match &self.place {
            Place::File(file) => match file::read_at(file, offset as u64, buffer) {
                Ok(read) if read == buffer.len() => Ok(()),
                Ok(_) => Err(InspectError::Truncated { name: self.name.clone() }),
                Err(error) => Err(self.failed("reading it", error)),
            },
            // Nobody can truncate it.
            Place::SystemV(reader) => {
                reader.view.copy(offset, buffer);
                Ok(())
            }
        }
    }

    /// The 64-bit word at `offset`.
    pub(super) fn word(&self, offset: usize) -> Result<u64, InspectError> {
        let mut word = [0; 8];
        self.read(offset, &mut word)?;
        Ok(u64::from_ne_bytes(word))
    }

    /// The words of its cells.
    pub(super) fn cells<'b>(&'b self, geometry: &'b Geometry) -> Cells<'b> {
        Cells { bytes: self, geometry, first: 0, words: Vec::new(), chunk: Vec::new() }
    }

    /// Whether nobody who is alive is attached with that record. Doubt is a no.
    pub(super) fn is_dead(&self, geometry: &Geometry, record: usize) -> bool {
        match &self.place {
            Place::File(file) => witness::is_dead(file.as_fd(), record),
            Place::SystemV(reader) => {
                let gate = geometry.control_offset + offset_of!(Control, gate);
                let alive = geometry.records_offset + record * size_of::<Record>() + offset_of!(RecordWords, alive);
                let namespaces = reader.view.word(gate + offset_of!(Gate, namespaces));
                process::namespaces() == Some(namespaces) && witness::is_nobody_alive(|| reader.view.word(alive))
            }
        }
    }

    /// Whether anybody who is alive is attached, whatever the layout. Doubt is a yes.
    pub(super) fn is_in_use(&self) -> bool {
        match &self.place {
            Place::File(file) => witness::is_in_use(file.as_fd()),
            Place::SystemV(reader) => reader.stat().map_or(true, |stat| stat.attached > 0),
        }
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> InspectError {
        InspectError::System { name: self.name.clone(), doing, source }
    }
}

/// The words of the cells of a segment. Some of those that come next are read ahead, never more than fit into [`CHUNK`], so
/// that a ring of any size is looked through in little memory.
#[derive(Debug)]
pub(super) struct Cells<'b> {
    bytes: &'b Bytes,
    geometry: &'b Geometry,
    /// The cell that the first of `words` is of.
    first: usize,
    words: Vec<u64>,
    chunk: Vec<u8>,
}

impl Cells<'_> {
    /// The word of a cell, as it is now or was a moment ago.
    pub(super) fn word(&mut self, cell: usize) -> Result<u64, InspectError> {
        let next = self.first + self.words.len();
        if !(self.first..next).contains(&cell) {
            let many = if cell == next { self.words.len() * 2 } else { 0 };
            self.fill(cell, many.max(FIRST))?;
        }
        Ok(self.words[cell - self.first])
    }

    /// Reads the words of up to `many` cells from `first` on.
    fn fill(&mut self, first: usize, many: usize) -> Result<(), InspectError> {
        let Cells { bytes, geometry, .. } = *self;
        let stride = geometry.shape.stride;
        let at = geometry.cells_offset + first * stride;
        self.words.clear();
        self.first = first;
        if stride > FAR_APART {
            self.words.push(bytes.word(at)?);
            return Ok(());
        }
        let many = many.min(CHUNK / stride).min(geometry.cells - first);
        self.chunk.resize(many * stride, 0);
        bytes.read(at, &mut self.chunk)?;
        self.words.extend(self.chunk.chunks_exact(stride).map(|cell| number(cell, 0)));
        Ok(())
    }
}

const LOOKING: &str = "asking the system about it";

/// The 64-bit number at `offset` of `bytes`, which has one there.
pub(super) fn number(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_ne_bytes(word)
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // the types of these fields differ between architectures
fn of_file(stat: &Stat) -> File {
    File {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        links: stat.st_nlink as u64,
        size: stat.st_size as u64,
        allocated: (stat.st_blocks as u64).saturating_mul(512),
        page: stat.st_blksize as u64,
        owner: stat.st_uid,
        group: stat.st_gid,
        mode: stat.st_mode as u32 & 0o7777,
    }
}

fn of_segment(reader: &Reader) -> Result<(File, Option<SystemV>), Errno> {
    let stat = reader.stat()?;
    let file = File {
        device: 0,
        inode: reader.number() as u64,
        links: u64::from(!stat.removed),
        size: stat.size as u64,
        allocated: reader.allocated(),
        page: rustix::param::page_size() as u64,
        owner: stat.owner,
        group: stat.group,
        mode: stat.mode,
    };
    let system_v = SystemV {
        id: reader.number(),
        creator: stat.creator,
        last: stat.last,
        attached: stat.attached,
        attached_at: (stat.attached_at > 0).then(|| seconds(stat.attached_at)),
        detached_at: (stat.detached_at > 0).then(|| seconds(stat.detached_at)),
        changed_at: seconds(stat.changed_at),
    };
    Ok((file, Some(system_v)))
}

fn open_failed(name: String, errno: Errno) -> InspectError {
    match errno {
        Errno::NOENT | Errno::NOTDIR => InspectError::NotFound { name },
        Errno::ACCESS | Errno::PERM => InspectError::Permission { name },
        Errno::LOOP => InspectError::NotAFile { name, found: "symbolic link" },
        Errno::NXIO => InspectError::NotAFile { name, found: "socket" },
        errno => InspectError::System { name, doing: "opening it", source: errno.into() },
    }
}

//! Looking at any ring, without being part of it.
//!
//! ```
//! use ringway::{Options, inspect, spsc};
//! # let name = &format!("doc-inspect-{}", std::process::id());
//!
//! let ring = spsc::Ring::<u64>::create(name, &Options::new().capacity(100))?;
//! let mut producer = ring.producer()?;
//! producer.push_slice(&[7, 8, 9])?;
//!
//! // In any process that may read the file, whatever the type of the ring's messages.
//! let segment = inspect::Segment::open(name)?;
//! let picture = segment.picture()?;
//! let contents = picture.contents.expect("its header is in order");
//! assert_eq!((contents.fill, contents.processes[0].pid), (3, std::process::id()));
//! assert_eq!(segment.peek(1, 8)?[0].bytes, 7_u64.to_ne_bytes());
//!
//! spsc::Ring::<u64>::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Segment`] is the file of a ring, of any type, kind and layout, opened for reading only. From it come [`Picture`]s,
//! plain data, and copies of messages that lie in the ring. Nothing is claimed, no lock is taken, nothing is written: who
//! is at work on the ring cannot notice. A ring whose header is wrong has a picture too, which says what is wrong.
//!
//! # Why no file is mapped
//!
//! The bytes are read by `pread`, a copy at a time. The file is open for reading only, so that even a bug could not
//! write; and a file that somebody truncates meanwhile is an error here, where a mapping would be a `SIGBUS` that ends the
//! process. It costs a system call where a mapping costs a load, which does not matter to who takes pictures.
//!
//! A System V segment has no file. It is attached for reading only, so that a bug would end this process and not change the
//! ring; nobody can truncate it. The kernel takes note of that: it counts us among the attached, and remembers that we were
//! the last. (Programs that refuse to start while one of their segments is attached may meet us; [`list()`] looks into
//! every segment with a key that we may read, for some microseconds.)
//!
//! # What a picture of a moving ring is worth
//!
//! The copies are not of one instant. Each is compared with what was read before or after it: a position is exact when
//! [`Contents::still`] says that the ring stood still; a cell is listed as held, or a word as corrupted, if it was so
//! when it was read and again at the end. Everything may be over by the time that it is read. For rates, take two
//! pictures and compare their positions.
//!
//! Nothing that is read is believed: a number that leads anywhere is checked first. Whatever the bytes are, a picture
//! takes a bounded time, which grows with the memory that the segment really has, and it never panics. It takes little
//! memory, whatever the size of the ring: cells are looked at as they are read, a MiB at a time.

mod bytes;
mod contents;
mod listing;
mod messages;
mod picture;

pub use listing::{Entry, Listing, Maker, Temporary, list};
pub use messages::Glimpse;
pub use picture::{
    Contents, File, HeldCell, Kind, Layout, Lifetime, MOST_HELD, PeerState, Picture, Process, RoleHolder, Roles,
    Sleepers, SystemV,
};

use crate::error::{HeaderError, InspectError};
use crate::layout::geometry::Geometry;
use crate::layout::header::examined::{Examined, Stated};
use crate::layout::header::{Expected, Header};
use crate::segment::name::Name;
use crate::segment::{Place, Source};
use crate::sys::process;
use bytes::Bytes;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A segment, open for reading only.
#[derive(Debug)]
pub struct Segment {
    bytes: Bytes,
    path: Option<PathBuf>,
}

/// A header that is in order, and what follows from it.
struct Sound {
    kind: Kind,
    geometry: Geometry,
}

impl Sound {
    /// Where a cell begins.
    fn cell(&self, cell: usize) -> usize {
        self.geometry.cells_offset + cell * self.geometry.shape.stride
    }
}

impl Segment {
    /// Opens a ring for reading: a name, or any other [`Source`] by which a ring is found. Any regular file, or System V
    /// segment, will do: what is wrong with it is said by its [`picture`](Segment::picture).
    ///
    /// # Errors
    /// [`InspectError`]; [`InspectError::NoName`] of a source by which nothing is found.
    pub fn open(source: impl Into<Source>) -> Result<Segment, InspectError> {
        let source = source.into();
        match source.place() {
            Place::Posix { name, folder } => {
                let name = Name::new(name, folder.clone())?;
                let path = folder.join(name.file());
                let bytes = Bytes::open(&path, name.file().to_owned(), false)?;
                Ok(Segment { bytes, path: Some(path) })
            }
            Place::SystemV { key } => Ok(Segment { bytes: Bytes::keyed(*key, source.to_string())?, path: None }),
            Place::ProcessDescriptor { pid, descriptor } => Segment::open_path(format!("/proc/{pid}/fd/{descriptor}")),
            Place::Descriptor(descriptor) => {
                let duplicate = descriptor.as_fd().try_clone_to_owned();
                Segment::from_fd(duplicate.map_err(|error| InspectError::System {
                    name: source.to_string(),
                    doing: "duplicating its descriptor",
                    source: error,
                })?)
            }
            Place::Memfd { .. } | Place::Heap => Err(InspectError::NoName { name: source.to_string() }),
            Place::Invalid(error) => Err(error.clone().into()),
        }
    }

    /// Opens the file at `path` for reading, such as `/proc/PID/fd/N` for a ring that another process has open. Links are
    /// followed.
    ///
    /// # Errors
    /// [`InspectError`].
    pub fn open_path(path: impl AsRef<Path>) -> Result<Segment, InspectError> {
        let path = path.as_ref().to_owned();
        Ok(Segment { bytes: Bytes::open(&path, path.display().to_string(), true)?, path: Some(path) })
    }

    /// Looks at the file behind a descriptor, which may be of any access that includes reading.
    ///
    /// # Errors
    /// [`InspectError`].
    pub fn from_fd(file: OwnedFd) -> Result<Segment, InspectError> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
        Ok(Segment { bytes: Bytes::of(file, path.display().to_string())?, path: Some(path) })
    }

    /// The path of its file; `None` for a System V segment, which stays attached, for reading, as long as this lives. (In a
    /// forked child it is not: there everything but this is an [`InspectError::System`].)
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What can be said of it now. Asks the kernel for each attached process, some microseconds, and looks at all cells.
    ///
    /// # Errors
    /// [`InspectError::Truncated`] when somebody truncates the file again and again; [`InspectError::System`].
    pub fn picture(&self) -> Result<Picture, InspectError> {
        // What is truncated meanwhile has a wrong size at the second look.
        self.take().or_else(|error| match error {
            InspectError::Truncated { .. } => self.take(),
            error => Err(error),
        })
    }

    fn take(&self) -> Result<Picture, InspectError> {
        let (file, system_v) = self.bytes.facts()?;
        let (examined, sound) = self.examine(&file)?;
        let contents = sound.map(|sound| contents::look(&self.bytes, &sound)).transpose()?;
        Ok(Picture {
            name: self.name(),
            path: self.path.clone(),
            taken_at: SystemTime::now(),
            file,
            system_v,
            version: examined.version,
            layout: examined.stated.map(layout),
            errors: examined.errors,
            in_use: self.bytes.is_in_use(),
            contents,
        })
    }

    fn name(&self) -> String {
        match self.path.as_ref().and_then(|path| path.file_name().filter(|_| !path.starts_with("/proc"))) {
            Some(name) => name.to_string_lossy().into_owned(),
            None => self.bytes.name().to_owned(),
        }
    }

    /// Copies of the messages that lie in the ring, from the next one to pop on: the first `bytes` bytes of each, of
    /// `most` messages at most. They stay in the ring. Those that were taken by a consumer which died come first. Of a
    /// `Latest` the newest value, whose position is its version less one.
    ///
    /// Every copy is of a message that was committed and not handed over when it was copied, and is whole. When the ring
    /// moves meanwhile, messages that were popped in between are left out.
    ///
    /// # Errors
    /// [`InspectError::Header`] when the header is wrong; [`InspectError::Truncated`], [`InspectError::System`].
    pub fn peek(&self, most: usize, bytes: usize) -> Result<Vec<Glimpse>, InspectError> {
        let (mut examined, sound) = self.examine(&self.bytes.facts()?.0)?;
        match sound {
            Some(sound) => messages::peek(&self.bytes, &sound, most, bytes),
            None => Err(self.unsound(examined.errors.swap_remove(0))),
        }
    }

    /// What somebody must expect who is to attach to it.
    pub(crate) fn expected(&self) -> Result<Expected, InspectError> {
        let (mut examined, sound) = self.examine(&self.bytes.facts()?.0)?;
        match (sound, examined.sound) {
            (Some(_), Some((expected, _))) => Ok(expected),
            _ => Err(self.unsound(examined.errors.swap_remove(0))),
        }
    }

    fn unsound(&self, error: HeaderError) -> InspectError {
        InspectError::Header { name: self.bytes.name().to_owned(), error }
    }

    /// The header, and its geometry if there is nothing wrong with it.
    fn examine(&self, file: &File) -> Result<(Examined, Option<Sound>), InspectError> {
        let mut bytes = [0; size_of::<Header>()];
        let read = self.bytes.read_start(&mut bytes)?;
        let mut examined = Header::examine(&bytes[..read], file.size);
        let mut sound =
            examined.sound.as_ref().map(|(expected, geometry)| Sound { kind: expected.kind, geometry: *geometry });
        // Memory that is not there would be read as zeros, however much of it the header claims.
        if sound.is_some() && file.allocated < file.size {
            examined.errors.push(HeaderError::Sparse { found: file.allocated, expected: file.size });
            sound = None;
        }
        Ok((examined, sound))
    }
}

fn layout(stated: Stated) -> Layout {
    let this_boot = process::boot_id();
    let unknown = [0; 16];
    Layout {
        kind: stated.kind,
        type_name: stated.type_name,
        schema: stated.schema,
        item_size: stated.item_size,
        item_align: stated.item_align,
        capacity: stated.capacity,
        cells: stated.cells,
        items_per_cell: stated.items_per_cell,
        payload_offset: stated.payload_offset,
        stride: stated.cell_stride,
        processes: stated.processes,
        total_size: stated.total_size,
        lifetime: stated.lifetime,
        created_at: time(stated.created_at),
        boot_id: stated.boot_id,
        other_boot: ![unknown, this_boot].contains(&stated.boot_id) && this_boot != unknown,
    }
}

/// A time that is stated in nanoseconds since 1970.
fn time(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// Likewise, in seconds.
fn seconds(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(u64::from(u32::MAX)))
}

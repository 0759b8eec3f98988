//! Memory in which a ring can be: made, found, checked, mapped. A segment knows where its parts lie and nothing of what a
//! ring does with them; who uses it does not know which kind of memory it is.
//!
//! A new kind of memory is one more file here: a way to make a [`Segment`], a way to find one, and a [`Backing`].
#![allow(unsafe_code)]

mod file;
pub(crate) mod folder;
mod heap;
mod huge;
pub(crate) mod keyed;
pub(crate) mod making;
mod memfd;
mod memory;
pub(crate) mod name;
pub(crate) mod posix;
mod source;
mod system_v;

pub use huge::{HugePageSize, HugePages};
pub(crate) use memory::Wishes;
pub use memory::{Memory, MemoryKind, MemoryLock};
pub use source::Source;

use crate::error::{CreateError, OpenError, UnlinkError};
use crate::layout::geometry::Geometry;
use crate::layout::header::{Expected, Header, Identity, Lifetime, MAGIC};
use crate::layout::parts::Parts;
use crate::sys::mapping::Mapping;
use core::fmt;
use core::mem::size_of;
use core::sync::atomic::{AtomicU64, Ordering};
use rustix::io::Errno;
pub(crate) use source::Place;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// A mapped segment whose header has been checked.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Dropped first: what is removed then may be told from others only as long as it is mapped.
    backing: Box<dyn Backing>,
    parts: Parts,
    lifetime: Lifetime,
    mapping: Arc<Mapping>,
    /// What was asked of the memory, not required, and not granted.
    refused: Vec<String>,
}

/// What a segment is made of, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'p> {
    pub(crate) geometry: Geometry,
    pub(crate) identity: &'p Identity,
    pub(crate) wishes: &'p Wishes,
}

impl Plan<'_> {
    /// Bytes of memory, in whole pages of that size if it is in huge ones.
    fn length(&self, huge: Option<HugePageSize>) -> usize {
        self.geometry.total_size.next_multiple_of(huge.map_or(1, |size| size.bytes() as usize))
    }

    /// Why memory of that size could not be had.
    fn refused(&self, name: &str, huge: Option<HugePageSize>, error: io::Error, doing: &'static str) -> CreateError {
        match (huge, Errno::from_io_error(&error)) {
            (Some(size), Some(errno)) => {
                let error = huge::refused(size.bytes(), self.length(huge) as u64, errno);
                CreateError::Memory { name: name.into(), error }
            }
            _ => file::failed(name, doing)(error),
        }
    }

    /// What `make` makes in huge pages, if they are wished, or else, if they are not required, in ordinary ones, with the
    /// reason.
    fn in_huge_pages_or_not<M>(
        &self,
        make: impl Fn(Option<HugePageSize>) -> Result<M, CreateError>,
    ) -> Result<(M, Vec<String>), CreateError> {
        let mut refused = Vec::new();
        if self.wishes.huge != HugePages::Never {
            match make(Some(self.wishes.huge_size)) {
                Err(CreateError::Memory { error, .. }) if self.wishes.huge == HugePages::Try => {
                    refused.push(error.to_string());
                }
                result => return result.map(|made| (made, refused)),
            }
        }
        make(None).map(|made| (made, refused))
    }
}

/// What a process that attaches wants to find.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'w> {
    pub(crate) ring: Expected,
    pub(crate) wishes: &'w Wishes,
    /// The user who must own it. By default us, where it is found by a name that others could have taken.
    pub(crate) owner: Option<u32>,
}

/// What a kind of memory knows of a segment beside where it is mapped.
trait Backing: fmt::Debug + Send + Sync {
    /// Gives the segment its name, in one step. From here on others find it, whole.
    fn publish(&mut self) -> Result<(), CreateError> {
        Ok(())
    }

    /// Whether it is found by a name, which somebody has to remove in the end.
    fn has_name(&self) -> bool {
        false
    }

    /// Whether its name is still that of this very segment.
    fn is_current(&self) -> bool {
        true
    }

    /// Removes the name, if it is still this segment's.
    fn unlink(&self) {}

    /// Whether no other process can have it.
    fn is_private(&self) -> bool {
        false
    }

    /// Whether the kernel knows it as a file.
    fn has_file(&self) -> bool {
        !self.is_private()
    }

    /// Its file, unless somebody has closed our descriptor.
    fn file(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Opens its file once more, with a description of its own.
    fn reopen(&self) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What it is, of what is mapped.
    fn describe(&self, mapping: &Mapping, refused: &[String]) -> Memory;

    /// A descriptor by which another process can attach.
    fn to_be_sent(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Segment {
    /// Makes a segment, which others do not find before [`publish`](Segment::publish). Dropped before that, it is gone.
    pub(crate) fn create(source: &Source, plan: &Plan<'_>) -> Result<Segment, CreateError> {
        let mut segment = match source.place() {
            Place::Posix { name, folder } => posix::create(name::Name::new(name, folder.clone())?, plan)?,
            Place::Memfd { label } => memfd::create(label, source, plan)?,
            Place::Heap => heap::create(source, plan)?,
            Place::SystemV { key } => system_v::create(*key, source, plan)?,
            Place::Descriptor(_) | Place::ProcessDescriptor { .. } => {
                return Err(CreateError::Exists { name: source.to_string() });
            }
            Place::Invalid(error) => return Err(error.clone().into()),
        };
        let settled = memory::settle(&segment.mapping, plan.wishes);
        segment.refused.extend(settled.map_err(|error| CreateError::Memory { name: source.to_string(), error })?);
        Ok(segment)
    }

    /// Maps the segment that `source` stands for, after its header has been found to be what is `wanted`. Nothing of it
    /// is changed before that.
    pub(crate) fn open(source: &Source, wanted: &Wanted<'_>) -> Result<Segment, OpenError> {
        let mut segment = match source.place() {
            Place::Posix { name, folder } => posix::open(name::Name::new(name, folder.clone())?, wanted)?,
            Place::Memfd { .. } => {
                let instead = "have its creator send it with `Ring::send_to`, and open what `Source::receive` gives";
                return Err(OpenError::NoName { name: source.to_string(), instead });
            }
            Place::Heap => {
                return Err(OpenError::NoName {
                    name: source.to_string(),
                    instead: "clone the `Ring` that was created",
                });
            }
            Place::Descriptor(descriptor) => memfd::open(descriptor.as_fd(), source, wanted)?,
            Place::ProcessDescriptor { pid, descriptor } => memfd::open_of(*pid, *descriptor, source, wanted)?,
            Place::SystemV { key } => system_v::open(*key, source, wanted)?,
            Place::Invalid(error) => return Err(error.clone().into()),
        };
        let settled = memory::settle(&segment.mapping, wanted.wishes);
        segment.refused.extend(settled.map_err(|error| OpenError::Memory { name: source.to_string(), error })?);
        Ok(segment)
    }

    /// A new ring in `mapping`, of which nobody else knows yet.
    fn lay_out(mapping: Mapping, name: &str, plan: &Plan<'_>, backing: impl Backing + 'static) -> Segment {
        let mapping = Arc::new(mapping);
        let parts = parts(&mapping, name, plan.geometry);
        for cell in 0..plan.geometry.cells {
            // SAFETY: the cell is one of the geometry's.
            let cell_start = unsafe { parts.cells().add(cell * plan.geometry.shape.stride) };
            // SAFETY: a cell starts with its word, aligned.
            let word = unsafe { cell_start.cast::<AtomicU64>().as_ref() };
            word.store(plan.identity.kind.first_word(cell), Ordering::Relaxed);
        }
        let header = Header::new(&plan.geometry, plan.identity, mapping.len() as u64);
        let bytes = header.as_bytes().chunks_exact(8);
        // The magic is the first word: it is not there before the segment is published.
        for (word, bytes) in words::<HEADER>(&mapping).iter().zip(bytes).skip(1) {
            word.store(u64::from_ne_bytes(bytes.try_into().unwrap_or_default()), Ordering::Relaxed);
        }
        Segment { parts, lifetime: plan.identity.lifetime, mapping, backing: Box::new(backing), refused: Vec::new() }
    }

    /// A ring that exists in `mapping`, whose header has been checked, and that is as long as it says.
    fn found(mapping: Mapping, name: &str, checked: &Checked, backing: impl Backing + 'static) -> Segment {
        let mapping = Arc::new(mapping);
        let parts = parts(&mapping, name, checked.geometry);
        let lifetime = checked.header.lifetime();
        Segment { parts, lifetime, mapping, backing: Box::new(backing), refused: Vec::new() }
    }

    /// Gives the segment its name, in one step. From here on others find it, whole.
    pub(crate) fn publish(&mut self) -> Result<(), CreateError> {
        // Release: who finds the magic finds all the rest.
        words::<1>(&self.mapping)[0].store(u64::from_ne_bytes(MAGIC), Ordering::Release);
        self.backing.publish()?;
        // Where it matters who makes a segment, we were in the gate.
        self.parts.control().gate.holder.store(0, Ordering::SeqCst);
        Ok(())
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Whether it is found by a name, which somebody has to remove in the end.
    pub(crate) fn has_name(&self) -> bool {
        self.backing.has_name()
    }

    /// Whether its name is still that of this very segment.
    pub(crate) fn is_current(&self) -> bool {
        self.backing.is_current()
    }

    /// Removes the name, if it is still this segment's.
    pub(crate) fn unlink(&self) {
        self.backing.unlink();
    }

    /// Whether no other process can have it.
    pub(crate) fn is_private(&self) -> bool {
        self.backing.is_private()
    }

    /// Whether the kernel knows it as a file, with bytes that can be locked.
    pub(crate) fn has_file(&self) -> bool {
        self.backing.has_file()
    }

    /// Opens the segment's file once more, with a description of its own.
    pub(crate) fn reopen(&self) -> io::Result<OwnedFd> {
        self.backing.reopen()
    }

    /// Lends a descriptor of the segment's file to `ask`, or says `None` when there is none to be had.
    pub(crate) fn with_file<R>(&self, ask: impl FnOnce(BorrowedFd<'_>) -> R) -> Option<R> {
        if let Some(file) = self.backing.file() {
            return Some(ask(file));
        }
        self.backing.reopen().ok().map(|file| ask(file.as_fd()))
    }

    /// What its memory really is.
    pub(crate) fn memory(&self) -> Memory {
        self.backing.describe(&self.mapping, &self.refused)
    }

    /// A descriptor by which another process can attach, if that is how it is done.
    pub(crate) fn to_be_sent(&self) -> Option<BorrowedFd<'_>> {
        self.backing.to_be_sent()
    }
}

/// A segment that exists, to have its name removed.
#[derive(Debug)]
pub(crate) enum Found {
    Posix(posix::Named),
    SystemV(keyed::Numbered),
}

impl Found {
    /// Looks whether it is a ring, of any kind, version and type.
    pub(crate) fn find(source: &Source) -> Result<Found, UnlinkError> {
        match source.place() {
            Place::Posix { name, folder } => {
                posix::Named::find(name::Name::new(name, folder.clone())?).map(Found::Posix)
            }
            Place::SystemV { key } => keyed::Numbered::find(*key, source).map(Found::SystemV),
            Place::Invalid(error) => Err(error.clone().into()),
            _ => Err(UnlinkError::NoName { name: source.to_string() }),
        }
    }

    /// Opens its file once more, with a description of its own. What has none is removed by a number that nothing else
    /// gets meanwhile.
    pub(crate) fn reopen(&self) -> io::Result<OwnedFd> {
        match self {
            Found::Posix(found) => found.reopen(),
            Found::SystemV(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Removes the name, if it is still that of this ring.
    pub(crate) fn unlink(&self) -> Result<(), UnlinkError> {
        match self {
            Found::Posix(found) => found.unlink(),
            Found::SystemV(found) => found.unlink(),
        }
    }
}

/// A header that is what was wanted.
struct Checked {
    header: Header,
    geometry: Geometry,
    /// Bytes of memory: those of the geometry, in whole pages.
    length: usize,
    /// As they were read.
    bytes: [u8; size_of::<Header>()],
}

fn parts(mapping: &Arc<Mapping>, name: &str, geometry: Geometry) -> Parts {
    let base = mapping.base();
    assert!(mapping.len() >= geometry.total_size, "what is mapped was compared with the geometry");
    // SAFETY: the mapping is at least `total_size` bytes, readable and writable, and its memory was just as long when it
    // was mapped. (Whoever may truncate its file could do so later: see the kinds for what they promise.)
    unsafe { Parts::new(base, geometry, name.into(), mapping.clone()) }
}

/// The first bytes of what is mapped; `None` when it is shorter than a header.
fn header_of(mapping: &Mapping) -> Option<[u8; size_of::<Header>()]> {
    if mapping.len() < size_of::<Header>() {
        return None;
    }
    let mut bytes = [0; size_of::<Header>()];
    for (word, bytes) in words::<HEADER>(mapping).iter().zip(bytes.chunks_exact_mut(8)) {
        // Acquire: who finds the magic, which is the first word, finds all the rest.
        bytes.copy_from_slice(&word.load(Ordering::Acquire).to_ne_bytes());
    }
    Some(bytes)
}

/// How many words a header has.
const HEADER: usize = size_of::<Header>() / 8;

/// The first words of a segment, to be written or read while others may look at them.
fn words<const N: usize>(mapping: &Mapping) -> &[AtomicU64; N] {
    assert!(mapping.len() >= N * 8, "whoever asks has looked how long it is");
    // SAFETY: it is mapped for as long as the result is used, aligned to a page, readable and writable; atomics are fine
    // with any bits, and with others who write.
    unsafe { mapping.base().cast().as_ref() }
}

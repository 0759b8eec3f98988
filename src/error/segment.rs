//! What can go wrong with a segment: creating, opening, unlinking.

use super::header::HeaderError;
use super::memory::MemoryError;
use super::name::{FolderError, InvalidName};
use super::system_v::SystemVError;
use std::io;
use thiserror::Error;

/// Why a ring was not created. Nothing was left on disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name cannot name a ring.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Something of that name exists. It was not touched.
    #[error("ring `{name}` was not created: the name is taken; open it, unlink it, or choose another name")]
    AlreadyExists {
        /// The name of the ring.
        name: String,
    },
    /// No ring can hold that many messages.
    #[error("ring `{name}` was not created: its capacity is {found} messages, expected 1 to {expected}")]
    Capacity {
        /// The name of the ring.
        name: String,
        /// Messages that were asked for.
        found: usize,
        /// The most messages of this type that fit into an address space.
        expected: usize,
    },
    /// There are no messages of that size and alignment ([`bytes::Ring::create`](crate::bytes::Ring::create)).
    #[error(
        "ring `{name}` was not created: messages of {size} bytes aligned to {align} were asked for, expected 1 to {} bytes, \
         aligned to a power of two up to {} of which the size is a multiple", .most.0, .most.1
    )]
    Messages {
        /// The name of the ring.
        name: String,
        /// Bytes of a message that were asked for.
        size: usize,
        /// The alignment that was asked for.
        align: usize,
        /// The greatest size and alignment that there can be.
        most: (usize, usize),
    },
    /// What has no producers and consumers cannot be made by [`bytes::Ring::create`](crate::bytes::Ring::create).
    #[error("ring `{name}` was not created: `bytes` makes `spsc` and `mpmc`; create a `Latest` with its type")]
    NoQueue {
        /// The name of the ring.
        name: String,
    },
    /// No ring has room for that many processes.
    #[error("ring `{name}` was not created: room for {found} processes was asked for, expected 1 to {expected}")]
    Processes {
        /// The name of the ring.
        name: String,
        /// Processes that were asked for.
        found: usize,
        /// The most that a ring can have.
        expected: usize,
    },
    /// The memory is not there: the file system of the segment is full.
    #[error(
        "ring `{name}` was not created: it needs {needed} bytes, {available} are available in {place}; \
         ask for less, remove what is not used, or enlarge {place}"
    )]
    NoSpace {
        /// The name of the ring.
        name: String,
        /// The size of the segment in bytes.
        needed: u64,
        /// Free bytes in the file system.
        available: u64,
        /// What is full.
        place: String,
    },
    /// We may not create a file there.
    #[error("ring `{name}` was not created: no permission to write to {place}; run as a user who may")]
    Permission {
        /// The name of the ring.
        name: String,
        /// The folder that refused.
        place: String,
    },
    /// The folder cannot be trusted, or is not there.
    #[error("ring `{name}` was not created: {error}")]
    Folder {
        /// The name of the ring.
        name: String,
        /// What is wrong with the folder.
        error: FolderError,
    },
    /// The memory cannot be what the options ask for.
    #[error("ring `{name}` was not created: {error}")]
    Memory {
        /// The name of the ring.
        name: String,
        /// What cannot be had.
        error: MemoryError,
    },
    /// The system does not make such a System V segment.
    #[error("{name} was not created: {error}")]
    SystemV {
        /// The source.
        name: String,
        /// Which limit is in the way.
        error: SystemVError,
    },
    /// The source stands for memory that exists.
    #[error("{name} is memory that exists; open it, or create a ring in a `Source::memfd`")]
    Exists {
        /// The source.
        name: String,
    },
    /// The system refused for another reason.
    #[error("ring `{name}` was not created: {doing} failed: {source}")]
    System {
        /// The name of the ring.
        name: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a ring was not opened. Nothing on disk was changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The name cannot name a ring.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Nothing of that name exists.
    #[error("ring `{name}` was not found; start the process that creates it, or use `open_or_create`")]
    NotFound {
        /// The name of the ring.
        name: String,
    },
    /// Something of that name exists and is no regular file.
    #[error("`{name}` is a {found}, expected a regular file; choose another name, or remove it")]
    NotAFile {
        /// The name of the ring.
        name: String,
        /// What it is.
        found: &'static str,
    },
    /// It belongs to another user, who could change it under us.
    #[error("ring `{name}` belongs to user {found}, expected user {expected}; if you trust {found}: `Options::owner`")]
    Owner {
        /// The name of the ring.
        name: String,
        /// The user id that owns the file.
        found: u32,
        /// The user id that we expect: our own, or the one of `Options::owner`.
        expected: u32,
    },
    /// Its mode does not let us read and write it.
    #[error("no permission to read and write ring `{name}`; ask its owner for a wider `Options::mode`")]
    Permission {
        /// The name of the ring.
        name: String,
    },
    /// The folder cannot be trusted, or is not there.
    #[error("ring `{name}` was not opened: {error}")]
    Folder {
        /// The name of the ring.
        name: String,
        /// What is wrong with the folder.
        error: FolderError,
    },
    /// The memory cannot be what the options ask for.
    #[error("ring `{name}` was not opened: {error}")]
    Memory {
        /// The name of the ring.
        name: String,
        /// What cannot be had.
        error: MemoryError,
    },
    /// The memory has no name by which it could be found.
    #[error("{name} has no name by which it could be found; {instead}")]
    NoName {
        /// The source.
        name: String,
        /// How else one gets at it.
        instead: &'static str,
    },
    /// The processes of a System V segment live in other namespaces than we: none could tell of the other whether it is
    /// alive.
    #[error(
        "{name} is for processes of the namespaces {found:#018x} (pid and time), expected our own, {expected:#018x} \
         (0: /proc does not show us); use memory that is a file"
    )]
    OtherNamespace {
        /// The source.
        name: String,
        /// The inode numbers of the pid namespace and of the time namespace of its creator, 32 bits each.
        found: u64,
        /// Those of this process.
        expected: u64,
    },
    /// A descriptor of memory that somebody may truncate under us, or that is not ours to write.
    #[error(
        "{name} has the seals {found:#x}, expected {expected:#x}, against shrinking, growing and other seals: \
         a peer could truncate it under us; have it made as a `Source::memfd`"
    )]
    Seals {
        /// The source.
        name: String,
        /// The seals, as in `fcntl(2)`; 0 where there are none.
        found: u32,
        /// The seals of a ring.
        expected: u32,
    },
    /// It is not a ring, or not one that this process can use.
    #[error("`{name}` cannot be opened: {error}")]
    Header {
        /// The name of the ring.
        name: String,
        /// Which field is wrong, and how.
        #[source]
        error: HeaderError,
    },
    /// As many processes as the ring has room for are attached and alive.
    #[error("ring `{name}` is full: {limit} processes are attached; detach one, or create it with more `processes`")]
    TooManyProcesses {
        /// The name of the ring.
        name: String,
        /// The number of process records in the segment.
        limit: usize,
    },
    /// The name kept changing, or another process was in the middle of leaving, for longer than we wait.
    #[error("ring `{name}` was not opened within {waited_ms} ms: {why}; try again")]
    Timeout {
        /// The name of the ring.
        name: String,
        /// How long we waited, in milliseconds.
        waited_ms: u64,
        /// What stood in the way.
        why: &'static str,
    },
    /// `open_or_create` found nothing and could not create the ring.
    #[error(transparent)]
    Create(CreateError),
    /// The system refused for another reason.
    #[error("ring `{name}` was not opened: {doing} failed: {source}")]
    System {
        /// The name of the ring.
        name: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a name was not removed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum UnlinkError {
    /// The name cannot name a ring.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Nothing of that name exists.
    #[error("ring `{name}` was not found; there is nothing to remove")]
    NotFound {
        /// The name of the ring.
        name: String,
    },
    /// What has that name is not a ring, so we leave it alone.
    #[error("`{name}` is not a ring of ringway and was not removed; if it is yours, remove it by hand")]
    NotARing {
        /// The name of the ring.
        name: String,
    },
    /// The folder cannot be trusted, or is not there.
    #[error("ring `{name}` was not removed: {error}")]
    Folder {
        /// The name of the ring.
        name: String,
        /// What is wrong with the folder.
        error: FolderError,
    },
    /// The memory has no name that could be removed.
    #[error("{name} has no name that could be removed: its memory is freed when the last process lets go of it")]
    NoName {
        /// The source.
        name: String,
    },
    /// We may not remove it.
    #[error("no permission to remove ring `{name}`; ask its owner")]
    Permission {
        /// The name of the ring.
        name: String,
    },
    /// Somebody who is alive is attached to it, or in the middle of attaching or leaving. Doubt counts as that.
    #[error("ring `{name}` is in use and was not removed; stop its processes, or remove it in spite of them")]
    InUse {
        /// The name of the ring.
        name: String,
    },
    /// It is not what a killed creator has left.
    #[error("`{name}` is not what is left of a ring in the making: {why}; it was not removed")]
    NotALeftover {
        /// The name.
        name: String,
        /// Why it is not.
        why: &'static str,
    },
    /// The name was given to something else while we looked at it.
    #[error("ring `{name}` was replaced while it was being removed; nothing was removed, look again")]
    Replaced {
        /// The name of the ring.
        name: String,
    },
    /// The system refused for another reason.
    #[error("ring `{name}` was not removed: {source}")]
    System {
        /// The name of the ring.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

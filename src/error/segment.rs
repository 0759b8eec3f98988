//! What can go wrong with a name and the segment behind it: creating, opening, unlinking.

use std::io;
use thiserror::Error;

/// A name that cannot name a ring. Nothing on disk was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The name has no characters.
    #[error("the name of a ring is empty; expected 1 to 250 bytes, such as \"ticks\"")]
    Empty,
    /// The name does not fit into a file name.
    #[error("the name of a ring is {found} bytes long; expected at most {expected}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
        /// The most that a file name holds, in bytes.
        expected: usize,
    },
    /// The name is not one component of a path, or could not be shown: it has a `/` or a control character, or it is `.`
    /// or `..`.
    #[error("{found:?} cannot name a ring; expected one path component: no `/`, no control character, not `.` or `..`")]
    NotAComponent {
        /// The name.
        found: String,
    },
    /// The name is not UTF-8.
    #[error("`{found}` cannot name a ring; expected UTF-8, the bytes that are not are shown as \u{fffd}")]
    NotUtf8 {
        /// The name, with what is not UTF-8 replaced.
        found: String,
    },
    /// The name is kept for rings that are being made.
    #[error("`{found}` cannot name a ring; names that begin with `{prefix}` are kept for rings that are being made")]
    Reserved {
        /// The name.
        found: String,
        /// The beginning that is not allowed.
        prefix: &'static str,
    },
}

/// A field of a segment's header that is not what this process can work with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Too short to hold a header: not a ring.
    #[error("it is {found} bytes long, expected at least the {expected} bytes of a header: not a ring of ringway")]
    TooShort {
        /// The size of the file in bytes.
        found: u64,
        /// The size of a header in bytes.
        expected: u64,
    },
    /// The first bytes are not those of a ring.
    #[error("it begins with {found:02x?}, expected {expected:02x?}: not a ring of ringway")]
    Magic {
        /// The first eight bytes.
        found: [u8; 8],
        /// The first eight bytes of every ring.
        expected: [u8; 8],
    },
    /// Made on a machine of the other byte order.
    #[error("its byte order mark is {found:#010x}, expected {expected:#010x}: it was made on another kind of machine")]
    ByteOrder {
        /// The mark as this machine reads it.
        found: u32,
        /// The mark that this machine writes.
        expected: u32,
    },
    /// Made by another version of ringway.
    #[error("its layout version is {found}, expected {expected}: update the older of the two programs")]
    Version {
        /// The version of the layout of the segment.
        found: u32,
        /// The version that this build reads and writes.
        expected: u32,
    },
    /// The header is not what its creator wrote.
    #[error("the checksum of its header is {found:#018x}, expected {expected:#018x}: it was overwritten; remove it")]
    Checksum {
        /// The sum in the header.
        found: u64,
        /// The sum of the header's bytes.
        expected: u64,
    },
    /// Another kind of ring, or another kind of segment.
    #[error("its kind is {found}, expected {expected}: open it as the kind of ring it is")]
    Kind {
        /// The number of the kind in the segment: 1 is `spsc`.
        found: u32,
        /// The number of the kind that was asked for.
        expected: u32,
    },
    /// Messages of another size.
    #[error(
        "its messages are `{found_type}` of {found} bytes, expected `{expected_type}` of {expected} bytes: \
         both programs must be built with the same message type"
    )]
    ItemSize {
        /// Bytes per message in the segment.
        found: u64,
        /// Bytes per message of the type that was asked for.
        expected: u64,
        /// The name of the type that the creator used.
        found_type: String,
        /// The name of the type that was asked for.
        expected_type: String,
    },
    /// Messages of another alignment.
    #[error("its messages are aligned to {found} bytes, expected {expected}: build both programs with the same type")]
    ItemAlign {
        /// Alignment in the segment, in bytes.
        found: u64,
        /// Alignment of the type that was asked for, in bytes.
        expected: u64,
    },
    /// Messages of another type of the same size.
    #[error(
        "its schema is {found:#018x} (`{found_type}`), expected {expected:#018x} (`{expected_type}`): \
         use the same message type, or give both programs the same `Options::schema`"
    )]
    Schema {
        /// The tag in the segment.
        found: u64,
        /// The tag of the type, or of `Options::schema`.
        expected: u64,
        /// The name of the type that the creator used.
        found_type: String,
        /// The name of the type that was asked for.
        expected_type: String,
    },
    /// Not the capacity that the options ask for.
    #[error("its capacity is {found} messages, expected {expected}: ask for that, or leave the capacity open")]
    Capacity {
        /// Messages that the ring holds.
        found: u64,
        /// Messages that were asked for.
        expected: u64,
    },
    /// A number of the layout that does not follow from the others.
    #[error("its {field} is {found}, expected {expected}: the header contradicts itself; remove it")]
    Geometry {
        /// Which number.
        field: &'static str,
        /// What the header says.
        found: u64,
        /// What follows from message size, alignment, capacity and number of processes.
        expected: u64,
    },
    /// The file is not as long as the header says.
    #[error("its file is {found} bytes long, expected {expected}: it was truncated or extended; remove it")]
    FileSize {
        /// The true size of the file in bytes.
        found: u64,
        /// The size that the header states, in bytes.
        expected: u64,
    },
    /// The file has holes: not all of its memory is reserved.
    #[error("only {found} of its {expected} bytes have memory behind them: it is a sparse copy; remove it")]
    Sparse {
        /// Bytes that the file system has set aside.
        found: u64,
        /// The size of the segment in bytes.
        expected: u64,
    },
}

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
        /// The folder that is full.
        place: &'static str,
    },
    /// We may not create a file there.
    #[error("ring `{name}` was not created: no permission to write to {place}; run as a user who may")]
    Permission {
        /// The name of the ring.
        name: String,
        /// The folder that refused.
        place: &'static str,
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

//! What can be wrong with the header of a segment.

use thiserror::Error;

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
    #[error("its kind is {found}{}, expected {expected}{}: open it as the kind of ring it is", kind(.found), kind(.expected))]
    Kind {
        /// The number of the kind in the segment: 1 is `spsc`, 2 `mpmc`, 3 `latest`.
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

/// What a kind is called.
fn kind(number: &u32) -> &'static str {
    match number {
        1 => " (spsc)",
        2 => " (mpmc)",
        3 => " (latest)",
        _ => "",
    }
}

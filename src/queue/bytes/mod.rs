//! Rings of any type, for programs that know the size of their messages only when they run: tools.
//!
//! ```
//! use ringway::{Options, bytes, spsc};
//! # let name = &format!("doc-bytes-{}", std::process::id());
//!
//! // A program, with a type ...
//! let ring = spsc::Ring::<u64>::create(name, &Options::new())?;
//! let mut producer = ring.producer()?;
//! producer.try_push(7)?;
//!
//! // ... and a tool, without.
//! let ring = bytes::Ring::open(name)?;
//! let mut message = vec![0; ring.message_size()];
//! ring.consumer()?.try_pop(&mut message)?;
//! assert_eq!(message, 7_u64.to_ne_bytes());
//!
//! bytes::Ring::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Such a ring is of either kind of queue ([`Latest`](crate::Latest) needs its type), and of the size and alignment of
//! messages that its header says; the handles follow the same algorithms as those of [`spsc`] and [`mpmc`], beside handles
//! of a type, with the same promises after a death. They are slower, by the cost of what the compiler does not know.
//!
//! A consumer takes bytes as they are. A producer should know what it does: bytes that are no message of the type that the
//! other side expects come out there as [`Invalid`](crate::Invalid), and valid ones of another meaning as what they are not.
//!
//! Who passes messages on to somewhere else need not lose any when it is killed: [`Consumer::peek_slice`] copies several,
//! and hands them over when they are there.

mod consumer;
mod producer;

pub use crate::layout::header::Kind;
pub(super) use consumer::Pops;
pub use consumer::{Consumer, Peek};
pub use producer::Producer;
pub(super) use producer::Pushes;

use super::attachment::{Attachment, PATIENCE};
use super::options::Options;
use super::{mpmc, remove, spsc};
use crate::error::{ClaimError, CreateError, HeaderError, InspectError, OpenError, UnlinkError};
use crate::inspect;
use crate::layout::geometry::{CellShape, MAX_ALIGN, MAX_ITEM};
use crate::layout::header::{Expected, Schema};
use crate::recover;
use crate::ring::erased::Erased;
use crate::segment::Source;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the messages of a ring are, to be created without a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    /// Bytes of a message: 1 to 2^31, a multiple of the alignment.
    pub size: usize,
    /// Its alignment: a power of two, at most 64.
    pub align: usize,
    /// What programs call the type, without path, such as `u64`, `[u8; 64]` or `Tick`. A program that opens the ring with
    /// another type of the same size and alignment is refused, unless [`Options::schema`] was given.
    pub type_name: String,
}

impl Messages {
    /// Arrays of `size` bytes: what a program opens as `[u8; SIZE]`.
    pub fn bytes(size: usize) -> Messages {
        Messages { size, align: 1, type_name: format!("[u8; {size}]") }
    }
}

/// A named ring of messages of any type, attached to this process. Clones are cheap and mean the same attachment.
#[derive(Clone, Debug)]
pub struct Ring {
    attachment: Arc<Attachment>,
    kind: Kind,
}

impl Ring {
    /// Creates the ring `name` and attaches to it, as [`spsc::Ring::create`](crate::spsc::Ring::create) does.
    ///
    /// ```
    /// # use ringway::{Lifetime, Options, bytes, mpmc};
    /// # let name = &format!("doc-bytes-create-{}", std::process::id());
    /// let options = Options::new().capacity(64).lifetime(Lifetime::LastDetach);
    /// let messages = bytes::Messages { size: 8, align: 8, type_name: "u64".into() };
    /// let ring = bytes::Ring::create(name, bytes::Kind::Mpmc, &messages, &options)?;
    /// ring.producer()?.try_push(&7_u64.to_ne_bytes())?;
    ///
    /// let same = mpmc::Ring::<u64>::open(name)?;
    /// assert_eq!(*same.consumer().try_pop()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CreateError`], with [`CreateError::Messages`] for messages that there cannot be; nothing was left on disk.
    pub fn create(
        source: impl Into<Source>,
        kind: Kind,
        messages: &Messages,
        options: &Options,
    ) -> Result<Ring, CreateError> {
        let source = source.into();
        let Messages { size, align, ref type_name } = *messages;
        if kind == Kind::Latest {
            return Err(CreateError::NoQueue { name: source.to_string() });
        }
        if !CellShape::is_possible(size as u64, align as u64) {
            let most = (MAX_ITEM, MAX_ALIGN);
            return Err(CreateError::Messages { name: source.to_string(), size, align, most });
        }
        let (shape, schema) = (kind.shape_of(size, align), Schema::named(type_name, options.schema));
        let attachment = Attachment::create_as(kind, shape, schema, &source, options)?;
        Ok(Ring { attachment: Arc::new(attachment), kind })
    }

    /// Attaches to the ring `name`, whatever its kind, type and capacity.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed.
    pub fn open(source: impl Into<Source>) -> Result<Ring, OpenError> {
        Ring::open_with(source, &Options::new())
    }

    /// Attaches to the ring `name`, which must have the capacity and the owner that `options` say, if they do, within their
    /// timeout.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on disk was changed.
    pub fn open_with(source: impl Into<Source>, options: &Options) -> Result<Ring, OpenError> {
        let source = source.into();
        let start = Instant::now();
        loop {
            match Ring::try_open(&source, options) {
                Err(OpenError::NotFound { .. }) if start.elapsed() < options.timeout => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                // It was replaced by another one between two looks.
                Err(OpenError::Header { error: changed, .. })
                    if start.elapsed() < PATIENCE && is_of_another_ring(&changed) => {}
                result => return result,
            }
        }
    }

    fn try_open(source: &Source, options: &Options) -> Result<Ring, OpenError> {
        let found = inspect::Segment::open(source).and_then(|segment| segment.expected());
        let expected = Expected { capacity: options.capacity, ..found.map_err(not_inspected)? };
        if expected.kind == Kind::Latest {
            let error = HeaderError::Kind { found: Kind::Latest as u32, expected: Kind::Spsc as u32 };
            return Err(OpenError::Header { name: source.to_string(), error });
        }
        // NB: only `Mpmc` has anything to clear up, and one message to a cell.
        let attachment = Attachment::try_open_as(&expected, source, options, |parts, register, record| {
            let memory = Erased::<1>::new(parts.clone());
            recover::recover_record::<(), _>(&memory, register, record);
        })?;
        Ok(Ring { attachment: Arc::new(attachment), kind: expected.kind })
    }

    /// Removes the name of a ring, of any type: see [`remove::ring`](crate::remove::ring()).
    ///
    /// # Errors
    /// [`UnlinkError`].
    pub fn unlink(source: impl Into<Source>) -> Result<(), UnlinkError> {
        remove::ring(source)
    }

    /// The name of the ring.
    pub fn name(&self) -> &str {
        self.attachment.parts().name()
    }

    /// Which algorithm it follows.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes of a message.
    pub fn message_size(&self) -> usize {
        self.attachment.parts().geometry().shape.item_size
    }

    /// How many messages the ring holds when it is full.
    pub fn capacity(&self) -> usize {
        self.attachment.parts().geometry().capacity
    }

    /// A producer. An SPSC ring has one at a time: its role is claimed from nobody or from a dead process.
    ///
    /// # Errors
    /// [`ClaimError`], of an SPSC ring.
    pub fn producer(&self) -> Result<Producer, ClaimError> {
        Ok(Producer::new(match self.kind {
            Kind::Spsc => spsc::erased::producer(&self.attachment)?,
            Kind::Mpmc => mpmc::erased::producer(&self.attachment),
            Kind::Latest => unreachable!("{REFUSED}"),
        }))
    }

    /// A consumer. An SPSC ring has one at a time: its role is claimed from nobody or from a dead process.
    ///
    /// # Errors
    /// [`ClaimError`], of an SPSC ring.
    pub fn consumer(&self) -> Result<Consumer, ClaimError> {
        Ok(Consumer::new(match self.kind {
            Kind::Spsc => spsc::erased::consumer(&self.attachment)?,
            Kind::Mpmc => mpmc::erased::consumer(&self.attachment),
            Kind::Latest => unreachable!("{REFUSED}"),
        }))
    }
}

const REFUSED: &str = "what is no queue was refused when it was created, or opened";

fn not_inspected(error: InspectError) -> OpenError {
    match error {
        InspectError::Name(error) => OpenError::Name(error),
        InspectError::NoName { name } => {
            OpenError::NoName { name, instead: "open the `Source` that its creator sends, or clone its `Ring`" }
        }
        InspectError::NotFound { name } => OpenError::NotFound { name },
        InspectError::NotAFile { name, found } => OpenError::NotAFile { name, found },
        InspectError::Permission { name } => OpenError::Permission { name },
        InspectError::Header { name, error } => OpenError::Header { name, error },
        InspectError::System { name, doing, source } => OpenError::System { name, doing, source },
        InspectError::Truncated { name } => {
            let source = std::io::ErrorKind::UnexpectedEof.into();
            OpenError::System { name, doing: "reading its header", source }
        }
    }
}

/// Whether a header that was in order is not what it was a moment ago.
fn is_of_another_ring(error: &HeaderError) -> bool {
    matches!(
        error,
        HeaderError::Kind { .. }
            | HeaderError::ItemSize { .. }
            | HeaderError::ItemAlign { .. }
            | HeaderError::Schema { .. }
    )
}

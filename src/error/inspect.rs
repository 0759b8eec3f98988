//! Why there is no picture of a segment.

use super::InvalidName;
use std::io;
use thiserror::Error;

/// Why something could not be inspected. A header that is wrong is no error: it is part of the picture.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// The name cannot name a ring.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Nothing of that name exists.
    #[error("`{name}` was not found; see `inspect::list` for what there is")]
    NotFound {
        /// The name, or the path.
        name: String,
    },
    /// A source by which nothing is found: memory that is still to be made.
    #[error("{name} has no name by which it could be looked at; look at /proc/PID/fd/N of a process that has it")]
    NoName {
        /// The source.
        name: String,
    },
    /// Something of that name exists and is no regular file.
    #[error("`{name}` is a {found}, expected the file of a ring")]
    NotAFile {
        /// The name, or the path.
        name: String,
        /// What it is.
        found: &'static str,
    },
    /// Its mode does not let us read it.
    #[error("no permission to read `{name}`; ask its owner for a wider `Options::mode`, or run as that user")]
    Permission {
        /// The name, or the path.
        name: String,
    },
    /// The header is wrong, so that nothing behind it can be made sense of: [`Picture`](crate::inspect::Picture) says how.
    #[error("`{name}` is no sound ring: {error}")]
    Header {
        /// The name, or the path.
        name: String,
        /// The first thing that is wrong.
        #[source]
        error: super::HeaderError,
    },
    /// The file was cut short while it was being read.
    #[error("`{name}` was truncated while it was being read; look again")]
    Truncated {
        /// The name, or the path.
        name: String,
    },
    /// The system refused for another reason.
    #[error("`{name}` was not inspected: {doing} failed: {source}")]
    System {
        /// The name, or the path.
        name: String,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

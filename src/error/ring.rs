//! What can go wrong with an attached ring: claiming a role, pushing, popping.

use core::fmt;
use thiserror::Error;

/// Which end of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that pushes.
    Producer,
    /// The end that pops.
    Consumer,
}

impl Role {
    /// The other end.
    pub(crate) fn other(self) -> Role {
        match self {
            Role::Producer => Role::Consumer,
            Role::Consumer => Role::Producer,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Producer => "producer",
            Role::Consumer => "consumer",
        })
    }
}

/// Why a role could not be claimed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Somebody alive has the role.
    #[error("ring `{ring}` has a {role} already: process {pid}; stop it first, or use a ring of your own")]
    RoleTaken {
        /// The name of the ring.
        ring: Box<str>,
        /// The role that was asked for.
        role: Role,
        /// The process that has it, as it calls itself: in another pid namespace it has another number here.
        pid: u32,
    },
    /// The ring's own words contradict each other.
    #[error(transparent)]
    Corrupted(#[from] Box<Corrupted>),
}

/// A word in shared memory that no correct process writes. The ring cannot be trusted any further.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "ring `{ring}` is corrupted: {what} is {found}, expected {} to {}; unlink it, create it anew, \
     and look for a process that writes where it should not", .expected.0, .expected.1
)]
pub struct Corrupted {
    /// The name of the ring.
    pub ring: Box<str>,
    /// Which word.
    pub what: &'static str,
    /// The least and the greatest value that it could have.
    pub expected: (u64, u64),
    /// What it is.
    pub found: u64,
}

/// A message whose bytes are no value of its type. It has been consumed, and the ring goes on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("message {position} of ring `{ring}` is not a valid `{expected}` and was dropped; its producer is broken")]
pub struct Invalid {
    /// The name of the ring.
    pub ring: Box<str>,
    /// How many messages were pushed before it since the ring was created.
    pub position: u64,
    /// The name of the type that was expected.
    pub expected: &'static str,
}

/// Why nothing was pushed. Gives the message back.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TryPushError<T> {
    /// The ring holds as many messages as its capacity.
    #[error("the ring is full; pop from it, or try again later")]
    Full(T),
    /// Neither full nor free (MPMC): the cell in front is in the hands of a living process, which is in the middle of a
    /// copy, or stopped.
    #[error("the cell in front is in the hands of process {pid}; try again, or see whether it is stopped")]
    Busy {
        /// The message that was not pushed.
        message: T,
        /// The process, as it calls itself.
        pid: u32,
    },
    /// The ring's own words contradict each other.
    #[error("{1}")]
    Corrupted(T, Box<Corrupted>),
}

impl<T> TryPushError<T> {
    /// The message that was not pushed.
    pub fn into_inner(self) -> T {
        match self {
            TryPushError::Full(message) | TryPushError::Busy { message, .. } | TryPushError::Corrupted(message, _) => {
                message
            }
        }
    }
}

impl<T> fmt::Debug for TryPushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryPushError::Full(_) => f.write_str("Full(..)"),
            TryPushError::Busy { pid, .. } => write!(f, "Busy {{ pid: {pid}, .. }}"),
            TryPushError::Corrupted(_, error) => write!(f, "Corrupted(.., {error:?})"),
        }
    }
}

/// Why there is no room to reserve.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReserveError {
    /// The ring holds as many messages as its capacity.
    #[error("the ring is full; pop from it, or try again later")]
    Full,
    /// Neither full nor free (MPMC): the cell in front is in the hands of a living process, which is in the middle of a
    /// copy, or stopped.
    #[error("the cell in front is in the hands of process {pid}; try again, or see whether it is stopped")]
    Busy {
        /// The process, as it calls itself.
        pid: u32,
    },
    /// The ring's own words contradict each other.
    #[error(transparent)]
    Corrupted(#[from] Box<Corrupted>),
}

/// Why nothing was popped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TryPopError {
    /// There is no message. A producer that was killed looks like this too: it may come back and go on.
    #[error("the ring is empty; push to it, or try again later")]
    Empty,
    /// Neither empty nor there (MPMC): the message in front is in the hands of a living process, which is in the middle of
    /// pushing it, or stopped.
    #[error("the message in front is in the hands of process {pid}; try again, or see whether it is stopped")]
    Busy {
        /// The process, as it calls itself.
        pid: u32,
    },
    /// There is no message, and the producer has given up its role in an orderly way (SPSC).
    #[error("the ring is empty and its producer has left")]
    Closed,
    /// The next message was not valid. It was consumed.
    #[error(transparent)]
    Invalid(#[from] Box<Invalid>),
    /// The ring's own words contradict each other.
    #[error(transparent)]
    Corrupted(#[from] Box<Corrupted>),
}

/// Why nothing was copied out of the slice.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushSliceError {
    /// Neither full nor free (MPMC): the cell in front is in the hands of a living process, which is in the middle of a
    /// copy, or stopped.
    #[error("the cell in front is in the hands of process {pid}; try again, or see whether it is stopped")]
    Busy {
        /// The process, as it calls itself.
        pid: u32,
    },
    /// The ring's own words contradict each other.
    #[error(transparent)]
    Corrupted(#[from] Box<Corrupted>),
}

/// Why nothing was copied into the slice.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PopSliceError {
    /// Neither empty nor there (MPMC): the message in front is in the hands of a living process, which is in the middle of
    /// pushing it, or stopped.
    #[error("the message in front is in the hands of process {pid}; try again, or see whether it is stopped")]
    Busy {
        /// The process, as it calls itself.
        pid: u32,
    },
    /// The next message was not valid. It was consumed.
    #[error(transparent)]
    Invalid(#[from] Box<Invalid>),
    /// The ring's own words contradict each other.
    #[error(transparent)]
    Corrupted(#[from] Box<Corrupted>),
}

/// Why a process was not evicted. Except with [`Timeout`](EvictError::Timeout), nobody was killed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvictError {
    /// No process of that pid is attached.
    #[error("process {pid} is not attached to ring `{ring}`; see `Ring::peers` for those who are")]
    NotAttached {
        /// The name of the ring.
        ring: Box<str>,
        /// The pid that was asked for.
        pid: u32,
    },
    /// It is the process that asks.
    #[error("a process cannot evict itself from ring `{ring}`; drop its handles")]
    Ourselves {
        /// The name of the ring.
        ring: Box<str>,
    },
    /// Its pid counts in another pid namespace: here that number is another process, or none.
    #[error("process {pid} of ring `{ring}` lives in another pid namespace; evict it from there")]
    OtherNamespace {
        /// The name of the ring.
        ring: Box<str>,
        /// The process, as it calls itself.
        pid: u32,
    },
    /// We may not kill it.
    #[error("no permission to kill process {pid} of ring `{ring}`; ask its owner, or root")]
    Permission {
        /// The name of the ring.
        ring: Box<str>,
        /// The process.
        pid: u32,
    },
    /// It was killed, and the kernel has not brought it down yet.
    #[error("process {pid} of ring `{ring}` was killed and is not dead after {waited_ms} ms; see what it waits for")]
    Timeout {
        /// The name of the ring.
        ring: Box<str>,
        /// The process.
        pid: u32,
        /// How long we waited, in milliseconds.
        waited_ms: u64,
    },
    /// The system refused for another reason.
    #[error("process {pid} of ring `{ring}` could not be killed: {source}")]
    System {
        /// The name of the ring.
        ring: Box<str>,
        /// The process.
        pid: u32,
        /// What the system said.
        source: std::io::Error,
    },
}

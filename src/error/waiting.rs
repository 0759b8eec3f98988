//! How a blocking operation can end without having done anything.

use super::ring::{Corrupted, Invalid};
use core::fmt;
use thiserror::Error;

/// Why a blocking push gave up. Gives the message back.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError<T> {
    /// There was no room in time.
    #[error("no room in time{}", in_the_way(.pid))]
    Timeout {
        /// The message that was not pushed.
        message: T,
        /// The living process that had the cell in front in its hands all the time, if it was not simply full (MPMC).
        pid: Option<u32>,
    },
    /// The ring is full, there were consumers, and none is left. Only if
    /// [`close_when_alone`](crate::spsc::Producer::close_when_alone) was asked for.
    #[error("the ring is full and its consumers have left; start one, or stop")]
    Closed(T),
    /// The ring's own words contradict each other.
    #[error("{1}")]
    Corrupted(T, Box<Corrupted>),
}

impl<T> PushError<T> {
    /// The message that was not pushed.
    pub fn into_inner(self) -> T {
        match self {
            PushError::Timeout { message, .. } | PushError::Closed(message) | PushError::Corrupted(message, _) => {
                message
            }
        }
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PushError::Timeout { pid, .. } => write!(f, "Timeout {{ pid: {pid:?}, .. }}"),
            PushError::Closed(_) => f.write_str("Closed(..)"),
            PushError::Corrupted(_, error) => write!(f, "Corrupted(.., {error:?})"),
        }
    }
}

/// Why a blocking push of many gave up, and how many it had pushed by then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{pushed} messages were pushed: {why}")]
pub struct PushAllError {
    /// So many messages, from the first on, are committed.
    pub pushed: usize,
    /// What happened then.
    pub why: PushError<()>,
}

/// Why a blocking pop gave up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PopError {
    /// There was no message in time.
    #[error("no message in time{}", in_the_way(.pid))]
    Timeout {
        /// The living process that had the message in front in its hands all the time, if there was one (MPMC).
        pid: Option<u32>,
    },
    /// There is no message, there were producers, and none is left: they have dropped their handles, or died.
    #[error("the ring is empty and its producers have left")]
    Closed,
    /// The next message was not valid. It was consumed.
    #[error(transparent)]
    Invalid(#[from] Box<Invalid>),
    /// The ring's own words contradict each other.
    #[error(transparent)]
    Corrupted(#[from] Box<Corrupted>),
}

fn in_the_way(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!(": the cell in front is in the hands of process {pid}; see whether it is stopped"),
        None => String::new(),
    }
}

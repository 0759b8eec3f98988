//! What can go wrong with reading the newest value.

use super::ring::Corrupted;
use thiserror::Error;

/// Why the newest value could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// In each of many attempts the writer published as many values as the capacity while one was copied: it is that much
    /// faster than we are.
    #[error(
        "`{ring}` was overwritten during each of {attempts} attempts to copy its newest value, by {capacity} values or more; \
         create it with a larger capacity, or read again"
    )]
    Overtaken {
        /// The name.
        ring: Box<str>,
        /// How often we tried.
        attempts: usize,
        /// Values that can be published during a copy without harm to it, and one.
        capacity: usize,
    },
    /// The bytes of the newest value are no value of its type. The next one may be.
    #[error("version {version} of `{ring}` is not a valid `{expected}`; its writer is broken")]
    Invalid {
        /// The name.
        ring: Box<str>,
        /// Which value.
        version: u64,
        /// The name of the type that was expected.
        expected: &'static str,
    },
    /// Words that contradict each other.
    #[error(transparent)]
    Corrupted(#[from] Box<Corrupted>),
}

/// Why a wait for a newer value ended without one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NewerError {
    /// None was written in time.
    #[error("no newer value in time")]
    Timeout,
    /// There is none, there was a writer, and it has left or died. What it wrote last can still be read, and the next
    /// writer goes on.
    #[error("there is no newer value, and its writer has left; read what there is, or wait for the next writer")]
    Closed,
    /// There is one, and it could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

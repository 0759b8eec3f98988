//! The bytes of a segment, read one copy at a time.

use crate::error::InspectError;
use crate::layout::geometry::Geometry;
use crate::sys::file;
use rustix::fs::{OFlags, Stat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// What is read at once, where much is read.
const CHUNK: usize = 1 << 20;

/// Cells that are further apart than this are read word by word.
const FAR_APART: usize = 4096;

/// A segment's file, open for reading only.
#[derive(Debug)]
pub(super) struct Source {
    file: OwnedFd,
    /// For messages to people.
    name: String,
}

impl Source {
    /// `links` says whether to follow them.
    pub(super) fn open(path: &Path, name: String, links: bool) -> Result<Source, InspectError> {
        let flags = if links { OFlags::RDONLY } else { OFlags::RDONLY | OFlags::NOFOLLOW };
        match file::open_following(path, flags) {
            Ok(file) => Source::of(file, name),
            Err(errno) => Err(open_failed(name, errno)),
        }
    }

    pub(super) fn of(file: OwnedFd, name: String) -> Result<Source, InspectError> {
        let source = Source { file, name };
        match file::not_a_file(&source.stat()?) {
            None => Ok(source),
            Some(found) => Err(InspectError::NotAFile { name: source.name, found }),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(super) fn stat(&self) -> Result<Stat, InspectError> {
        rustix::fs::fstat(&self.file).map_err(|errno| self.failed("looking at its file", errno.into()))
    }

    /// As many bytes of the start as fit.
    pub(super) fn read_start(&self, buffer: &mut [u8]) -> Result<usize, InspectError> {
        file::read_start(&self.file, buffer).map_err(|error| self.failed("reading its header", error))
    }

    /// Fills `buffer` from the byte `offset` on.
    pub(super) fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), InspectError> {
        match file::read_at(&self.file, offset as u64, buffer) {
            Ok(read) if read == buffer.len() => Ok(()),
            Ok(_) => Err(InspectError::Truncated { name: self.name.clone() }),
            Err(error) => Err(self.failed("reading it", error)),
        }
    }

    /// The 64-bit word at `offset`.
    pub(super) fn word(&self, offset: usize) -> Result<u64, InspectError> {
        let mut word = [0; 8];
        self.read(offset, &mut word)?;
        Ok(u64::from_ne_bytes(word))
    }

    /// The word of each cell.
    pub(super) fn cell_words(&self, geometry: &Geometry) -> Result<Vec<u64>, InspectError> {
        let (stride, first) = (geometry.shape.stride, geometry.cells_offset);
        if stride > FAR_APART {
            return (0..geometry.cells).map(|cell| self.word(first + cell * stride)).collect();
        }
        let mut words = Vec::with_capacity(geometry.cells);
        let mut chunk = vec![0; (CHUNK / stride).min(geometry.cells) * stride];
        while words.len() < geometry.cells {
            let cells = (geometry.cells - words.len()).min(chunk.len() / stride);
            let bytes = &mut chunk[..cells * stride];
            self.read(first + words.len() * stride, bytes)?;
            words.extend(bytes.chunks_exact(stride).map(|cell| number(cell, 0)));
        }
        Ok(words)
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> InspectError {
        InspectError::System { name: self.name.clone(), doing, source }
    }
}

/// The 64-bit number at `offset` of `bytes`, which has one there.
pub(super) fn number(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_ne_bytes(word)
}

fn open_failed(name: String, errno: Errno) -> InspectError {
    match errno {
        Errno::NOENT | Errno::NOTDIR => InspectError::NotFound { name },
        Errno::ACCESS | Errno::PERM => InspectError::Permission { name },
        Errno::LOOP => InspectError::NotAFile { name, found: "symbolic link" },
        Errno::NXIO => InspectError::NotAFile { name, found: "socket" },
        errno => InspectError::System { name, doing: "opening it", source: errno.into() },
    }
}

//! What can be wrong with a name, or with the folder that it is in.

use std::io;
use std::path::PathBuf;
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
    /// A folder was given for memory that is not in one.
    #[error("{found} is in no folder; leave out `dir`, or use `Source::posix`")]
    NoFolder {
        /// The source.
        found: String,
    },
    /// The key 0 stands for a segment that nobody can find.
    #[error("a System V segment with the key 0 (IPC_PRIVATE) cannot be found by others; expected any other key")]
    PrivateKey,
    /// No key can be made of that file.
    #[error("no System V key can be made of {path}: {why}; expected a file that exists")]
    NoKey {
        /// The file.
        path: String,
        /// What the system said.
        why: String,
    },
    /// The folder has no absolute path.
    #[error("`{found}` is no folder: {why}; give its path")]
    Folder {
        /// The path.
        found: String,
        /// What the system said.
        why: String,
    },
}

/// A folder in which no ring is made or looked for, because somebody else could change what is in it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It cannot be opened.
    #[error("folder {path} cannot be opened: {source}; make it, for you alone")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It belongs to another user.
    #[error("folder {path} belongs to user {found}, expected user {expected} or root; use a folder of your own")]
    Owner {
        /// The folder.
        path: PathBuf,
        /// The user id that owns it.
        found: u32,
        /// Our own user id.
        expected: u32,
    },
    /// Others may rename and remove what is in it.
    #[error(
        "folder {path} has mode {found:04o}: others may replace what is in it; \
         `chmod go-w` it, or make it sticky, as /dev/shm is"
    )]
    Writable {
        /// The folder.
        path: PathBuf,
        /// Its permissions.
        found: u32,
    },
}

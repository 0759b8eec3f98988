//! System V segments that exist: which there are, the bytes of one for somebody who only looks, and how one is removed.
//!
//! They are looked at by attaching them for reading only. NB: that leaves a trace with the kernel, which remembers when
//! somebody last attached to a segment and who it was, and counts us among the attached meanwhile. So a [`Reader`] asks what
//! the kernel says before it attaches, and goes by that where nothing but itself has happened since.

use super::system_v::{Content, Examined, examine, examine_segment};
use super::{HEADER, Source, header_of, words};
use crate::error::UnlinkError;
use crate::layout::control::Control;
use crate::layout::header::Header;
use crate::sys::mapping::Mapping;
use crate::sys::process;
use crate::sys::shm::{self, Id, Stat, View};
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};
use rustix::io::Errno;
use std::io;

/// What a segment is that is a ring, or was to become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// It begins as a ring does.
    Ring { key: i32 },
    /// A ring in the making, and whether its creator, as the kernel remembers it, has ended.
    Making { key: i32, creator: u32, is_over: bool, allocated: u64 },
    /// We may not look.
    Unreadable,
}

/// All that have a key and may be rings.
pub(crate) fn list() -> Vec<Listed> {
    let mut listed = Vec::new();
    for row in shm::table().into_iter().filter(|row| row.key != 0) {
        let key = row.key;
        match examine_segment(row.id) {
            Ok(Examined { content: Content::Ring, .. }) => listed.push(Listed::Ring { key }),
            Ok(Examined { marked: true, content, creator, .. }) => {
                let is_over = content == Content::Abandoned;
                listed.push(Listed::Making { key, creator, is_over, allocated: row.allocated });
            }
            Err(Errno::ACCESS | Errno::PERM) => listed.push(Listed::Unreadable),
            // Something else, or gone by now.
            Ok(_) | Err(_) => {}
        }
    }
    listed
}

/// A segment, attached for reading only.
#[derive(Debug)]
pub(crate) struct Reader {
    id: Id,
    pub(crate) view: View,
    /// What the kernel said right before and after we attached.
    before: Stat,
    after: Stat,
}

impl Reader {
    pub(crate) fn open(key: i32) -> io::Result<Reader> {
        let id = Id::find(key)?;
        let before = id.stat()?;
        let view = id.attach_to_read(before.size)?;
        Ok(Reader { id, view, before, after: id.stat()? })
    }

    /// Its number, as `ipcs -m` shows it.
    pub(crate) fn number(&self) -> i32 {
        self.id.number()
    }

    /// What the kernel says of it, our own looking aside.
    pub(crate) fn stat(&self) -> Result<Stat, Errno> {
        let now = self.id.stat()?;
        let is_ours = now.last == process::pid();
        let is_since = now.attached_at != self.after.attached_at;
        Ok(Stat {
            attached: now.attached.saturating_sub(1),
            last: if is_ours { self.before.last } else { now.last },
            attached_at: if is_since { now.attached_at } else { self.before.attached_at },
            ..now
        })
    }

    /// Bytes of it that are there; none, where the system does not say: to look at what is not there would allocate it.
    pub(crate) fn allocated(&self) -> u64 {
        let size = (self.view.len() as u64).next_multiple_of(rustix::param::page_size() as u64);
        let row = shm::table().into_iter().find(|row| row.id == self.id);
        row.map_or(0, |row| row.allocated.min(size))
    }
}

/// A segment of which it is known that it is a ring, whole or not, to be removed. It stays attached, so that its number is
/// its own.
#[derive(Debug)]
pub(crate) struct Numbered {
    name: String,
    examined: Examined,
    /// Whether it is a ring in the making of whose creator it is proven that it has ended.
    pub(crate) is_leftover: bool,
}

impl Numbered {
    pub(crate) fn find(key: i32, source: &Source) -> Result<Numbered, UnlinkError> {
        let name = source.to_string();
        match examine(key) {
            // If somebody is making it, it will be a ring that nobody can find.
            Ok(examined) if examined.content == Content::Ring || examined.marked => {
                let is_leftover = examined.content == Content::Abandoned;
                Ok(Numbered { name, examined, is_leftover })
            }
            Ok(_) => Err(UnlinkError::NotARing { name }),
            Err(errno) => Err(failed(name, errno)),
        }
    }

    /// Attaches it, for its gate.
    pub(crate) fn attach(&self) -> Result<Attached, UnlinkError> {
        let attached = self.examined.id.attach(self.examined.size);
        attached.map(|mapping| Attached { mapping }).map_err(|error| match Errno::from_io_error(&error) {
            Some(errno) => failed(self.name.clone(), errno),
            None => UnlinkError::System { name: self.name.clone(), source: error },
        })
    }

    /// Whether somebody has it attached, so many times aside, and that of this value. The kernel counts.
    pub(crate) fn is_attached(&self, beside: u64) -> Result<bool, UnlinkError> {
        let stat = self.examined.id.stat().map_err(|errno| failed(self.name.clone(), errno))?;
        Ok(stat.attached > beside + 1)
    }

    pub(crate) fn unlink(&self) -> Result<(), UnlinkError> {
        self.examined.id.remove().map_err(|errno| failed(self.name.clone(), errno))
    }
}

/// A segment that is attached by somebody who is not part of its ring.
#[derive(Debug)]
pub(crate) struct Attached {
    mapping: Mapping,
}

impl Attached {
    /// The word of its gate, if it is of the layout that we know, and names processes that we can ask for.
    pub(crate) fn gate(&self) -> Option<&AtomicU64> {
        const WORD: usize = HEADER + offset_of!(Control, gate) / 8;
        let header = header_of(&self.mapping)?;
        Header::examine(&header, self.mapping.len() as u64).sound?;
        // What is sound has a control block, right behind its header.
        let [.., holder, namespaces] = words::<{ WORD + 2 }>(&self.mapping);
        (process::namespaces() == Some(namespaces.load(Ordering::SeqCst))).then_some(holder)
    }
}

fn failed(name: String, errno: Errno) -> UnlinkError {
    match errno {
        Errno::NOENT | Errno::INVAL | Errno::IDRM => UnlinkError::NotFound { name },
        Errno::ACCESS | Errno::PERM => UnlinkError::Permission { name },
        errno => UnlinkError::System { name, source: errno.into() },
    }
}

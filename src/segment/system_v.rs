//! System V segments: memory under a number, the key, that the kernel keeps until somebody removes it.
//!
//! A key cannot be given to a segment that is whole: a segment has its key from the first moment, when it is zeros. So
//! what is being made says so. Its first word is [`MAKING`] as soon as there is one, then it names its creator, and the
//! last thing that is written is the magic in place of that word: nobody takes a segment without magic for a ring. What
//! its creator leaves when it is killed is found by the next who wants to create under that key, who removes it and starts
//! anew, when it is proven that the creator has ended: by the name that it left, or, when it did not come to that, by the
//! pid that the kernel remembers.
//!
//! Everything that is removed is removed by the segment's own number, while it is attached: no other segment gets the
//! number meanwhile. So nobody removes what somebody else has made under the key since.
//!
//! A segment has no file: see the essay in `registry` on how it is known who is alive.

use super::file::{failed, system_error};
use super::memory::place;
use super::{Backing, Checked, HugePageSize, Memory, MemoryKind, Plan, Segment, Source, Wanted, header_of, words};
use crate::error::{CreateError, HeaderError, MemoryError, OpenError, SystemVError};
use crate::layout::control::Control;
use crate::layout::header::{Header, MAGIC};
use crate::sys::mapping::Mapping;
use crate::sys::pages;
use crate::sys::process::{self, Life};
use crate::sys::shm::{self, Id, Stat, View};
use core::mem::{offset_of, size_of};
use core::sync::atomic::Ordering;
use rustix::io::Errno;
use std::io;

/// The first word of a segment in the making.
const MAKING: [u8; 8] = *b"RINGWAY?";

/// Where it says who makes it: the gate of its control block, which lies right behind the header.
const HOLDER: usize = (size_of::<Header>() + offset_of!(Control, gate)) / 8;
const NAMESPACES: usize = HOLDER + 1;

/// What is zero in a segment of which nobody has begun to make a ring.
const START: usize = (size_of::<Header>() + size_of::<Control>()) / 8;

/// How often a key is tried whose segments come and go.
const TRIES: usize = 100;

#[derive(Debug)]
struct SystemV {
    key: i32,
    id: Id,
    published: bool,
}

impl Backing for SystemV {
    fn publish(&mut self) -> Result<(), CreateError> {
        self.published = true;
        Ok(())
    }

    fn has_name(&self) -> bool {
        true
    }

    fn has_file(&self) -> bool {
        false
    }

    fn is_current(&self) -> bool {
        Id::find(self.key) == Ok(self.id)
    }

    fn unlink(&self) {
        let _ = self.id.remove();
    }

    fn describe(&self, mapping: &Mapping, refused: &[String]) -> Memory {
        Memory { shmid: Some(self.id.number()), ..Memory::of(MemoryKind::SystemV, mapping, refused) }
    }
}

impl Drop for SystemV {
    fn drop(&mut self) {
        if !self.published {
            self.unlink();
        }
    }
}

pub(super) fn create(key: i32, source: &Source, plan: &Plan<'_>) -> Result<Segment, CreateError> {
    let name = source.to_string();
    let (segment, refused) = plan.in_huge_pages_or_not(|huge| create_in_pages_of(huge, key, &name, plan))?;
    Ok(Segment { refused, ..segment })
}

fn create_in_pages_of(
    huge: Option<HugePageSize>,
    key: i32,
    name: &str,
    plan: &Plan<'_>,
) -> Result<Segment, CreateError> {
    // Before there is anything to be named.
    let us = Life::ours().zip(process::namespaces()).ok_or_else(|| {
        let why = "it does not show this process; System V segments need it to say who is alive";
        failed(name, "looking into /proc")(io::Error::new(io::ErrorKind::Unsupported, why))
    })?;
    let length = plan.length(huge);
    let id = new_id(huge, key, name, plan)?;
    // Declared first, so dropped last: what fails is removed while it is attached.
    let mapping;
    let backing = SystemV { key, id, published: false };
    mapping = id.attach(length).map_err(failed(name, "attaching to the new segment (shmat)"))?;
    let start = words::<START>(&mapping);
    start[0].store(u64::from_ne_bytes(MAKING), Ordering::SeqCst);
    start[NAMESPACES].store(us.1, Ordering::SeqCst);
    start[HOLDER].store(us.0.word(), Ordering::SeqCst);
    let in_memory = |error| CreateError::Memory { name: name.into(), error };
    place(&mapping, plan.wishes).map_err(in_memory)?;
    // The kernel has promised the memory; now it is there.
    if let Err(errno) = pages::populate(&mapping) {
        return Err(plan.refused(name, huge, errno.into(), "getting the memory of the new segment"));
    }
    id.open_up(plan.wishes.mode & 0o666, plan.wishes.group).map_err(|errno| match plan.wishes.group {
        Some(group) => in_memory(MemoryError::Group { found: group, source: errno.into() }),
        None => failed(name, "setting the mode")(errno),
    })?;
    Ok(Segment::lay_out(mapping, name, plan, backing))
}

/// A new segment under the key, in place of one that a creator left half made when it died.
fn new_id(huge: Option<HugePageSize>, key: i32, name: &str, plan: &Plan<'_>) -> Result<Id, CreateError> {
    let length = plan.length(huge);
    let flags = huge.map_or(0, |size| shm::huge_flags(size.bytes()));
    for _ in 0..TRIES {
        let errno = match Id::create(key, length, flags) {
            Ok(id) => return Ok(id),
            Err(errno) => errno,
        };
        let refused = |error| CreateError::SystemV { name: name.into(), error };
        return Err(match (errno, huge) {
            (Errno::EXIST, _) => match examine(key) {
                // Removed by its number, which is its own as long as `found` has it attached, however many find it so:
                // whatever has the key by then stays. One that does not even say what it was going to be is taken for
                // ours if it is as long.
                Ok(found) if found.content == Content::Abandoned && (found.marked || found.size == length) => {
                    match found.id.remove() {
                        Ok(()) | Err(Errno::INVAL | Errno::IDRM) => continue,
                        Err(errno) => failed(name, "removing what a creator that died has left")(errno),
                    }
                }
                Err(Errno::NOENT) => continue,
                _ => CreateError::AlreadyExists { name: name.into() },
            },
            (Errno::PERM, Some(size)) => CreateError::Memory {
                name: name.into(),
                error: MemoryError::NoHugePages {
                    size: size.bytes(),
                    why: "it takes CAP_IPC_LOCK, or the group of /proc/sys/vm/hugetlb_shm_group".to_owned(),
                },
            },
            (errno, Some(_)) => plan.refused(name, huge, errno.into(), "making the segment (shmget)"),
            (Errno::INVAL, _) => refused(SystemVError::Size { needed: length as u64, most: shm::limit("shmmax") }),
            (Errno::NOSPC, _) => {
                refused(SystemVError::Full { segments: shm::limit("shmmni"), pages: shm::limit("shmall") })
            }
            (Errno::ACCESS | Errno::PERM, _) => {
                CreateError::Permission { name: name.into(), place: "System V shared memory".to_owned() }
            }
            (errno, _) => failed(name, "making the segment (shmget)")(errno),
        });
    }
    Err(CreateError::AlreadyExists { name: name.into() })
}

pub(super) fn open(key: i32, source: &Source, wanted: &Wanted<'_>) -> Result<Segment, OpenError> {
    let name = source.to_string();
    let not_found = || OpenError::NotFound { name: name.clone() };
    let id = Id::find(key).map_err(|errno| open_failed(&name, errno))?;
    let stat = id.stat().map_err(|errno| open_failed(&name, errno))?;
    let us = rustix::process::geteuid().as_raw();
    let owner = wanted.owner.unwrap_or(us);
    // NB: unlike a file, a segment can be given away by anybody, who keeps all that he could do with it.
    let makers = [owner, us, 0];
    let check_owner = |stat: &Stat| {
        let found = if makers.contains(&stat.maker) { stat.owner } else { stat.maker };
        if found == owner { Ok(()) } else { Err(OpenError::Owner { name: name.clone(), found, expected: owner }) }
    };
    check_owner(&stat)?;
    let header_error = |error| OpenError::Header { name: name.clone(), error };
    let (found, expected) = (stat.size as u64, size_of::<Header>() as u64);
    if found < expected {
        return Err(header_error(HeaderError::TooShort { found, expected }));
    }
    let mapping = id.attach(stat.size).map_err(|error| match Errno::from_io_error(&error) {
        Some(errno) => open_failed(&name, errno),
        None => system_error(&name, "attaching to it")(error),
    })?;
    // Once more, of what we have attached: another segment may have got the number until then.
    let stat = Stat { attached: stat.attached, ..id.stat().map_err(|errno| open_failed(&name, errno))? };
    check_owner(&stat)?;
    let word = |index| match index {
        0 => words::<1>(&mapping)[0].load(Ordering::SeqCst),
        index => words::<START>(&mapping)[index].load(Ordering::SeqCst),
    };
    match content(&stat, word) {
        // Absent or whole.
        Content::Making | Content::Abandoned => return Err(not_found()),
        Content::Ring | Content::Foreign => {}
    }
    let bytes = header_of(&mapping).ok_or_else(not_found)?;
    let (header, geometry) = Header::check(&bytes, stat.size as u64, &wanted.ring).map_err(header_error)?;
    // Of whom we could not say whether they are alive, and who could not say it of us.
    let (found, ours) = (words::<START>(&mapping)[NAMESPACES].load(Ordering::SeqCst), process::namespaces());
    if ours != Some(found) {
        return Err(OpenError::OtherNamespace { name, found, expected: ours.unwrap_or(0) });
    }
    let checked = Checked { header, geometry, length: stat.size, bytes };
    Ok(Segment::found(mapping, &name, &checked, SystemV { key, id, published: true }))
}

/// What is in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Something that begins like a ring.
    Ring,
    /// A ring that somebody is making, as far as anybody can tell.
    Making,
    /// A ring that was being made by somebody who has ended.
    Abandoned,
    /// Nothing of ours.
    Foreign,
}

/// A segment that has a key, attached as long as this lives if it is long enough to be looked into.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) id: Id,
    pub(super) size: usize,
    pub(super) content: Content,
    /// Whether it says of itself that it is in the making.
    pub(super) marked: bool,
    /// The pid of its creator, as the kernel remembers it.
    pub(super) creator: u32,
    _view: Option<View>,
}

pub(super) fn examine(key: i32) -> Result<Examined, Errno> {
    let examined = examine_segment(Id::find(key)?)?;
    // Once more: until it was attached, its number may have become that of a segment with another key.
    if Id::find(key)? == examined.id { Ok(examined) } else { Err(Errno::NOENT) }
}

/// Looks into the segment, and writes nothing.
pub(super) fn examine_segment(id: Id) -> Result<Examined, Errno> {
    let stat = id.stat().map_err(|errno| if errno == Errno::INVAL { Errno::NOENT } else { errno })?;
    if stat.removed {
        return Err(Errno::NOENT);
    }
    let (size, creator) = (stat.size, stat.creator);
    if size < size_of::<Header>() {
        return Ok(Examined { id, size, content: Content::Foreign, marked: false, creator, _view: None });
    }
    let view = id.attach_to_read(size).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::INVAL | Errno::IDRM) => Errno::NOENT,
        errno => errno.unwrap_or(Errno::NOMEM),
    })?;
    // Once more, of what we have attached.
    let stat = Stat { attached: stat.attached, ..id.stat()? };
    let marked = view.word(0) == u64::from_ne_bytes(MAKING);
    let content = content(&stat, |index| view.word(index * 8));
    Ok(Examined { id, size, content, marked, creator: stat.creator, _view: Some(view) })
}

/// What is in a segment with these words. `stat` counts who had it attached before we did.
fn content(stat: &Stat, word: impl Fn(usize) -> u64) -> Content {
    let first = || word(0).to_ne_bytes();
    if first() == MAGIC {
        return Content::Ring;
    }
    if stat.size < START * 8 {
        return Content::Foreign;
    }
    let is_over = match first() {
        MAKING => match word(HOLDER) {
            // It has not come to say who makes it.
            0 => has_ended(stat.creator),
            holder => process::namespaces() == Some(word(NAMESPACES)) && Life::from_word(holder).is_over(),
        },
        // Nobody has begun with anything: this may be anybody's. It is ours to remove only if nobody has it at all.
        _ if (0..START).any(|index| word(index) != 0) => return Content::Foreign,
        _ => stat.attached == 0 && has_ended(stat.creator),
    };
    // It may have been finished before its creator ended. From here on nobody changes it any more.
    match (first(), is_over) {
        (MAGIC, _) => Content::Ring,
        (_, true) => Content::Abandoned,
        (_, false) => Content::Making,
    }
}

/// Whether a creator, as the kernel remembers it, has ended. Doubt is a no.
fn has_ended(creator: u32) -> bool {
    creator != 0 && process::is_free(creator)
}

fn open_failed(name: &str, errno: Errno) -> OpenError {
    match errno {
        // It may have been removed since it was found.
        Errno::NOENT | Errno::INVAL | Errno::IDRM => OpenError::NotFound { name: name.into() },
        Errno::ACCESS | Errno::PERM => OpenError::Permission { name: name.into() },
        errno => system_error(name, "attaching to it")(errno),
    }
}

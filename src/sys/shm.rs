//! System V shared memory segments (shmget(2)), which `rustix` does not have.
#![allow(unsafe_code)]

use super::mapping::Mapping;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// The number of a segment. NB: a later one may get it, as these numbers come round; not as long as somebody has the segment
/// attached, removed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(i32);

/// What the kernel knows of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    /// Bytes that it was made with.
    pub(crate) size: usize,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// The user who made it. Whoever that is may do with it what its owner may, for ever.
    pub(crate) maker: u32,
    /// The pid of its creator, as it is in our pid namespace; 0 where it is in none that we see.
    pub(crate) creator: u32,
    /// Likewise, of who has attached or detached last.
    pub(crate) last: u32,
    /// How many times it is attached.
    pub(crate) attached: u64,
    /// When somebody last attached, detached, and changed its mode or made it, in seconds since 1970. 0: never.
    pub(crate) attached_at: u64,
    pub(crate) detached_at: u64,
    pub(crate) changed_at: u64,
    /// Whether it has no key any more, and is gone when the last one detaches.
    pub(crate) removed: bool,
}

impl Id {
    /// The segment that has the key.
    pub(crate) fn find(key: i32) -> Result<Id, Errno> {
        Id::get(key, 0, 0)
    }

    /// A new segment, for us alone, under a key that no segment has. `huge` says of which pages of the pool.
    pub(crate) fn create(key: i32, size: usize, huge: i32) -> Result<Id, Errno> {
        Id::get(key, size, libc::IPC_CREAT | libc::IPC_EXCL | 0o600 | huge)
    }

    fn get(key: i32, size: usize, flags: i32) -> Result<Id, Errno> {
        // SAFETY: it takes numbers.
        match unsafe { libc::shmget(key, size, flags) } {
            -1 => Err(last_error()),
            id => Ok(Id(id)),
        }
    }

    pub(crate) fn number(self) -> i32 {
        self.0
    }

    pub(crate) fn stat(self) -> Result<Stat, Errno> {
        let found = self.status()?;
        #[allow(clippy::unnecessary_cast)] // the types of these fields differ between architectures
        Ok(Stat {
            size: found.shm_segsz,
            owner: found.shm_perm.uid,
            group: found.shm_perm.gid,
            mode: found.shm_perm.mode as u32 & 0o777,
            maker: found.shm_perm.cuid,
            creator: found.shm_cpid as u32,
            last: found.shm_lpid as u32,
            attached: found.shm_nattch as u64,
            attached_at: found.shm_atime as u64,
            detached_at: found.shm_dtime as u64,
            changed_at: found.shm_ctime as u64,
            removed: found.shm_perm.mode as u32 & SHM_DEST != 0,
        })
    }

    /// Sets its permission bits, and its group.
    pub(crate) fn open_up(self, mode: u32, group: Option<u32>) -> Result<(), Errno> {
        let mut status = self.status()?;
        status.shm_perm.mode = (mode & 0o777) as _;
        if let Some(group) = group {
            status.shm_perm.gid = group;
        }
        self.control(libc::IPC_SET, &mut status)
    }

    /// Takes its key away. Its memory goes when the last one detaches.
    pub(crate) fn remove(self) -> Result<(), Errno> {
        // SAFETY: this command takes no argument.
        match unsafe { libc::shmctl(self.0, libc::IPC_RMID, core::ptr::null_mut()) } {
            -1 => Err(last_error()),
            _ => Ok(()),
        }
    }

    /// Attaches its `size` bytes; `EIDRM` when it is another segment by now, of another size.
    pub(crate) fn attach(self, size: usize) -> io::Result<Mapping> {
        self.attach_as(size, 0)
    }

    /// Attaches its `size` bytes for reading only.
    pub(crate) fn attach_to_read(self, size: usize) -> io::Result<View> {
        Ok(View { mapping: self.attach_as(size, libc::SHM_RDONLY)? })
    }

    fn attach_as(self, size: usize, flags: i32) -> io::Result<Mapping> {
        Mapping::attached(size, || {
            // SAFETY: a new mapping at a place that the kernel chooses.
            let base = unsafe { libc::shmat(self.0, core::ptr::null(), flags) };
            if base.addr() == usize::MAX {
                return Err(io::Error::last_os_error());
            }
            // From here on nothing else gets its number. Until now it may have become that of a shorter segment.
            match self.stat() {
                Ok(stat) if stat.size == size => Ok(base),
                other => {
                    // SAFETY: it has just been attached, and nobody else knows of it.
                    unsafe { libc::shmdt(base) };
                    Err(other.err().unwrap_or(Errno::IDRM).into())
                }
            }
        })
    }

    fn status(self) -> Result<libc::shmid_ds, Errno> {
        // SAFETY: `shmid_ds` is plain numbers, for which zero is a valid value.
        let mut status = unsafe { MaybeUninit::<libc::shmid_ds>::zeroed().assume_init() };
        self.control(libc::IPC_STAT, &mut status)?;
        Ok(status)
    }

    fn control(self, command: i32, status: &mut libc::shmid_ds) -> Result<(), Errno> {
        // SAFETY: both commands take a pointer to a `shmid_ds`, which is ours for the length of the call.
        match unsafe { libc::shmctl(self.0, command, status) } {
            -1 => Err(last_error()),
            _ => Ok(()),
        }
    }
}

/// The bytes of a segment, mapped for reading only: whoever tried to write would be killed by the kernel. They are copied,
/// a word at a time, as others may write to them meanwhile.
#[derive(Debug)]
pub(crate) struct View {
    mapping: Mapping,
}

impl View {
    /// Whether it may be looked at: not in a forked child of the process that attached it.
    pub(crate) fn is_here(&self) -> bool {
        self.mapping.is_here()
    }

    pub(crate) fn len(&self) -> usize {
        self.mapping.len()
    }

    /// The word at `offset`, which is a multiple of 8. What is read later is not older.
    pub(crate) fn word(&self, offset: usize) -> u64 {
        assert!(self.is_here(), "whoever reads has asked");
        let word = self.load(offset);
        fence(Ordering::SeqCst);
        word
    }

    /// Copies the bytes from `offset` on.
    pub(crate) fn copy(&self, offset: usize, to: &mut [u8]) {
        assert!(self.is_here(), "whoever reads has asked");
        assert!(
            offset.checked_add(to.len()).is_some_and(|end| end <= self.len()),
            "whoever reads has looked how long it is"
        );
        let mut copied = 0;
        while copied < to.len() {
            let from = offset + copied;
            let bytes = &self.load(from & !7).to_ne_bytes()[from % 8..];
            let count = bytes.len().min(to.len() - copied);
            to[copied..copied + count].copy_from_slice(&bytes[..count]);
            copied += count;
        }
        fence(Ordering::SeqCst);
    }

    /// Of a view that is here.
    fn load(&self, offset: usize) -> u64 {
        assert!(offset % 8 == 0 && offset < self.len());
        // SAFETY: it lies within what is mapped, as asserted.
        let word = unsafe { self.mapping.base().add(offset) }.cast::<AtomicU64>();
        // SAFETY: it is mapped as long as `self` is there, in this process, as the caller has asserted; aligned, as asserted
        // and as pages are; whole, as pages are mapped as a whole. Others access it as they like, we by atomic loads.
        let word = unsafe { word.as_ref() };
        // Relaxed: the only kind of load that memory which cannot be written must be good for.
        word.load(Ordering::Relaxed)
    }
}

/// A line of what the kernel says of all segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: i32,
    pub(crate) id: Id,
    /// Bytes of it that are there, in memory or swapped out.
    pub(crate) allocated: u64,
}

/// All segments of our IPC namespace, also those that we may not read; none where `/proc` is not there.
pub(crate) fn table() -> Vec<Row> {
    rows(&std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default())
}

fn rows(table: &str) -> Vec<Row> {
    let mut lines = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let headings = lines.next().unwrap_or_default();
    let row = |fields: Vec<&str>| {
        let field = |name| fields.get(headings.iter().position(|&heading| heading == name)?).copied();
        let bytes = |name| field(name).and_then(|number| number.parse::<u64>().ok());
        let allocated = bytes("rss")?.saturating_add(bytes("swap").unwrap_or(0));
        Some(Row { key: field("key")?.parse().ok()?, id: Id(field("shmid")?.parse().ok()?), allocated })
    };
    lines.filter_map(row).collect()
}

/// Of a segment that is gone when the last one detaches.
const SHM_DEST: u32 = 0o1000;

/// For segments in huge pages of that size, a power of two.
pub(crate) fn huge_flags(page_size: u64) -> i32 {
    const SHM_HUGE_SHIFT: u32 = 26;
    libc::SHM_HUGETLB | (page_size.trailing_zeros() << SHM_HUGE_SHIFT) as i32
}

/// The key that stands for a file, as in `ftok(3)`: made of its device, its inode and a number of the user's.
pub(crate) fn key_of(path: &Path, id: u8) -> io::Result<i32> {
    let stat = rustix::fs::stat(path)?;
    #[allow(clippy::unnecessary_cast)]
    let (device, inode) = (stat.st_dev as u32, stat.st_ino as u32);
    Ok((u32::from(id) << 24 | (device & 0xff) << 16 | inode & 0xffff) as i32)
}

/// A limit of the system, by the name of its file.
pub(crate) fn limit(name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    text.trim().parse().unwrap_or(u64::MAX)
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_one_that_the_c_library_makes() {
        for (path, id) in [("/", 1), ("/proc", 77), ("/dev/null", 255)] {
            let text = std::ffi::CString::new(path).expect("no zero in it");
            // SAFETY: the text ends with a zero.
            let expected = unsafe { libc::ftok(text.as_ptr(), i32::from(id)) };
            assert_eq!(key_of(path.as_ref(), id).expect("it is there"), expected);
        }
        assert!(key_of("/nothing/here".as_ref(), 1).is_err());
    }

    #[test]
    fn a_table_is_read_by_its_headings() {
        let table =
            "       key      shmid perms   size  rss swap\n -17 3 600 8192 4096 4096\n 5 x 600 1 2 3\n0 9 1600 1 2 3\n";
        let row = |key, id, allocated| Row { key, id: Id(id), allocated };
        assert_eq!(rows(table), [row(-17, 3, 8192), row(0, 9, 5)]);
        assert_eq!(rows(""), []);
    }

    #[test]
    fn a_segment_of_another_size_than_expected_is_not_attached() {
        let key = 0x5274_0000 | (std::process::id() & 0xffff) as i32;
        let id = Id::create(key, 5_000, 0).expect("a free key");
        let refused = [4_999, 5_001, 50_000].map(|size| id.attach(size).err().and_then(|error| error.raw_os_error()));
        let (attached, read) = (id.attach(5_000).map(drop), id.attach_to_read(5_000).map(drop));
        // Others who list what there is have it attached for a moment.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let is_left = || id.stat().is_ok_and(|stat| stat.attached == 0);
        while !is_left() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        let is_left = is_left();
        id.remove().expect("ours");
        assert_eq!(refused, [Some(libc::EIDRM); 3]);
        assert!(attached.is_ok() && read.is_ok());
        assert!(is_left, "what was attached is detached");
    }

    #[test]
    fn what_is_read_is_what_was_written_wherever_it_begins() {
        let key = 0x5273_0000 | (std::process::id() & 0xffff) as i32;
        let id = Id::create(key, 5_000, 0).expect("a free key");
        let mapping = id.attach(5_000).expect("ours");
        let view = id.attach_to_read(5_000).expect("ours");
        id.remove().expect("ours");
        for offset in 0..5_000 {
            // SAFETY: it lies within what is mapped.
            let byte = unsafe { mapping.base().add(offset) };
            // SAFETY: nobody else has it.
            unsafe { byte.write(offset as u8 ^ (offset >> 8) as u8) };
        }
        let expected: Vec<u8> = (0..5_000).map(|offset: usize| offset as u8 ^ (offset >> 8) as u8).collect();
        for (offset, length) in [(0, 5_000), (1, 3), (7, 2), (8, 8), (13, 0), (4_985, 15), (4_999, 1)] {
            let mut copy = vec![0; length];
            view.copy(offset, &mut copy);
            assert_eq!(copy, expected[offset..offset + length]);
        }
        assert_eq!(view.word(16).to_ne_bytes(), expected[16..24]);
        assert_eq!(id.stat().expect("attached").attached, 2);
    }
}

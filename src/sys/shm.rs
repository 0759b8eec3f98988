//! System V shared memory segments (shmget(2)), which `rustix` does not have.
#![allow(unsafe_code)]

use super::mapping::Mapping;
use core::mem::MaybeUninit;
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// A segment, for as long as it exists: no later one gets its number, as that counts how often its place was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(i32);

/// What the kernel knows of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    /// Bytes that it was made with.
    pub(crate) size: usize,
    pub(crate) owner: u32,
    /// The user who made it. Whoever that is may do with it what its owner may, for ever.
    pub(crate) maker: u32,
    /// The pid of its creator, as it is in our pid namespace; 0 where it is in none that we see.
    pub(crate) creator: u32,
    /// How many times it is attached.
    pub(crate) attached: u64,
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
            maker: found.shm_perm.cuid,
            creator: found.shm_cpid as u32,
            attached: found.shm_nattch as u64,
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

    /// Attaches its `size` bytes.
    pub(crate) fn attach(self, size: usize) -> io::Result<Mapping> {
        // SAFETY: a new mapping at a place that the kernel chooses.
        Mapping::made(size, || match unsafe { libc::shmat(self.0, core::ptr::null(), 0) } {
            base if base.addr() == usize::MAX => Err(io::Error::last_os_error()),
            base => Ok(base),
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
}

//! System V segments as any program can attach them, and names of processes as they stand there.
#![allow(dead_code)] // each test file uses a part of it

use super::support::memory::SystemV;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

pub const MAGIC: u64 = u64::from_ne_bytes(*b"RINGWAY\0");
const MAKING: u64 = u64::from_ne_bytes(*b"RINGWAY?");
/// The word in which a segment says who is in its gate, or makes it; the next one says in which namespaces.
pub const HOLDER: usize = (512 + 1024) / 8;

/// A segment as any program can attach it.
pub struct Raw {
    pub id: i32,
    base: *mut u8,
}

impl Raw {
    pub fn create(key: &SystemV, size: usize) -> Raw {
        // SAFETY: it takes numbers.
        let id = unsafe { libc::shmget(key.0, size, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
        assert!(id >= 0, "{}", std::io::Error::last_os_error());
        Raw::attach(id)
    }

    pub fn attach(id: i32) -> Raw {
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert!(base.addr() != usize::MAX, "{}", std::io::Error::last_os_error());
        Raw { id, base: base.cast() }
    }

    pub fn status(&self) -> libc::shmid_ds {
        // SAFETY: plain numbers, for which zero is a value.
        let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: it writes to a variable of ours.
        assert_eq!(unsafe { libc::shmctl(self.id, libc::IPC_STAT, &mut status) }, 0);
        status
    }

    pub fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index * 8 < self.status().shm_segsz);
        // SAFETY: the segment has so many words, and is mapped for as long as this is.
        let word = unsafe { self.base.cast::<AtomicU64>().add(index) };
        // SAFETY: as above; all that is done with it is atomic.
        unsafe { &*word }
    }

    pub fn bytes(&self) -> Vec<u8> {
        // SAFETY: it is mapped, and nobody writes meanwhile.
        unsafe { std::slice::from_raw_parts(self.base, self.status().shm_segsz) }.to_vec()
    }

    pub fn write(&self, bytes: &[u8]) {
        assert!(bytes.len() <= self.status().shm_segsz);
        // SAFETY: there is room, and nobody else looks meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.base, bytes.len()) };
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: what was attached is not used any more.
        unsafe { libc::shmdt(self.base.cast()) };
    }
}

/// Our namespaces, as a segment remembers them.
pub fn namespaces() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let inode = |of| fs::metadata(format!("/proc/self/ns/{of}")).map_or(0, |found| found.ino());
    inode("pid") << 32 | inode("time")
}

/// This process, in an earlier life: its pid, and another start.
pub fn somebody_dead() -> u64 {
    1 << 22 | u64::from(std::process::id())
}

/// The process 1, which does not end before us.
pub fn somebody_alive() -> u64 {
    let stat = fs::read_to_string("/proc/1/stat").expect("there is one");
    let (_, after_command) = stat.rsplit_once(") ").expect("a command in brackets");
    let start: u64 = after_command.split(' ').nth(22 - 3).and_then(|field| field.parse().ok()).expect("a time");
    start << 22 | 1
}

/// What a creator has done so far.
pub fn begin(raw: &Raw, marked: bool, holder: u64) {
    raw.word(HOLDER).store(holder, Ordering::SeqCst);
    raw.word(HOLDER + 1).store(if holder == 0 { 0 } else { namespaces() }, Ordering::SeqCst);
    raw.word(0).store(if marked { MAKING } else { 0 }, Ordering::SeqCst);
}

/// Runs `job` in a forked child, and returns what it returns.
pub fn in_a_child(job: impl FnOnce() -> i32) -> i32 {
    // SAFETY: nobody else here is in the middle of anything.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).unwrap_or(101);
        // SAFETY: it takes a number, and runs nothing of the parent's.
        unsafe { libc::_exit(code) };
    }
    let pid = rustix::process::Pid::from_raw(pid);
    let ended = rustix::process::waitpid(pid, rustix::process::WaitOptions::empty());
    ended.expect("our child").expect("it ends").1.exit_status().expect("not by a signal")
}

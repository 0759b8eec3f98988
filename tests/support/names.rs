//! The names that this test uses, and nothing of them left behind.

use super::board::board;
use core::sync::atomic::{AtomicU64, Ordering};
use ringway::Source;
use std::fs;
use std::os::unix::fs::MetadataExt;

const FOLDER: &str = "/dev/shm";

/// A name that nobody else uses. The same for every victim of a scene.
pub fn fresh() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}{:06}", ours(std::process::id()), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A System V key instead, written as a name.
pub fn fresh_key() -> String {
    use core::sync::atomic::AtomicI32;
    static COUNT: AtomicI32 = AtomicI32::new(0);
    format!("{KEY}{}", first_key(std::process::id()) + COUNT.fetch_add(1, Ordering::Relaxed) % KEYS)
}

pub fn source(name: &str) -> Source {
    match key_of(name) {
        Some(key) => Source::system_v(key),
        None => Source::from(name),
    }
}

pub fn exists(name: &str) -> bool {
    match key_of(name) {
        Some(key) => segment(key).is_some(),
        None => fs::symlink_metadata(format!("{FOLDER}/{name}")).is_ok(),
    }
}

/// Whether there is a whole ring, as somebody finds who looks past the library.
pub fn is_ring(name: &str) -> bool {
    let Some(key) = key_of(name) else { return exists(name) };
    segment(key).is_some_and(|id| with_first_word(id, |word| word.load(Ordering::SeqCst)) == MAGIC)
}

const MAGIC: u64 = u64::from_ne_bytes(*b"RINGWAY\0");
const MAKING: u64 = u64::from_ne_bytes(*b"RINGWAY?");
/// Where a ring in the making says who makes it, and in which namespaces.
const HOLDER: usize = (512 + 1024) / 8;

/// What a creator leaves who is killed in the middle: this process as it was in an earlier life.
pub fn leave_half_made(name: &str) {
    let key = key_of(name).expect("only what has its name from the first moment can be half made");
    remove_key(key);
    // SAFETY: it takes numbers.
    let id = unsafe { libc::shmget(key, 8192, libc::IPC_CREAT | libc::IPC_EXCL | 0o600) };
    assert!(id >= 0, "a new segment");
    let inode = |of| fs::metadata(format!("/proc/self/ns/{of}")).map_or(0, |found| found.ino());
    with_first_word(id, |first| {
        let word = |index| {
            // SAFETY: the segment has so many words.
            let word = unsafe { core::ptr::from_ref(first).add(index) };
            // SAFETY: as above; all that is done with it is atomic.
            unsafe { &*word }
        };
        word(HOLDER).store(1 << 22 | u64::from(std::process::id()), Ordering::SeqCst);
        word(HOLDER + 1).store(inode("pid") << 32 | inode("time"), Ordering::SeqCst);
        first.store(MAKING, Ordering::SeqCst);
    });
}

fn with_first_word<V>(id: i32, with: impl FnOnce(&AtomicU64) -> V) -> V {
    // SAFETY: a new mapping at a place that the kernel chooses.
    let base = unsafe { libc::shmat(id, core::ptr::null(), 0) };
    assert!(base.addr() != usize::MAX, "the segment is there");
    // SAFETY: a segment is at least a page long.
    let value = with(unsafe { &*base.cast::<AtomicU64>() });
    // SAFETY: nobody uses what was attached any more.
    unsafe { libc::shmdt(base) };
    value
}

const KEY: &str = "key ";
const KEYS: i32 = 256;

fn first_key(test: u32) -> i32 {
    0x5300_0000 | ((test & 0xffff) << 8) as i32
}

fn key_of(name: &str) -> Option<i32> {
    name.strip_prefix(KEY).map(|key| key.parse().expect("a key"))
}

fn segment(key: i32) -> Option<i32> {
    // SAFETY: it takes numbers.
    let id = unsafe { libc::shmget(key, 0, 0) };
    (id >= 0).then_some(id)
}

fn remove_key(key: i32) -> bool {
    // SAFETY: this command takes no argument.
    segment(key).is_some_and(|id| unsafe { libc::shmctl(id, libc::IPC_RMID, core::ptr::null_mut()) } == 0)
}

fn remove_keys_of(test: u32) -> u64 {
    (0..KEYS).filter(|count| remove_key(first_key(test) + count)).count() as u64
}

/// What a creator that was killed may leave: its temporary file. Returns how many there were.
pub fn remove_temporaries(creator: u32) -> u64 {
    remove(&[format!(".ringway-{creator}-")])
}

/// Removes all that this process, and the victim that has died last, may have left.
pub fn remove_leftovers() {
    let victim = board().victim.get() as u32;
    remove(&[ours(std::process::id()), format!(".ringway-{victim}-")]);
    remove_keys_of(std::process::id());
}

/// As [`remove_leftovers`], for the test in another process, which has died. Returns how many there were.
pub fn remove_all_of(test: u32) -> u64 {
    remove(&[ours(test), format!(".ringway-{test}-"), format!(".ringway-{}-", board().victim.get())])
        + remove_keys_of(test)
}

/// Removes what a run that was killed, with all its processes, has left.
pub fn remove_those_of_the_dead() {
    for entry in fs::read_dir(FOLDER).expect("shared memory has a folder").flatten() {
        let name = entry.file_name();
        let test = name.to_str().and_then(|name| name.strip_prefix("deaths-")?.split('-').next()?.parse::<u32>().ok());
        if test.is_some_and(|test| fs::metadata(format!("/proc/{test}")).is_err()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn ours(test: u32) -> String {
    format!("deaths-{test}-")
}

fn remove(beginnings: &[String]) -> u64 {
    let mut removed = 0;
    for entry in fs::read_dir(FOLDER).expect("shared memory has a folder").flatten() {
        let name = entry.file_name();
        let is_ours = |name: &str| beginnings.iter().any(|beginning| name.starts_with(beginning.as_str()));
        if name.to_str().is_some_and(is_ours) && fs::remove_file(entry.path()).is_ok() {
            removed += 1;
        }
    }
    removed
}

//! The names that this test uses, and nothing of them left behind.

use super::board::board;
use std::fs;

const FOLDER: &str = "/dev/shm";

/// A name that nobody else uses. The same for every victim of a scene.
pub fn fresh() -> String {
    use core::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}{:06}", ours(std::process::id()), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub fn exists(name: &str) -> bool {
    fs::symlink_metadata(format!("{FOLDER}/{name}")).is_ok()
}

/// What a creator that was killed may leave: its temporary file. Returns how many there were.
pub fn remove_temporaries(creator: u32) -> u64 {
    remove(&[format!(".ringway-{creator}-")])
}

/// Removes all that this process, and the victim that has died last, may have left.
pub fn remove_leftovers() {
    let victim = board().victim.get() as u32;
    remove(&[ours(std::process::id()), format!(".ringway-{victim}-")]);
}

/// As [`remove_leftovers`], for the test in another process, which has died. Returns how many there were.
pub fn remove_all_of(test: u32) -> u64 {
    remove(&[ours(test), format!(".ringway-{test}-"), format!(".ringway-{}-", board().victim.get())])
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

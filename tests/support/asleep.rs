//! Whether somebody sleeps until there is a message, or room: what a test waits for instead of for a time.

use std::fs;

/// Whether the thread of this path under `/proc` sleeps on a word in shared memory. What the standard library sleeps on
/// is private to a process.
pub fn is_asleep(thread: &str) -> bool {
    let call = fs::read_to_string(format!("/proc/{thread}/syscall")).unwrap_or_default();
    let mut words = call.split_ascii_whitespace();
    let (number, operation) = (words.next(), words.nth(1));
    // `FUTEX_WAIT`, and nothing else: not `PRIVATE`.
    number == Some(&libc::SYS_futex.to_string()) && operation == Some("0x0")
}

/// How many threads of another process sleep on words in shared memory.
pub fn sleepers_of(pid: u32) -> usize {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let threads = threads.flatten().filter_map(|thread| thread.file_name().into_string().ok());
    threads.filter(|thread| is_asleep(&format!("{pid}/task/{thread}"))).count()
}

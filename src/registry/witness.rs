//! What testifies to who is alive: lock bytes of the segment's file, which the kernel drops, or, where there is no file,
//! words that name processes.
//!
//! A word that names a process says who took something; whether that process has ended is asked of the system. Everything
//! is taken by an exchange, from nobody or from the dead, and given back by a store of nobody's name: nobody takes it from
//! the living. So whatever instruction a process is killed at, what it had taken is in one word that names it, and the
//! next one takes it from there.
//!
//! A word is read, then its process is asked for, then the word is read once more: only a word that stayed as it was
//! says that *its* process is the one that has ended. It cannot have come back meanwhile, as the dead store nothing.

use crate::layout::control::Record;
use crate::sys::lock::{self, Lock};
use crate::sys::mapping::Mapping;
use crate::sys::process::Life;
use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The bytes that are locked lie far behind the end of any segment; a lock needs no byte to exist.
const LOCKS: u64 = 1 << 62;
const GATE: u64 = LOCKS - 1;

const fn record_byte(record: usize) -> u64 {
    LOCKS + 2 * record as u64
}

const fn alive_byte(record: usize) -> u64 {
    record_byte(record) + 1
}

/// What testifies to who is alive, for one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Witness<'s, F = BorrowedFd<'s>> {
    /// The segment's file.
    File(F),
    /// The segment has none. The word of its gate.
    Words(&'s AtomicU64),
    /// The segment is memory of this process alone, which attaches to it once.
    Alone,
}

impl<'s, F: AsFd> Witness<'s, F> {
    pub(crate) fn borrow(&self) -> Witness<'_> {
        match self {
            Witness::File(file) => Witness::File(file.as_fd()),
            Witness::Words(gate) => Witness::Words(gate),
            Witness::Alone => Witness::Alone,
        }
    }
}

impl Witness<'_> {
    /// Takes *record*, or says `false` when somebody has it.
    pub(super) fn try_record(self, record: usize, words: &Record) -> io::Result<bool> {
        match self {
            Witness::File(file) => lock::try_lock(file, Lock::Exclusive, record_byte(record), 1),
            Witness::Words(_) => take(&words.claimed),
            Witness::Alone => Ok(words.attached.load(Ordering::SeqCst) == 0),
        }
    }

    /// Gives *record* back.
    pub(super) fn give_back(self, record: usize, words: &Record) -> io::Result<()> {
        match self {
            Witness::File(file) => lock::unlock(file, record_byte(record), 1),
            Witness::Words(_) => {
                words.claimed.store(0, Ordering::SeqCst);
                Ok(())
            }
            Witness::Alone => Ok(()),
        }
    }

    /// Takes *alive*, or says `false` when somebody has it. By whoever has *record*.
    pub(super) fn try_alive(self, record: usize, words: &Record) -> io::Result<bool> {
        match self {
            Witness::File(file) => lock::try_lock(file, Lock::Exclusive, alive_byte(record), 1),
            Witness::Words(_) => take(&words.alive),
            Witness::Alone => Ok(true),
        }
    }

    /// What holds the two for as long as it is mapped, if something must.
    pub(super) fn anchor(self) -> io::Result<Option<Mapping>> {
        match self {
            Witness::File(file) => Mapping::anchor(file).map(Some),
            Witness::Words(_) | Witness::Alone => Ok(None),
        }
    }

    /// Whether nobody who is alive has *alive*. Doubt is a no.
    pub(super) fn is_dead(self, record: usize, words: &Record) -> bool {
        match self {
            Witness::File(file) => is_dead(file, record),
            Witness::Words(_) => nobody_alive(&words.alive).is_ok(),
            Witness::Alone => words.attached.load(Ordering::SeqCst) == 0,
        }
    }

    /// Whether anybody alive has a record other than `own`, as far as the kernel can tell of all at once. Doubt is a yes.
    pub(super) fn is_any_taken(self, own: usize, records: usize) -> bool {
        let Witness::File(file) = self else { return true };
        let is_locked = |from: u64, to: u64| from < to && lock::is_locked(file, from, to - from).unwrap_or(true);
        is_locked(LOCKS, record_byte(own)) || is_locked(record_byte(own + 1), record_byte(records))
    }

    /// Whether somebody alive has *record* or *alive*. Doubt is a yes.
    pub(super) fn is_taken(self, record: usize, words: &Record) -> bool {
        match self {
            Witness::File(file) => lock::is_locked(file, record_byte(record), 2).unwrap_or(true),
            Witness::Words(_) => nobody_alive(&words.claimed).is_err() || nobody_alive(&words.alive).is_err(),
            Witness::Alone => true,
        }
    }

    /// Takes the gate, or says `false` when somebody is in it. Among words there is no sharing it.
    pub(super) fn try_gate(self, how: Lock) -> io::Result<bool> {
        match self {
            Witness::File(file) => lock::try_lock(file, how, GATE, 1),
            Witness::Words(gate) => take(gate),
            Witness::Alone => Ok(true),
        }
    }

    pub(super) fn leave_gate(self) -> io::Result<()> {
        match self {
            Witness::File(file) => lock::unlock(file, GATE, 1),
            Witness::Words(gate) => {
                gate.store(0, Ordering::SeqCst);
                Ok(())
            }
            Witness::Alone => Ok(()),
        }
    }
}

/// Whether nobody who is alive has *alive* of a record of the segment behind `file`. Doubt is a no.
pub(crate) fn is_dead(file: BorrowedFd<'_>, record: usize) -> bool {
    !lock::is_locked(file, alive_byte(record), 1).unwrap_or(true)
}

/// Whether anybody who is alive is attached to the segment behind `file`, of whatever layout, or about to remove its name.
/// Doubt is a yes.
pub(crate) fn is_in_use(file: BorrowedFd<'_>) -> bool {
    // NB: all bytes there are, as nobody else has a reason to lock any.
    lock::is_locked(file, 0, 0).unwrap_or(true)
}

/// Says that we have neither *record* nor *alive* any more, of memory without a file. (Lock bytes go with their anchor.)
pub(super) fn leave(words: &Record) {
    words.alive.store(0, Ordering::SeqCst);
    words.claimed.store(0, Ordering::SeqCst);
}

/// What a word says when nobody who is alive has it: nothing, or the name of somebody who has ended. Doubt is an error.
fn nobody_alive(word: &AtomicU64) -> Result<u64, ()> {
    let seen = word.load(Ordering::SeqCst);
    if is_free(seen, || word.load(Ordering::SeqCst)) { Ok(seen) } else { Err(()) }
}

/// Whether a word of a segment without a file, of our namespaces, that somebody else `read`s names nobody who is alive.
/// Doubt is a no.
pub(crate) fn is_nobody_alive(read: impl Fn() -> u64) -> bool {
    is_free(read(), read)
}

fn is_free(seen: u64, once_more: impl Fn() -> u64) -> bool {
    seen == 0 || Life::from_word(seen).is_over() && once_more() == seen
}

/// Puts our name into a word, from nobody's or from the name of somebody who has ended.
fn take(word: &AtomicU64) -> io::Result<bool> {
    let Ok(seen) = nobody_alive(word) else { return Ok(false) };
    Ok(word.compare_exchange(seen, our_name()?, Ordering::SeqCst, Ordering::SeqCst).is_ok())
}

fn our_name() -> io::Result<u64> {
    let why = "/proc/self/stat cannot be read, so that others could not tell whether we live";
    Life::ours().map(Life::word).ok_or_else(|| io::Error::other(why))
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;
    use crate::sys::process::Identity;

    /// The name of a process that has ended: ours, with an earlier start.
    fn dead() -> u64 {
        Life::of(&Identity { start_time: 1, ..Identity::of_this_process() }).word()
    }

    #[test]
    fn a_word_is_taken_from_nobody_and_from_the_dead_and_not_from_the_living() {
        let us = Life::ours().expect("/proc is there");
        for (before, expected) in [(0, true), (dead(), true), (us.word(), false), (init(), false)] {
            let word = AtomicU64::new(before);
            assert_eq!(nobody_alive(&word).is_ok(), expected);
            assert_eq!(take(&word).expect("/proc is there"), expected);
            assert_eq!(word.load(Ordering::SeqCst), if expected { us.word() } else { before });
        }
    }

    /// The name of a process that lives as long as the machine, or namespace, does.
    fn init() -> u64 {
        let stat = std::fs::read_to_string("/proc/1/stat").expect("there is a first process");
        let (_, after_command) = stat.rsplit_once(") ").expect("a command in brackets");
        let start_time = after_command.split(' ').nth(22 - 3).and_then(|field| field.parse().ok()).expect("a time");
        Life::of(&Identity { pid: 1, start_time, pid_namespace: 0 }).word()
    }
}

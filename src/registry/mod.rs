//! Who is attached to a segment, who is alive, and who has which role.
//!
//! # Who is alive
//!
//! A process that attaches takes a *process record* and holds a lock byte of it in the kernel, in a way that nothing but
//! its end, its exec or its detaching gives up: it locks through an open file description of its own, maps one page of
//! it that nobody can access, and closes the descriptor. The mapping now holds the only reference. It survives
//! `closefrom`; fork does not inherit it (and has to wait while we set it up); exec and `SIGKILL` drop it. It belongs to
//! the inode, so pid reuse and pid namespaces do not matter. When the byte is free, every store of the dead process is
//! done. The kernel drops it when it has taken the process down: a millisecond or two after a `SIGKILL`, longer for a
//! process with gigabytes of memory of its own, or one that dumps a core.
//!
//! Each record has two bytes. *Record* is held by who uses the record, *alive* is taken only after the record's
//! generation was counted up, so that whoever finds a word of generation `g` and asks for *alive* is never told of a
//! later user of the same record.
//!
//! One more byte is the *gate*: who attaches holds it shared until its record is taken, so that a process which finds
//! that it is the last one to leave, and holds the gate exclusively, can remove the name and be right.

pub(crate) mod role;

use crate::layout::control::{Holder, Record};
use crate::sys::fork::{self, NoForks};
use crate::sys::lock::{self, Lock};
use crate::sys::mapping::Mapping;
use crate::sys::process::Identity;
use core::sync::atomic::Ordering;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// The bytes that are locked lie far behind the end of any segment; a lock needs no byte to exist.
const LOCKS: u64 = 1 << 62;
const GATE: u64 = LOCKS - 1;

const fn record_byte(record: usize) -> u64 {
    LOCKS + 2 * record as u64
}

const fn alive_byte(record: usize) -> u64 {
    record_byte(record) + 1
}

/// A process record that is ours, until this is dropped or we die.
#[derive(Debug)]
pub(crate) struct Registration {
    record: usize,
    holder: Holder,
    /// Holds the lock bytes. Its memory cannot be accessed.
    _anchor: Mapping,
}

impl Registration {
    /// Takes a record for this process, or says `None` when all are in use.
    ///
    /// `open` opens the segment's file with a description of its own. `clear_up` sees to what a dead process has left
    /// in the ring, whose record is going to be ours. A child that was forked while the descriptor is open, or before
    /// the mapping is marked, would keep the lock: hence `no_forks`.
    pub(crate) fn new(
        records: &[Record],
        open: impl Fn() -> io::Result<OwnedFd>,
        clear_up: impl Fn(usize, BorrowedFd<'_>),
        no_forks: &NoForks,
    ) -> io::Result<Option<Registration>> {
        const TRIES: usize = 50;
        for _ in 0..TRIES {
            if let Some(registration) = Registration::take(records, &open, &clear_up, no_forks)? {
                return Ok(Some(registration));
            }
            if records.iter().all(|words| words.attached.load(Ordering::SeqCst) != 0) {
                break;
            }
            // One has been left. What keeps it locked is a command that its process has just started, before its exec.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(None)
    }

    fn take(
        records: &[Record],
        open: impl Fn() -> io::Result<OwnedFd>,
        clear_up: impl Fn(usize, BorrowedFd<'_>),
        _until_anchored: &NoForks,
    ) -> io::Result<Option<Registration>> {
        let description = open()?;
        for (record, words) in records.iter().enumerate() {
            if !lock::try_lock(&description, Lock::Exclusive, record_byte(record), 1)? {
                continue;
            }
            // Nobody who keeps to the protocol holds the one without the other.
            if !is_dead(&description, record) {
                lock::unlock(&description, record_byte(record), 1)?;
                continue;
            }
            // Whatever names this record is of the dead.
            if words.attached.load(Ordering::SeqCst) != 0 {
                clear_up(record, description.as_fd());
                words.attached.store(0, Ordering::SeqCst);
            }
            // Counted up before *alive* is taken; the system calls order the two. A word that somebody scribbled on
            // wraps around, it does not panic.
            let generation = words.generation.load(Ordering::SeqCst).wrapping_add(1).max(1);
            words.generation.store(generation, Ordering::SeqCst);
            for count in [&words.producers, &words.consumers] {
                count.store(0, Ordering::SeqCst);
            }
            let me = Identity::of_this_process();
            words.pid.store(me.pid.into(), Ordering::SeqCst);
            words.start_time.store(me.start_time, Ordering::SeqCst);
            words.pid_namespace.store(me.pid_namespace, Ordering::SeqCst);
            words.attached_at.store(crate::sys::process::now(), Ordering::SeqCst);
            if !lock::try_lock(&description, Lock::Exclusive, alive_byte(record), 1)? {
                lock::unlock(&description, record_byte(record), 1)?;
                continue;
            }
            let anchor = Mapping::anchor(&description)?;
            // After *alive*: who is attached and not alive is dead.
            words.attached.store(generation, Ordering::SeqCst);
            let holder = Holder::of(record, Holder::generation(generation), me.pid);
            return Ok(Some(Registration { record, holder, _anchor: anchor }));
        }
        Ok(None)
    }

    /// The word by which others know us.
    pub(crate) fn holder(&self) -> Holder {
        self.holder
    }

    /// Says that we leave in an orderly way. The lock bytes go when this is dropped.
    pub(crate) fn leave(&self, records: &[Record]) {
        records[self.record].attached.store(0, Ordering::SeqCst);
    }

    /// Whether anybody but us is attached and alive. Doubt is a yes. To be asked while the gate is held exclusively, so
    /// that nobody is half attached.
    pub(crate) fn is_anybody_else_alive(&self, records: &[Record], file: impl AsFd) -> bool {
        let is_locked = |from: u64, to: u64| from < to && lock::is_locked(&file, from, to - from).unwrap_or(true);
        let (ours, next) = (record_byte(self.record), record_byte(self.record + 1));
        let end = record_byte(records.len());
        if !is_locked(LOCKS, ours) && !is_locked(next, end) {
            return false;
        }
        // One by one. Who is locked and has left is a copy of a descriptor, in a child that has not got to its exec yet.
        records.iter().enumerate().any(|(record, words)| {
            record != self.record
                && words.attached.load(Ordering::SeqCst) != 0
                && is_locked(record_byte(record), record_byte(record + 1))
        })
    }
}

/// Whether the process that used `record` in `generation` is alive. Doubt, such as a question that fails, is a yes.
pub(crate) fn is_alive(records: &[Record], file: impl AsFd, record: usize, generation: u32) -> bool {
    let Some(words) = records.get(record) else {
        return false; // no process of this ring
    };
    // The byte first: when it is held, it was taken after the generation of its holder was counted up.
    lock::is_locked(file, alive_byte(record), 1).unwrap_or(true)
        && Holder::generation(words.generation.load(Ordering::SeqCst)) == generation
}

/// Whether nobody who is alive uses `record`. Doubt is a no.
pub(crate) fn is_dead(file: impl AsFd, record: usize) -> bool {
    !lock::is_locked(file, alive_byte(record), 1).unwrap_or(true)
}

/// Whether anybody who is alive is attached to the segment behind `file`, of whatever layout, or about to remove its name.
/// Doubt is a yes.
pub(crate) fn is_in_use(file: impl AsFd) -> bool {
    // NB: all bytes there are, as nobody else has a reason to lock any.
    lock::is_locked(file, 0, 0).unwrap_or(true)
}

/// Processes that have died and were not cleared up after: their records and generations.
pub(crate) fn dead(records: &[Record], file: impl AsFd) -> impl Iterator<Item = (usize, u64)> {
    records.iter().enumerate().filter_map(move |(record, words)| {
        // The word first: who has set it has *alive*, until it leaves or dies.
        let generation = words.attached.load(Ordering::SeqCst);
        (generation != 0 && is_dead(&file, record)).then_some((record, generation))
    })
}

/// Says that nothing is left in the ring of the dead process of that record and generation. Says whether we were the
/// first.
pub(crate) fn clear(records: &[Record], record: usize, generation: u64) -> bool {
    records[record].attached.compare_exchange(generation, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
}

/// The gate, held until this is dropped: shared to attach, exclusively to leave as the last.
///
/// No thread of this process forks meanwhile: a child would have a copy of the descriptor, and keep the gate shut if we
/// were killed.
#[derive(Debug)]
pub(crate) struct Gate {
    file: OwnedFd,
    no_forks: NoForks,
}

impl Gate {
    /// Waits for the gate. Says `None` when that takes longer than `patience`.
    ///
    /// `open` opens the segment's file with a description of its own.
    pub(crate) fn pass(
        open: impl Fn() -> io::Result<OwnedFd>,
        how: Lock,
        patience: Duration,
    ) -> io::Result<Option<Gate>> {
        let deadline = Instant::now() + patience;
        loop {
            let no_forks = fork::forbid();
            let file = open()?;
            if lock::try_lock(&file, how, GATE, 1)? {
                return Ok(Some(Gate { file, no_forks }));
            }
            drop((file, no_forks));
            if Instant::now() >= deadline {
                return Ok(None);
            }
            // Whoever holds it needs microseconds, unless it is stopped.
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    pub(crate) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// What says that nobody forks while we hold it.
    pub(crate) fn no_forks(&self) -> &NoForks {
        &self.no_forks
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // NB: to close the descriptor would not be enough, as a command that is being started may have a copy.
        let _ = lock::unlock(&self.file, GATE, 1);
    }
}

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
//!
//! # Memory without a file
//!
//! has no bytes to lock: System V segments. (The heap of one process is all that one process's.) There *record*, *alive* and *gate* are words in
//! the segment, each zero or the name of a process: its pid, and when it was started, so that a later process with that
//! pid is another one. They are taken, asked for and given back in the same order as the bytes; the essay on how is in
//! `witness.rs`. Whether a process has ended is asked of the system: no process has its pid any more, or one that was
//! started at another time, or it is a zombie without any other thread. Each of these says that all its threads have given
//! up their memory, so here too every store of the dead process is done. Doubt is *alive*, and what it costs is this:
//!
//! - Pids mean something in one pid namespace, and start times in one time namespace. So a segment remembers those of its
//!   creator, and whoever lives in others is refused.
//! - exec does not end a process, as pid and start time stay. It counts as attached until its program ends.
//!
//! A death at each step of attaching: before *record* is taken, nothing has happened. From then on *record* names the
//! dead, and the next one takes it from there, and does all over again: *alive* still names the process before, or nobody;
//! `attached` still says that there is something to clear up, or not. When *alive* names the dead and `attached` is not
//! set yet, there was nothing to clear up any more, and the dead had not begun with anything. Of leaving: `attached` goes
//! first, when nothing is left in the ring, and then *alive* and *record* go or are found to name the dead. In the gate:
//! its word names the dead, the next one takes it. All that is done in there is one step, or is done again.

pub(crate) mod role;
pub(crate) mod witness;

pub(crate) use witness::Witness;

use crate::layout::control::{Holder, Record};
use crate::sys::fork::{self, NoForks};
use crate::sys::lock::Lock;
use crate::sys::mapping::Mapping;
use crate::sys::process::Identity;
use core::sync::atomic::Ordering;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A process record that is ours, until this is dropped or we die.
#[derive(Debug)]
pub(crate) struct Registration {
    record: usize,
    holder: Holder,
    /// Holds the lock bytes, where there are any. Its memory cannot be accessed.
    _anchor: Option<Mapping>,
}

impl Registration {
    /// Takes a record for this process, or says `None` when all are in use.
    ///
    /// `open` opens the segment's file, if it has one, with a description of its own. `clear_up` sees to what a dead
    /// process has left in the ring, whose record is going to be ours. A child that was forked while the descriptor is
    /// open, or before the mapping is marked, would keep the lock: hence `no_forks`.
    pub(crate) fn new<'s>(
        records: &'s [Record],
        open: impl Fn() -> io::Result<Witness<'s, OwnedFd>>,
        clear_up: impl Fn(usize, Register<'_>),
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

    fn take<'s>(
        records: &'s [Record],
        open: impl Fn() -> io::Result<Witness<'s, OwnedFd>>,
        clear_up: impl Fn(usize, Register<'_>),
        _until_anchored: &NoForks,
    ) -> io::Result<Option<Registration>> {
        let witness = open()?;
        let witness = witness.borrow();
        for (record, words) in records.iter().enumerate() {
            if !witness.try_record(record, words)? {
                continue;
            }
            // Nobody who keeps to the protocol holds the one without the other.
            if !witness.is_dead(record, words) {
                witness.give_back(record, words)?;
                continue;
            }
            // Whatever names this record is of the dead.
            if words.attached.load(Ordering::SeqCst) != 0 {
                clear_up(record, Register { records, witness });
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
            let now = crate::sys::process::now();
            for time in [&words.attached_at, &words.seen_at] {
                time.store(now, Ordering::SeqCst);
            }
            let alive = witness.try_alive(record, words);
            if !matches!(alive, Ok(true)) {
                // Also when it failed: a record that names us would be in use for as long as we live.
                let given_back = witness.give_back(record, words);
                alive?;
                given_back?;
                continue;
            }
            let anchor = witness.anchor()?;
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
        let words = &records[self.record];
        words.attached.store(0, Ordering::SeqCst);
        witness::leave(words);
    }

    /// Whether anybody but us is attached and alive. Doubt is a yes. To be asked while the gate is held exclusively, so
    /// that nobody is half attached.
    pub(crate) fn is_anybody_else_alive(&self, register: Register<'_>) -> bool {
        let Register { records, witness } = register;
        if !witness.is_any_taken(self.record, records.len()) {
            return false;
        }
        // One by one. Who is locked and has left is a copy of a descriptor, in a child that has not got to its exec yet.
        records.iter().enumerate().any(|(record, words)| {
            record != self.record && words.attached.load(Ordering::SeqCst) != 0 && witness.is_taken(record, words)
        })
    }
}

/// The process records of a segment, with what testifies to who is alive.
#[derive(Clone, Copy)]
pub(crate) struct Register<'s> {
    pub(crate) records: &'s [Record],
    pub(crate) witness: Witness<'s>,
}

impl<'s> Register<'s> {
    /// Whether the process that used `record` in `generation` is alive. Doubt, such as a question that fails, is a yes.
    pub(crate) fn is_alive(self, record: usize, generation: u32) -> bool {
        let Some(words) = self.records.get(record) else {
            return false; // no process of this ring
        };
        // *Alive* first: when it is held, it was taken after the generation of its holder was counted up.
        !self.witness.is_dead(record, words)
            && Holder::generation(words.generation.load(Ordering::SeqCst)) == generation
    }

    /// Whether nobody who is alive uses `record`. Doubt is a no.
    pub(crate) fn is_dead(self, record: usize) -> bool {
        // A record that is none of this ring's is used by nobody.
        self.records.get(record).is_none_or(|words| self.witness.is_dead(record, words))
    }

    /// Processes that have died and were not cleared up after: their records and generations.
    pub(crate) fn dead(self) -> impl Iterator<Item = (usize, u64)> + use<'s> {
        self.records.iter().enumerate().filter_map(move |(record, words)| {
            // The word first: who has set it has *alive*, until it leaves or dies.
            let generation = words.attached.load(Ordering::SeqCst);
            (generation != 0 && self.is_dead(record)).then_some((record, generation))
        })
    }

    /// Says that nothing is left in the ring of the dead process of that record and generation. Says whether we were the
    /// first.
    pub(crate) fn clear(self, record: usize, generation: u64) -> bool {
        self.records[record].attached.compare_exchange(generation, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// The gate, held until this is dropped: shared to attach, exclusively to leave as the last.
///
/// No thread of this process forks meanwhile: a child would have a copy of the descriptor, and keep the gate shut if we
/// were killed.
#[derive(Debug)]
pub(crate) struct Gate<'s> {
    witness: Witness<'s, OwnedFd>,
    no_forks: NoForks,
}

impl<'s> Gate<'s> {
    /// Waits for the gate. Says `None` when that takes longer than `patience`.
    ///
    /// `open` opens the segment's file, if it has one, with a description of its own.
    pub(crate) fn pass(
        open: impl Fn() -> io::Result<Witness<'s, OwnedFd>>,
        how: Lock,
        patience: Duration,
    ) -> io::Result<Option<Gate<'s>>> {
        let deadline = Instant::now() + patience;
        loop {
            let no_forks = fork::forbid();
            let witness = open()?;
            if witness.borrow().try_gate(how)? {
                return Ok(Some(Gate { witness, no_forks }));
            }
            drop((witness, no_forks));
            if Instant::now() >= deadline {
                return Ok(None);
            }
            // Whoever holds it needs microseconds, unless it is stopped.
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    pub(crate) fn witness(&self) -> Witness<'_> {
        self.witness.borrow()
    }

    /// What says that nobody forks while we hold it.
    pub(crate) fn no_forks(&self) -> &NoForks {
        &self.no_forks
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        // NB: to close the descriptor would not be enough, as a command that is being started may have a copy.
        let _ = self.witness().leave_gate();
    }
}

//! One thread for all tasks of this process that wait for a ring: it sleeps for all of them, and wakes theirs.

use crate::layout::parts::Parts;
use crate::sys::fork::{self, Incarnation};
use crate::sys::futex;
use crate::wait::Ticket;
use core::sync::atomic::{AtomicU32, Ordering};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// So long it sleeps when it can sleep on some of the words only, and has to look at the others.
const ROUND: Duration = Duration::from_millis(1);

/// So long it sleeps when there is nothing to sleep for.
const FOR_EVER: Duration = Duration::from_secs(1 << 30);

/// Which word of a segment a task waits for. It keeps the segment mapped.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) parts: Parts,
    pub(super) is_room: bool,
}

impl Place {
    pub(super) fn word(&self) -> &AtomicU32 {
        let control = self.parts.control();
        if self.is_room { &control.room } else { &control.messages }
    }
}

/// A task that waits.
#[derive(Debug)]
struct Task {
    number: u64,
    place: Place,
    ticket: Ticket,
    /// When it has to look, whether it is woken or not.
    until: Instant,
    waker: Waker,
}

impl Task {
    fn is_due(&self, now: Instant) -> bool {
        self.until <= now || self.place.word().load(Ordering::SeqCst) != self.ticket.word()
    }
}

#[derive(Debug)]
struct Reactor {
    tasks: Mutex<Tasks>,
    /// Counts what the thread has to see, for it to sleep on.
    changes: AtomicU32,
    process: Incarnation,
}

#[derive(Debug, Default)]
struct Tasks {
    waiting: Vec<Task>,
    next_number: u64,
    asleep: Option<Asleep>,
}

/// What the thread sleeps for.
#[derive(Debug)]
struct Asleep {
    /// Each word once, by its address, and what it should be.
    words: HashMap<usize, (Place, u32)>,
    until: Instant,
}

/// A task's place among those that wait, until this is dropped.
#[derive(Debug)]
pub(super) struct Registration {
    reactor: Arc<Reactor>,
    number: u64,
}

/// Wakes `waker` when the word at `place` is no more what the ticket says, or at `until`. The thread is started with the
/// first task, and is there until the process ends.
pub(super) fn register(place: Place, ticket: Ticket, until: Instant, waker: Waker) -> std::io::Result<Registration> {
    let reactor = reactor()?;
    let mut tasks = reactor.lock();
    let number = tasks.next_number;
    tasks.next_number += 1;
    let address = place.word().as_ptr() as usize;
    let is_seen_to = |asleep: &Asleep| until >= asleep.until && asleep.words.contains_key(&address);
    // While it is awake it will see the task before it sleeps.
    let is_news = !tasks.asleep.as_ref().is_none_or(is_seen_to);
    tasks.waiting.push(Task { number, place, ticket, until, waker });
    drop(tasks);
    if is_news {
        reactor.changed();
    }
    Ok(Registration { reactor, number })
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut tasks = self.reactor.lock();
        let index = tasks.waiting.iter().position(|task| task.number == self.number);
        let task = index.map(|index| tasks.waiting.swap_remove(index));
        // NB: no waker is used, or dropped, while it is locked: it may own what waits here.
        drop(tasks);
        if let Some(task) = task {
            // The thread still sleeps on the word, and would take a wake-up that is for somebody else.
            self.reactor.changed();
            futex::wake(task.place.word(), i32::MAX as u32);
        }
    }
}

/// The reactor of this very process: a forked child has no thread of its parent's.
fn reactor() -> std::io::Result<Arc<Reactor>> {
    static REACTOR: Mutex<Option<Arc<Reactor>>> = Mutex::new(None);
    let process = Incarnation::current();
    // Nobody is forked while it is locked.
    let _no_forks = fork::forbid();
    let mut there = REACTOR.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(reactor) = there.as_ref().filter(|reactor| reactor.process == process) {
        return Ok(reactor.clone());
    }
    let reactor = Arc::new(Reactor { tasks: Mutex::default(), changes: AtomicU32::new(0), process });
    let for_thread = reactor.clone();
    std::thread::Builder::new().name("ringway".into()).spawn(move || for_thread.run())?;
    // NB: what was there is our parent's, and is not to be touched.
    std::mem::forget(there.replace(reactor.clone()));
    Ok(reactor)
}

impl Reactor {
    fn lock(&self) -> MutexGuard<'_, Tasks> {
        // No code of others runs while it is locked, so it is in order.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        // SeqCst, as for the words: no order is asked for, the kernel and the lock see to it; and nothing here is hot.
        self.changes.fetch_add(1, Ordering::SeqCst);
        futex::wake(&self.changes, 1);
    }

    fn run(&self) {
        loop {
            // Before the look at the tasks: what comes after it is a change.
            let changes = self.changes.load(Ordering::SeqCst);
            let now = Instant::now();
            let mut tasks = self.lock();
            tasks.asleep = None;
            let (due, waiting): (Vec<Task>, Vec<Task>) =
                std::mem::take(&mut tasks.waiting).into_iter().partition(|task| task.is_due(now));
            tasks.waiting = waiting;
            if !due.is_empty() {
                drop(tasks);
                for task in due {
                    // A waker is somebody else's code. Its panic ends nobody else's sleep.
                    let _ = catch_unwind(AssertUnwindSafe(|| task.waker.wake()));
                }
                continue;
            }
            let (words, until) = what_to_sleep_for(&tasks.waiting, now);
            let sleeps_on: Vec<(Place, u32)> = words.values().cloned().collect();
            tasks.asleep = Some(Asleep { words, until });
            drop(tasks);
            match sleeps_on.is_empty() {
                true => futex::wait(&self.changes, changes, FOR_EVER),
                false => {
                    let words = sleeps_on.iter().map(|(place, expected)| (place.word(), *expected));
                    let left = until.saturating_duration_since(now);
                    futex::wait_any(std::iter::once((&self.changes, changes)).chain(words), left);
                }
            }
        }
    }
}

/// Each word once, as many as the kernel takes beside our own; and until when.
fn what_to_sleep_for(tasks: &[Task], now: Instant) -> (HashMap<usize, (Place, u32)>, Instant) {
    let mut words = HashMap::new();
    let mut until = tasks.iter().map(|task| task.until).min().unwrap_or(now + FOR_EVER);
    for task in tasks {
        let address = task.place.word().as_ptr() as usize;
        if words.len() + 1 < futex::MOST {
            words.entry(address).or_insert_with(|| (task.place.clone(), task.ticket.word()));
        } else if !words.contains_key(&address) {
            until = until.min(now + ROUND);
        }
    }
    (words, until)
}

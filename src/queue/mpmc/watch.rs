//! What a handle does when it cannot go on: look whether somebody is dead.

use crate::queue::attachment::Attachment;
use crate::recover;
use crate::ring::memory::{Memory, Orphanage};
use crate::ring::mpmc::Held;
use crate::sys::process;
use core::sync::atomic::Ordering;
use crossbeam_utils::Backoff;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// How often a handle with nothing to do asks who has died, at most.
const INTERVAL_NS: i64 = 5_000_000;

/// Who has asked so often while the clock said the same ...
const OFTEN: u8 = 32;
/// ... need not look at it so many times: it takes longer than all the rest. They are few, as whoever has asked often and
/// begins to sleep in between is blind for them.
const RESTS: u8 = 7;

/// How many cells in somebody's hands an operation gets over. Each time somebody has got on, so this is not reached but
/// with somebody who scribbles on the words.
const OBSTACLES: u32 = 10_000;

/// How often an operation looks at a cell in somebody's hands, with more and more time in between: some microseconds.
const LOOKS: u32 = 9;

/// Who is in the way and was alive is not asked for again for so long: a question takes a microsecond.
const PATIENCE: Duration = Duration::from_micros(20);

/// When a handle has last looked for the dead, and when it should again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    looked_at: i64,
    /// What the clock said last.
    now: i64,
    /// How often it has said so.
    often: u8,
    /// So many times more there is no need to look even at the clock.
    rests: u8,
    /// Who was in our way when we last waited for somebody, and was alive, and when to ask the kernel again.
    alive: Option<(Held, Instant)>,
}

/// Obstacles that one operation has met.
#[derive(Default)]
pub(super) struct Obstacles(u32);

impl Watch {
    /// There is nothing to do: whether that is all there is to say, as this was asked a moment ago.
    #[inline(always)]
    pub(super) fn rests(&mut self) -> bool {
        let rests = self.rests > 0;
        self.rests -= u8::from(rests);
        rests
    }

    /// The moment is over.
    pub(super) fn rise(&mut self) {
        self.rests = 0;
    }

    /// There is nothing to do: an occasion to look for the dead, if there was none for a while. Says whether some were
    /// found, so that it is worth while to try again.
    #[inline]
    pub(super) fn is_worth_another_try<T, M>(&mut self, attachment: &Attachment, memory: &M) -> bool
    where
        M: Memory<T> + Orphanage,
    {
        let now = coarse_now();
        self.often = if now == self.now { self.often.saturating_add(1) } else { 0 };
        self.rests = if self.often >= OFTEN { RESTS } else { 0 };
        self.now = now;
        if now.wrapping_sub(self.looked_at) < INTERVAL_NS {
            return false;
        }
        let found = look(attachment, memory);
        self.looked_at = coarse_now();
        found
    }
}

/// Nanoseconds, exact to a few million. A read of memory, not a system call.
#[inline]
fn coarse_now() -> i64 {
    let time = clock_gettime(ClockId::MonotonicCoarse);
    time.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec)
}

/// Clears up after all who have died. Says whether there was anything to do.
#[cold]
pub(super) fn look<T, M: Memory<T> + Orphanage>(attachment: &Attachment, memory: &M) -> bool {
    let recovered = attachment.ask(|register| recover::recover::<T, _>(memory, register));
    attachment.note_time();
    let found = recovered.is_some_and(|recovered| !recovered.is_empty());
    if found {
        attachment.announce();
    }
    found
}

impl Obstacles {
    /// A cell is in somebody's hands: waits for the time of a copy or two, and repairs it if that process is dead. `Ok`
    /// says that it is worth while to try again, `Err` names the process.
    #[cold]
    pub(super) fn overcome<T, M: Memory<T> + Orphanage>(
        &mut self,
        held: Held,
        watch: &mut Watch,
        attachment: &Attachment,
        memory: &M,
    ) -> Result<(), u32> {
        self.0 += 1;
        match watch.wait_or_repair(held, attachment, memory) {
            true if self.0 < OBSTACLES => Ok(()),
            _ => Err(name(held, attachment)),
        }
    }
}

impl Watch {
    /// Says whether the cell is as it was no more. An operation waits for the same one only once: who comes back with the
    /// next one may have something better to do, such as to let its owner run.
    fn wait_or_repair<T, M>(&mut self, held: Held, attachment: &Attachment, memory: &M) -> bool
    where
        M: Memory<T> + Orphanage,
    {
        let known = self.alive.filter(|(alive, _)| *alive == held);
        // NB: no more than that, and never another thread in between: how to wait is for others to say.
        let backoff = Backoff::new();
        for _ in 0..if known.is_some() { 1 } else { LOOKS } {
            if !held.persists::<T, _>(memory) {
                return true;
            }
            backoff.spin();
        }
        let now = Instant::now();
        if known.is_some_and(|(_, ask_at)| now < ask_at) {
            return false;
        }
        self.alive = Some((held, now + PATIENCE));
        // Another handle of this very process is alive: we need not ask.
        if held.owner() == attachment.record() {
            return false;
        }
        let repaired = attachment.ask(|register| recover::repair::<T, _>(memory, register, held)).unwrap_or(false);
        if repaired {
            attachment.announce();
        }
        repaired
    }
}

/// The process that holds the cell. It is remembered in the segment since when it does.
fn name(held: Held, attachment: &Attachment) -> u32 {
    let obstacle = &attachment.parts().control().obstacle;
    let (cell, word) = held.cell_and_word();
    // Relaxed: for people to read.
    if obstacle.word.load(Ordering::Relaxed) != word || obstacle.cell.load(Ordering::Relaxed) != cell {
        obstacle.since.store(process::now(), Ordering::Relaxed);
        obstacle.cell.store(cell, Ordering::Relaxed);
        obstacle.word.store(word, Ordering::Relaxed);
    }
    let record = attachment.parts().records().get(held.owner());
    record.map_or(0, |record| record.pid.load(Ordering::Relaxed) as u32)
}

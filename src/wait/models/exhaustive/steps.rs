//! The code of an event, cut into single operations on what all share; line by line as in `wait/mod.rs`, with the bugs
//! beside the lines that they spoil. And what its callers do around it. Here is what a waker does; for the others see
//! `sleeper`.

use super::bugs::Bug;
use super::state::{At, State, Thread};
use super::{Job, Setting};
use crate::wait::{ALERT, ALWAYS, ASLEEP, AWAKE, ONE_MORE, STATE};

/// A thread at work on a copy of the state.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) setting: &'a Setting,
    pub(super) state: State,
    pub(super) me: usize,
}

impl<'a> Turn<'a> {
    pub(super) fn my(&mut self) -> &mut Thread {
        &mut self.state.threads[self.me]
    }

    pub(super) fn thread(&self) -> Thread {
        self.state.threads[self.me]
    }

    pub(super) fn job(&self) -> Job {
        self.setting.jobs[self.me]
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.setting.bug == bug
    }

    pub(super) fn load(&self) -> u32 {
        self.state.word.into()
    }

    pub(super) fn store(&mut self, word: u32) {
        self.state.word = word as u8;
    }

    pub(super) fn exchange(&mut self, from: u32, to: u32) -> Result<(), u32> {
        let now = self.load();
        if now != from {
            return Err(now);
        }
        self.store(to);
        Ok(())
    }

    pub(super) fn seen(&self) -> u32 {
        self.thread().seen.into()
    }

    pub(super) fn ticket(&self) -> u32 {
        self.thread().ticket.into()
    }

    pub(super) fn go(mut self, at: At) -> Turn<'a> {
        self.my().at = at;
        self
    }

    pub(super) fn go_with(mut self, at: At, seen: u32) -> Turn<'a> {
        self.my().seen = seen as u8;
        self.go(at)
    }

    /// One operation, and all that may come of it. Nothing at all, if it has to wait for the store buffer.
    pub(super) fn operate(self, out: &mut Vec<State>) {
        let is_drained = self.thread().buffered == 0;
        let next = match self.thread().at {
            At::Done | At::Dead | At::Later | At::Asleep => return,
            At::Store => self.store_message(),
            At::NotifyLoad if !is_drained && self.setting.fences(self.me) => return,
            At::NotifyLoad => self.notify(),
            At::Leave => self.leave(),
            At::WakeLoad if !is_drained && !self.has(Bug::SecondLookUnfenced) => return,
            At::WakeLoad => self.wake(),
            // An exchange empties the store buffer on the processors that have one.
            At::WakeExchange | At::ResetExchange if !is_drained => return,
            At::WakeExchange => self.wake_exchange(),
            At::WakeFutex => return self.wake_futex(out),
            At::ResetLoad => self.reset_load(),
            At::ResetExchange => self.reset_exchange(),
            At::Idle => return self.idle(out),
            At::PrepareLoad => self.prepare(),
            At::PrepareExchange => return self.prepare_exchange(out),
            At::Barrier => return self.barrier(out),
            At::AlwaysLoad => self.go_with(At::AlwaysExchange, self.load()),
            At::AlwaysExchange => self.always_exchange(),
            At::Look => return self.look(out),
            At::LateTicket => {
                let mut turn = self.go(At::Sleep);
                turn.my().ticket = turn.state.word;
                turn
            }
            At::Sleep => match self.load() == self.ticket() {
                true => self.go(At::Asleep),
                false => return self.awake(out),
            },
            At::LookAgain => self.look_again(),
            At::Finish => self.finish(),
            At::More => self.more(),
        };
        out.push(next.state);
    }

    pub(super) fn store_message(mut self) -> Turn<'a> {
        self.my().count += 1;
        self.my().buffered += 1;
        self.go(At::NotifyLoad)
    }

    pub(super) fn leave(mut self) -> Turn<'a> {
        self.my().count += 1;
        self.my().buffered += 1;
        self.go(At::WakeLoad)
    }

    /// Whether a waker has stored all its messages, and then that it has left.
    pub(super) fn has_left(&self) -> bool {
        matches!(self.job(), Job::Waker { messages, .. } if self.thread().count > messages)
    }

    /// The first store in the buffer gets to where others see it.
    pub(super) fn flush(&mut self) {
        self.my().buffered -= 1;
        match self.thread().buffered == 0 && self.has_left() {
            true => self.state.left += 1,
            false => self.state.messages += self.setting.batch(self.me),
        }
        if self.thread().late > 0 {
            self.my().late -= 1;
            self.state.since = 0;
        }
    }

    pub(super) fn notify(self) -> Turn<'a> {
        let is_awake = match self.has(Bug::IgnoresAlert) {
            true => self.load() & STATE != ASLEEP,
            false => self.load() & (STATE | ALWAYS) == AWAKE,
        };
        if is_awake { self.next_message() } else { self.go(At::WakeLoad) }
    }

    /// `wake_all`, if it has left; else `wake_one`.
    pub(super) fn wake(self) -> Turn<'a> {
        self.wake_with(self.load())
    }

    pub(super) fn wake_with(self, seen: u32) -> Turn<'a> {
        let is_one = match self.has_left() && !self.has(Bug::WakesAllOnlyIfAsleep) {
            true => seen & STATE != AWAKE,
            false => seen & STATE == ASLEEP,
        };
        if !is_one {
            let gives_up = [Bug::WakesAllOnlyIfAsleep, Bug::WakesAllUnlessAwake].contains(&self.setting.bug);
            return if self.has_left() && !gives_up { self.go_with(At::WakeFutex, 0) } else { self.woke(false) };
        }
        let first = if self.has(Bug::WakesBeforeItClears) { At::WakeFutex } else { At::WakeExchange };
        self.go_with(first, seen)
    }

    pub(super) fn wake_exchange(mut self) -> Turn<'a> {
        let seen = self.seen();
        let one_more = if self.has(Bug::NoNumber) { 0 } else { ONE_MORE };
        match self.exchange(seen, (seen & !STATE | ALERT).wrapping_add(one_more)) {
            Ok(()) if self.has(Bug::WakesBeforeItClears) || self.has(Bug::ClearsWithoutWaking) => self.woke(true),
            Ok(()) => self.go_with(At::WakeFutex, 0),
            Err(now) => self.wake_with(now),
        }
    }

    /// The kernel wakes one of those who sleep, or all of them.
    pub(super) fn wake_futex(self, out: &mut Vec<State>) {
        let then = |turn: Turn<'a>| match turn.has(Bug::WakesBeforeItClears) {
            true => turn.go(At::WakeExchange),
            false => turn.woke(true),
        };
        let sleeps = |other: &usize| self.state.threads[*other].at == At::Asleep;
        let sleepers: Vec<usize> = (0..self.setting.jobs.len()).filter(sleeps).collect();
        if sleepers.is_empty() || self.wakes_all() {
            let awake = |state: State, &sleeper: &usize| {
                let mut woken = Vec::new();
                Turn { state, me: sleeper, ..self }.awake(&mut woken);
                woken[0]
            };
            out.push(sleepers.iter().fold(then(self).state, awake));
            return;
        }
        for sleeper in sleepers {
            Turn { state: then(self).state, me: sleeper, ..self }.awake(out);
        }
    }

    /// Whether it is all of them.
    pub(super) fn wakes_all(&self) -> bool {
        let is_waker = matches!(self.job(), Job::Waker { .. });
        let is_for_all = self.has_left() || self.setting.for_all && (is_waker || !self.has(Bug::FirstWakesOne));
        is_for_all && !self.has(Bug::WakesOneForAll)
    }

    /// It has returned: to `notify_alert`, to a sleeper that has passed the baton, or to who has left.
    pub(super) fn woke(mut self, somebody: bool) -> Turn<'a> {
        self.my().seen = 0;
        if !matches!(self.job(), Job::Waker { .. }) {
            return self.next_round();
        }
        if self.has_left() {
            return self.go(At::Done);
        }
        if somebody {
            self.my().quiet = 0;
            return self.next_message();
        }
        self.my().quiet += u8::from(self.setting.quiet > 0);
        if self.setting.quiet > 0 && self.thread().quiet >= self.setting.quiet {
            self.my().quiet = 0;
            return self.go(At::ResetLoad);
        }
        self.next_message()
    }

    pub(super) fn reset_load(self) -> Turn<'a> {
        let seen = self.load();
        let is_calm = match self.setting.bug {
            Bug::ResetsTheSleeping => seen & ALWAYS == 0,
            Bug::ResetForgetsAlways => seen & STATE == ALERT,
            _ => seen & (STATE | ALWAYS) == ALERT,
        };
        if is_calm { self.go_with(At::ResetExchange, seen) } else { self.next_message() }
    }

    pub(super) fn reset_exchange(mut self) -> Turn<'a> {
        let seen = self.seen();
        let awake = match self.has(Bug::ResetForgetsAlways) {
            true => seen & !(STATE | ALWAYS) | AWAKE,
            false => seen & !STATE | AWAKE,
        };
        if self.has(Bug::ResetsByStore) {
            self.store(awake);
        }
        let _ = self.exchange(seen, awake);
        self.my().seen = 0;
        self.next_message()
    }

    pub(super) fn next_message(self) -> Turn<'a> {
        let Job::Waker { messages, leaves, .. } = self.job() else { unreachable!("only wakers have messages") };
        let is_over = self.thread().count == messages;
        self.go(match leaves {
            _ if !is_over => At::Store,
            true => At::Leave,
            false => At::Done,
        })
    }
}

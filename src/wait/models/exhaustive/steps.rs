//! The code of an event, cut into single operations on what all share; line by line as in `wait/mod.rs`, with the bugs
//! beside the lines that they spoil. And what its callers do around it.

use super::bugs::Bug;
use super::state::{At, State, Thread};
use super::{Barrier, Job, Setting};
use crate::wait::{ALERT, ALWAYS, ASLEEP, AWAKE, ONE_MORE, STATE};

/// A thread at work on a copy of the state.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) setting: &'a Setting,
    pub(super) state: State,
    pub(super) me: usize,
}

impl<'a> Turn<'a> {
    fn my(&mut self) -> &mut Thread {
        &mut self.state.threads[self.me]
    }

    fn thread(&self) -> Thread {
        self.state.threads[self.me]
    }

    fn job(&self) -> Job {
        self.setting.jobs[self.me]
    }

    fn has(&self, bug: Bug) -> bool {
        self.setting.bug == bug
    }

    fn load(&self) -> u32 {
        self.state.word.into()
    }

    fn store(&mut self, word: u32) {
        self.state.word = word as u8;
    }

    fn exchange(&mut self, from: u32, to: u32) -> Result<(), u32> {
        let now = self.load();
        if now != from {
            return Err(now);
        }
        self.store(to);
        Ok(())
    }

    fn seen(&self) -> u32 {
        self.thread().seen.into()
    }

    fn ticket(&self) -> u32 {
        self.thread().ticket.into()
    }

    fn go(mut self, at: At) -> Turn<'a> {
        self.my().at = at;
        self
    }

    fn go_with(mut self, at: At, seen: u32) -> Turn<'a> {
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

    // ---- a waker ----

    fn store_message(mut self) -> Turn<'a> {
        self.my().count += 1;
        self.my().buffered += 1;
        self.go(At::NotifyLoad)
    }

    fn leave(mut self) -> Turn<'a> {
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

    fn notify(self) -> Turn<'a> {
        let is_awake = match self.has(Bug::IgnoresAlert) {
            true => self.load() & STATE != ASLEEP,
            false => self.load() & (STATE | ALWAYS) == AWAKE,
        };
        if is_awake { self.next_message() } else { self.go(At::WakeLoad) }
    }

    /// `wake_all`, if it has left; else `wake_one`.
    fn wake(self) -> Turn<'a> {
        self.wake_with(self.load())
    }

    fn wake_with(self, seen: u32) -> Turn<'a> {
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

    fn wake_exchange(mut self) -> Turn<'a> {
        let seen = self.seen();
        let one_more = if self.has(Bug::NoNumber) { 0 } else { ONE_MORE };
        match self.exchange(seen, (seen & !STATE | ALERT).wrapping_add(one_more)) {
            Ok(()) if self.has(Bug::WakesBeforeItClears) || self.has(Bug::ClearsWithoutWaking) => self.woke(true),
            Ok(()) => self.go_with(At::WakeFutex, 0),
            Err(now) => self.wake_with(now),
        }
    }

    /// The kernel wakes one of those who sleep, or all of them.
    fn wake_futex(self, out: &mut Vec<State>) {
        let then = |turn: Turn<'a>| match turn.has(Bug::WakesBeforeItClears) {
            true => turn.go(At::WakeExchange),
            false => turn.woke(true),
        };
        let sleeps = |other: &usize| self.state.threads[*other].at == At::Asleep;
        let sleepers: Vec<usize> = (0..self.setting.jobs.len()).filter(sleeps).collect();
        let wakes_all = self.has_left() && !self.has(Bug::WakesOneForAll);
        if sleepers.is_empty() || wakes_all {
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

    /// It has returned: to `notify_alert`, to a sleeper that has passed the baton, or to who has left.
    fn woke(mut self, somebody: bool) -> Turn<'a> {
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

    fn reset_load(self) -> Turn<'a> {
        let seen = self.load();
        let is_calm = match self.setting.bug {
            Bug::ResetsTheSleeping => seen & ALWAYS == 0,
            Bug::ResetForgetsAlways => seen & STATE == ALERT,
            _ => seen & (STATE | ALWAYS) == ALERT,
        };
        if is_calm { self.go_with(At::ResetExchange, seen) } else { self.next_message() }
    }

    fn reset_exchange(mut self) -> Turn<'a> {
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

    fn next_message(self) -> Turn<'a> {
        let Job::Waker { messages, leaves, .. } = self.job() else { unreachable!("only wakers have messages") };
        let is_over = self.thread().count == messages;
        self.go(match leaves {
            _ if !is_over => At::Store,
            true => At::Leave,
            false => At::Done,
        })
    }

    // ---- a sleeper ----

    /// It takes what is there without more ado; or there was nothing a moment ago, and it begins to say that it sleeps.
    fn idle(self, out: &mut Vec<State>) {
        if self.state.messages > 0 {
            out.push(self.take().next_round().state);
        } else if self.setting.is_closed(&self.state) {
            out.push(self.give_up().next_round().state);
        }
        out.push(self.prepare().state);
    }

    fn take(mut self) -> Turn<'a> {
        self.state.messages -= 1;
        if self.setting.wants(self.me) != Setting::EVER {
            self.my().count += 1;
        }
        self
    }

    fn next_round(mut self) -> Turn<'a> {
        (self.my().ticket, self.my().mark) = (0, false);
        let is_done = self.thread().count >= self.setting.wants(self.me);
        self.go(if is_done { At::Done } else { At::Idle })
    }

    fn prepare(mut self) -> Turn<'a> {
        self.state.since |= 1 << self.me;
        self.my().ticket = 0;
        self.go_with(At::PrepareExchange, self.load())
    }

    fn prepare_exchange(mut self, out: &mut Vec<State>) {
        if self.has(Bug::LookUnfenced) && !self.thread().mark && self.state.messages == 0 {
            // The look is done before the exchange.
            let mut early = self;
            early.my().mark = true;
            out.push(early.state);
        }
        let seen = self.seen();
        let is_awake = match self.has(Bug::TakesAlwaysForAlert) {
            true => seen & (STATE | ALWAYS) == AWAKE,
            false => seen & STATE == AWAKE,
        };
        if self.has(Bug::SaysAsleepAfterTheBarrier) && is_awake && !self.thread().mark {
            self.my().mark = true;
            return out.push(self.call_for_barrier().state);
        }
        let asleep = seen & !STATE | ASLEEP;
        let next = match self.exchange(seen, asleep) {
            Ok(()) => {
                (self.my().seen, self.my().ticket) = (0, asleep as u8);
                match self.setting.bug {
                    _ if !is_awake => self.prepared(),
                    Bug::NoBarrier | Bug::SaysAsleepAfterTheBarrier => self.prepared(),
                    _ if self.setting.has_barrier(self.me) => self.call_for_barrier(),
                    _ => self.go(At::AlwaysLoad),
                }
            }
            Err(now) => {
                // Whether it has slept is to be known later.
                self.my().mark &= self.has(Bug::BatonOnlyAfterSleep);
                self.go_with(At::PrepareExchange, now)
            }
        };
        out.push(next.state);
    }

    /// `prepare` has returned.
    fn prepared(mut self) -> Turn<'a> {
        match self.setting.bug {
            Bug::BatonOnlyAfterSleep => self.go(At::Look),
            bug => {
                let mark = std::mem::take(&mut self.my().mark);
                self.go(if bug == Bug::LookUnfenced && mark { At::Sleep } else { At::Look })
            }
        }
    }

    fn call_for_barrier(mut self) -> Turn<'a> {
        let reached = |other: &usize| self.setting.is_reached(*other);
        self.my().pending = (0..self.setting.jobs.len()).filter(reached).map(|other| 1 << other).sum();
        self.go(At::Barrier)
    }

    /// Each thread that is reached executes a fence, at some time before the call returns.
    fn barrier(self, out: &mut Vec<State>) {
        let pending = (0..self.setting.jobs.len()).filter(|other| self.thread().pending & 1 << other != 0);
        let fence = |turn: &mut Turn<'a>, other: usize| {
            turn.my().pending &= !(1 << other);
            let mut reached = Turn { me: other, ..*turn };
            while reached.thread().buffered > 0 {
                reached.flush();
            }
            turn.state = reached.state;
        };
        let mut turn = self;
        match self.setting.barrier {
            Barrier::AtOnce => pending.for_each(|other| fence(&mut turn, other)),
            Barrier::OneByOne => {
                let mut is_over = true;
                for other in pending {
                    let mut turn = self;
                    fence(&mut turn, other);
                    out.push(turn.state);
                    is_over = false;
                }
                if !is_over {
                    return;
                }
            }
        }
        let next = match self.has(Bug::SaysAsleepAfterTheBarrier) {
            true => turn.go(At::PrepareExchange),
            false => turn.prepared(),
        };
        out.push(next.state);
    }

    fn look(self, out: &mut Vec<State>) {
        if self.setting.gives_up {
            // Whether it has seen anything or not.
            out.push(self.give_up().leave_off().state);
        }
        if self.state.messages > 0 && !self.setting.is_blind(self.me) {
            out.push(self.take().leave_off().state);
        } else if self.setting.is_closed(&self.state) {
            out.push(self.give_up().leave_off().state);
        } else {
            out.push(self.go(if self.has(Bug::LateTicket) { At::LateTicket } else { At::Sleep }).state);
        }
    }

    fn give_up(mut self) -> Turn<'a> {
        self.my().count = Setting::EVER;
        self
    }

    /// It does not sleep after all.
    fn leave_off(self) -> Turn<'a> {
        match self.setting.bug {
            _ if self.setting.alone => self.go(At::Finish),
            Bug::NoBaton => self.next_round(),
            Bug::BatonOnlyAfterSleep if !self.thread().mark => self.next_round(),
            _ => self.go(At::More),
        }
    }

    fn more(self) -> Turn<'a> {
        if self.state.messages > 0 { self.go(At::WakeLoad) } else { self.next_round() }
    }

    fn finish(mut self) -> Turn<'a> {
        let ticket = self.ticket();
        let alert = ticket & !STATE | ALERT;
        if self.has(Bug::TakesBackByStore) {
            self.store(alert);
        }
        let _ = self.exchange(ticket, alert);
        self.next_round()
    }

    /// It wakes up, for whatever reason.
    pub(super) fn awake(mut self, out: &mut Vec<State>) {
        self.my().mark = self.has(Bug::BatonOnlyAfterSleep);
        if self.setting.gives_up && self.has(Bug::LeavesAsItWakes) {
            out.push(self.give_up().go(At::More).state);
        }
        let looks = self.setting.alone || self.has(Bug::DoesNotSayItAgain);
        let mut turn = self.go(if looks { At::LookAgain } else { At::PrepareLoad });
        if !looks {
            turn.my().ticket = 0;
        }
        out.push(turn.state);
    }

    fn look_again(self) -> Turn<'a> {
        match self.state.messages > 0 {
            true => self.take().leave_off(),
            false => self.go(At::PrepareLoad),
        }
    }

    fn always_exchange(mut self) -> Turn<'a> {
        let seen = self.seen();
        match self.exchange(seen, seen | ALWAYS) {
            Ok(()) => {
                self.my().seen = 0;
                if self.job() == Job::Attaches { self.go(At::Done) } else { self.prepared() }
            }
            Err(now) => self.go_with(At::AlwaysExchange, now),
        }
    }
}

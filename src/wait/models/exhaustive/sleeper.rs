//! What who sleeps does: see `steps`.

use super::bugs::Bug;
use super::state::{At, State};
use super::steps::Turn;
use super::{Barrier, Job, Setting};
use crate::wait::{ALERT, ALWAYS, ASLEEP, AWAKE, STATE};

impl<'a> Turn<'a> {
    /// It takes what is there without more ado; or there was nothing a moment ago, and it begins to say that it sleeps.
    pub(super) fn idle(self, out: &mut Vec<State>) {
        if self.has_news() {
            out.push(self.take().next_round().state);
        } else if self.setting.is_closed(&self.state) {
            out.push(self.give_up().next_round().state);
        }
        out.push(self.prepare().state);
    }

    /// Whether there is something for it.
    pub(super) fn has_news(&self) -> bool {
        self.setting.has_news(&self.state, self.me)
    }

    pub(super) fn take(mut self) -> Turn<'a> {
        if self.setting.for_all {
            // All that is there, and it stays there.
            self.my().count = self.state.messages;
            return self;
        }
        self.state.messages -= 1;
        if self.setting.wants(self.me) != Setting::EVER {
            self.my().count += 1;
        }
        self
    }

    pub(super) fn next_round(mut self) -> Turn<'a> {
        (self.my().ticket, self.my().mark, self.my().is_first) = (0, false, false);
        let is_done = self.thread().count >= self.setting.wants(self.me);
        self.go(if is_done { At::Done } else { At::Idle })
    }

    pub(super) fn prepare(mut self) -> Turn<'a> {
        self.state.since |= 1 << self.me;
        self.my().ticket = 0;
        self.go_with(At::PrepareExchange, self.load())
    }

    pub(super) fn prepare_exchange(mut self, out: &mut Vec<State>) {
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
                self.my().is_first = is_awake;
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
    pub(super) fn prepared(mut self) -> Turn<'a> {
        match self.setting.bug {
            Bug::BatonOnlyAfterSleep => self.go(At::Look),
            bug => {
                let mark = std::mem::take(&mut self.my().mark);
                self.go(if bug == Bug::LookUnfenced && mark { At::Sleep } else { At::Look })
            }
        }
    }

    pub(super) fn call_for_barrier(mut self) -> Turn<'a> {
        let reached = |other: &usize| self.setting.is_reached(*other);
        self.my().pending = (0..self.setting.jobs.len()).filter(reached).map(|other| 1 << other).sum();
        self.go(At::Barrier)
    }

    /// Each thread that is reached executes a fence, at some time before the call returns.
    pub(super) fn barrier(self, out: &mut Vec<State>) {
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

    pub(super) fn look(self, out: &mut Vec<State>) {
        if self.setting.gives_up {
            // Whether it has seen anything or not.
            out.push(self.give_up().leave_off().state);
        }
        if self.has_news() && !self.setting.is_blind(self.me) {
            out.push(self.take().leave_off().state);
        } else if self.setting.is_closed(&self.state) {
            out.push(self.give_up().leave_off().state);
        } else {
            out.push(self.go(if self.has(Bug::LateTicket) { At::LateTicket } else { At::Sleep }).state);
        }
    }

    pub(super) fn give_up(mut self) -> Turn<'a> {
        self.my().count = Setting::EVER;
        self
    }

    /// It does not sleep after all.
    pub(super) fn leave_off(self) -> Turn<'a> {
        match self.setting.bug {
            _ if self.setting.alone => self.go(At::Finish),
            bug if self.setting.for_all => {
                let passes_on = self.thread().is_first && bug != Bug::FirstWakesNobody;
                if passes_on { self.go(At::WakeLoad) } else { self.next_round() }
            }
            Bug::NoBaton => self.next_round(),
            Bug::BatonOnlyAfterSleep if !self.thread().mark => self.next_round(),
            _ => self.go(At::More),
        }
    }

    pub(super) fn more(self) -> Turn<'a> {
        if self.state.messages > 0 { self.go(At::WakeLoad) } else { self.next_round() }
    }

    pub(super) fn finish(mut self) -> Turn<'a> {
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

    pub(super) fn look_again(self) -> Turn<'a> {
        match self.has_news() {
            true => self.take().leave_off(),
            false => self.go(At::PrepareLoad),
        }
    }

    pub(super) fn always_exchange(mut self) -> Turn<'a> {
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

//! What a process does: the code of the ring, cut into single operations on shared memory.

use super::state::{Doing, Fate, Process, Small, State};
use super::{Broken, Bug, Setting};
use crate::layout::cell::{self, Word};
use crate::ring::mpmc::table::{AtHead, AtTail};

/// A process at work on a copy of the state.
pub(super) struct Turn<'a> {
    pub(super) setting: &'a Setting,
    pub(super) state: State,
    pub(super) me: usize,
}

impl Turn<'_> {
    pub(super) fn my(&mut self) -> &mut Process {
        &mut self.state.processes[self.me]
    }

    pub(super) fn process(&self) -> Process {
        self.state.processes[self.me]
    }

    pub(super) fn cell(&self, position: u8) -> usize {
        position as usize % self.setting.cells
    }

    pub(super) fn lap(&self, position: u8) -> u64 {
        (position as usize / self.setting.cells) as u64
    }

    pub(super) fn load(&self, position: u8) -> Word {
        self.state.word(self.cell(position))
    }

    pub(super) fn store(&mut self, position: u8, word: Word) {
        self.state.store(self.cell(position), word);
    }

    pub(super) fn exchange(&mut self, position: u8, from: Word, to: Word) -> bool {
        self.state.exchange(self.cell(position), from, to)
    }

    pub(super) fn owner(&self) -> cell::Owner {
        self.me as cell::Owner
    }

    pub(super) fn go(&mut self, doing: Doing) {
        self.my().doing = doing;
    }

    /// Takes up a word that was found in the cell of `at`.
    pub(super) fn take_up(&mut self, at: u8, word: Word, doing: Doing) {
        let my = self.my();
        (my.at, my.word, my.doing) = (at, Small::of(word), doing);
    }

    /// One operation. `Err`: it breaks a promise.
    pub(super) fn operate(&mut self) -> Result<(), Broken> {
        let Process { doing, place, .. } = self.process();
        match doing {
            Doing::Dead => unreachable!("the dead do nothing"),
            Doing::Look if self.setting.pushes(&self.process()) => return self.look_at_tail(),
            Doing::Look => return self.look_at_head(),
            Doing::Unskip => return self.unskip(),
            Doing::LookFurther | Doing::LookForMore => self.look_for_more(),
            Doing::Claim => self.claim(),
            Doing::Write => return self.write(),
            Doing::Publish => self.publish(),
            Doing::StoreTail => {
                self.state.tail = place;
                self.my().look();
            }
            Doing::Take => self.take(),
            Doing::Read => return self.read(),
            Doing::HandOver => return self.hand_over(),
            Doing::Free => return self.free(),
            Doing::StoreHead => {
                self.state.head = place;
                self.my().look();
            }
            _ => return self.clear_up(),
        }
        Ok(())
    }

    /// Who does not know where to begin asks the hint.
    pub(super) fn believe_hint(&mut self) -> Result<(), Broken> {
        self.my().place = if self.setting.pushes(&self.process()) { self.state.tail } else { self.state.head };
        Ok(())
    }

    fn look_at_tail(&mut self) -> Result<(), Broken> {
        let Process { place, pushed, job, .. } = self.process();
        let word = self.load(place);
        match (self.setting.table.at_tail)(word, self.lap(place), self.setting.cells) {
            AtTail::Free => {
                let left = self.setting.jobs[job as usize].messages - pushed;
                self.my().span = 1;
                self.go(if left > 1 && self.batch() > 1 { Doing::LookFurther } else { Doing::Claim });
            }
            AtTail::Behind(by) => self.my().place += by as u8,
            AtTail::Full => return self.check_full(),
            AtTail::Held(_) => self.take_up(place - self.setting.cells as u8, word, Doing::Ask),
            AtTail::Skipped(_) => self.take_up(place, word, Doing::Unskip),
            AtTail::Impossible => return Err(Broken::Impossible),
        }
        Ok(())
    }

    fn look_at_head(&mut self) -> Result<(), Broken> {
        let Process { place, .. } = self.process();
        let word = self.load(place);
        match (self.setting.table.at_head)(word, self.lap(place), self.setting.cells) {
            AtHead::Full => {
                self.my().span = 1;
                self.go(if self.batch() > 1 { Doing::LookForMore } else { Doing::Take });
            }
            AtHead::Behind(by) => self.my().place += by as u8,
            // It searches before it asks about that one. A search that ends with the two counts, as they are the same by
            // now, is no step of its own: that would be half as many states again.
            AtHead::Held(_) if self.state.orphaned == 0 => self.take_up(place, word, Doing::Ask),
            AtHead::Held(_) => self.take_up(place, word, Doing::LoadOrphaned),
            AtHead::Skipped(_) => self.take_up(place, word, Doing::Unskip),
            AtHead::Orphan => self.begin_to_adopt(word, self.cell(place)),
            AtHead::Empty => {
                self.check_empty()?;
                self.go(Doing::LoadOrphaned);
            }
            AtHead::Impossible => return Err(Broken::Impossible),
        }
        Ok(())
    }

    /// `Full` says that the message of one lap ago has not been taken. Then all positions since are claimed, and none of
    /// them is free again. An orphan may be the only one that is left.
    fn check_full(&self) -> Result<(), Broken> {
        let Process { place, .. } = self.process();
        if self.load(place).state() == cell::State::Orphan {
            return Ok(());
        }
        let mut position = place - self.setting.cells as u8;
        while position < place {
            let word = self.load(position);
            if word.laps_ahead_of(self.lap(position)) != 0 || word.state() == cell::State::Free {
                return Err(Broken::NotFull);
            }
            // The later cells of a claim are free to look at.
            position += if word.state() == cell::State::Claimed { word.span() as u8 } else { 1 };
        }
        Ok(())
    }

    /// `Empty` says that there is no message which nobody has taken, at the moment of the load.
    fn check_empty(&self) -> Result<(), Broken> {
        let waits = |message| self.state.fate(message) == Fate::Committed;
        if (1..=self.setting.messages()).any(waits) { Err(Broken::NotEmpty) } else { Ok(()) }
    }

    fn batch(&self) -> u8 {
        self.setting.jobs[self.process().job as usize].batch
    }

    fn unskip(&mut self) -> Result<(), Broken> {
        let Process { place, word, .. } = self.process();
        let (word, lap, cells) = (word.word(), self.lap(place), self.setting.cells);
        let at_tail = self.setting.pushes(&self.process()).then(|| (self.setting.table.at_tail)(word, lap, cells));
        let next = match (at_tail, (self.setting.table.at_head)(word, lap, cells)) {
            (Some(AtTail::Skipped(next)), _) | (None, AtHead::Skipped(next)) => next,
            _ => unreachable!("it was skipped when it was loaded"),
        };
        self.exchange(place, word, next);
        self.my().look();
        Ok(())
    }

    /// The batch is as long as there are cells for it, or messages.
    fn look_for_more(&mut self) {
        let Process { doing, place, span, pushed, job, .. } = self.process();
        let next = place + span;
        let (wanted, longest, then) = match doing {
            Doing::LookFurther => {
                let left = self.setting.jobs[job as usize].messages - pushed;
                (Word::free(self.lap(next)), self.batch().min(left), Doing::Claim)
            }
            _ => (Word::full(self.lap(next)), self.batch(), Doing::Take),
        };
        let has_more = self.load(next) == wanted;
        self.my().span += u8::from(has_more);
        if !has_more || self.process().span == longest {
            self.go(then);
        }
    }

    fn claim(&mut self) {
        let Process { place, span, .. } = self.process();
        let lap = self.lap(place);
        let claimed = Word::claimed(lap, self.owner(), span.into());
        if self.exchange(place, Word::free(lap), claimed) {
            self.take_up(place, claimed, Doing::Write);
        } else {
            self.my().look();
        }
    }

    fn write(&mut self) -> Result<(), Broken> {
        let Process { at, word, step, span, job, pushed, .. } = self.process();
        self.check_own(word.word(), Word::free)?;
        let cell = self.cell(at + step);
        self.state.messages[cell] = self.setting.first_message(job.into()) + pushed + step;
        self.my().step += 1;
        if step + 1 == span {
            self.my().step = if self.setting.bug == Bug::PublishesAscending { 0 } else { step };
            self.go(Doing::Publish);
        }
        Ok(())
    }

    /// Whether the cell of the current step is in our hands, with its message. `later` is what the word of a later cell
    /// is, by its lap.
    fn check_own(&self, first: Word, later: fn(u64) -> Word) -> Result<(), Broken> {
        let Process { at, step, .. } = self.process();
        let expected = if step == 0 { first } else { later(self.lap(at + step)) };
        if self.load(at + step) == expected { Ok(()) } else { Err(Broken::NotItsOwn) }
    }

    fn publish(&mut self) {
        let Process { at, step, span, job, pushed, .. } = self.process();
        self.store(at + step, Word::full(self.lap(at + step)));
        let ascending = self.setting.bug == Bug::PublishesAscending;
        let last = if ascending { span - 1 } else { 0 };
        if step != last {
            self.my().step = if ascending { step + 1 } else { step - 1 };
            return;
        }
        let first = self.setting.first_message(job.into()) + pushed;
        for message in first..first + span {
            self.state.set_fate(message, Fate::Committed);
        }
        self.leave_push();
    }

    /// Instead of publishing.
    pub(super) fn abandon(&mut self) -> Result<(), Broken> {
        let Process { at, .. } = self.process();
        self.store(at, Word::skip(self.lap(at)));
        self.state.abandoned += 1;
        self.leave_push();
        Ok(())
    }

    fn leave_push(&mut self) {
        let hints = self.setting.hints;
        let my = self.my();
        my.pushed += my.span;
        my.place = my.at + my.span;
        my.look();
        if hints {
            self.go(Doing::StoreTail);
        }
    }

    fn take(&mut self) {
        let Process { place, span, .. } = self.process();
        let lap = self.lap(place);
        let taken = Word::taken(lap, self.owner(), span.into());
        if !self.exchange(place, Word::full(lap), taken) {
            return self.my().look();
        }
        for position in place..place + span {
            let message = self.state.messages[self.cell(position)];
            if self.state.fate(message) == Fate::Committed {
                self.state.set_fate(message, Fate::Taken);
            }
        }
        self.take_up(place, taken, Doing::Read);
    }

    fn read(&mut self) -> Result<(), Broken> {
        let Process { at, word, step, span, .. } = self.process();
        self.check_own(word.word(), Word::full)?;
        let message = self.state.messages[self.cell(at + step)];
        let my = self.my();
        my.read[step as usize] = message;
        my.step += 1;
        if step + 1 == span {
            my.step = 0;
            my.doing = Doing::HandOver;
        }
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), Broken> {
        let Process { at, span, .. } = self.process();
        if span == 1 {
            self.store(at, Word::free(self.lap(at) + 1));
            self.deliver(0)?;
            self.leave_pop();
            return Ok(());
        }
        match self.setting.bug {
            // The first step of freeing is the first that hands over.
            Bug::FreesAscending => return self.free(),
            Bug::HandsOverOneByOne => {
                self.my().step = span - 1;
                return self.free();
            }
            _ => {}
        }
        let done = Word::done(self.lap(at), self.owner(), span.into());
        self.store(at, done);
        for step in 0..span {
            self.deliver(step)?;
        }
        self.take_up(at, done, Doing::Free);
        self.my().step = span - 1;
        Ok(())
    }

    fn free(&mut self) -> Result<(), Broken> {
        let Process { at, step, span, .. } = self.process();
        self.store(at + step, Word::free(self.lap(at + step) + 1));
        let ascending = self.setting.bug == Bug::FreesAscending;
        if ascending || self.setting.bug == Bug::HandsOverOneByOne {
            self.deliver(step)?;
        }
        let last = if ascending { span - 1 } else { 0 };
        if step == last {
            self.leave_pop();
        } else {
            self.my().step = if ascending { step + 1 } else { step - 1 };
            self.go(Doing::Free);
        }
        Ok(())
    }

    /// The message that was read in this step is the application's.
    fn deliver(&mut self, step: u8) -> Result<(), Broken> {
        let message = self.process().read[step as usize];
        match self.state.fate(message) {
            _ if message == 0 => return Err(Broken::NotThere),
            Fate::None => return Err(Broken::NotCommitted),
            Fate::HandedOver => return Err(Broken::Twice),
            Fate::Committed | Fate::Taken => {}
        }
        self.state.set_fate(message, Fate::HandedOver);
        Ok(())
    }

    /// Whoever had an orphan stays where it is: it may have been behind.
    fn leave_pop(&mut self) {
        let hints = self.setting.hints;
        let my = self.my();
        let moves_on = my.word.word().state() != cell::State::Adopted;
        if moves_on {
            my.place = my.at + my.span;
        }
        my.look();
        if hints && moves_on {
            self.go(Doing::StoreHead);
        }
    }

    /// Dies, here and now, and forgets everything.
    pub(super) fn die(&mut self) -> Result<(), Broken> {
        let Process { doing, span, read, .. } = self.process();
        if doing == Doing::Free {
            let is_handed_over = |message: &u8| self.state.fate(*message) == Fate::HandedOver;
            let handed_over = read[..span as usize].iter().filter(|message| is_handed_over(message)).count();
            if handed_over != 0 && handed_over != span as usize {
                return Err(Broken::InPart);
            }
        }
        self.state.deaths += 1;
        self.state.alive &= !(1 << self.me);
        *self.my() = Process::DEAD;
        Ok(())
    }

    /// Leaves, with nothing in its hands.
    pub(super) fn leave(&mut self) -> Result<(), Broken> {
        self.state.marks[self.me] = 0;
        self.die()
    }
}

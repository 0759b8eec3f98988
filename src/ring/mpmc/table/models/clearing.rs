//! What a process does about others: adopts what they have left, repairs their cells, takes their records.

use super::state::{Doing, Process, Small};
use super::steps::Turn;
use super::{Broken, Bug};
use crate::layout::cell::{State, Word};

impl Turn<'_> {
    pub(super) fn clear_up(&mut self) -> Result<(), Broken> {
        let Process { doing, at, word, later, step, noted, sweeps, .. } = self.process();
        let (word, later) = (word.word(), later.word());
        match doing {
            Doing::LoadOrphaned => {
                self.my().noted = self.state.orphaned + 1;
                self.go(Doing::LoadAdopted);
            }
            Doing::LoadAdopted if noted == 1 => self.have_searched(),
            Doing::LoadAdopted => self.go(match self.setting.bug {
                Bug::RaisesBeforeItSearches => Doing::RaiseAdopted,
                _ => Doing::Search,
            }),
            Doing::Search => self.search(),
            Doing::RaiseAdopted => self.raise_adopted(),

            Doing::Adopt => {
                let adopted = (self.setting.table.adopted)(word, self.owner());
                if self.exchange(at, word, adopted) {
                    self.my().span = 1;
                    self.take_up(at, adopted, Doing::Read);
                } else {
                    self.my().look();
                }
            }
            Doing::CountGivenBack => {
                self.state.count_orphans();
                self.my().look();
            }

            Doing::Ask => {
                let owner = word.owner().expect("it has been found in somebody's hands").into();
                match self.setting.bug {
                    _ if self.state.is_alive(owner) && self.setting.bug != Bug::TakesTimeForDeath => self.leave_cell(),
                    Bug::DoesNotReadAgain => self.begin_to_repair(),
                    _ => self.go(Doing::ReadAgain),
                }
            }
            Doing::ReadAgain if self.load(at) == word => self.begin_to_repair(),
            Doing::ReadAgain => self.leave_cell(),
            Doing::LoadLater => {
                let x = self.load(at + step);
                match (self.setting.table.repaired_later)(word, x, self.lap(at + step)) {
                    Some(_) => {
                        self.my().later = Small::of(x);
                        self.go(Doing::ExchangeLater);
                    }
                    None => self.step_back(),
                }
            }
            Doing::ExchangeLater => {
                let lap = self.lap(at + step);
                let y = (self.setting.table.repaired_later)(word, later, lap).expect("as when it was loaded");
                self.exchange(at + step, later, y);
                self.my().later = Small::NONE;
                self.step_back();
            }
            Doing::Repair => {
                let y = (self.setting.table.repaired)(word).ok_or(Broken::Impossible)?;
                self.exchange(at, word, y);
                if self.setting.bug == Bug::RepairsFirstCellFirst && word.span() > 1 {
                    self.my().step = word.span() as u8 - 1;
                    self.go(Doing::LoadLater);
                } else {
                    self.leave_cell();
                }
            }

            Doing::AskRecord if self.state.is_alive(sweeps as usize - 1) => self.my().look(),
            Doing::AskRecord => self.go(match self.setting.bug {
                Bug::CountsBeforeItSweeps => Doing::CountSwept,
                _ => Doing::Sweep,
            }),
            Doing::Sweep => self.sweep(),
            Doing::CountSwept => {
                self.state.count_orphans();
                match self.setting.bug {
                    Bug::CountsBeforeItSweeps => self.go(Doing::Sweep),
                    Bug::MarksBeforeItCounts if !self.is_attaching() => self.my().look(),
                    _ => self.have_swept(),
                }
            }
            Doing::MarkClean => {
                let mark = &mut self.state.marks[sweeps as usize - 1];
                if *mark == noted {
                    *mark = 0;
                }
                match self.setting.bug {
                    Bug::MarksBeforeItCounts => self.go(Doing::CountSwept),
                    _ => self.my().look(),
                }
            }
            Doing::Live => {
                self.state.alive |= 1 << self.me;
                match self.setting.bug {
                    Bug::MarksBeforeItLives => self.my().look(),
                    _ => self.go(Doing::MarkUnclean),
                }
            }
            Doing::MarkUnclean => {
                self.state.generations[self.me] += u8::from(self.setting.bug != Bug::DoesNotCountUses);
                self.state.marks[self.me] = self.state.generations[self.me];
                match self.setting.bug {
                    Bug::MarksBeforeItLives => self.go(Doing::Live),
                    _ => self.my().look(),
                }
            }
            _ => unreachable!("{doing:?} is not about others"),
        }
        Ok(())
    }

    fn search(&mut self) {
        let cell = self.process().step as usize;
        let word = self.state.word(cell);
        if word.state() == State::Orphan {
            return self.begin_to_adopt(word, cell);
        }
        self.my().step += 1;
        if cell + 1 == self.setting.cells {
            match self.setting.bug {
                Bug::RaisesBeforeItSearches => self.have_searched(),
                _ => self.go(Doing::RaiseAdopted),
            }
        }
    }

    fn raise_adopted(&mut self) {
        let now = self.state.orphaned + 1;
        match self.setting.bug {
            Bug::RaisesToTheCountOfNow => self.state.raise_adopted(now),
            _ => self.state.raise_adopted(self.process().noted),
        }
        match self.setting.bug {
            Bug::RaisesBeforeItSearches => self.go(Doing::Search),
            _ => self.have_searched(),
        }
    }

    /// There is no orphan: back to the cell in somebody's hands that it has found before, or to its place.
    fn have_searched(&mut self) {
        if self.process().word == Small::NONE {
            return self.my().look();
        }
        (self.my().step, self.my().noted) = (0, 0);
        self.go(Doing::Ask);
    }

    pub(super) fn begin_to_adopt(&mut self, orphan: Word, cell: usize) {
        let at = orphan.lap() as usize * self.setting.cells + cell;
        self.my().look();
        self.take_up(at as u8, orphan, Doing::Adopt);
    }

    /// Instead of handing over.
    pub(super) fn give_back(&mut self) -> Result<(), Broken> {
        let Process { at, word, .. } = self.process();
        self.store(at, (self.setting.table.given_back)(word.word()));
        self.state.given_back += 1;
        if word.word().state() == State::Taken {
            self.my().place = at + 1;
        }
        self.my().look();
        if self.setting.bug != Bug::CountsNothingGivenBack {
            self.go(Doing::CountGivenBack);
        }
        Ok(())
    }

    fn begin_to_repair(&mut self) {
        let span = self.process().word.word().span() as u8;
        self.my().step = span - 1;
        let first = self.setting.bug == Bug::RepairsFirstCellFirst;
        self.go(if span > 1 && !first { Doing::LoadLater } else { Doing::Repair });
    }

    /// From the last of the later cells to the first one, and then to what the bug has not done before.
    fn step_back(&mut self) {
        self.my().step -= 1;
        if self.process().step > 0 {
            self.go(Doing::LoadLater);
        } else if self.setting.bug == Bug::RepairsFirstCellFirst {
            self.leave_cell();
        } else {
            self.go(Doing::Repair);
        }
    }

    /// Goes back to what it was about when it found a cell in the hands of somebody.
    fn leave_cell(&mut self) {
        let Process { at, sweeps, noted, .. } = self.process();
        self.my().look();
        if sweeps > 0 {
            (self.my().sweeps, self.my().noted) = (sweeps, noted);
            self.go_to_next_cell(self.cell(at));
        }
    }

    /// Finds a record that is not marked clean.
    pub(super) fn begin_to_recover(&mut self, record: usize) -> Result<(), Broken> {
        (self.my().sweeps, self.my().noted) = (record as u8 + 1, self.state.marks[record]);
        self.go(Doing::AskRecord);
        // It is dead. If nobody comes after it, it makes no difference when that is asked.
        if self.setting.successors().is_empty() { self.clear_up() } else { Ok(()) }
    }

    /// A new process in the record of a dead one, which nobody else takes at the same time.
    pub(super) fn attach(&mut self) -> Result<(), Broken> {
        let job = self.setting.successors().start + self.state.successors as usize;
        self.state.successors += 1;
        *self.my() = Process { job: job as u8, sweeps: self.me as u8 + 1, ..Process::DEAD };
        if self.state.marks[self.me] == 0 || self.setting.bug == Bug::DoesNotSweep {
            self.have_swept();
        } else {
            self.go(match self.setting.bug {
                Bug::CountsBeforeItSweeps => Doing::CountSwept,
                _ => Doing::Sweep,
            });
        }
        Ok(())
    }

    fn is_attaching(&self) -> bool {
        self.process().sweeps as usize == self.me + 1
    }

    fn sweep(&mut self) {
        let Process { step, sweeps, .. } = self.process();
        let cell = step as usize;
        let word = self.state.word(cell);
        if word.owner().is_none_or(|owner| owner as u8 + 1 != sweeps) {
            return self.go_to_next_cell(cell);
        }
        let at = word.lap() as usize * self.setting.cells + cell;
        // Who takes the record knows that there is nobody in it.
        let knows = self.is_attaching() || self.setting.bug == Bug::SweepsWithoutAsking;
        self.take_up(at as u8, word, if knows { Doing::ReadAgain } else { Doing::Ask });
    }

    fn go_to_next_cell(&mut self, cell: usize) {
        let (cells, bug) = (self.setting.cells, self.setting.bug);
        self.my().step = cell as u8 + 1;
        if cell + 1 < cells {
            return self.go(Doing::Sweep);
        }
        self.my().step = 0;
        match bug {
            Bug::CountsBeforeItSweeps => self.have_swept(),
            Bug::MarksBeforeItCounts if !self.is_attaching() => self.go(Doing::MarkClean),
            _ => self.go(Doing::CountSwept),
        }
    }

    fn have_swept(&mut self) {
        let attaches = self.is_attaching();
        self.my().step = 0;
        self.go(match self.setting.bug {
            _ if !attaches => Doing::MarkClean,
            Bug::MarksBeforeItLives => Doing::MarkUnclean,
            _ => Doing::Live,
        });
    }
}

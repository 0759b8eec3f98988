//! The search: all states that can be reached, breadth first, so that what is found to be broken is reached in as few
//! steps as possible.

use super::state::{Doing, Fate, PROCESSES, Process, State};
use super::steps::Turn;
use super::{Broken, Setting};
use crate::layout::cell;
use zerocopy::IntoBytes;

/// A broken promise, and the way there.
pub(super) struct Found {
    pub(super) broken: Broken,
    pub(super) trace: String,
}

/// All states, each with a number.
struct States {
    chunks: Vec<Vec<State>>,
    /// Open addressing: the hash above the number plus one; 0 is a free slot.
    slots: Vec<u64>,
    count: usize,
}

impl States {
    const CHUNK: usize = 1 << 14;

    fn new() -> States {
        States { chunks: Vec::new(), slots: vec![0; 1 << 16], count: 0 }
    }

    fn get(&self, number: u32) -> &State {
        &self.chunks[number as usize / Self::CHUNK][number as usize % Self::CHUNK]
    }

    /// The number of this state, and whether it is new.
    fn insert(&mut self, state: &State) -> (u32, bool) {
        if self.count * 2 > self.slots.len() {
            self.grow();
        }
        let hash = hash(state);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            let (other, number) = ((self.slots[slot] >> 32) as u32, self.slots[slot] as u32 - 1);
            if other == hash && self.get(number).as_bytes() == state.as_bytes() {
                return (number, false);
            }
            slot = (slot + 1) & mask;
        }
        let number = u32::try_from(self.count).expect("no more states than that");
        if self.count % Self::CHUNK == 0 {
            self.chunks.push(Vec::with_capacity(Self::CHUNK));
        }
        self.chunks.last_mut().expect("there is room").push(*state);
        self.count += 1;
        self.slots[slot] = u64::from(hash) << 32 | u64::from(number + 1);
        (number, true)
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        let mask = old.len() * 2 - 1;
        self.slots = vec![0; old.len() * 2];
        for entry in old.into_iter().filter(|entry| *entry != 0) {
            let mut slot = (entry >> 32) as usize & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = entry;
        }
    }
}

/// The hasher of the standard library would take most of the time.
fn hash(state: &State) -> u32 {
    let mut hash = 0u64;
    for four in state.as_bytes().chunks_exact(4) {
        let four = u32::from_ne_bytes(four.try_into().expect("four bytes"));
        hash = (hash.rotate_left(5) ^ u64::from(four)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    (hash ^ hash >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32) as u32
}

impl Setting {
    /// Goes through all states. `Ok` is their number.
    pub(super) fn explore(&self) -> Result<usize, Found> {
        let mut states = States::new();
        states.insert(&self.start());
        let mut reached_from = vec![0];
        // The numbers of the states to which each leads without a death; and where those of each end.
        let mut steps: Vec<u32> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        let mut at = 0;
        while (at as usize) < states.count {
            let state = *states.get(at);
            let mut add = |next: State, is_death: bool| {
                let (number, is_new) = states.insert(&next);
                if is_new {
                    reached_from.push(at);
                }
                if !is_death && number != at {
                    steps.push(number);
                }
            };
            if let Err((broken, who)) = self.check(&state).and_then(|()| self.steps(&state, &mut add)) {
                let trace = self.trace(&states, &reached_from, at);
                return Err(Found { broken, trace: format!("{trace}process {who}: {broken:?}\n") });
            }
            ends.push(steps.len());
            at += 1;
        }
        let drained: Vec<bool> = (0..at).map(|number| self.is_drained(states.get(number))).collect();
        let reaches = reaching(drained, &steps, &ends);
        let is_stuck = |number: &u32| !reaches[*number as usize] && self.has_consumer(states.get(*number));
        match (0..at).find(is_stuck) {
            None => Ok(states.count),
            Some(stuck) => Err(Found { broken: Broken::Stuck, trace: self.trace(&states, &reached_from, stuck) }),
        }
    }

    /// All that can happen next, and whether it is a death. `Err`: what breaks a promise, and whose step it is.
    fn steps(&self, state: &State, add: &mut impl FnMut(State, bool)) -> Result<(), (Broken, usize)> {
        for me in 0..self.processes() {
            let mut step = |is_death, act: &dyn Fn(&mut Turn<'_>) -> Result<(), Broken>| {
                let mut turn = Turn { setting: self, state: *state, me };
                act(&mut turn).map_err(|broken| (broken, me))?;
                add(turn.state, is_death);
                Ok(())
            };
            let process = state.processes[me];
            let doing = process.doing;
            if doing == Doing::Dead {
                if (state.successors as usize) < self.successors().len() {
                    step(false, &|turn| turn.attach())?;
                }
                continue;
            }
            let is_finished = self.is_finished(&process);
            if !is_finished {
                step(false, &|turn| turn.operate())?;
            }
            match doing {
                Doing::Look if !is_finished => {
                    let hint = if self.pushes(&process) { state.tail } else { state.head };
                    if self.hints && hint > process.place {
                        step(false, &|turn| turn.believe_hint())?;
                    }
                    let is_left = |record: &usize| state.marks[*record] != 0 && !state.is_alive(*record);
                    for record in (0..self.processes()).filter(is_left) {
                        step(false, &|turn| turn.begin_to_recover(record))?;
                    }
                }
                Doing::Publish if process.span == 1 && state.abandoned < self.abandons => {
                    step(false, &|turn| turn.abandon())?
                }
                Doing::HandOver if process.span == 1 && state.given_back < self.give_backs => {
                    step(false, &|turn| turn.give_back())?;
                }
                _ => {}
            }
            // What a producer that has finished leaves is of interest only to who takes its record.
            if state.deaths < self.deaths && !(is_finished && self.successors().is_empty()) {
                step(true, &|turn| turn.die())?;
                if self.leaves && doing == Doing::Look {
                    step(true, &|turn| turn.leave())?;
                }
            }
        }
        Ok(())
    }

    /// A producer that has nothing left to push.
    fn is_finished(&self, process: &Process) -> bool {
        let pushes = self.pushes(process) && process.doing == Doing::Look;
        pushes && process.pushed == self.jobs[process.job as usize].messages
    }

    /// All cells are free, and nobody has anything left to push.
    fn is_drained(&self, state: &State) -> bool {
        let is_free = |cell| state.word(cell).state() == cell::State::Free;
        let has_more =
            |process: &Process| process.doing != Doing::Dead && self.pushes(process) && !self.is_finished(process);
        (0..self.cells).all(is_free) && !state.processes.iter().any(has_more)
    }

    fn has_consumer(&self, state: &State) -> bool {
        state.processes.iter().any(|process| process.doing != Doing::Dead && !self.pushes(process))
    }

    /// What must hold in a drained state.
    fn check(&self, state: &State) -> Result<(), (Broken, usize)> {
        if !self.is_drained(state) {
            return Ok(());
        }
        let is_lost = |message| matches!(state.fate(message), Fate::Committed | Fate::Taken);
        if (1..=self.messages()).any(is_lost) {
            return Err((Broken::Lost, PROCESSES));
        }
        // The cells wait for as many positions, one after the other, and nobody is ahead of the first.
        let position = |cell: usize| state.word(cell).lap() as usize * self.cells + cell;
        let first = (0..self.cells).map(position).min().expect("there is a cell");
        let last = (0..self.cells).map(position).max().expect("there is a cell");
        let is_ahead = |process: &Process| process.place as usize > first;
        match last - first < self.cells && !state.processes.iter().any(is_ahead) {
            true => Ok(()),
            false => Err((Broken::Gap, PROCESSES)),
        }
    }

    /// The way to a state: who does what next, and the cells with their messages.
    fn trace(&self, states: &States, reached_from: &[u32], number: u32) -> String {
        let before = |number: &u32| (*number != 0).then(|| reached_from[*number as usize]);
        let mut way: Vec<_> = std::iter::successors(Some(number), before).map(|number| states.get(number)).collect();
        way.reverse();
        let mut text = String::new();
        for (index, state) in way.iter().enumerate() {
            for (me, process) in state.processes[..self.processes()].iter().enumerate() {
                let Process { doing, place, word, at, .. } = process;
                if index > 0 && way[index - 1].processes[me] != *process {
                    let before = way[index - 1].processes[me].doing;
                    text += &format!("process {me}: {before:?}, next {doing:?} ({word:?} at {at}), place {place}\n");
                }
            }
            let cells: Vec<_> = (0..self.cells).map(|cell| (state.word(cell), state.messages[cell])).collect();
            text += &format!("    {cells:?}, marks {:?}, orphaned {}\n", state.marks, state.orphaned);
        }
        text
    }
}

/// Which states have a way to a marked one. Most steps lead to later numbers, so that a few rounds from the end suffice.
fn reaching(mut marked: Vec<bool>, steps: &[u32], ends: &[usize]) -> Vec<bool> {
    let mut left: Vec<usize> = (0..marked.len()).rev().filter(|number| !marked[*number]).collect();
    loop {
        let before = left.len();
        left.retain(|&number| {
            let begin = if number == 0 { 0 } else { ends[number - 1] };
            marked[number] = steps[begin..ends[number]].iter().any(|next| marked[*next as usize]);
            !marked[number]
        });
        if left.len() == before {
            return marked;
        }
    }
}

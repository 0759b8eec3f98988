//! The search: all states that can be reached, breadth first, so that what is found to be broken is reached in as few
//! steps as possible.

use super::state::{At, Hasher, State};
use super::steps::Turn;
use super::{Broken, Job, Setting};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// A broken promise, and the way there.
pub(super) struct Found {
    pub(super) broken: Broken,
    pub(super) trace: String,
}

/// What may come next.
#[derive(Default)]
struct Next {
    /// By itself.
    steps: Vec<State>,
    /// When somebody has slept for too long.
    timeouts: Vec<State>,
    deaths: Vec<State>,
}

impl Setting {
    /// Goes through all states. `Ok` is their number.
    pub(super) fn explore(&self) -> Result<usize, Found> {
        let mut numbers: HashMap<State, u32, BuildHasherDefault<Hasher>> = HashMap::default();
        let mut states = vec![self.start()];
        numbers.insert(states[0], 0);
        let mut reached_from = vec![0];
        // The numbers of the states to which each leads without a death; and where those of each end.
        let mut steps: Vec<u32> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        let mut next = Next::default();
        let mut at = 0;
        while at < states.len() {
            let state = states[at];
            self.next(&state, &mut next);
            if next.steps.is_empty() && self.is_lost(&state) {
                let broken = if state.messages > 0 { Broken::Lost } else { Broken::Unnoticed };
                return Err(Found { broken, trace: self.trace(&states, &reached_from, at) });
            }
            let lives = next.steps.drain(..).chain(next.timeouts.drain(..)).map(|state| (state, false));
            for (state, is_death) in lives.chain(next.deaths.drain(..).map(|state| (state, true))) {
                let state = state.without_numbers();
                let number = *numbers.entry(state).or_insert_with(|| {
                    states.push(state);
                    reached_from.push(at as u32);
                    states.len() as u32 - 1
                });
                if !is_death {
                    steps.push(number);
                }
            }
            ends.push(steps.len());
            at += 1;
        }
        let drained = states.iter().map(|state| self.is_drained(state)).collect();
        match reaching(drained, &steps, &ends).iter().position(|reaches| !reaches) {
            None => Ok(states.len()),
            Some(stuck) => Err(Found { broken: Broken::Stuck, trace: self.trace(&states, &reached_from, stuck) }),
        }
    }

    fn next(&self, state: &State, next: &mut Next) {
        for me in 0..self.jobs.len() {
            let turn = Turn { setting: self, state: *state, me };
            let thread = state.threads[me];
            turn.operate(&mut next.steps);
            if thread.buffered > 0 {
                let mut turn = turn;
                turn.flush();
                next.steps.push(turn.state);
            }
            let any_died = state.threads.iter().any(|thread| thread.at == At::Dead);
            if thread.at == At::Later && any_died {
                let mut state = *state;
                state.threads[me].at = At::Idle;
                next.steps.push(state);
            }
            if thread.at == At::Asleep && self.times_out {
                turn.awake(&mut next.timeouts);
            }
            if state.deaths < self.deaths && !matches!(thread.at, At::Done | At::Dead | At::Later) {
                next.deaths.push(state.with_a_death(me));
            }
        }
        if state.messages > 0 && state.steals > 0 {
            next.steps.push(State { messages: state.messages - 1, steals: state.steals - 1, ..*state });
        }
    }

    /// Nothing happens any more but time-outs, and there is a message for somebody who sleeps, or it has not noticed
    /// that all have left. After a death this counts as soon as everybody who sleeps has said so once more.
    fn is_lost(&self, state: &State) -> bool {
        let sleeps = |me: &usize| state.threads[*me].at == At::Asleep && !self.is_blind(*me);
        let sleepers = (0..self.jobs.len()).filter(sleeps).fold(0, |sleepers, me| sleepers | 1 << me);
        let counts = state.deaths == 0 || state.since & sleepers == sleepers;
        let has_news = (0..self.jobs.len()).any(|me| sleepers & 1 << me != 0 && self.has_news(state, me));
        (has_news || self.is_closed(state)) && sleepers != 0 && counts
    }

    /// All that was stored is taken, nothing will be stored, and if the wakers have left, all know. Or there is nobody to
    /// take anything.
    fn is_drained(&self, state: &State) -> bool {
        let threads = || self.jobs.iter().zip(&state.threads);
        let is_over = |at| matches!(at, At::Done | At::Dead);
        let has_more = threads()
            .any(|(job, thread)| matches!(job, Job::Waker { .. }) && (!is_over(thread.at) || thread.buffered > 0));
        let mut sleepers = (0..self.jobs.len())
            .filter(|&me| matches!(self.jobs[me], Job::Sleeper { .. }) && !is_over(state.threads[me].at))
            .peekable();
        let has_sleepers = sleepers.peek().is_some();
        let is_taken = if self.for_all { !sleepers.any(|me| self.has_news(state, me)) } else { state.messages == 0 };
        !has_more && is_taken && !self.is_closed(state) || !has_sleepers
    }

    /// The way to a state: who does what, and what comes of it.
    fn trace(&self, states: &[State], reached_from: &[u32], number: usize) -> String {
        let before = |number: &usize| (*number != 0).then(|| reached_from[*number] as usize);
        let mut way: Vec<_> = std::iter::successors(Some(number), before).map(|number| &states[number]).collect();
        way.reverse();
        let mut text = String::new();
        for (index, state) in way.iter().enumerate() {
            for (me, thread) in state.threads[..self.jobs.len()].iter().enumerate() {
                if index > 0 && way[index - 1].threads[me] != *thread {
                    text += &format!("{me}: {:?}, next {thread:?}\n", way[index - 1].threads[me].at);
                }
            }
            text += &format!("    word {}, {} messages, {} left\n", state.word, state.messages, state.left);
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

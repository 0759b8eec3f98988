//! The protocol of the SPSC ring, checked in every state that it can reach, with deaths at any step.
//!
//! This is a model: it shares no code with the ring. Either end does one step at a time, in every possible order; up to
//! two holders of a role die, before any step, and a successor takes over, which pushes the batch of the dead again or
//! leaves it. Checked in every state: what is delivered is what was committed, once and in order, and nothing else; the
//! successor finds a position that can be; and some way leads on to the end, with all delivered.
//!
//! It abstracts from:
//! - *orderings*: each step is seen by all at once. The models under loom, beside the ring, check the orderings of its
//!   very code.
//! - *roles*: a successor comes when the holder is dead. The models beside the roles check that.
//! - *bytes*: a message is written in one step and read in one step. Messages, positions and lines are small numbers.
//! - *reading several at once*: the consumer looks at the tag before each message and publishes `head` after each. The
//!   ring's consumer remembers a count and publishes less often, but delivers nothing before it has published.
//! - walks over tags in a takeover: one step, as nobody else writes tags.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const MAX_CAPACITY: usize = 5;
const MAX_ITEMS_PER_CELL: usize = 4;
/// Cells at most, and items in all cells at most, for the capacities and items per cell above.
const MAX_CELLS: usize = 5;
const MAX_ITEMS: usize = 9;
const MAX_DEATHS: u8 = 2;

/// What a variant of the protocol leaves out or does differently.
#[derive(Clone, Copy, Default, Debug)]
struct Variant {
    no_wipe: bool,
    ascending: bool,
    lazy_head: bool,
    one_cell_fewer: bool,
    starts_at_tail_only: bool,
    does_not_count_at_takeover: bool,
}

/// A ring, and the lengths of the batches that are pushed through it, as far as they fit at all.
#[derive(Clone, Copy, Debug)]
struct Setting {
    capacity: usize,
    items_per_cell: usize,
    batches: [usize; 4],
    variant: Variant,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Doing {
    // Both ends. `Dead`: nobody has the role.
    Dead,
    // A producer that takes over loads `head`, finds its position, wipes cell by cell, stores `tail`.
    LoadHead,
    FindEnd,
    Wipe,
    CountFound,
    // It then pushes batch after batch: writes each item, stores each tag, stores `tail`.
    Idle,
    Write,
    Tag,
    Count,
    // A consumer looks at a tag, copies an item, stores `head`.
    Look,
    Copy,
    Publish,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Producer {
    doing: Doing,
    position: u8,
    /// Which batch, and how far it has come with what it does.
    batch: u8,
    step: u8,
    head: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Consumer {
    doing: Doing,
    position: u8,
    copied: u8,
    published: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    /// Line and count of each cell.
    tags: [(u8, u8); MAX_CELLS],
    items: [u8; MAX_ITEMS],
    head: u8,
    tail: u8,
    producer: Producer,
    consumer: Consumer,
    deaths: u8,
    /// What is committed and not delivered, the oldest first.
    waiting: [u8; MAX_CAPACITY],
    waiting_count: u8,
}

/// One tag store of a batch: the cell's line, and the count that it gets.
struct TagStore {
    line: usize,
    count: usize,
}

impl Setting {
    fn cells(&self) -> usize {
        let cells = (self.capacity + self.items_per_cell - 2) / self.items_per_cell + 1;
        if self.variant.one_cell_fewer { (cells - 1).max(1) } else { cells }
    }

    fn cell(&self, line: usize) -> usize {
        line % self.cells()
    }

    /// Where the item at a position lies in `State::items`.
    fn place(&self, position: usize) -> usize {
        self.cell(position / self.items_per_cell) * self.items_per_cell + position % self.items_per_cell
    }

    fn start(&self) -> State {
        let mut tags = [(0, 0); MAX_CELLS];
        for (cell, tag) in tags.iter_mut().enumerate() {
            *tag = (cell as u8, 0);
        }
        State {
            tags,
            items: [0; MAX_ITEMS],
            head: 0,
            tail: 0,
            producer: Producer { doing: Doing::LoadHead, position: 0, batch: 0, step: 0, head: 0 },
            consumer: Consumer { doing: Doing::LoadHead, position: 0, copied: 0, published: 0 },
            deaths: 0,
            waiting: [0; MAX_CAPACITY],
            waiting_count: 0,
        }
    }

    /// The tag stores of a batch, in the order in which they are done.
    fn tag_stores(&self, position: usize, length: usize) -> Vec<TagStore> {
        let end = position + length;
        let lines = position / self.items_per_cell..=(end - 1) / self.items_per_cell;
        let store = |line| TagStore { line, count: (end - line * self.items_per_cell).min(self.items_per_cell) };
        if self.variant.ascending { lines.map(store).collect() } else { lines.rev().map(store).collect() }
    }

    /// How many items of `line` are committed by what its cell says. It may say only this line or the lap before.
    fn committed(&self, state: &State, line: usize) -> Result<usize, &'static str> {
        let (tagged, count) = state.tags[self.cell(line)];
        match tagged as usize {
            tagged if tagged == line => Ok(count as usize),
            tagged if tagged + self.cells() == line => Ok(0),
            _ => Err("a cell holds another line than the one looked for and the lap before"),
        }
    }

    fn is_done(&self, state: &State) -> bool {
        let pushed_all = state.producer.doing == Doing::Idle && state.producer.batch as usize == self.batches.len();
        pushed_all && state.waiting_count == 0
    }

    /// Calls `go` with each state that comes next. `Err` says which promise is broken.
    fn steps(&self, state: &State, mut go: impl FnMut(State)) -> Result<(), &'static str> {
        if let Some(next) = self.producer_step(state)? {
            go(next);
        }
        for next in self.consumer_steps(state)?.into_iter().flatten() {
            go(next);
        }
        if state.deaths == MAX_DEATHS {
            return Ok(());
        }
        let Producer { doing, batch, .. } = state.producer;
        if doing != Doing::Dead && (batch as usize) < self.batches.len() {
            let dead = |batch| Producer { doing: Doing::Dead, position: 0, batch, step: 0, head: 0 };
            let deaths = state.deaths + 1;
            if doing != Doing::Count {
                go(State { producer: dead(batch), deaths, ..*state });
            }
            go(State { producer: dead(batch + 1), deaths, ..*state });
        }
        if state.consumer.doing != Doing::Dead {
            let dead = Consumer { doing: Doing::Dead, position: 0, copied: 0, published: 0 };
            go(State { consumer: dead, deaths: state.deaths + 1, ..*state });
        }
        Ok(())
    }

    fn producer_step(&self, state: &State) -> Result<Option<State>, &'static str> {
        let mut next = *state;
        let Producer { doing, position, batch, step, .. } = state.producer;
        let (position, step) = (position as usize, step as usize);
        let producer = &mut next.producer;
        match doing {
            Doing::Dead => producer.doing = Doing::LoadHead,
            Doing::LoadHead => {
                producer.head = state.head;
                producer.doing = Doing::FindEnd;
            }
            Doing::FindEnd => {
                let from = if self.variant.starts_at_tail_only { state.tail } else { producer.head.max(state.tail) };
                let mut line = from as usize / self.items_per_cell;
                while self.committed(state, line)? == self.items_per_cell {
                    line += 1;
                }
                let end = line * self.items_per_cell + self.committed(state, line)?;
                if end < producer.head as usize || end > producer.head as usize + self.capacity {
                    return Err("the end of what is committed lies outside of the ring");
                }
                producer.position = end as u8;
                (producer.doing, producer.step) = (Doing::Wipe, 1);
            }
            Doing::Wipe => {
                if step >= self.cells() || self.variant.no_wipe {
                    (producer.doing, producer.step) = (Doing::CountFound, 0);
                } else {
                    let line = position / self.items_per_cell + step;
                    if self.committed(state, line)? > 0 {
                        next.tags[self.cell(line)] = (line as u8, 0);
                    }
                    producer.step += 1;
                }
            }
            Doing::CountFound => {
                if !self.variant.does_not_count_at_takeover {
                    next.tail = position as u8;
                }
                producer.doing = Doing::Idle;
            }
            Doing::Idle => match self.batches.get(batch as usize) {
                None => return Ok(None),
                Some(&length) if length > self.capacity => producer.batch += 1,
                Some(&length) if position + length <= producer.head as usize + self.capacity => {
                    (producer.doing, producer.step) = (Doing::Write, 0);
                }
                Some(_) if producer.head != state.head => producer.head = state.head,
                Some(_) => return Ok(None),
            },
            Doing::Write => {
                // Different for each batch, each of its messages, and each try.
                let message = 1 + 32 * batch + 4 * step as u8 + state.deaths;
                next.items[self.place(position + step)] = message;
                producer.step += 1;
                if producer.step as usize == self.batches[batch as usize] {
                    (producer.doing, producer.step) = (Doing::Tag, 0);
                }
            }
            Doing::Tag => {
                let length = self.batches[batch as usize];
                let stores = self.tag_stores(position, length);
                let TagStore { line, count } = stores[step];
                next.tags[self.cell(line)] = (line as u8, count as u8);
                producer.step += 1;
                if step + 1 == stores.len() {
                    (producer.doing, producer.step) = (Doing::Count, 0);
                    for position in position..position + length {
                        let Some(free) = next.waiting.get_mut(next.waiting_count as usize) else {
                            return Err("more is committed than the ring holds");
                        };
                        *free = next.items[self.place(position)];
                        next.waiting_count += 1;
                    }
                }
            }
            Doing::Count => {
                let length = self.batches[batch as usize];
                producer.position += length as u8;
                // A message that is pushed by itself is counted with the others of its line.
                if length > 1 || producer.position as usize % self.items_per_cell == 0 {
                    next.tail = producer.position;
                }
                producer.batch += 1;
                producer.doing = Doing::Idle;
            }
            Doing::Look | Doing::Copy | Doing::Publish => unreachable!("a producer does not read"),
        }
        Ok(Some(next))
    }

    /// There may be two: a lazy consumer may look on, or publish what it held back.
    fn consumer_steps(&self, state: &State) -> Result<[Option<State>; 2], &'static str> {
        let mut next = *state;
        let mut other = None;
        let consumer = &mut next.consumer;
        let position = consumer.position as usize;
        match consumer.doing {
            Doing::Dead => consumer.doing = Doing::LoadHead,
            Doing::LoadHead => {
                (consumer.position, consumer.published) = (state.head, state.head);
                consumer.doing = Doing::Look;
            }
            Doing::Look => {
                if consumer.published != consumer.position {
                    let mut published = *state;
                    published.head = consumer.position;
                    published.consumer.published = consumer.position;
                    other = Some(published);
                }
                let committed = self.committed(state, position / self.items_per_cell)?;
                if committed <= position % self.items_per_cell {
                    return Ok([None, other]);
                }
                consumer.doing = Doing::Copy;
            }
            Doing::Copy => {
                consumer.copied = state.items[self.place(position)];
                consumer.doing = Doing::Publish;
            }
            // The message is the application's from here on.
            Doing::Publish => {
                consumer.position += 1;
                if !(self.variant.lazy_head && consumer.position % 2 == 1) {
                    next.head = consumer.position;
                    consumer.published = consumer.position;
                }
                let message = std::mem::take(&mut consumer.copied);
                consumer.doing = Doing::Look;
                if state.waiting_count == 0 || state.waiting[0] != message {
                    return Err("what is delivered is not what was committed next");
                }
                next.waiting.copy_within(1.., 0);
                next.waiting[MAX_CAPACITY - 1] = 0;
                next.waiting_count -= 1;
            }
            _ => unreachable!("a consumer does not write"),
        }
        Ok([Some(next), other])
    }

    /// Goes through all states. `Ok` is their number, `Err` a broken promise.
    fn explore(&self) -> Result<usize, String> {
        let mut numbers: HashMap<State, u32, BuildHasherDefault<Mixer>> = HashMap::default();
        let mut states = vec![self.start()];
        numbers.insert(states[0], 0);
        let mut steps: Vec<(u32, u32)> = Vec::new();
        let mut at = 0;
        while at < states.len() {
            let state = states[at];
            let broken = self.steps(&state, |next| {
                let number = *numbers.entry(next).or_insert_with(|| {
                    states.push(next);
                    states.len() as u32 - 1
                });
                steps.push((number, at as u32));
            });
            broken.map_err(|promise| format!("{promise}, in {self:?}, after {state:?}"))?;
            at += 1;
        }
        match self.stuck(&states, steps) {
            0 => Ok(states.len()),
            stuck => Err(format!("from {stuck} states no way leads to the end, in {self:?}")),
        }
    }

    /// How many states have no way to the end. `steps` are pairs of a state and one that comes before it.
    fn stuck(&self, states: &[State], mut steps: Vec<(u32, u32)>) -> usize {
        steps.sort_unstable();
        let mut reaches: Vec<bool> = states.iter().map(|state| self.is_done(state)).collect();
        let mut todo: Vec<u32> = (0..states.len() as u32).filter(|number| reaches[*number as usize]).collect();
        while let Some(number) = todo.pop() {
            let first = steps.partition_point(|(to, _)| *to < number);
            for (_, before) in steps[first..].iter().take_while(|(to, _)| *to == number) {
                if !std::mem::replace(&mut reaches[*before as usize], true) {
                    todo.push(*before);
                }
            }
        }
        reaches.iter().filter(|reaches| !**reaches).count()
    }
}

/// Small states, many of them: the hasher of the standard library would take most of the time.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = (self.0.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

fn settings(variant: Variant) -> impl Iterator<Item = Setting> {
    (1..=MAX_CAPACITY).flat_map(move |capacity| {
        (1..=MAX_ITEMS_PER_CELL).flat_map(move |items_per_cell| {
            [[1, 3, 1, 2], [2, capacity, 1, capacity]].map(|batches| Setting {
                capacity,
                items_per_cell,
                batches,
                variant,
            })
        })
    })
}

/// Whether the model finds what is wrong with a variant.
fn is_caught(variant: Variant) -> bool {
    settings(variant).any(|setting| setting.explore().is_err())
}

#[test]
fn whoever_dies_wherever_what_was_committed_is_delivered_once_and_the_ring_goes_on() {
    let mut states = 0;
    for setting in settings(Variant::default()) {
        states += setting.explore().unwrap_or_else(|broken| panic!("{broken}"));
    }
    println!("{states} states");
    assert!(states > 100_000, "the model has not looked at much: {states} states");
}

#[test]
fn a_takeover_without_a_wipe_is_caught() {
    assert!(is_caught(Variant { no_wipe: true, ..Variant::default() }));
}

#[test]
fn a_batch_that_is_published_from_its_first_cell_on_is_caught() {
    assert!(is_caught(Variant { ascending: true, ..Variant::default() }));
}

#[test]
fn a_head_that_is_published_late_is_caught() {
    assert!(is_caught(Variant { lazy_head: true, ..Variant::default() }));
}

#[test]
fn one_cell_fewer_is_caught() {
    assert!(is_caught(Variant { one_cell_fewer: true, ..Variant::default() }));
}

/// A successor looks for the end from `head` on at least, and counts what it finds before it pushes. Either suffices:
/// with neither, `tail` may lag by more than a lap.
#[test]
fn a_takeover_that_starts_at_tail_only_is_caught_unless_it_counts_what_it_finds() {
    let starts_at_tail_only = Variant { starts_at_tail_only: true, ..Variant::default() };
    let does_not_count = Variant { does_not_count_at_takeover: true, ..Variant::default() };
    assert!(is_caught(Variant { starts_at_tail_only: true, ..does_not_count }));
    assert!(!is_caught(starts_at_tail_only));
    assert!(!is_caught(does_not_count));
}

//! The ends of a ring, as somebody uses them who takes every way that there is, and believes nothing that comes out.
#![allow(clippy::forget_non_drop)] // the guards of one kind of ring have nothing to drop, those of the other have

use super::input::Input;
use super::sample::{Checked, Sample};
use ringway::{bytes, mpmc, spsc};
use std::hint::black_box;

/// The most messages of a batch.
const BATCH: usize = 60;

/// A producer, to be used once as the input says. With none left, a message is pushed.
pub trait Pushes {
    fn push(&mut self, input: &mut Input<'_>);
}

/// A consumer, to be used once as the input says. With none left, a message is popped.
pub trait Pops {
    fn pop(&mut self, input: &mut Input<'_>);
}

/// Errors are what is to be expected; people must be able to read them.
fn said<V, E: std::fmt::Display>(result: Result<V, E>) -> Option<V> {
    result.map_err(|error| drop(black_box(error.to_string()))).ok()
}

macro_rules! pushes {
    ($kind:ident, $look:expr) => {
        impl<T: Sample> Pushes for $kind::Producer<T> {
            fn push(&mut self, input: &mut Input<'_>) {
                match input.byte() % 12 {
                    0..4 => drop(said(self.try_push(T::SAMPLE))),
                    4..7 => {
                        let count = input.below(BATCH);
                        let pushed = said(self.push_slice(&[T::SAMPLE; BATCH][..count]));
                        assert!(pushed.is_none_or(|pushed| pushed <= count.min(self.capacity())));
                    }
                    how @ 7..9 => {
                        if let Some(mut reserved) = said(self.reserve()) {
                            reserved.write(T::SAMPLE);
                            match input.byte() % 4 {
                                0..2 if how == 7 => reserved.commit(),
                                2 => core::mem::forget(reserved),
                                _ => drop(reserved),
                            }
                        }
                    }
                    9 => match input.patience() {
                        Some(patience) => drop(said(self.push_timeout(T::SAMPLE, patience))),
                        None => drop(said(self.try_push(T::SAMPLE))),
                    },
                    10 => {
                        let count = input.below(BATCH);
                        if let Some(patience) = input.patience() {
                            let _ = said(self.push_all_timeout(&[T::SAMPLE; BATCH][..count], patience));
                        }
                    }
                    _ => {
                        assert!(self.len() <= self.capacity());
                        black_box((self.is_empty(), self.is_full(), self.is_closed()));
                        if let Some(patience) = input.patience() {
                            self.wait_for_peer(patience);
                        }
                        black_box($look(self));
                    }
                }
            }
        }
    };
}
pushes!(spsc, |producer: &mut spsc::Producer<T>| (producer.peer(), producer.position()));
pushes!(mpmc, |_: &mut mpmc::Producer<T>| ());

macro_rules! pops {
    ($kind:ident, $message:ty, $plain:expr, $count:expr) => {
        impl Pops for $kind::Consumer<$message> {
            fn pop(&mut self, input: &mut Input<'_>) {
                let mut room = [<$message>::SAMPLE; BATCH];
                match input.byte() % 12 {
                    0..4 => drop(said(self.try_pop()).map($plain).inspect(Sample::check)),
                    4..7 => {
                        let count = input.below(BATCH);
                        let popped = said(self.pop_slice(&mut room[..count])).map_or(0, $count);
                        assert!(popped <= count);
                    }
                    how @ 7..9 => self.look(how == 7, input.byte() % 4),
                    9 => match input.patience() {
                        Some(patience) => drop(said(self.pop_timeout(patience)).map($plain).inspect(Sample::check)),
                        None => drop(said(self.try_pop()).map($plain).inspect(Sample::check)),
                    },
                    10 => {
                        if let Some(patience) = input.patience() {
                            let _ = said(self.pop_some_timeout(&mut room, patience));
                        }
                    }
                    _ => {
                        assert!(self.len() <= self.capacity());
                        black_box((self.is_empty(), self.is_full(), self.is_closed()));
                        if let Some(patience) = input.patience() {
                            self.wait_for_peer(patience);
                        }
                    }
                }
                // Whatever was put there is a message, and so is what was there before.
                room.iter().for_each(Sample::check);
            }
        }
    };
}

fn popped<T>(message: mpmc::Popped<T>) -> T {
    message.into_inner()
}

fn itself<T>(message: T) -> T {
    message
}

pops!(spsc, u8, itself, itself);
pops!(spsc, u64, itself, itself);
pops!(spsc, [u64; 9], itself, itself);
pops!(spsc, Checked, itself, itself);
pops!(mpmc, u64, popped, popped);
pops!(mpmc, Checked, popped, popped);

/// Looking at a message where it lies, for types of which any bits are one.
trait Looks {
    fn look(&mut self, release: bool, how: u8);
}

macro_rules! looks {
    ($($kind:ident of $message:ty),*) => {$(
        impl Looks for $kind::Consumer<$message> {
            fn look(&mut self, release: bool, how: u8) {
                let Some(peek) = said(self.peek()) else { return };
                black_box(*peek);
                match how {
                    0..2 if release => peek.release(),
                    2 => core::mem::forget(peek),
                    _ => drop(peek),
                }
            }
        }
    )*};
}
looks!(spsc of u8, spsc of u64, spsc of [u64; 9], mpmc of u64);

impl Looks for spsc::Consumer<Checked> {
    fn look(&mut self, _: bool, _: u8) {}
}

impl Looks for mpmc::Consumer<Checked> {
    fn look(&mut self, _: bool, _: u8) {}
}

/// An end of a ring of which only the size of its messages is known.
pub struct Erased<E> {
    pub end: E,
    pub size: usize,
}

impl Pushes for Erased<bytes::Producer> {
    fn push(&mut self, input: &mut Input<'_>) {
        let message = vec![6; self.size];
        match input.byte() % 8 {
            0 => {
                if let Some(patience) = input.patience() {
                    let _ = said(self.end.push_timeout(&message, patience));
                }
            }
            1 => self.end.close_when_alone(input.byte() % 2 == 0),
            _ => drop(said(self.end.try_push(&message))),
        }
    }
}

impl Pops for Erased<bytes::Consumer> {
    fn pop(&mut self, input: &mut Input<'_>) {
        let mut message = vec![6; self.size];
        match input.byte() % 8 {
            1 => {
                if let Some(patience) = input.patience() {
                    let _ = said(self.end.pop_timeout(&mut message, patience));
                }
            }
            _ => drop(said(self.end.try_pop(&mut message))),
        }
        black_box(message);
    }
}

//! A reading end. See the parent module for the protocol.
#![allow(unsafe_code)]

mod orphans;

use super::table::{self, AtHead};
use super::{Contention, Held, Place, corrupted, repair, restless, tries};
use crate::error::{Corrupted, Invalid};
use crate::layout::cell::{Owner, State, Word};
use crate::message::{self, Message};
use crate::ring::memory::{Memory, Orphanage};
use crate::sync::{Ordering, compiler_fence};
use core::marker::PhantomData;
use core::mem::MaybeUninit;

/// A reading end of a ring, one of many.
#[derive(Debug)]
pub(crate) struct Consumer<T, M> {
    memory: M,
    /// Our process record.
    me: Owner,
    /// Where to look next: nothing before here is left to be taken, but for orphans.
    place: Place,
    /// What is lent to a guard: taken, and neither handed over nor given back.
    lent: Option<Take>,
    /// The cell in which the last orphan was found.
    searched: usize,
    contention: Contention,
    /// A message that was dropped from the middle of a batch, to be reported by the next operation.
    invalid: Option<Box<Invalid>>,
    _items: PhantomData<fn() -> T>,
}

/// What became of an attempt to pop.
#[derive(Debug)]
pub(crate) enum Pop<V> {
    /// A message, or so many, and how often it was adopted from the dead.
    Got(V, u8),
    Empty,
    Held(Held),
    Invalid(Box<Invalid>),
}

/// Messages that are ours to read, until we hand them over.
#[derive(Clone, Copy, Debug)]
struct Take {
    place: Place,
    /// The word of the first cell.
    word: Word,
    span: usize,
}

enum Attempt {
    Got(Take),
    Empty,
    Held(Held),
}

/// What is at the front, at our place.
enum Front {
    Full(Word),
    Orphan(Word),
    Empty,
    Held(Held),
}

impl<T: Message, M: Memory<T> + Orphanage> Consumer<T, M> {
    pub(crate) fn new(memory: M, me: Owner) -> Self {
        // Acquire: a place to start looking from, and no cell is seen as it was before. Pairs with the Release in `hint`.
        let head = memory.head().load(Ordering::Acquire);
        let place = Place::at(head, memory.cells());
        let contention = Contention::default();
        Consumer { memory, me, place, lent: None, searched: 0, contention, invalid: None, _items: PhantomData }
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// Takes the next message.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Result<Pop<T>, Box<Corrupted>> {
        if let Some(item) = self.pop_at_once() {
            return Ok(Pop::Got(item, 0));
        }
        if let Some(invalid) = self.finish() {
            return Ok(Pop::Invalid(invalid));
        }
        let take = match self.take(1)? {
            Attempt::Got(take) => take,
            Attempt::Empty => return Ok(Pop::Empty),
            Attempt::Held(held) => return Ok(Pop::Held(held)),
        };
        Ok(match self.read(take) {
            Some(item) => Pop::Got(item, take.word.adoptions()),
            None => Pop::Invalid(self.invalid(take.place)),
        })
    }

    /// Takes the next message if it is there and nobody is in our way. Then it is all that [`pop`](Self::pop) does.
    #[inline(always)]
    pub(crate) fn pop_at_once(&mut self) -> Option<T> {
        if self.invalid.is_some() {
            return None;
        }
        let take = self.take_at_once()?;
        let item = self.read(take);
        if item.is_none() {
            self.invalid = Some(self.invalid(take.place));
        }
        item
    }

    /// Whether there is nothing, nobody is in the middle of a push, and nothing is left to be seen to: what a pop would find
    /// out, at the price of a look or two.
    #[inline(always)]
    pub(crate) fn is_plainly_empty(&self) -> bool {
        let Place { lap, cell } = self.place;
        // Acquire: as in `seek`, for good measure: it is an answer, and we do not go on from here. (With Relaxed the compiler
        // makes two instructions more of a pop.)
        let is_free = self.memory.word(cell).load(Ordering::Acquire) == Word::free(lap).word();
        is_free && !self.is_lent() && self.invalid.is_none() && !self.may_find_orphans()
    }

    /// Copies a message that was taken, and hands it over. `None`: it is not valid.
    #[inline(always)]
    fn read(&mut self, take: Take) -> Option<T> {
        let mut item = MaybeUninit::<T>::uninit();
        // SAFETY: the message is ours to read, and stays as it is until we hand it over.
        unsafe { self.memory.read(take.place.cell, 0, item.as_mut_ptr(), 1) };
        self.hand_over(take);
        // SAFETY: `read` has initialised all of it.
        unsafe { message::assume_checked(item) }
    }

    /// Fills `items` from the front with as many messages as there are in one piece, up to [`Word::MAX_SPAN`]. They are
    /// handed over all at once. A message that was adopted comes alone.
    ///
    /// What is not valid is dropped. The first such message is reported: at once when there was nothing else, or by the
    /// next operation.
    pub(crate) fn pop_slice(&mut self, items: &mut [T]) -> Result<Pop<usize>, Box<Corrupted>> {
        if items.is_empty() {
            return Ok(Pop::Got(0, 0));
        }
        if let Some(invalid) = self.finish() {
            return Ok(Pop::Invalid(invalid));
        }
        let take = match self.take(items.len())? {
            Attempt::Got(take) => take,
            Attempt::Empty => return Ok(Pop::Empty),
            Attempt::Held(held) => return Ok(Pop::Held(held)),
        };
        let mut filled = 0;
        for index in 0..take.span {
            let place = take.place.later(index, self.memory.cells());
            let mut item = MaybeUninit::<T>::uninit();
            // SAFETY: the message is ours to read, and stays as it is until we hand it over.
            unsafe { self.memory.read(place.cell, 0, item.as_mut_ptr(), 1) };
            // SAFETY: `read` has initialised all of it.
            match unsafe { message::assume_checked(item) } {
                Some(item) => {
                    items[filled] = item;
                    filled += 1;
                }
                None if self.invalid.is_none() => self.invalid = Some(self.invalid(place)),
                None => {}
            }
        }
        self.hand_over(take);
        match self.invalid.take() {
            Some(invalid) if filled == 0 => Ok(Pop::Invalid(invalid)),
            later => {
                self.invalid = later;
                Ok(Pop::Got(filled, take.word.adoptions()))
            }
        }
    }

    /// Takes a message, to be looked at as [`front`](Self::front) and then released or given back. Says how often it was
    /// adopted.
    pub(crate) fn peek(&mut self) -> Result<Pop<()>, Box<Corrupted>> {
        if let Some(invalid) = self.finish() {
            return Ok(Pop::Invalid(invalid));
        }
        let attempt = match self.take_at_once() {
            Some(take) => Attempt::Got(take),
            None => self.take(1)?,
        };
        match attempt {
            Attempt::Got(take) => {
                self.lent = Some(take);
                Ok(Pop::Got((), take.word.adoptions()))
            }
            Attempt::Empty => Ok(Pop::Empty),
            Attempt::Held(held) => Ok(Pop::Held(held)),
        }
    }

    /// As [`peek`](Self::peek), of as many messages as there are in one piece, up to `wanted` and to [`Word::MAX_SPAN`]:
    /// they are copied by their index, and released or given back together. A message that was adopted comes alone.
    pub(crate) fn peek_slice(&mut self, wanted: usize) -> Result<Pop<usize>, Box<Corrupted>> {
        if let Some(invalid) = self.finish() {
            return Ok(Pop::Invalid(invalid));
        }
        Ok(match self.take(wanted)? {
            Attempt::Got(take) => {
                self.lent = Some(take);
                Pop::Got(take.span, take.word.adoptions())
            }
            Attempt::Empty => Pop::Empty,
            Attempt::Held(held) => Pop::Held(held),
        })
    }

    /// The bytes of the message that is lent. Nothing has checked that they are a `T`.
    pub(crate) fn front(&self) -> &[u8] {
        let take = self.lent.expect("a message is lent from `peek` to `release` or `give_back`");
        // SAFETY: a place names a cell that exists, and each has one item.
        let item = unsafe { self.memory.item(take.place.cell, 0) };
        // SAFETY: it is so large, of initialised shared memory, and taken by us: nobody who keeps to the protocol
        // writes it before we hand it over, which takes us exclusively.
        unsafe { core::slice::from_raw_parts(item.cast(), self.memory.item_size()) }
    }

    /// Copies the bytes of the message `index` of those that are lent, as many as it has. As good as a copy of a `T`,
    /// whatever another process does meanwhile.
    pub(crate) fn copy_lent(&self, index: usize, to: &mut [u8]) {
        let take = self.lent.expect("a message is lent from `peek` to `release` or `give_back`");
        assert!(index < take.span, "only so many are lent");
        assert_eq!(to.len(), self.memory.item_size(), "a message is copied as a whole");
        let place = take.place.later(index, self.memory.cells());
        // SAFETY: a place names a cell that exists, and each has one item.
        let item = unsafe { self.memory.item(place.cell, 0) };
        // SAFETY: it is as large as `to`, and taken by us, so that nobody who keeps to the protocol writes it.
        unsafe { core::ptr::copy_nonoverlapping(item.cast(), to.as_mut_ptr(), to.len()) };
    }

    /// Hands over what is lent.
    pub(crate) fn release(&mut self) {
        if let Some(take) = self.lent.take() {
            self.hand_over(take);
        }
    }

    /// Whether anything is lent.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Gives back what is lent, if anything is: any consumer may have it now.
    #[inline(always)]
    pub(crate) fn give_back(&mut self) {
        // NB: not `take` at once, which is a store in each pop for what is hardly ever there.
        if self.lent.is_some() {
            self.give_back_lent();
        }
    }

    #[cold]
    fn give_back_lent(&mut self) {
        if let Some(take) = self.lent.take() {
            if take.span > 1 {
                // What others would do, were we dead.
                repair::repair(&self.memory, Held { cell: take.place.cell, word: take.word, owner: self.me });
            } else {
                // Release: whoever writes here later does it after what we have read.
                self.memory.word(take.place.cell).store(table::given_back(take.word).word(), Ordering::Release);
            }
            // Release: who sees this finds the orphan. Pairs with the load in `search`.
            self.memory.orphaned().fetch_add(1, Ordering::Release);
            self.go_on(take);
        }
    }

    #[inline(always)]
    fn hand_over(&mut self, take: Take) {
        let Take { place, span, .. } = take;
        if span > 1 {
            self.hand_over_batch(place, span);
        }
        // Release: the message is read before. Pairs with the Acquire of the next claim.
        self.memory.word(place.cell).store(Word::free(place.lap.wrapping_add(1)).word(), Ordering::Release);
        // NB: no code, but nothing that comes after in this program happens before: we may be killed in between.
        compiler_fence(Ordering::SeqCst);
        self.go_on(take);
    }

    /// All but the last step.
    fn hand_over_batch(&self, place: Place, span: usize) {
        // Release: all messages are read before, whoever frees their cells; and whoever learns from it that it is late
        // sees no cell as it was laps ago.
        self.memory.word(place.cell).store(Word::done(place.lap, self.me, span).word(), Ordering::Release);
        for index in (1..span).rev() {
            let later = place.later(index, self.memory.cells());
            // Release: as for `Done`. (For whoever claims it next, the store that frees the first cell says as much:
            // nobody gets here but past that one.)
            self.memory.word(later.cell).store(Word::free(later.lap.wrapping_add(1)).word(), Ordering::Release);
        }
    }

    /// Looks for the next message behind what was taken. An adopted message was met, or searched, elsewhere.
    #[inline(always)]
    fn go_on(&mut self, take: Take) {
        if take.word.state() == State::Taken {
            let cells = self.memory.cells();
            self.place = take.place.later(take.span, cells);
            super::hint(self.memory.head(), take.span, self.place, cells);
        }
    }

    /// Takes the message at our place, if it is there.
    #[inline(always)]
    fn take_at_once(&mut self) -> Option<Take> {
        if self.is_lent() {
            return None;
        }
        let place = self.place;
        let word = self.memory.word(place.cell);
        let (full, taken) = (Word::full(place.lap), Word::taken(place.lap, self.me, 1));
        // NB: an exchange that fails takes the line away from the producer that is about to write to it.
        // Relaxed: confirmed by the exchange, or looked at again.
        if word.load(Ordering::Relaxed) != full.word() {
            return None;
        }
        // Acquire: the message is read after. Pairs with the Release of its commit.
        // Release: whoever steps over our cells sees none of them as it was before we saw it. For good measure.
        if word.compare_exchange(full.word(), taken.word(), Ordering::AcqRel, Ordering::Relaxed).is_err() {
            self.contention.lose(place, self.memory.cells());
            return None;
        }
        Some(Take { place, word: taken, span: 1 })
    }

    /// Takes the first message, and up to `wanted` in a row from there.
    #[inline(never)]
    fn take(&mut self, wanted: usize) -> Result<Attempt, Box<Corrupted>> {
        let mut looks = tries(self.memory.cells());
        loop {
            match self.seek(&mut looks)? {
                Front::Full(seen) => {
                    let place = self.place;
                    let span = self.full_from(place, wanted);
                    let taken = Word::taken(place.lap, self.me, span);
                    let word = self.memory.word(place.cell);
                    // Release: as in `take_at_once`. Acquire: for good measure, behind the look.
                    let exchange =
                        word.compare_exchange(seen.word(), taken.word(), Ordering::AcqRel, Ordering::Relaxed);
                    if exchange.is_ok() {
                        return Ok(Attempt::Got(Take { place, word: taken, span }));
                    }
                    looks = looks.saturating_sub(self.contention.lose(place, self.memory.cells()));
                }
                Front::Orphan(seen) => {
                    if let Some(take) = self.adopt(self.place.cell, seen) {
                        return Ok(Attempt::Got(take));
                    }
                }
                Front::Empty => {
                    return Ok(match self.search() {
                        Some(take) => Attempt::Got(take),
                        None => Attempt::Empty,
                    });
                }
                // Orphans are of messages before that one.
                Front::Held(held) => {
                    return Ok(match self.search() {
                        Some(take) => Attempt::Got(take),
                        None => Attempt::Held(held),
                    });
                }
            }
        }
    }

    /// Steps over what others were first at, up to the first message that is left.
    fn seek(&mut self, looks: &mut usize) -> Result<Front, Box<Corrupted>> {
        let cells = self.memory.cells();
        while *looks > 0 {
            *looks -= 1;
            let place = self.place;
            let word = self.memory.word(place.cell);
            // Acquire: when it says that we are late by laps, we see no cell as it was laps ago, on the way from here.
            let seen = Word::from_word(word.load(Ordering::Acquire));
            match table::at_head(seen, place.lap, cells) {
                AtHead::Full => return Ok(Front::Full(seen)),
                AtHead::Orphan => return Ok(Front::Orphan(seen)),
                AtHead::Empty => return Ok(Front::Empty),
                AtHead::Held(owner) => return Ok(Front::Held(Held { cell: place.cell, word: seen, owner })),
                AtHead::Behind(by) => self.place = super::ahead(place, by, self.memory.head(), cells),
                AtHead::Skipped(free) => super::free_skipped(word, seen, free),
                // Nobody has popped there; or we are late by more laps than a word can tell.
                AtHead::Impossible => match super::hinted(place, 0, self.memory.head(), cells) {
                    Some(hinted) => self.place = hinted,
                    None => return Err(corrupted(&self.memory, place, seen)),
                },
            }
        }
        Err(restless(&self.memory, self.place))
    }

    /// How many messages there are from `place` on, up to `wanted`. The first one is there.
    fn full_from(&self, place: Place, wanted: usize) -> usize {
        let most = wanted.min(Word::MAX_SPAN).min(self.memory.cells());
        for count in 1..most {
            let next = place.later(count, self.memory.cells());
            // Acquire: the message is read after. It stays: nobody gets there but past `place`.
            if self.memory.word(next.cell).load(Ordering::Acquire) != Word::full(next.lap).word() {
                return count;
            }
        }
        most
    }

    /// Whether there is a message to be taken, or an orphan; without taking it.
    pub(crate) fn look(&mut self) -> Result<Pop<()>, Box<Corrupted>> {
        self.assert_nothing_is_lent();
        if self.invalid.is_some() || self.may_find_orphans() && self.sees_an_orphan() {
            return Ok(Pop::Got((), 0));
        }
        Ok(match self.seek(&mut tries(self.memory.cells()))? {
            Front::Full(_) | Front::Orphan(_) => Pop::Got((), 0),
            Front::Empty => Pop::Empty,
            Front::Held(held) => Pop::Held(held),
        })
    }

    /// What is left of an earlier operation: a message to be reported.
    #[inline(always)]
    fn finish(&mut self) -> Option<Box<Invalid>> {
        self.assert_nothing_is_lent();
        // NB: not `take` at once, which is a store in each pop for what is hardly ever there.
        if self.invalid.is_some() { self.invalid.take() } else { None }
    }

    /// Whoever calls an operation has seen to what a forgotten guard has left.
    #[inline(always)]
    fn assert_nothing_is_lent(&self) {
        debug_assert!(
            self.lent.is_none(),
            "a message that is lent is released or given back before the next operation"
        );
    }

    #[cold]
    fn invalid(&self, place: Place) -> Box<Invalid> {
        let position = place.position(self.memory.cells());
        Box::new(Invalid { ring: self.memory.name().into(), position, expected: core::any::type_name::<T>() })
    }
}

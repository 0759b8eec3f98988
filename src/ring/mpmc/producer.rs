//! A writing end. See the parent module for the protocol.
#![allow(unsafe_code)]

use super::table::{self, AtTail};
use super::{Contention, Held, Place, corrupted, restless, tries};
use crate::error::Corrupted;
use crate::layout::cell::{Owner, Word};
use crate::ring::memory::Memory;
use crate::sync::{Ordering, compiler_fence};
use core::marker::PhantomData;

/// A writing end of a ring, one of many.
#[derive(Debug)]
pub(crate) struct Producer<T, M> {
    memory: M,
    /// Our process record.
    me: Owner,
    /// Where to look next: nobody has to push before here.
    place: Place,
    next: Next,
    contention: Contention,
    /// The place that is lent to a guard: claimed, and neither committed nor abandoned.
    lent: Option<Place>,
    _items: PhantomData<fn(T)>,
}

/// How a producer goes about its next claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// It looks at the cell first: somebody was in its way, or there was no room.
    Looks,
    /// It claims without looking, as nobody was in its way the last time.
    Claims,
    /// It has done so, and the cell was not free.
    Failed,
}

/// What became of an attempt to push.
#[derive(Debug)]
pub(crate) enum Push {
    /// So many messages are committed.
    Done(usize),
    Full,
    Held(Held),
}

/// What is at the front of the room, at our place.
enum Front {
    Free(Word),
    Full,
    Held(Held),
}

/// What became of an attempt to claim.
enum Claim {
    Got(Place, usize),
    Full,
    Held(Held),
}

impl<T, M: Memory<T>> Producer<T, M> {
    pub(crate) fn new(memory: M, me: Owner) -> Self {
        // Acquire: a place to start looking from, and no cell is seen as it was before. Pairs with the Release in `hint`.
        let tail = memory.tail().load(Ordering::Acquire);
        let place = Place::at(tail, memory.cells());
        Producer {
            memory,
            me,
            place,
            next: Next::Looks,
            contention: Contention::default(),
            lent: None,
            _items: PhantomData,
        }
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// Pushes `item`.
    #[inline(always)]
    pub(crate) fn push(&mut self, item: &T) -> Result<Push, Box<Corrupted>> {
        if self.push_at_once(item) {
            return Ok(Push::Done(1));
        }
        let place = match self.claim(1)? {
            Claim::Got(place, _) => place,
            Claim::Full => return Ok(Push::Full),
            Claim::Held(held) => return Ok(Push::Held(held)),
        };
        self.write(place, item);
        Ok(Push::Done(1))
    }

    /// Pushes `item` if nobody is in our way, and says whether that was so. Then it is all that [`push`](Self::push) does.
    #[inline(always)]
    pub(crate) fn push_at_once(&mut self, item: &T) -> bool {
        match self.claim_at_once() {
            Some(place) => {
                self.write(place, item);
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    fn write(&mut self, place: Place, item: &T) {
        // SAFETY: the cell is ours by the claim.
        unsafe { self.memory.write(place.cell, 0, core::slice::from_ref(item)) };
        self.commit_at(place);
    }

    /// Pushes as many of `items` as there is room for in one piece, up to [`Word::MAX_SPAN`]. They are committed all at
    /// once.
    pub(crate) fn push_slice(&mut self, items: &[T]) -> Result<Push, Box<Corrupted>> {
        if items.is_empty() {
            return Ok(Push::Done(0));
        }
        let (place, span) = match self.claim(items.len())? {
            Claim::Got(place, span) => (place, span),
            Claim::Full => return Ok(Push::Full),
            Claim::Held(held) => return Ok(Push::Held(held)),
        };
        let cells = self.memory.cells();
        // Each cell is touched once, the first one last: that is the commit.
        for (index, item) in items[..span].iter().enumerate().rev() {
            let place = place.later(index, cells);
            // SAFETY: the cell is ours by the claim of the first one.
            unsafe { self.memory.write(place.cell, 0, core::slice::from_ref(item)) };
            // Release: the message is written before. Pairs with the Acquire in `Consumer::take`.
            self.memory.word(place.cell).store(Word::full(place.lap).word(), Ordering::Release);
        }
        compiler_fence(Ordering::SeqCst);
        self.go_on(place, span);
        Ok(Push::Done(span))
    }

    /// Claims a place, to be written through [`place_mut`](Self::place_mut) and then committed or abandoned.
    pub(crate) fn reserve(&mut self) -> Result<Push, Box<Corrupted>> {
        let claim = match self.claim_at_once() {
            Some(place) => Claim::Got(place, 1),
            None => self.claim(1)?,
        };
        match claim {
            Claim::Got(place, _) => {
                self.lent = Some(place);
                Ok(Push::Done(1))
            }
            Claim::Full => Ok(Push::Full),
            Claim::Held(held) => Ok(Push::Held(held)),
        }
    }

    /// The bytes of the place that is reserved, to be read.
    pub(crate) fn place(&self) -> &[u8] {
        // SAFETY: `item` is so large, of initialised shared memory, and ours while we are borrowed.
        unsafe { core::slice::from_raw_parts(self.item().cast(), self.memory.item_size()) }
    }

    /// The bytes of the place that is reserved, to be written.
    pub(crate) fn place_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `place`; we are borrowed exclusively.
        unsafe { core::slice::from_raw_parts_mut(self.item().cast(), self.memory.item_size()) }
    }

    fn item(&self) -> *mut T {
        let place = self.lent.expect("a place is lent from `reserve` to `commit` or `abandon`");
        // SAFETY: a place names a cell that exists, and each has one item.
        unsafe { self.memory.item(place.cell, 0) }
    }

    /// Whoever calls an operation has seen to what a forgotten guard has left.
    #[inline(always)]
    fn assert_nothing_is_lent(&self) {
        debug_assert!(self.lent.is_none(), "a reserved place is committed or abandoned before the next operation");
    }

    /// Whether a place is reserved.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.is_some()
    }

    /// Commits the message in the place that is reserved.
    pub(crate) fn commit(&mut self) {
        if let Some(place) = self.lent.take() {
            self.commit_at(place);
        }
    }

    /// Gives up the place that is reserved, if there is one. It will be skipped.
    #[inline(always)]
    pub(crate) fn abandon(&mut self) {
        // NB: not `take` at once, which is a store in each push for what is hardly ever there.
        if self.lent.is_some() {
            self.abandon_lent();
        }
    }

    #[cold]
    fn abandon_lent(&mut self) {
        if let Some(place) = self.lent.take() {
            // Release: whoever writes here next does it after what was written to the place. Pairs with the exchange
            // that frees the cell.
            self.memory.word(place.cell).store(Word::skip(place.lap).word(), Ordering::Release);
            self.go_on(place, 1);
        }
    }

    #[inline(always)]
    fn commit_at(&mut self, place: Place) {
        // Release: the message is written before. Pairs with the Acquire in `Consumer::take`.
        self.memory.word(place.cell).store(Word::full(place.lap).word(), Ordering::Release);
        // NB: no code, but nothing that comes after in this program happens before: we may be killed in between.
        compiler_fence(Ordering::SeqCst);
        self.go_on(place, 1);
    }

    /// Looks for the next message's place `span` cells further.
    #[inline(always)]
    fn go_on(&mut self, place: Place, span: usize) {
        let cells = self.memory.cells();
        self.place = place.later(span, cells);
        super::hint(self.memory.tail(), span, self.place, cells);
    }

    /// Claims our place without a look at the cell first, which would fetch its line twice: to read it, and to write it.
    #[inline(always)]
    fn claim_at_once(&mut self) -> Option<Place> {
        if self.next != Next::Claims || self.is_lent() {
            return None;
        }
        let place = self.place;
        let word = self.memory.word(place.cell);
        let (free, claimed) = (Word::free(place.lap), Word::claimed(place.lap, self.me, 1));
        // Acquire: who had the cell before is done with it. Pairs with the Release of whoever freed it.
        // Release: whoever steps over our cells sees none of them as it was before we saw it. For good measure.
        let exchange = word.compare_exchange(free.word(), claimed.word(), Ordering::AcqRel, Ordering::Relaxed);
        if exchange.is_err() {
            self.next = Next::Failed;
            return None;
        }
        Some(place)
    }

    /// Claims the first place that is free, and up to `wanted` in a row from there.
    #[inline(never)]
    fn claim(&mut self, wanted: usize) -> Result<Claim, Box<Corrupted>> {
        self.assert_nothing_is_lent();
        let cells = self.memory.cells();
        if self.next == Next::Failed && self.is_late() {
            self.contention.lose(self.place, cells);
        }
        self.next = Next::Claims;
        let mut looks = tries(cells);
        loop {
            match self.seek(&mut looks)? {
                Front::Free(seen) => {
                    let place = self.place;
                    let span = self.free_from(place, wanted);
                    let claimed = Word::claimed(place.lap, self.me, span);
                    let word = self.memory.word(place.cell);
                    // Release: as in `claim_at_once`. Acquire: for good measure, behind the look.
                    let exchange =
                        word.compare_exchange(seen.word(), claimed.word(), Ordering::AcqRel, Ordering::Relaxed);
                    if exchange.is_ok() {
                        return Ok(Claim::Got(place, span));
                    }
                    self.next = Next::Looks;
                    looks = looks.saturating_sub(self.contention.lose(place, cells));
                }
                // NB: an exchange that fails takes the line away from the consumer that is about to write to it.
                Front::Full => {
                    self.next = Next::Looks;
                    return Ok(Claim::Full);
                }
                Front::Held(held) => {
                    self.next = Next::Looks;
                    return Ok(Claim::Held(held));
                }
            }
        }
    }

    /// Whether somebody else has got our place.
    fn is_late(&self) -> bool {
        // Relaxed: it is looked at again.
        let seen = Word::from_word(self.memory.word(self.place.cell).load(Ordering::Relaxed));
        matches!(table::at_tail(seen, self.place.lap, self.memory.cells()), AtTail::Behind(_))
    }

    /// Whether the ring is full, nobody is in the middle of anything at its end, and nothing is lent: what a push would
    /// find out, at the price of one look.
    #[inline(always)]
    pub(crate) fn is_plainly_full(&mut self) -> bool {
        let Place { lap, cell } = self.place;
        // Relaxed: it is an answer, and we do not go on from here.
        let is_full = self.memory.word(cell).load(Ordering::Relaxed) == Word::full(lap.wrapping_sub(1)).word();
        if is_full {
            self.next = Next::Looks;
        }
        is_full && !self.is_lent()
    }

    /// Whether there is room, without claiming it.
    pub(crate) fn look(&mut self) -> Result<Push, Box<Corrupted>> {
        self.assert_nothing_is_lent();
        Ok(match self.seek(&mut tries(self.memory.cells()))? {
            Front::Free(_) => Push::Done(0),
            Front::Full => Push::Full,
            Front::Held(held) => Push::Held(held),
        })
    }

    /// Steps over what others were first at, up to the first place that nobody has pushed to.
    fn seek(&mut self, looks: &mut usize) -> Result<Front, Box<Corrupted>> {
        let cells = self.memory.cells();
        while *looks > 0 {
            *looks -= 1;
            let place = self.place;
            let word = self.memory.word(place.cell);
            // Acquire: when it says that we are late by laps, we see no cell as it was laps ago, on the way from here.
            let seen = Word::from_word(word.load(Ordering::Acquire));
            match table::at_tail(seen, place.lap, cells) {
                AtTail::Free => return Ok(Front::Free(seen)),
                AtTail::Full => return Ok(Front::Full),
                AtTail::Held(owner) => return Ok(Front::Held(Held { cell: place.cell, word: seen, owner })),
                AtTail::Behind(by) => {
                    self.next = Next::Looks;
                    self.place = super::ahead(place, by, self.memory.tail(), cells);
                }
                AtTail::Skipped(free) => super::free_skipped(word, seen, free),
                // Nobody has pushed there; or we are late by more laps than a word can tell.
                AtTail::Impossible => match super::hinted(place, 0, self.memory.tail(), cells) {
                    Some(hinted) => self.place = hinted,
                    None => return Err(corrupted(&self.memory, place, seen)),
                },
            }
        }
        Err(restless(&self.memory, self.place))
    }

    /// How many cells from `place` on are free, up to `wanted`. The first one is.
    fn free_from(&self, place: Place, wanted: usize) -> usize {
        let most = wanted.min(Word::MAX_SPAN).min(self.memory.cells());
        for count in 1..most {
            let next = place.later(count, self.memory.cells());
            // Acquire: who had the cell before is done with it. It stays free: nobody gets there but past `place`.
            if self.memory.word(next.cell).load(Ordering::Acquire) != Word::free(next.lap).word() {
                return count;
            }
        }
        most
    }
}

//! The transitions of a cell: who may do what with which word. Pure functions of words; the ring's code, and the crash
//! model that tries all of them in every order, take their decisions here.

#[cfg(all(test, not(ringway_loom)))]
mod models;

use crate::layout::cell::{Owner, State, Word};

/// What a producer finds at its position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AtTail {
    /// Nobody has claimed it.
    Free,
    /// Others have pushed here. The first position that may be free is so many further.
    Behind(u64),
    /// The message of the lap before has not been taken: the ring is full.
    Full,
    /// The cell is not free yet: this process is in the middle of something with it.
    Held(Owner),
    /// The message of the lap before never came. The cell is free with this word.
    Skipped(Word),
    /// No correct process writes that.
    Impossible,
}

/// What a consumer finds at its position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AtHead {
    /// A message.
    Full,
    /// Others have taken what was here. The first position that may have a message is so many further.
    Behind(u64),
    /// Nobody has begun to push here.
    Empty,
    /// This process is in the middle of a push.
    Held(Owner),
    /// The message never came. The cell is free for the next lap with this word.
    Skipped(Word),
    /// A message that was taken and not handed over, of this lap or the one before.
    Orphan,
    /// No correct process writes that.
    Impossible,
}

/// At a position in lap `lap`, of a ring with `cells` cells.
#[inline(always)]
pub(super) fn at_tail(word: Word, lap: u64, cells: usize) -> AtTail {
    let ahead = word.laps_ahead_of(lap);
    match (ahead, word.state()) {
        (0, State::Free) => AtTail::Free,
        (0, State::Claimed) => AtTail::Behind(word.span().min(cells) as u64),
        (0, _) => AtTail::Behind(1),
        (1.., _) => AtTail::Behind(catch_up(ahead, cells)),
        (-1, State::Full | State::Orphan) => AtTail::Full,
        (-1, State::Skip) => AtTail::Skipped(Word::free(lap)),
        (-1, State::Claimed | State::Taken | State::Done | State::Adopted) => match word.owner() {
            Some(owner) => AtTail::Held(owner),
            None => AtTail::Impossible,
        },
        _ => AtTail::Impossible,
    }
}

/// At a position in lap `lap`, of a ring with `cells` cells.
#[inline(always)]
pub(super) fn at_head(word: Word, lap: u64, cells: usize) -> AtHead {
    let ahead = word.laps_ahead_of(lap);
    match (ahead, word.state()) {
        (0, State::Full) => AtHead::Full,
        (0, State::Free) => AtHead::Empty,
        (0, State::Claimed) => match word.owner() {
            Some(owner) => AtHead::Held(owner),
            None => AtHead::Impossible,
        },
        (0, State::Skip) => AtHead::Skipped(Word::free(lap.wrapping_add(1))),
        (0, State::Taken | State::Done) => AtHead::Behind(word.span().min(cells) as u64),
        (0, State::Adopted) => AtHead::Behind(1),
        (0 | -1, State::Orphan) => AtHead::Orphan,
        (1.., _) => AtHead::Behind(catch_up(ahead, cells)),
        // A cell that has not been freed since the last lap has no message of this one.
        (-1, State::Taken | State::Done | State::Adopted) => AtHead::Empty,
        _ => AtHead::Impossible,
    }
}

/// Who meets a word of a later lap is late: all positions of this cell up to the lap before that word's are through.
#[inline(always)]
fn catch_up(laps_ahead: i64, cells: usize) -> u64 {
    ((laps_ahead - 1) as u64).wrapping_mul(cells as u64).wrapping_add(1)
}

/// What is to become of a word whose owner is dead, once [`repaired_later`] has been applied to the cells behind it.
pub(super) fn repaired(dead: Word) -> Option<Word> {
    let lap = dead.lap();
    match dead.state() {
        State::Claimed => Some(Word::skip(lap)),
        State::Taken | State::Adopted => Some(Word::orphan(lap, dead.adoptions())),
        State::Done => Some(Word::free(lap + 1)),
        State::Free | State::Full | State::Skip | State::Orphan => None,
    }
}

/// What is to become of the word `later`, of a cell of lap `lap` within the span of a `dead` one. From the last cell
/// back. `None`: it stays as it is.
pub(super) fn repaired_later(dead: Word, later: Word, lap: u64) -> Option<Word> {
    match dead.state() {
        // Nothing of the batch was committed, whatever of it has been published.
        State::Claimed if later == Word::free(lap) || later == Word::full(lap) => Some(Word::skip(lap)),
        // Nothing of the batch was handed over. From here on each message is by itself.
        State::Taken if later == Word::full(lap) => Some(Word::orphan(lap, 0)),
        // All of the batch was handed over.
        State::Done if later == Word::full(lap) => Some(Word::free(lap + 1)),
        _ => None,
    }
}

/// The orphan in the hands of `owner`.
pub(super) fn adopted(orphan: Word, owner: Owner) -> Word {
    // The count goes round, and not back to where an orphan that was never adopted is: it tells this adoption from the
    // one before, also for a message that kills whoever takes it.
    let adoptions = orphan.adoptions().checked_add(1).unwrap_or(1 << 7);
    Word::adopted(orphan.lap(), owner, adoptions)
}

/// What becomes of a message that its consumer has taken and gives back.
pub(super) fn given_back(held: Word) -> Word {
    Word::orphan(held.lap(), held.adoptions())
}

//! What the model must find: the protocol with something left out or done differently.

use super::{Broken, RELEASED, Setting, Table, check, pop, push};
use crate::layout::cell::{State, Word};
use crate::ring::mpmc::table::{self, AtHead, AtTail};

/// What the code around the table does wrong.
#[cfg_attr(debug_assertions, allow(dead_code))] // a debug build leaves the large settings out
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bug {
    None,
    PublishesAscending,
    FreesAscending,
    HandsOverOneByOne,
    DoesNotReadAgain,
    TakesTimeForDeath,
    RepairsFirstCellFirst,
    SweepsWithoutAsking,
    DoesNotSweep,
    CountsBeforeItSweeps,
    MarksBeforeItCounts,
    MarksBeforeItLives,
    DoesNotCountUses,
    CountsNothingGivenBack,
    RaisesBeforeItSearches,
    RaisesToTheCountOfNow,
}

/// Whether the model finds that this promise is broken, and nothing sooner.
fn finds(broken: Broken, setting: Setting) {
    match setting.explore() {
        Ok(states) => panic!("{setting}: nothing found in {states} states"),
        Err(found) => assert_eq!(found.broken, broken, "{setting}\n{}", found.trace),
    }
}

impl Setting {
    fn but(self, bug: Bug) -> Setting {
        Setting { bug, ..self }
    }

    fn by(self, table: Table) -> Setting {
        Setting { table, ..self }
    }
}

fn one_producer_two_consumers() -> Setting {
    Setting::of(2, &[push(2, 2), pop(2), pop(1)], 1)
}

/// A batch may be taken across the end of the ring, and all survivors may be past it when its consumer dies.
#[cfg(not(debug_assertions))]
fn one_producer_three_consumers() -> Setting {
    Setting::of(2, &[push(3, 1), pop(2), pop(1), pop(1)], 1)
}

fn a_successor_of_two_consumers() -> Setting {
    Setting::of(2, &[push(1, 1), pop(1), pop(1)], 1).then(&[pop(1)]).with_second_thoughts(0, 1)
}

#[test]
fn a_batch_that_is_published_from_its_first_cell_on() {
    finds(Broken::NotCommitted, one_producer_two_consumers().but(Bug::PublishesAscending));
}

#[test]
fn a_batch_that_is_freed_from_its_first_cell_on() {
    finds(Broken::InPart, one_producer_two_consumers().but(Bug::FreesAscending));
    finds(Broken::NotItsOwn, Setting { deaths: 0, ..one_producer_two_consumers() }.but(Bug::FreesAscending));
}

/// This is what `Done` is for.
#[test]
fn a_batch_that_is_handed_over_cell_by_cell() {
    finds(Broken::InPart, one_producer_two_consumers().but(Bug::HandsOverOneByOne));
}

#[test]
fn a_word_that_is_not_read_again_after_the_death_was_learnt() {
    let setting = Setting::of(2, &[push(2, 2), pop(1)], 2).then(&[push(1, 1)]);
    finds(Broken::Lost, setting.but(Bug::DoesNotReadAgain));
}

#[test]
fn a_timeout_that_is_taken_for_a_death() {
    finds(Broken::NotItsOwn, one_producer_two_consumers().but(Bug::TakesTimeForDeath));
}

#[test]
fn a_batch_that_is_repaired_from_its_first_cell_on() {
    finds(Broken::NotCommitted, one_producer_two_consumers().but(Bug::RepairsFirstCellFirst));
}

#[test]
fn later_cells_that_a_repair_leaves_as_they_are() {
    let setting = one_producer_two_consumers;
    let full = Table {
        repaired_later: |dead, later, lap| match (dead.state(), later == Word::full(lap)) {
            (State::Claimed, true) => None,
            _ => table::repaired_later(dead, later, lap),
        },
        ..RELEASED
    };
    finds(Broken::NotCommitted, setting().by(full));
    let free = Table {
        repaired_later: |dead, later, lap| match (dead.state(), later == Word::free(lap)) {
            (State::Claimed, true) => None,
            _ => table::repaired_later(dead, later, lap),
        },
        ..RELEASED
    };
    finds(Broken::Stuck, Setting::of(3, &[push(3, 3), pop(3)], 1).by(free));
    let done = Table {
        repaired_later: |dead, later, lap| match dead.state() {
            State::Done => None,
            _ => table::repaired_later(dead, later, lap),
        },
        ..RELEASED
    };
    finds(Broken::Twice, setting().by(done));
    let taken = Table {
        repaired_later: |dead, later, lap| match dead.state() {
            State::Taken => None,
            _ => table::repaired_later(dead, later, lap),
        },
        ..RELEASED
    };
    finds(Broken::Stuck, setting().by(taken));
}

/// Whoever repairs late finds words in the later cells that have nothing to do with the dead.
#[cfg(not(debug_assertions))]
#[test]
fn later_cells_that_are_repaired_whatever_they_hold() {
    let claimed = Table {
        repaired_later: |dead, later, lap| match dead.state() {
            State::Claimed => Some(Word::skip(lap)),
            _ => table::repaired_later(dead, later, lap),
        },
        ..RELEASED
    };
    finds(Broken::NotItsOwn, Setting::of(2, &[push(2, 2), push(2, 2), pop(1)], 1).by(claimed));
    let done = Table {
        repaired_later: |dead, later, lap| match dead.state() {
            State::Done => Some(Word::free(lap + 1)),
            _ => table::repaired_later(dead, later, lap),
        },
        ..RELEASED
    };
    finds(Broken::NotItsOwn, Setting::of(2, &[push(2, 2), push(2, 1), pop(2), pop(1)], 2).by(done));
    let taken = Table {
        repaired_later: |dead, later, lap| match dead.state() {
            State::Taken => Some(Word::orphan(lap, 0)),
            _ => table::repaired_later(dead, later, lap),
        },
        ..RELEASED
    };
    finds(Broken::NotItsOwn, one_producer_three_consumers().by(taken));
}

#[test]
fn a_dead_word_that_becomes_another_one() {
    let setting = one_producer_two_consumers;
    let becomes = |of: fn(Word) -> Option<Word>| Table { repaired: of, ..RELEASED };
    let taken_is_freed = |dead: Word| match dead.state() {
        State::Taken => Some(Word::free(dead.lap() + 1)),
        _ => table::repaired(dead),
    };
    finds(Broken::Lost, setting().by(becomes(taken_is_freed)));
    let taken_is_full_again = |dead: Word| match dead.state() {
        State::Taken => Some(Word::full(dead.lap())),
        _ => table::repaired(dead),
    };
    finds(Broken::Impossible, setting().by(becomes(taken_is_full_again)));
    let done_is_an_orphan = |dead: Word| match dead.state() {
        State::Done => Some(Word::orphan(dead.lap(), 0)),
        _ => table::repaired(dead),
    };
    finds(Broken::Twice, setting().by(becomes(done_is_an_orphan)));
    let claimed_is_free_again = |dead: Word| match dead.state() {
        State::Claimed => Some(Word::free(dead.lap())),
        _ => table::repaired(dead),
    };
    finds(Broken::Stuck, setting().by(becomes(claimed_is_free_again)));
}

/// An adopter dies, and its record has a new process, which adopts the same message: to whoever read the word of the
/// first, asked about it, and reads it again, it must not be the same.
#[test]
fn an_adoption_that_cannot_be_told_from_an_earlier_one() {
    let adopted = |orphan: Word, owner| Word::adopted(orphan.lap(), owner, orphan.adoptions());
    finds(Broken::NotItsOwn, a_successor_of_two_consumers().by(Table { adopted, ..RELEASED }));
    let repaired = |dead: Word| match dead.state() {
        State::Adopted => Some(Word::orphan(dead.lap(), 0)),
        _ => table::repaired(dead),
    };
    finds(Broken::NotItsOwn, a_successor_of_two_consumers().by(Table { repaired, ..RELEASED }));
    let given_back = |held: Word| Word::orphan(held.lap(), 0);
    let setting = Setting::of(1, &[push(2, 1), pop(1), pop(1)], 1).then(&[pop(1)]).with_second_thoughts(0, 2);
    finds(Broken::NotItsOwn, setting.by(Table { given_back, ..RELEASED }));
}

#[test]
fn a_record_that_is_taken_without_a_sweep() {
    let setting = Setting::of(2, &[push(1, 1), pop(1)], 1).then(&[pop(1)]);
    finds(Broken::Stuck, setting.but(Bug::DoesNotSweep));
}

#[test]
fn a_sweep_that_does_not_ask_about_each_word() {
    let setting = Setting::of(2, &[push(1, 1), pop(1)], 1).then(&[pop(1)]);
    finds(Broken::NotItsOwn, setting.but(Bug::SweepsWithoutAsking));
}

#[test]
fn orphans_that_are_counted_before_they_are_made() {
    finds(Broken::Stuck, Setting::of(3, &[push(4, 3), pop(3), pop(2)], 1).but(Bug::CountsBeforeItSweeps));
}

#[test]
fn a_message_that_is_given_back_and_not_counted() {
    let setting = Setting::of(2, &[push(1, 1), pop(1), pop(1)], 0).with_second_thoughts(0, 1);
    finds(Broken::Stuck, setting.but(Bug::CountsNothingGivenBack));
}

/// Somebody who finds the mark before its process has the lock takes it for dead, and marks it clean when it lives.
#[cfg(not(debug_assertions))]
#[test]
fn a_record_that_is_marked_before_its_process_is_alive() {
    let setting = Setting::of(2, &[push(2, 1), pop(1), pop(1)], 2).then(&[pop(1)]);
    finds(Broken::Stuck, setting.but(Bug::MarksBeforeItLives));
}

#[cfg(not(debug_assertions))]
#[test]
fn a_mark_that_is_the_same_for_each_process_of_a_record() {
    let setting = Setting::of(2, &[push(2, 1), pop(1), pop(1)], 2).then(&[pop(1)]);
    finds(Broken::Stuck, setting.but(Bug::DoesNotCountUses));
}

/// What is counted between the search and the end of it has not been searched for.
#[cfg(not(debug_assertions))]
#[test]
fn a_search_that_answers_for_more_than_it_has_seen() {
    let setting = Setting::of(2, &[push(1, 1), pop(1), pop(1), pop(1)], 0).with_second_thoughts(0, 2);
    finds(Broken::Stuck, setting.but(Bug::RaisesToTheCountOfNow));
    let setting = Setting::of(2, &[push(3, 2), pop(2), pop(2)], 2).then(&[pop(2)]);
    finds(Broken::Stuck, setting.but(Bug::RaisesBeforeItSearches));
}

/// No bug: whoever dies in between leaves a record that is not marked clean, and is counted for by who clears that up.
#[test]
fn whether_a_record_is_marked_clean_or_counted_first_is_the_same() {
    check(&[
        one_producer_two_consumers().but(Bug::MarksBeforeItCounts),
        Setting::of(1, &[push(1, 1), pop(1), pop(1)], 2).then(&[pop(1)]).but(Bug::MarksBeforeItCounts),
    ]);
    #[cfg(not(debug_assertions))]
    check(&[Setting::of(2, &[push(1, 1), pop(1), pop(1), pop(1)], 2).but(Bug::MarksBeforeItCounts)]);
}

#[test]
fn a_producer_that_misreads_the_word_at_its_place() {
    let setting = || Setting::of(2, &[push(2, 2), push(2, 2), pop(1)], 1);
    let reads = |at_tail| Table { at_tail, ..RELEASED };
    let steps_into_a_claim = |word: Word, lap, cells| match table::at_tail(word, lap, cells) {
        AtTail::Behind(_) if word.state() == State::Claimed => AtTail::Behind(1),
        other => other,
    };
    finds(Broken::NotItsOwn, setting().by(reads(steps_into_a_claim)));
    let steps_over_an_orphan = |word: Word, lap, cells| match table::at_tail(word, lap, cells) {
        AtTail::Full if word.state() == State::Orphan => AtTail::Behind(1),
        other => other,
    };
    finds(Broken::NotFull, setting().by(reads(steps_over_an_orphan)));
    let goes_a_lap_too_far = |word: Word, lap, cells| match word.laps_ahead_of(lap) {
        ahead @ 1.. => AtTail::Behind(ahead as u64 * cells as u64 + 1),
        _ => table::at_tail(word, lap, cells),
    };
    finds(Broken::NotFull, setting().by(reads(goes_a_lap_too_far)));
}

#[test]
fn a_consumer_that_misreads_the_word_at_its_place() {
    let setting = one_producer_two_consumers;
    let reads = |at_head| Table { at_head, ..RELEASED };
    let steps_into_a_batch = |word: Word, lap, cells| match table::at_head(word, lap, cells) {
        AtHead::Behind(_) if word.state() == State::Taken => AtHead::Behind(1),
        other => other,
    };
    finds(Broken::NotItsOwn, setting().by(reads(steps_into_a_batch)));
    let steps_into_a_batch_handed_over = |word: Word, lap, cells| match table::at_head(word, lap, cells) {
        AtHead::Behind(_) if word.state() == State::Done => AtHead::Behind(1),
        other => other,
    };
    finds(Broken::NotItsOwn, setting().by(reads(steps_into_a_batch_handed_over)));
    let steps_over_a_claim = |word: Word, lap, cells| match table::at_head(word, lap, cells) {
        AtHead::Held(_) => AtHead::Behind(word.span() as u64),
        other => other,
    };
    finds(Broken::Impossible, setting().by(reads(steps_over_a_claim)));
    let takes_a_claim_for_nothing = |word: Word, lap, cells| match table::at_head(word, lap, cells) {
        AtHead::Held(_) => AtHead::Empty,
        other => other,
    };
    let two_producers = Setting::of(2, &[push(2, 2), push(2, 1), pop(2)], 1);
    finds(Broken::NotEmpty, two_producers.by(reads(takes_a_claim_for_nothing)));
    let goes_a_lap_too_far = |word: Word, lap, cells| match word.laps_ahead_of(lap) {
        ahead @ 1.. => AtHead::Behind(ahead as u64 * cells as u64 + 1),
        _ => table::at_head(word, lap, cells),
    };
    finds(Broken::Impossible, Setting::of(2, &[push(2, 1), pop(1), pop(1)], 0).by(reads(goes_a_lap_too_far)));
}

//! Copies of messages that lie in a ring.

use super::bytes::Bytes;
use super::{Kind, Sound, contents};
use crate::error::InspectError;
use crate::layout::cell::{State, Word};
use crate::layout::control::{Control, Orphans};
use crate::layout::tag::Tag;
use core::mem::offset_of;
use core::sync::atomic::{Ordering, fence};
use std::collections::BTreeMap;

/// So many messages that somebody else was faster to pop are looked past, and no more.
const MOST_MISSED: usize = 1_000;

/// A copy of a message that lies in a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Glimpse {
    /// How many messages were pushed before it since the ring was created.
    pub position: u64,
    /// Its first bytes, as many as were asked for.
    pub bytes: Vec<u8>,
    /// Whether a consumer took it and died, or gave it back: whoever pops it next is told so (MPMC).
    pub redelivered: bool,
}

pub(super) fn peek(source: &Bytes, sound: &Sound, most: usize, bytes: usize) -> Result<Vec<Glimpse>, InspectError> {
    match sound.kind {
        _ if most == 0 => Ok(Vec::new()),
        Kind::Spsc => peek_spsc(source, sound, most, bytes),
        Kind::Mpmc => peek_mpmc(source, sound, most, bytes),
        Kind::Latest => peek_latest(source, sound, bytes),
    }
}

/// The first bytes of the item of a cell.
fn copy(source: &Bytes, sound: &Sound, cell: usize, item: usize, bytes: usize) -> Result<Vec<u8>, InspectError> {
    let shape = &sound.geometry.shape;
    let mut copy = vec![0; bytes.min(shape.item_size)];
    // The copy lies between the looks at the words that say whether it is whole.
    fence(Ordering::SeqCst);
    source.read(sound.cell(cell) + shape.payload_offset + item * shape.item_size, &mut copy)?;
    fence(Ordering::SeqCst);
    Ok(copy)
}

fn peek_spsc(source: &Bytes, sound: &Sound, most: usize, bytes: usize) -> Result<Vec<Glimpse>, InspectError> {
    let (items, cells) = (sound.geometry.shape.items_per_cell as u64, sound.geometry.cells as u64);
    let head = || source.word(sound.geometry.control_offset + offset_of!(Control, head));
    let mut found = Vec::new();
    let (mut position, mut missed) = (head()?, 0);
    while found.len() < most.min(sound.geometry.capacity) && missed < MOST_MISSED {
        let (line, item) = (position / items, position % items);
        let cell = (line % cells) as usize;
        let tag = Tag::from_word(source.word(sound.cell(cell))?);
        let is_there = tag.line() == line && item < tag.count() as u64 && tag.count() as u64 <= items;
        let copy = if is_there { copy(source, sound, cell, item as usize, bytes)? } else { Vec::new() };
        // While `head` is not beyond it, nobody overwrites it.
        let now = head()?;
        if now > position {
            (position, missed) = (now, missed + 1);
        } else if is_there {
            found.push(Glimpse { position, bytes: copy, redelivered: false });
            position += 1;
        } else {
            break;
        }
    }
    Ok(found)
}

/// The newest value, as a reader gets it: see `ring::latest`.
fn peek_latest(source: &Bytes, sound: &Sound, bytes: usize) -> Result<Vec<Glimpse>, InspectError> {
    let cells = sound.geometry.cells as u64;
    let newest = || source.word(sound.geometry.control_offset + offset_of!(Control, tail));
    for _ in 0..MOST_MISSED {
        let version = newest()?;
        if version == 0 {
            break;
        }
        // Acquire: the cell is not read as it was before. Where there is no system call in between, nothing else says so.
        fence(Ordering::Acquire);
        let cell = (version % cells) as usize;
        let is_there = source.word(sound.cell(cell))? == version;
        let copy = copy(source, sound, cell, 0, bytes)?;
        if is_there && newest()?.wrapping_sub(version) < cells - 1 {
            return Ok(vec![Glimpse { position: version - 1, bytes: copy, redelivered: false }]);
        }
    }
    Ok(Vec::new())
}

fn peek_mpmc(source: &Bytes, sound: &Sound, most: usize, bytes: usize) -> Result<Vec<Glimpse>, InspectError> {
    let control = sound.geometry.control_offset;
    let hint = |offset: usize| source.word(control + offset);
    let count = sound.geometry.cells as u64;
    let mut found = Vec::new();
    let mut look = |position: u64, cell: usize, word: Word| {
        let copy = copy(source, sound, cell, 0, bytes)?;
        // No word ever comes back: while it is the same, nobody has written to the cell.
        if source.word(sound.cell(cell))? == word.word() {
            found.push(Glimpse { position, bytes: copy, redelivered: word.state() == State::Orphan });
        }
        Ok::<bool, InspectError>(found.len() < most)
    };
    for (position, (cell, word)) in orphans(source, sound, most)? {
        if !look(position, cell, word)? {
            return Ok(found);
        }
    }
    let hints = (hint(offset_of!(Control, head))?, hint(offset_of!(Control, tail))?);
    let ends = contents::ends(source, sound, hints)?;
    let mut cells = source.cells(&sound.geometry);
    // What is in the hands of others, with what belongs to it, is not there any more, or not yet.
    let mut beyond = 0;
    for ahead in 0..ends.pushed.wrapping_sub(ends.popped).min(count) {
        let position = ends.popped.wrapping_add(ahead);
        let cell = (position % count) as usize;
        if ahead < beyond {
            continue;
        }
        match Word::from_word(cells.word(cell)?) {
            full if full == Word::full(position / count) => {
                if !look(position, cell, full)? {
                    break;
                }
            }
            held => beyond = ahead + held.span() as u64,
        }
    }
    Ok(found)
}

/// The first orphans, by position.
fn orphans(source: &Bytes, sound: &Sound, most: usize) -> Result<BTreeMap<u64, (usize, Word)>, InspectError> {
    let control = sound.geometry.control_offset + offset_of!(Control, orphans);
    let count = |offset: usize| source.word(control + offset);
    let mut first = BTreeMap::new();
    if count(offset_of!(Orphans, orphaned))? == count(offset_of!(Orphans, adopted))? {
        return Ok(first);
    }
    let mut cells = source.cells(&sound.geometry);
    for cell in 0..sound.geometry.cells {
        let word = Word::from_word(cells.word(cell)?);
        if word.state() == State::Orphan {
            first.insert(word.lap().wrapping_mul(sound.geometry.cells as u64).wrapping_add(cell as u64), (cell, word));
            if first.len() > most {
                first.pop_last();
            }
        }
    }
    Ok(first)
}

//! What lies behind a sound header: control words, process records, cells.

use super::picture::{Contents, HeldCell, MOST_HELD, PeerState, Process, RoleHolder, Roles, Sleepers};
use super::source::{Source, number};
use super::{Kind, Sound, time};
use crate::error::{Corrupted, InspectError};
use crate::layout::cell::{State, Word};
use crate::layout::control::{Control, Holder, Obstacle, Record, RecordWords, Roles as RoleWords};
use crate::layout::tag::Tag;
use crate::recover::Recovered;
use crate::registry::witness;
use crate::ring::{latest, mpmc};
use crate::sys::process::{self, Identity, RunState};
use crate::wait;
use core::mem::{offset_of, size_of};
use std::time::Duration;

/// How often a ring that moves is looked at, in the hope that it stands still.
const LOOKS: usize = 3;

/// More of what is corrupted than this says nothing new.
const MOST_CORRUPTED: usize = 16;

/// A copy of the control words.
struct Words([u8; size_of::<Control>()]);

impl Words {
    fn read(source: &Source, sound: &Sound) -> Result<Words, InspectError> {
        let mut bytes = [0; size_of::<Control>()];
        source.read(sound.geometry.control_offset, &mut bytes)?;
        Ok(Words(bytes))
    }

    fn at(&self, offset: usize) -> u64 {
        number(&self.0, offset)
    }

    /// The hints: `head` and `tail`.
    fn hints(&self) -> (u64, u64) {
        (self.at(offset_of!(Control, head)), self.at(offset_of!(Control, tail)))
    }

    fn sleepers(&self, offset: usize) -> Sleepers {
        let mut word = [0; 4];
        word.copy_from_slice(&self.0[offset..offset + 4]);
        let (asleep, alert) = wait::read(u32::from_ne_bytes(word));
        Sleepers { asleep, alert }
    }
}

/// Positions, and what is wrong with them.
#[derive(Clone, PartialEq)]
pub(super) struct Ends {
    pub(super) popped: u64,
    pub(super) pushed: u64,
    corrupted: Vec<Corrupted>,
}

pub(super) fn look(source: &Source, sound: &Sound) -> Result<Contents, InspectError> {
    let geometry = &sound.geometry;
    let mut control = Words::read(source, sound)?;
    let mut before = None;
    let mut looks = 0;
    let (cells, ends, still) = loop {
        looks += 1;
        let cells = source.cell_words(geometry)?;
        let now = Words::read(source, sound)?;
        let hints = now.hints();
        let ends = ends(source, sound, hints, &cells);
        let stood_still = hints == control.hints() && are_where_they_were(source, sound, &ends, &cells)?;
        control = now;
        // What seems to be wrong may be half of something that goes on: once more.
        if stood_still && (ends.corrupted.is_empty() || before.as_ref() == Some(&ends)) {
            break (cells, ends, true);
        }
        if looks == LOOKS {
            break (cells, Ends { corrupted: Vec::new(), ..ends }, false);
        }
        before = stood_still.then_some(ends);
    };
    let records = {
        let mut bytes = vec![0; geometry.processes * size_of::<Record>()];
        source.read(geometry.records_offset, &mut bytes)?;
        bytes
    };
    let records: Vec<RecordCopy> = records.chunks_exact(size_of::<Record>()).map(RecordCopy).collect();
    let roles = (sound.kind != Kind::Mpmc).then(|| roles(source, &control, &records));
    let mut contents = Contents {
        pushed: ends.pushed,
        popped: ends.popped,
        fill: (ends.pushed.wrapping_sub(ends.popped) as i64).clamp(0, geometry.capacity as i64) as u64,
        still,
        processes: processes(source, sound.kind, &control, &records),
        roles,
        held: Vec::new(),
        held_count: 0,
        orphans: 0,
        skips: 0,
        most_adopted: 0,
        recovered: recovered(&records),
        consumers_asleep: control.sleepers(offset_of!(Control, messages)),
        producers_asleep: control.sleepers(offset_of!(Control, room)),
        peers_asleep: control.sleepers(offset_of!(Control, ends)),
        corrupted: ends.corrupted,
    };
    if sound.kind == Kind::Mpmc {
        look_at_cells(source, sound, &control, &records, &cells, &mut contents)?;
    }
    Ok(contents)
}

/// Whether nobody has pushed or popped behind the hints (MPMC): whoever does begins with the cells there.
fn are_where_they_were(source: &Source, sound: &Sound, ends: &Ends, cells: &[u64]) -> Result<bool, InspectError> {
    let is_as_it_was = |position: u64| {
        let cell = (position % cells.len() as u64) as usize;
        Ok::<bool, InspectError>(source.word(sound.cell(cell))? == cells[cell])
    };
    Ok(sound.kind != Kind::Mpmc || is_as_it_was(ends.popped)? && is_as_it_was(ends.pushed)?)
}

fn ends(source: &Source, sound: &Sound, hints: (u64, u64), cells: &[u64]) -> Ends {
    match sound.kind {
        Kind::Spsc => spsc_ends(source, sound, hints, cells),
        Kind::Mpmc => mpmc_ends(sound, hints, cells),
        Kind::Latest => latest_ends(source, hints.1, cells),
    }
}

/// As a producer that takes over finds them: see `ring::spsc`.
pub(super) fn spsc_ends(source: &Source, sound: &Sound, (head, tail): (u64, u64), cells: &[u64]) -> Ends {
    let geometry = &sound.geometry;
    let (capacity, count) = (geometry.capacity as u64, geometry.cells as u64);
    let items = geometry.shape.items_per_cell as u64;
    let wrong = |what, expected, found| Ends {
        popped: head,
        pushed: tail,
        corrupted: vec![Corrupted { ring: source.name().into(), what, expected, found }],
    };
    let last = (Tag::MAX_LINE - count) * items;
    if head > last {
        return wrong("head", (0, last), head);
    }
    if tail > head.saturating_add(capacity) {
        return wrong("tail", (head, head + capacity), tail);
    }
    let start = head.max(tail);
    let mut line = start / items;
    for _ in 0..=count {
        let tag = Tag::from_word(cells[(line % count) as usize]);
        let lap_before = line.checked_sub(count);
        let committed = match tag.count() as u64 {
            found if tag.line() == line && found > items => return wrong("the count of a cell", (0, items), found),
            found if tag.line() == line => found,
            _ if lap_before == Some(tag.line()) => 0,
            _ => return wrong("the line of a cell", (lap_before.unwrap_or(line), line), tag.line()),
        };
        if committed < items {
            let pushed = line * items + committed;
            return match pushed < start || pushed - head > capacity {
                true => wrong("the end of the committed messages", (start, head + capacity), pushed),
                false => Ends { popped: head, pushed, corrupted: Vec::new() },
            };
        }
        line += 1;
    }
    wrong("the end of the committed messages", (start, head + capacity), line * items)
}

/// The newest version. Nothing is ever popped.
fn latest_ends(source: &Source, newest: u64, cells: &[u64]) -> Ends {
    let found = cells[(newest % cells.len() as u64) as usize];
    let wrong = match newest {
        1..=latest::LAST if found != newest => Some(("the version of a cell", (newest, newest), found)),
        0..=latest::LAST => None,
        _ => Some(("the newest version", (0, latest::LAST), newest)),
    };
    let corrupted = |(what, expected, found)| Corrupted { ring: source.name().into(), what, expected, found };
    Ends { popped: 0, pushed: newest, corrupted: wrong.map(corrupted).into_iter().collect() }
}

pub(super) fn mpmc_ends(sound: &Sound, (head, tail): (u64, u64), cells: &[u64]) -> Ends {
    let word = |cell: usize| Word::from_word(cells[cell]);
    let (popped, pushed) = mpmc::ends(head, tail, sound.geometry.cells, word);
    Ends { popped, pushed, corrupted: Vec::new() }
}

/// One process record, as it was copied.
struct RecordCopy<'b>(&'b [u8]);

impl RecordCopy<'_> {
    fn at(&self, offset: usize) -> u64 {
        number(self.0, offset)
    }

    fn identity(&self) -> Identity {
        Identity {
            pid: self.at(offset_of!(RecordWords, pid)) as u32,
            start_time: self.at(offset_of!(RecordWords, start_time)),
            pid_namespace: self.at(offset_of!(RecordWords, pid_namespace)),
        }
    }
}

fn recovered(records: &[RecordCopy<'_>]) -> Recovered {
    let mut total = Recovered::default();
    for record in records {
        // Saturating: the words are anybody's to scribble on.
        total.deaths = total.deaths.saturating_add(record.at(offset_of!(RecordWords, deaths)));
        total.skipped = total.skipped.saturating_add(record.at(offset_of!(RecordWords, skipped)));
        total.redelivered = total.redelivered.saturating_add(record.at(offset_of!(RecordWords, orphaned)));
    }
    total
}

/// The words of the two roles.
fn holders(control: &Words) -> (Holder, Holder) {
    let at = |role| Holder::from_word(control.at(offset_of!(Control, roles) + role));
    (at(offset_of!(RoleWords, producer)), at(offset_of!(RoleWords, consumer)))
}

fn roles(source: &Source, control: &Words, records: &[RecordCopy<'_>]) -> Roles {
    let of = |holder: Holder| match holder.held_by() {
        Some((record, generation)) => {
            let is_it = |copy: &RecordCopy<'_>| generation_of(copy) == generation;
            let alive = records.get(record).is_some_and(is_it) && !witness::is_dead(source.file(), record);
            match alive {
                true => RoleHolder::Alive { pid: holder.pid() },
                false => RoleHolder::Dead { pid: holder.pid() },
            }
        }
        None if holder.is_used() => RoleHolder::Left,
        None => RoleHolder::NeverCame,
    };
    let (producer, consumer) = holders(control);
    Roles { producer: of(producer), consumer: of(consumer) }
}

/// The generation of a record, as far as a holder's word has it.
fn generation_of(record: &RecordCopy<'_>) -> u32 {
    Holder::generation(record.at(offset_of!(RecordWords, generation)))
}

fn processes(source: &Source, kind: Kind, control: &Words, records: &[RecordCopy<'_>]) -> Vec<Process> {
    let ours = Identity::of_this_process().pid_namespace;
    let (producer, consumer) = holders(control);
    let attached = |(_, copy): &(usize, &RecordCopy<'_>)| copy.at(offset_of!(RecordWords, attached)) != 0;
    let process = |(record, copy): (usize, &RecordCopy<'_>)| {
        let identity = copy.identity();
        let state = match witness::is_dead(source.file(), record) {
            true => PeerState::Dead,
            false if process::run_state(&identity) == Some(RunState::Stopped) => PeerState::Stopped,
            false => PeerState::Alive,
        };
        let has = |holder: Holder| u64::from(holder.held_by() == Some((record, generation_of(copy))));
        let (producers, consumers) = match kind {
            Kind::Spsc | Kind::Latest => (has(producer), has(consumer)),
            Kind::Mpmc => (copy.at(offset_of!(RecordWords, producers)), copy.at(offset_of!(RecordWords, consumers))),
        };
        Process {
            record,
            pid: identity.pid,
            state,
            elsewhere: identity.pid_namespace != ours,
            command: (state != PeerState::Dead).then(|| process::command_line(&identity)).flatten(),
            attached_at: time(copy.at(offset_of!(RecordWords, attached_at))),
            producers,
            consumers,
            deaths_before: copy.at(offset_of!(RecordWords, deaths)),
        }
    };
    records.iter().enumerate().filter(attached).map(process).collect()
}

/// Who holds what, and what waits to be redelivered.
fn look_at_cells(
    source: &Source,
    sound: &Sound,
    control: &Words,
    records: &[RecordCopy<'_>],
    cells: &[u64],
    contents: &mut Contents,
) -> Result<(), InspectError> {
    // What changes is somebody's work.
    let persists = |cell: usize| Ok::<bool, InspectError>(source.word(sound.cell(cell))? == cells[cell]);
    for (cell, &number) in cells.iter().enumerate() {
        let word = Word::from_word(number);
        contents.most_adopted = contents.most_adopted.max(word.adoptions());
        match word.state() {
            State::Orphan => contents.orphans += 1,
            State::Skip => contents.skips += 1,
            _ => {}
        }
        let wrong = contents.still.then(|| oddity(sound, contents.pushed, cell, word)).flatten();
        if let Some((what, expected, found)) = wrong {
            if contents.corrupted.len() < MOST_CORRUPTED && persists(cell)? {
                contents.corrupted.push(Corrupted { ring: source.name().into(), what, expected, found });
            }
        } else if let Some(owner) = word.owner().map(usize::from) {
            contents.held_count += 1;
            if contents.held.len() < MOST_HELD && persists(cell)? {
                contents.held.push(HeldCell {
                    cell: cell as u64,
                    position: word.lap().wrapping_mul(cells.len() as u64).wrapping_add(cell as u64),
                    messages: word.span() as u64,
                    record: owner,
                    pid: records.get(owner).map_or(0, |record| record.identity().pid),
                    pushing: word.state() == State::Claimed,
                    adopted: word.adoptions(),
                    in_the_way_for: in_the_way_for(control, cell, number),
                });
            }
        }
    }
    if contents.held.len() < MOST_HELD {
        contents.held_count = contents.held.len() as u64;
    }
    Ok(())
}

/// What is wrong with the word of a cell: what, what it could be, what it is.
fn oddity(sound: &Sound, pushed: u64, cell: usize, word: Word) -> Option<(&'static str, (u64, u64), u64)> {
    let processes = sound.geometry.processes as u64;
    if let Some(owner) = word.owner().map(u64::from).filter(|&owner| owner >= processes) {
        return Some(("the owner of a cell", (0, processes - 1), owner));
    }
    // The lap of the last message that was pushed to this cell; what is claimed behind it may be one ahead.
    let cells = sound.geometry.cells as u64;
    let lap = (pushed / cells).wrapping_sub(u64::from(cell as u64 >= pushed % cells));
    let ahead = word.laps_ahead_of(lap);
    (!(-1..=2).contains(&ahead)).then(|| ("the lap of a cell", (lap.wrapping_sub(1), lap.wrapping_add(2)), word.lap()))
}

fn in_the_way_for(control: &Words, cell: usize, word: u64) -> Option<Duration> {
    let at = |offset| control.at(offset_of!(Control, obstacle) + offset);
    let is_it = at(offset_of!(Obstacle, cell)) == cell as u64 && at(offset_of!(Obstacle, word)) == word;
    is_it.then(|| Duration::from_nanos(process::now().saturating_sub(at(offset_of!(Obstacle, since)))))
}

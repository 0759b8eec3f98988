//! What lies behind a sound header: control words, process records, cells.

use super::bytes::{Bytes, number};
use super::picture::{Contents, HeldCell, MOST_HELD, PeerState, Process, RoleHolder, Roles, Sleepers};
use super::{Kind, Sound, time};
use crate::error::{Corrupted, InspectError};
use crate::layout::cell::{State, Word};
use crate::layout::control::{Control, Holder, Obstacle, Record, RecordWords, Roles as RoleWords};
use crate::layout::tag::Tag;
use crate::recover::Recovered;
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
    fn read(bytes: &Bytes, sound: &Sound) -> Result<Words, InspectError> {
        let mut words = [0; size_of::<Control>()];
        bytes.read(sound.geometry.control_offset, &mut words)?;
        Ok(Words(words))
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

impl Ends {
    /// The words of the cells there, of an MPMC ring: whoever pushes or pops begins with them.
    fn words(&self, bytes: &Bytes, sound: &Sound) -> Result<Option<[u64; 2]>, InspectError> {
        let word = |position: u64| bytes.word(sound.cell((position % sound.geometry.cells as u64) as usize));
        Ok(match sound.kind {
            Kind::Spsc | Kind::Latest => None,
            Kind::Mpmc => Some([word(self.popped)?, word(self.pushed)?]),
        })
    }
}

pub(super) fn look(bytes: &Bytes, sound: &Sound) -> Result<Contents, InspectError> {
    let geometry = &sound.geometry;
    let mut control = Words::read(bytes, sound)?;
    let mut before = None;
    let mut looks = 0;
    let (ends, words, still) = loop {
        looks += 1;
        let ends = ends(bytes, sound, control.hints())?;
        let words = ends.words(bytes, sound)?;
        let now = Words::read(bytes, sound)?;
        let stood_still = now.hints() == control.hints() && ends.words(bytes, sound)? == words;
        control = now;
        // What seems to be wrong may be half of something that goes on: once more.
        if stood_still && (ends.corrupted.is_empty() || before.as_ref() == Some(&ends)) {
            break (ends, words, true);
        }
        if looks == LOOKS {
            break (since(ends, sound.kind, control.hints()), words, false);
        }
        before = stood_still.then_some(ends);
    };
    let records = {
        let mut copy = vec![0; geometry.processes * size_of::<Record>()];
        bytes.read(geometry.records_offset, &mut copy)?;
        copy
    };
    let records: Vec<RecordCopy> = records.chunks_exact(size_of::<Record>()).map(RecordCopy).collect();
    let roles = (sound.kind != Kind::Mpmc).then(|| roles(bytes, sound, &control, &records));
    let mut contents = Contents {
        pushed: ends.pushed,
        popped: ends.popped,
        fill: (ends.pushed.wrapping_sub(ends.popped) as i64).clamp(0, geometry.capacity as i64) as u64,
        still,
        processes: processes(bytes, sound, &control, &records),
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
        corrupted: ends.corrupted.clone(),
    };
    if sound.kind == Kind::Mpmc {
        look_at_cells(bytes, sound, &control, &records, (&ends, words), &mut contents)?;
    }
    Ok(contents)
}

/// The ends of a ring that moves, at least where the hints say by now.
fn since(ends: Ends, kind: Kind, (head, tail): (u64, u64)) -> Ends {
    let (popped, pushed) = match kind {
        Kind::Spsc | Kind::Latest => (ends.popped.max(head), ends.pushed.max(tail)),
        Kind::Mpmc => (ends.popped, ends.pushed),
    };
    Ends { popped, pushed, corrupted: Vec::new() }
}

/// From hints that were read before. Cells are read as they are needed.
pub(super) fn ends(bytes: &Bytes, sound: &Sound, hints: (u64, u64)) -> Result<Ends, InspectError> {
    match sound.kind {
        Kind::Spsc => spsc_ends(bytes, sound, hints),
        Kind::Mpmc => {
            let mut cells = bytes.cells(&sound.geometry);
            let word = |cell| cells.word(cell).map(Word::from_word);
            let (popped, pushed) = mpmc::ends(hints.0, hints.1, sound.geometry.cells, word)?;
            Ok(Ends { popped, pushed, corrupted: Vec::new() })
        }
        Kind::Latest => latest_ends(bytes, sound, hints.1),
    }
}

/// As a producer that takes over finds them: see `ring::spsc`.
fn spsc_ends(bytes: &Bytes, sound: &Sound, (head, tail): (u64, u64)) -> Result<Ends, InspectError> {
    let geometry = &sound.geometry;
    let (capacity, count) = (geometry.capacity as u64, geometry.cells as u64);
    let items = geometry.shape.items_per_cell as u64;
    let wrong = |what, expected, found| {
        let corrupted = vec![Corrupted { ring: bytes.name().into(), what, expected, found }];
        Ok(Ends { popped: head, pushed: tail, corrupted })
    };
    // Saturating: how many cells there are is what the header says.
    let last = Tag::MAX_LINE.saturating_sub(count) * items;
    if head > last {
        return wrong("head", (0, last), head);
    }
    if tail > head.saturating_add(capacity) {
        return wrong("tail", (head, head + capacity), tail);
    }
    let mut cells = bytes.cells(geometry);
    let start = head.max(tail);
    let mut line = start / items;
    for _ in 0..=count {
        let tag = Tag::from_word(cells.word((line % count) as usize)?);
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
                false => Ok(Ends { popped: head, pushed, corrupted: Vec::new() }),
            };
        }
        line += 1;
    }
    wrong("the end of the committed messages", (start, head + capacity), line * items)
}

/// The newest version. Nothing is ever popped.
fn latest_ends(bytes: &Bytes, sound: &Sound, newest: u64) -> Result<Ends, InspectError> {
    let found = bytes.word(sound.cell((newest % sound.geometry.cells as u64) as usize))?;
    let wrong = match newest {
        1..=latest::LAST if found != newest => Some(("the version of a cell", (newest, newest), found)),
        0..=latest::LAST => None,
        _ => Some(("the newest version", (0, latest::LAST), newest)),
    };
    let corrupted = |(what, expected, found)| Corrupted { ring: bytes.name().into(), what, expected, found };
    Ok(Ends { popped: 0, pushed: newest, corrupted: wrong.map(corrupted).into_iter().collect() })
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

fn roles(bytes: &Bytes, sound: &Sound, control: &Words, records: &[RecordCopy<'_>]) -> Roles {
    let of = |holder: Holder| match holder.held_by() {
        Some((record, generation)) => {
            let is_it = |copy: &RecordCopy<'_>| generation_of(copy) == generation;
            let alive = records.get(record).is_some_and(is_it) && !bytes.is_dead(&sound.geometry, record);
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

fn processes(bytes: &Bytes, sound: &Sound, control: &Words, records: &[RecordCopy<'_>]) -> Vec<Process> {
    let ours = Identity::of_this_process().pid_namespace;
    let (producer, consumer) = holders(control);
    let attached = |(_, copy): &(usize, &RecordCopy<'_>)| copy.at(offset_of!(RecordWords, attached)) != 0;
    let process = |(record, copy): (usize, &RecordCopy<'_>)| {
        let identity = copy.identity();
        let state = match bytes.is_dead(&sound.geometry, record) {
            true => PeerState::Dead,
            false if process::run_state(&identity) == Some(RunState::Stopped) => PeerState::Stopped,
            false => PeerState::Alive,
        };
        let has = |holder: Holder| u64::from(holder.held_by() == Some((record, generation_of(copy))));
        let (producers, consumers) = match sound.kind {
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
            seen_at: time(copy.at(offset_of!(RecordWords, seen_at))),
            producers,
            consumers,
            deaths_before: copy.at(offset_of!(RecordWords, deaths)),
        }
    };
    records.iter().enumerate().filter(attached).map(process).collect()
}

/// Who holds what, and what waits to be redelivered.
fn look_at_cells(
    bytes: &Bytes,
    sound: &Sound,
    control: &Words,
    records: &[RecordCopy<'_>],
    (ends, at_the_ends): (&Ends, Option<[u64; 2]>),
    contents: &mut Contents,
) -> Result<(), InspectError> {
    let mut cells = bytes.cells(&sound.geometry);
    for cell in 0..sound.geometry.cells {
        let number = cells.word(cell)?;
        let word = Word::from_word(number);
        // What changes is somebody's work.
        let persists = || Ok::<bool, InspectError>(bytes.word(sound.cell(cell))? == number);
        contents.most_adopted = contents.most_adopted.max(word.adoptions());
        match word.state() {
            State::Orphan => contents.orphans += 1,
            State::Skip => contents.skips += 1,
            _ => {}
        }
        let wrong = contents.still.then(|| oddity(sound, contents.pushed, cell, word)).flatten();
        if let Some((what, expected, found)) = wrong {
            if contents.corrupted.len() < MOST_CORRUPTED && persists()? {
                contents.corrupted.push(Corrupted { ring: bytes.name().into(), what, expected, found });
            }
        } else if let Some(owner) = word.owner().map(usize::from) {
            contents.held_count += 1;
            if contents.held.len() < MOST_HELD && persists()? {
                contents.held.push(HeldCell {
                    cell: cell as u64,
                    position: word.lap().wrapping_mul(sound.geometry.cells as u64).wrapping_add(cell as u64),
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
    // What seems to be wrong with a cell is so only as long as the ring stands still.
    if !contents.corrupted.is_empty() {
        let hints = Words::read(bytes, sound)?.hints();
        if hints != control.hints() || ends.words(bytes, sound)? != at_the_ends {
            (contents.still, contents.corrupted) = (false, Vec::new());
        }
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

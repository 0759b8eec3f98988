//! A victim that writes the newest value of a `Latest`.

use super::board::board;
use super::names;
use super::sweep::{End, Fate, Scene};
use super::victim::window;
use ringway::latest::{Peer, Reader};
use ringway::{ClaimError, Latest, Options};

/// So large that it is on two cache lines, and begins and ends in the middle of a word.
type Value = [u8; 91];

const CAPACITY: usize = 2;

/// A value that shows which version it is, in each byte.
fn value(version: u64) -> Value {
    [version as u8; 91]
}

/// The victim writes one value, after so many by a predecessor, who left, and one by itself.
#[derive(Debug)]
pub struct Writing {
    name: String,
    written: u64,
}

impl Writing {
    pub fn new(written: u64) -> Self {
        Writing { name: names::fresh(), written }
    }
}

#[derive(Debug)]
pub struct Stage {
    object: Latest<Value>,
    reader: Reader<Value>,
}

/// What there is to read is whole, and of a version that is one of these. Says which.
fn read(reader: &mut Reader<Value>, versions: core::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let read = reader.read().map_err(|error| error.to_string())?;
    let version = reader.version();
    match read {
        Some(found) if found != value(version) => Err(format!("version {version} is torn: {found:?}")),
        Some(_) if versions.contains(&version) => Ok(version),
        other => Err(format!("version {version}, {}, expected {versions:?}", other.is_some())),
    }
}

impl Scene for Writing {
    type Stage = Stage;

    fn victim(&self) {
        let object = Latest::<Value>::open(&self.name).expect("it was created");
        let mut writer = object.writer().expect("the writer's role");
        writer.write(&value(writer.version() + 1));
        let value = value(writer.version() + 1);
        window(|| {
            writer.write(&value);
            board().pushed.set(1);
        })
    }

    fn set(&self) -> Self::Stage {
        let options = Options::new().capacity(CAPACITY).processes(4);
        let object = Latest::<Value>::create(&self.name, &options).expect("a new name");
        let mut writer = object.writer().expect("the writer's role");
        (1..=self.written).for_each(|version| writer.write(&value(version)));
        drop(writer);
        let reader = object.reader();
        Stage { object, reader }
    }

    fn before(&self, stage: &mut Self::Stage) {
        read(&mut stage.reader, self.written + 1..=self.written + 1).expect("the victim wrote it");
    }

    fn meanwhile(&self, stage: &mut Self::Stage, pid: u32) -> Result<(), String> {
        read(&mut stage.reader, self.written + 1..=self.written + 2)?;
        match stage.object.writer() {
            Err(ClaimError::RoleTaken { pid: holder, .. }) if holder == pid => Ok(()),
            Err(error) => Err(format!("while {pid} was stopped: {error}")),
            Ok(_) => Err(format!("{pid} was robbed of its role while it was stopped")),
        }
    }

    fn judge(&self, stage: Self::Stage, end: End) -> Result<bool, String> {
        let Stage { object, mut reader } = stage;
        if reader.peer() != (Peer::Dead { pid: end.pid }) {
            return Err(format!("after the death of {}: {:?}", end.pid, reader.peer()));
        }
        let (before, after) = (self.written + 1, self.written + 2);
        // What was acknowledged is there.
        let least = if board().pushed.get() == 1 { after } else { before };
        let mut found = 0;
        if end.fate != Fate::SuccessorFirst {
            found = read(&mut reader, least..=after)?;
        }
        let mut successor = object.writer().map_err(|error| format!("a role that is not free: {error}"))?;
        if end.fate == Fate::SuccessorFirst {
            found = read(&mut reader, least..=after)?;
        }
        if successor.version() != found {
            return Err(format!("a successor goes on after {}, a reader has read {found}", successor.version()));
        }
        // More than a lap: whatever the dead one has left in a cell would come out.
        for version in found + 1..=found + 2 * (CAPACITY as u64 + 1) {
            successor.write(&value(version));
            read(&mut reader, version..=version)?;
        }
        Ok(found == after)
    }
}

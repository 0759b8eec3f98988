//! One set of results that many read: `cargo run --release --example results [readers]`
//!
//! As it is often shown, a program writes its results to shared memory for others to read, and each of those may write to
//! them too, or read them while they are being replaced. Or everybody is sent a copy over a pipe.
//!
//! Done right: the set lies in shared memory once, however many read it, and nobody is sent anything. It is replaced as a
//! whole (`Latest`): a reader gets the old set or the new one, and never rows of both. Who must not even be able to write
//! opens it for reading only (`inspect`), and takes out of it just what it wants to see: here the heading.

mod children;

use children::{Child, Result, number, shown, text};
use ringway::inspect::Segment;
use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use ringway::{Latest, Lifetime, Options};
use std::process::ExitCode;
use std::time::Duration;

const ROWS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Row {
    id: u32,
    points: u32,
    name: [u8; 24],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Results {
    heading: [u8; 64],
    rows: [Row; ROWS],
}

impl Results {
    /// In round `n` each row has `n` points more than before.
    fn of_round(round: u32) -> Results {
        let row = |id: usize| Row { id: id as u32, points: round, name: text(&format!("player {id}")) };
        Results { heading: text(&format!("results of round {round}")), rows: std::array::from_fn(row) }
    }
}

fn main() -> ExitCode {
    children::main("results", |arguments| match arguments {
        ["read", name, which] => read(name, which),
        ["glance", name] => glance(name),
        _ => publish(number(arguments, 0, 4)?),
    })
}

fn publish(readers: u64) -> Result<()> {
    let name = format!("results-{}", std::process::id());
    let results = Latest::<Results>::create(&name, &Options::new().lifetime(Lifetime::LastDetach))?;
    let mut writer = results.writer()?;
    writer.write(&Results::of_round(1));
    Child::start(&["glance", &name])?.finish()?;
    let start = |which: u64| Child::start(&["read", &name, &which.to_string()]);
    let readers: Vec<Child> = (1..=readers).map(start).collect::<Result<_>>()?;
    for round in 2..=100 {
        writer.write(&Results::of_round(round));
    }
    readers.into_iter().try_for_each(Child::finish)?;
    Child::start(&["glance", &name])?.finish()
}

/// Reads set after set, as they come, until the last one.
fn read(name: &str, which: &str) -> Result<()> {
    let mut reader = Latest::<Results>::open(name)?.reader();
    let mut sets = 0;
    loop {
        let results = reader.read_newer_timeout(PATIENCE)?;
        sets += 1;
        let round = reader.version() as u32;
        if results.rows.iter().any(|row| row.points != round) {
            return Err(format!("rows of other rounds among those of round {round}").into());
        }
        if round == 100 {
            let points: u32 = results.rows.iter().map(|row| row.points).sum();
            let (last, heading) = (&results.rows[ROWS - 1], shown(&results.heading));
            println!("reader {which}: {heading}, {points} points, the last is {} ({})", last.id, shown(&last.name));
            println!("reader {which}: saw {sets} of 100 sets, each of one round only");
            return Ok(());
        }
    }
}

/// Looks at the first bytes, through a descriptor that is open for reading only.
fn glance(name: &str) -> Result<()> {
    let results = Segment::open(name)?.peek(1, size_of::<[u8; 64]>())?;
    let heading = results.first().ok_or("there are no results yet")?;
    println!("read-only: {}", shown(&heading.bytes));
    Ok(())
}

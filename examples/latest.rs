//! A struct in shared memory that one process writes and many read: `cargo run --release --example latest [readers] [kills]`
//!
//! As it is often shown, the struct is simply there, or has a semaphore around it. Without one, a reader sees half of the
//! old and half of the new; with one, a process that is killed in between stops all the others for ever.
//!
//! Done right: `Latest`. Whoever reads gets the newest value, whole; nobody waits for anybody. Here the writer is killed
//! (`kill -9`) wherever it may be, again and again, and another one goes on. The readers do not notice.

mod children;

use children::{Child, Result, number};
use ringway::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use ringway::{Latest, Lifetime, NewerError, Options};
use std::process::ExitCode;
use std::time::Duration;

/// Where something is. All of it says the same, so that a value which is torn would show.
#[derive(TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Position {
    number: u64,
    x: f64,
    y: f64,
    z: f64,
    /// Whether there will be no more.
    last: bool,
    unit: [u8; 7],
}

impl Position {
    fn new(number: u64, last: bool) -> Position {
        let distance = number as f64;
        Position { number, x: distance, y: 2.0 * distance, z: -distance, last, unit: *b"metres " }
    }

    fn is_whole(&self) -> bool {
        let distance = self.number as f64;
        (self.x, self.y, self.z) == (distance, 2.0 * distance, -distance)
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    children::main("latest", |arguments| match arguments {
        ["write", name] => write(name),
        ["read", name, which] => read(name, which),
        _ => supervise(number(arguments, 0, 4)?, number(arguments, 1, 10)?),
    })
}

fn supervise(readers: u64, kills: u64) -> Result<()> {
    let name = format!("latest-{}", std::process::id());
    let object = Latest::<Position>::create(&name, &Options::new().lifetime(Lifetime::LastDetach))?;
    let start = |which: u64| Child::start(&["read", &name, &which.to_string()]);
    let readers: Vec<Child> = (1..=readers).map(start).collect::<Result<_>>()?;
    let mut reader = object.reader();
    for kill in 1..=kills {
        let mut writer = Child::start(&["write", &name])?;
        if !reader.wait_for_writer(PATIENCE) {
            return Err("the writer did not start".into());
        }
        let before = reader.version();
        while reader.version() < before + 1_000 {
            reader.read_newer_timeout(PATIENCE)?;
        }
        writer.kill()?;
        let position = reader.read()?.ok_or("nothing was written")?;
        let whole = if position.is_whole() { "whole" } else { "TORN" };
        println!("kill {kill}: writer {} died at version {}, which is {whole}", writer.pid(), reader.version());
    }
    let mut writer = object.writer()?;
    writer.write(&Position::new(writer.version() + 1, true));
    readers.into_iter().try_for_each(Child::finish)?;
    println!("all saw the end, version {}", writer.version());
    Ok(())
}

/// Writes as fast as it can, until it is killed.
fn write(name: &str) -> Result<()> {
    let mut writer = Latest::<Position>::open(name)?.writer()?;
    loop {
        writer.write(&Position::new(writer.version() + 1, false));
    }
}

fn read(name: &str, which: &str) -> Result<()> {
    let mut reader = Latest::<Position>::open(name)?.reader();
    let (mut values, mut wrong, mut deaths) = (0_u64, 0_u64, 0_u64);
    loop {
        let before = reader.version();
        match reader.read_newer() {
            Ok(position) => {
                values += 1;
                let in_order = reader.version() > before && position.number == reader.version();
                wrong += u64::from(!position.is_whole() || !in_order);
                if position.last {
                    break;
                }
            }
            // What was written last can still be read. There will be another writer.
            Err(NewerError::Closed) => {
                deaths += 1;
                reader.wait_for_writer(PATIENCE);
            }
            Err(error) => return Err(error.into()),
        }
    }
    println!(
        "reader {which}: {values} of {} values, {wrong} wrong; was without a writer {deaths} times",
        reader.version()
    );
    if wrong > 0 { Err("torn values".into()) } else { Ok(()) }
}

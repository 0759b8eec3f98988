//! A record of a text, an integer, a float and a character: `cargo run --release --example record`
//!
//! As it is often shown, a C struct is copied into shared memory as it lies, and cast back on the other side. What the
//! compiler put between the fields goes along; a text without its zero is read to who knows where; and any bytes at all
//! are taken for a record.
//!
//! Done right: a type whose layout is fixed (`repr(C)`), without gaps (else it does not compile), and checked when it
//! arrives. The last record here is damaged on the way: its character is none.

mod children;

use children::{Child, Result, shown, text};
use ringway::zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};
use ringway::{Lifetime, Options, PopError, bytes, spsc};
use std::process::ExitCode;

/// 48 bytes, the largest fields first, so that there is no gap.
#[derive(Debug, TryFromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Record {
    number: i64,
    weight: f64,
    grade: char,
    name: [u8; 28],
}

fn main() -> ExitCode {
    children::main("record", |arguments| match arguments {
        ["receive", name] => receive(name),
        _ => send(),
    })
}

fn send() -> Result<()> {
    let name = format!("record-{}", std::process::id());
    let ring = spsc::Ring::<Record>::create(&name, &Options::new().capacity(8).lifetime(Lifetime::LastDetach))?;
    let receiver = Child::start(&["receive", &name])?;
    let mut producer = ring.producer()?;
    producer.push(Record { number: 1, weight: 73.5, grade: 'A', name: text("Ada") })?;
    producer.push(Record { number: -2, weight: 0.25, grade: 'ß', name: text("Blaise Pascal") })?;
    producer.push(Record {
        number: i64::MAX,
        weight: f64::INFINITY,
        grade: '→',
        name: text("Çatalhöyük, a town of old"),
    })?;
    drop(producer);

    // What a broken program would do, which knows the size of a record and nothing else of it.
    let mut damaged = Record { number: 4, weight: 1.0, grade: 'D', name: text("damaged") }.as_bytes().to_vec();
    let grade = std::mem::offset_of!(Record, grade);
    damaged[grade..grade + 4].copy_from_slice(&0xD800_u32.to_ne_bytes());
    bytes::Ring::open(&name)?.producer()?.push(&damaged)?;
    receiver.finish()
}

fn receive(name: &str) -> Result<()> {
    let mut consumer = spsc::Ring::<Record>::open(name)?.consumer()?;
    let mut received = 0;
    while received < 4 {
        match consumer.pop() {
            Ok(Record { number, weight, grade, name }) => {
                println!("record {number}: {}, {weight} kg, grade {grade}", shown(&name));
            }
            Err(PopError::Invalid(invalid)) => println!("refused: {invalid}"),
            // Between two producers.
            Err(PopError::Closed) => {
                consumer.wait_for_peer(std::time::Duration::from_millis(10));
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        received += 1;
    }
    Ok(())
}

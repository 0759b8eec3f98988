//! Terminal one of two: `cargo run --release --example producer`, and in the other `--example consumer`.
//!
//! Either may start first. Kill either one, `kill -9` if you like, and start it again: no number is missing or twice.

mod reading;

use reading::Reading;
use ringway::{Options, spsc};
use std::{error::Error, thread::sleep, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let ring = spsc::Ring::<Reading>::open_or_create("readings", &Options::new().capacity(100))?;
    let mut producer = ring.producer()?;
    println!("going on with number {}, {} unread", producer.position(), producer.len());
    loop {
        let number = producer.position();
        let mut station = [b' '; 23];
        station[..7].copy_from_slice(b"Zermatt");
        let celsius = 20.0 + (number as f64 / 10.0).sin();
        match producer.try_push(Reading { station, valid: number % 7 != 0, number, celsius }) {
            Ok(()) => println!("pushed {number}"),
            Err(full) => println!("{full}"),
        }
        sleep(Duration::from_millis(200));
    }
}

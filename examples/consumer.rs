//! Terminal two of two: `cargo run --release --example consumer`, and in the other `--example producer`.
//!
//! Either may start first. Kill either one, `kill -9` if you like, and start it again: no number is missing or twice.

mod reading;

use reading::Reading;
use ringway::{Options, TryPopError, spsc};
use std::{error::Error, thread::sleep, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let ring = spsc::Ring::<Reading>::open_or_create("readings", &Options::new().capacity(100))?;
    let mut consumer = ring.consumer()?;
    println!("going on with number {}, producer: {:?}", consumer.position(), consumer.peer());
    loop {
        match consumer.try_pop() {
            Ok(Reading { station, valid, number, celsius }) => {
                let station = String::from_utf8_lossy(&station);
                println!("{number:6}  {station}  {celsius:6.2} °C{}", if valid { "" } else { "  (out of service)" });
            }
            Err(TryPopError::Empty | TryPopError::Closed) => sleep(Duration::from_millis(10)),
            Err(error) => return Err(error.into()),
        }
    }
}

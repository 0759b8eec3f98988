//! A producer, a consumer, a counter and a message: `cargo run --release --example counter [messages]`
//!
//! As it is often shown, a counter and a text lie in shared memory, with two semaphores that say whose turn it is. Kill
//! either process while it has its turn, and the other waits for ever.
//!
//! Done right: a ring. The counter travels with its message, so that the two cannot disagree, and it is the ring that
//! counts. The consumer acknowledges a message when it has done its work (`peek`, then `release`). Here it is killed
//! (`kill -9`) in the middle of one; the next consumer gets that message again, and no other one twice.

mod children;

use children::{Child, Result, number, shown, text};
use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use ringway::{Lifetime, Options, TryPopError, select, spsc};
use rustix::process::{Signal, getpid, kill_process};
use std::process::ExitCode;
use std::time::Duration;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Counted {
    counter: u64,
    text: [u8; 48],
}

fn main() -> ExitCode {
    children::main("counter", |arguments| match arguments {
        ["consume", name, dies_at] => consume(name, dies_at.parse()?),
        _ => produce(number(arguments, 0, 20)?),
    })
}

fn produce(messages: u64) -> Result<()> {
    let name = format!("counter-{}", std::process::id());
    let ring = spsc::Ring::<Counted>::create(&name, &Options::new().capacity(8).lifetime(Lifetime::LastDetach))?;
    let mut producer = ring.producer()?;
    let mut dies_at = messages / 2;
    std::thread::scope(|scope| {
        // In a thread of its own, as it waits while the ring is full and the consumer dead.
        let pushing = scope.spawn(move || -> std::result::Result<(), String> {
            for counter in 0..messages {
                let text = text(&format!("message number {counter}"));
                // Gives up when nobody takes anything for as long as this.
                producer
                    .push_timeout(Counted { counter, text }, Duration::from_secs(20))
                    .map_err(|error| error.to_string())?;
            }
            Ok(()) // the producer leaves, and so closes the ring
        });
        while !Child::start(&["consume", &name, &dies_at.to_string()])?.ended_by_itself()? {
            println!("the consumer was killed over counter {dies_at}; here is the next one");
            dies_at = u64::MAX;
        }
        pushing.join().map_err(|_| "the producer panicked")??;
        Ok(())
    })
}

fn consume(name: &str, dies_at: u64) -> Result<()> {
    let ring = spsc::Ring::<Counted>::open(name)?;
    let mut consumer = ring.consumer()?;
    loop {
        if select(&mut [consumer.case()], Duration::from_secs(20)).is_none() {
            return Err("nothing came for 20 seconds".into());
        }
        let closed = consumer.is_closed();
        match consumer.peek() {
            Ok(message) => {
                println!("counter {}: {}", message.counter, shown(&message.text));
                if message.counter == dies_at {
                    kill_process(getpid(), Signal::KILL)?;
                }
                message.release();
            }
            Err(TryPopError::Closed) => return Ok(()),
            Err(TryPopError::Empty) if closed => return Err("the producer died".into()),
            Err(TryPopError::Empty) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

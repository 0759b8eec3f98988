//! `ringway recv`: what is in a ring is written out, and gone from the ring.

use crate::failure::{Code, Failure};
use crate::out::Out;
use crate::peek::hex;
use crate::transfer::{self, Format, Progress, Target};
use clap::Args;
use ringway::bytes::Consumer;
use ringway::{PopError, TryPopError};
use std::io::{self, Write};
use std::time::Duration;

/// Pop messages, and write them to standard output.
///
/// Until the ring is empty; with --follow, until its producers have left or died. Each is a line, without the zeros at its
/// end; with --hex, or --binary, exactly its bytes. A message is gone from the ring before it is written: what looks and
/// does not take is `peek`. The consumer's role of an spsc ring must be free.
#[derive(Debug, Args)]
pub struct Recv {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    format: Format,
    /// Stop after so many messages
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// Wait for each message for so long, in milliseconds, and fail with 5 when none has come
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// Wait for messages until the producers have left
    #[arg(short, long)]
    follow: bool,
}

/// What became of a pop.
enum Popped {
    Message,
    /// There will be no more.
    Nothing,
}

impl Recv {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let ring = self.target.open()?;
        let mut consumer = ring.consumer()?;
        let mut message = vec![0; ring.message_size()];
        let mut progress = Progress::new("received");
        while self.count.is_none_or(|count| progress.count() < count) {
            match self.pop(&mut consumer, &mut message, out)? {
                Popped::Message => self.write(out, &message)?,
                Popped::Nothing => break,
            }
            progress.step();
        }
        Ok(())
    }

    fn pop(&self, consumer: &mut Consumer, message: &mut [u8], out: &mut Out) -> Result<Popped, Failure> {
        match consumer.try_pop(message) {
            Ok(_) => return Ok(Popped::Message),
            Err(TryPopError::Corrupted(corrupted)) => return Err(Failure::new(Code::Corrupt, corrupted.to_string())),
            // Somebody may wait for what has been written so far.
            Err(_) => out.flush()?,
        }
        let popped = match self.timeout {
            Some(timeout) => consumer.pop_timeout(message, Duration::from_millis(timeout)),
            None if self.follow => consumer.pop(message),
            None => consumer.pop_timeout(message, Duration::ZERO),
        };
        match popped {
            Ok(_) => Ok(Popped::Message),
            Err(PopError::Closed) if self.follow || self.timeout.is_none() => Ok(Popped::Nothing),
            Err(PopError::Closed) => Err(Failure::new(Code::Busy, PopError::Closed.to_string())),
            Err(PopError::Timeout { pid: None }) if self.timeout.is_none() => Ok(Popped::Nothing),
            Err(PopError::Timeout { pid }) => Err(transfer::too_late("no message", pid)),
            Err(PopError::Corrupted(corrupted)) => Err(Failure::new(Code::Corrupt, corrupted.to_string())),
            Err(error) => Err(Failure::new(Code::Failed, error.to_string())),
        }
    }

    fn write(&self, out: &mut Out, message: &[u8]) -> io::Result<()> {
        if self.format.binary {
            return out.write_all(message);
        }
        if self.format.hex {
            return writeln!(out, "{}", hex(message));
        }
        let end = message.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        out.write_all(&message[..end])?;
        out.write_all(b"\n")
    }
}

//! `ringway recv`: what is in a ring is written out, and gone from the ring.

use crate::failure::{Code, Failure};
use crate::out::Out;
use crate::peek::hex;
use crate::transfer::{self, Format, Progress, Target};
use clap::Args;
use ringway::PopError;
use ringway::bytes::{Consumer, Peek};
use std::io::{self, Write};
use std::time::Duration;

/// Pop messages, and write them to standard output.
///
/// Until the ring is empty; with --follow, until its producers have left or died. Each is a line, without the zeros at its
/// end; with --hex, or --binary, exactly its bytes. What looks and does not take is `peek`. The consumer's role of an spsc
/// ring must be free.
///
/// A message leaves the ring when it has been written, so that none is lost when this command is killed: those that it was
/// just writing, up to 255, are then delivered again, and so come out twice, the last of them perhaps cut off. What a
/// program behind a pipe has not read when that ends is lost to it.
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

/// Messages that are written, and then handed over, at once.
const BATCH: usize = 255;
/// Bytes of them, if there is more than one.
const BATCH_BYTES: usize = 1 << 16;

impl Recv {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let ring = self.target.open()?;
        let mut consumer = ring.consumer()?;
        let size = ring.message_size();
        let mut batch = vec![0; size * (BATCH_BYTES / size).clamp(1, BATCH.min(ring.capacity()))];
        let mut progress = Progress::new("received");
        loop {
            let left = self.count.map_or(u64::MAX, |count| count.saturating_sub(progress.count()));
            let room = ((batch.len() / size) as u64).min(left) as usize;
            if room == 0 {
                return Ok(());
            }
            let messages = &mut batch[..room * size];
            let Some(lent) = self.peek(&mut consumer, messages)? else { return Ok(()) };
            let count = lent.count();
            for message in messages.chunks_exact(size).take(count) {
                self.write(out, message)?;
            }
            // Handed over only when they are where they are to go.
            out.flush()?;
            lent.release();
            progress.step(count as u64);
        }
    }

    /// The next messages; `None` when there will be no more.
    fn peek<'c>(&self, consumer: &'c mut Consumer, to: &mut [u8]) -> Result<Option<Peek<'c>>, Failure> {
        let patience = match self.timeout {
            Some(timeout) => Duration::from_millis(timeout),
            None if self.follow => Duration::MAX,
            None => Duration::ZERO,
        };
        match consumer.peek_slice_timeout(to, patience) {
            Ok(lent) => Ok(Some(lent)),
            Err(PopError::Closed) if self.follow || self.timeout.is_none() => Ok(None),
            Err(PopError::Closed) => Err(Failure::new(Code::Busy, PopError::Closed.to_string())),
            Err(PopError::Timeout { pid: None }) if self.timeout.is_none() => Ok(None),
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

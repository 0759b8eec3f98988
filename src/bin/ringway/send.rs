//! `ringway send`: what is read goes into a ring.

use crate::failure::{Code, Failure};
use crate::out::Out;
use crate::transfer::{self, Format, Progress, Target};
use clap::Args;
use ringway::PushError;
use ringway::bytes::Producer;
use std::io::{self, BufRead, Read};
use std::time::Duration;

/// Push what is read from standard input.
///
/// Each line is a message, filled up with zeros to the size of one; with --hex, exactly its bytes. With --binary each so
/// many bytes are one. It waits while the ring is full. The producer's role of an spsc ring must be free.
#[derive(Debug, Args)]
pub struct Send {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    format: Format,
    /// Stop after so many messages
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// Give up when there has been no room for so long, in milliseconds; never if it is not given
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
}

impl Send {
    pub fn run(self, _: &mut Out) -> Result<(), Failure> {
        let ring = self.target.open()?;
        let mut producer = ring.producer()?;
        let mut input = Input { reader: io::stdin().lock(), format: &self.format, line: 0 };
        let mut message = vec![0; ring.message_size()];
        let mut progress = Progress::new("sent");
        while self.count.is_none_or(|count| progress.count() < count) && input.next(&mut message)? {
            self.push(&mut producer, &message)?;
            progress.step(1);
        }
        Ok(())
    }

    fn push(&self, producer: &mut Producer, message: &[u8]) -> Result<(), Failure> {
        let pushed = match self.timeout {
            Some(timeout) => producer.push_timeout(message, Duration::from_millis(timeout)),
            None => producer.push(message),
        };
        pushed.map_err(|error| match error {
            PushError::Timeout { pid, .. } => transfer::too_late("no room", pid),
            PushError::Corrupted(..) => Failure::new(Code::Corrupt, error.to_string()),
            error => Failure::new(Code::Failed, error.to_string()),
        })
    }
}

/// Messages, as they are read.
struct Input<'f, R> {
    reader: R,
    format: &'f Format,
    /// The number of the line, or message, that was read last.
    line: u64,
}

impl<R: BufRead> Input<'_, R> {
    /// Reads the next one, or says that there is none.
    fn next(&mut self, message: &mut [u8]) -> Result<bool, Failure> {
        self.line += 1;
        if self.format.binary {
            return self.next_binary(message);
        }
        // No more is read than a line that is good could have.
        let most = message.len() as u64 * 2 + 2;
        let mut line = Vec::new();
        if self.reader.by_ref().take(most).read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
            return Ok(false);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        match self.format.hex {
            true => self.parse_hex(line.strip_suffix(b"\r").unwrap_or(line), message)?,
            false if line.len() > message.len() => return Err(self.wrong("more", message.len())),
            false => {
                message[..line.len()].copy_from_slice(line);
                message[line.len()..].fill(0);
            }
        }
        Ok(true)
    }

    fn next_binary(&mut self, message: &mut [u8]) -> Result<bool, Failure> {
        let mut filled = 0;
        while filled < message.len() {
            match self.reader.read(&mut message[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(self.wrong("fewer", message.len())),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        Ok(true)
    }

    fn parse_hex(&self, line: &[u8], message: &mut [u8]) -> Result<(), Failure> {
        let relation = match line.len() {
            length if length == message.len() * 2 => None,
            length if length > message.len() * 2 => Some("more"),
            _ => Some("fewer"),
        };
        if let Some(relation) = relation {
            return Err(self.wrong(relation, message.len()));
        }
        for (byte, digits) in message.iter_mut().zip(line.chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
            let (Some(high), Some(low)) = (digit(digits[0]), digit(digits[1])) else {
                let message = format!("line {} of the input has something else than hexadecimal digits", self.line);
                return Err(Failure::new(Code::Failed, message));
            };
            *byte = high << 4 | low;
        }
        Ok(())
    }

    fn wrong(&self, relation: &str, expected: usize) -> Failure {
        let (unit, line) = (if self.format.binary { "message" } else { "line" }, self.line);
        let message =
            format!("{unit} {line} of the input has {relation} bytes than a message of this ring: {expected}");
        Failure::new(Code::Failed, message)
    }
}

fn unreadable(error: io::Error) -> Failure {
    Failure::new(Code::Failed, format!("standard input cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, input: &[u8]) -> Result<Vec<[u8; 4]>, String> {
        let mut input = Input { reader: input, format: &format, line: 0 };
        let (mut messages, mut message) = (Vec::new(), [9; 4]);
        loop {
            match input.next(&mut message) {
                Ok(true) => messages.push(message),
                Ok(false) => return Ok(messages),
                Err(Failure::Said(_, said)) => return Err(said),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn lines_are_filled_up_and_never_cut_off() {
        let text = || Format { hex: false, binary: false };
        assert_eq!(read(text(), b"ab\n\nabcd\nx"), Ok(vec![*b"ab\0\0", [0; 4], *b"abcd", *b"x\0\0\0"]));
        assert!(read(text(), b"ab\nabcde\n").is_err_and(|said| said.contains("line 2") && said.contains("more bytes")));
        assert!(read(text(), &[b'x'; 1_000]).is_err());
    }

    #[test]
    fn digits_are_exactly_a_message() {
        let hex = || Format { hex: true, binary: false };
        assert_eq!(read(hex(), b"00fF1234\r\n"), Ok(vec![[0, 255, 0x12, 0x34]]));
        for bad in ["00ff12\n", "00ff123456\n", "00ff123g\n", "\n"] {
            assert!(read(hex(), bad.as_bytes()).is_err_and(|said| said.contains("line 1")), "{bad}");
        }
    }

    #[test]
    fn bytes_are_taken_as_they_are() {
        let binary = || Format { hex: false, binary: true };
        assert_eq!(read(binary(), b"a\nb\0cdef"), Ok(vec![*b"a\nb\0", *b"cdef"]));
        assert!(read(binary(), b"abcde").is_err_and(|said| said.contains("message 2") && said.contains("fewer bytes")));
    }
}

//! `ringway peek`: what lies in a ring, without consuming it.

use crate::failure::{Code, Failure};
use crate::observe;
use crate::out::{Out, Style};
use clap::Args;
use ringway::inspect::Glimpse;
use serde::Serialize;
use std::io::{self, Write};

/// Show messages that lie in a ring; they stay there.
///
/// From the next one to pop on. Each is a copy of a message that was committed and not handed over when it was copied, and
/// is whole; it may have been popped since.
#[derive(Debug, Args)]
pub struct Peek {
    /// The ring: a name, sysv:KEY, or a path
    name: String,
    /// At most so many messages
    #[arg(short = 'n', long, default_value_t = 10, value_name = "N")]
    count: usize,
    /// At most so many bytes of each
    #[arg(long, default_value_t = 256, value_name = "N")]
    bytes: usize,
    /// Write the bytes of the messages as they are, one after the other
    #[arg(long)]
    raw: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "raw")]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Message {
    position: u64,
    redelivered: bool,
    /// The bytes, as hexadecimal digits.
    bytes: String,
}

impl Peek {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let segment = observe::open(&self.name)?;
        let messages = segment.peek(self.count, self.bytes)?;
        // There seems to be nothing: is it in order?
        let corrupted =
            if messages.is_empty() { segment.picture()?.contents.map(|contents| contents.corrupted) } else { None };
        if let Some(corrupted) = corrupted.unwrap_or_default().first() {
            return Err(Failure::new(Code::Corrupt, corrupted.to_string()));
        }
        if self.json {
            return out.json(&messages.iter().map(Message::from).collect::<Vec<_>>());
        }
        for message in &messages {
            match self.raw {
                true => out.write_all(&message.bytes)?,
                false => print(out, message)?,
            }
        }
        Ok(())
    }
}

impl From<&Glimpse> for Message {
    fn from(glimpse: &Glimpse) -> Message {
        Message { position: glimpse.position, redelivered: glimpse.redelivered, bytes: hex(&glimpse.bytes) }
    }
}

/// As two digits a byte.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sixteen bytes a line, as digits and as text.
fn print(out: &mut Out, message: &Glimpse) -> io::Result<()> {
    let redelivered = if message.redelivered { " to be redelivered" } else { "" };
    let head = out.styled(Style::Heading, &format!("message {}{redelivered}", message.position));
    writeln!(out, "{head}")?;
    for line in message.bytes.chunks(16) {
        let digits: Vec<String> =
            line.chunks(8).map(|half| half.iter().map(|byte| format!("{byte:02x} ")).collect()).collect();
        let text: String =
            line.iter().map(|&byte| if (32..127).contains(&byte) { char::from(byte) } else { '.' }).collect();
        writeln!(out, "  {:<49} {text}", digits.join(" ").trim_end())?;
    }
    Ok(())
}

//! What bytes choose: numbers, what is wrong with a ring, what is wrong with a file.

use super::super::bytes::{FIELDS, HEADER, RECORD, RECORDS, field, fix_checksum, get_word, set_field, set_word};
use super::super::damage::EXTREMES;
use super::PROCESSES;
use std::time::Duration;

/// How often something waits, and the ring is inspected, at most: both take long, beside all else.
const WAITS: usize = 1;
const PICTURES: usize = 1;

/// Bytes as a sequence of choices: zeros when they are at an end.
pub struct Input<'d> {
    pub data: &'d [u8],
    waits: usize,
    pub pictures: usize,
}

impl<'d> Input<'d> {
    pub fn new(data: &'d [u8]) -> Input<'d> {
        Input { data, waits: WAITS, pictures: PICTURES }
    }

    pub fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    /// Less than `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        match limit {
            0..=0x100 => usize::from(self.byte()) % limit.max(1),
            _ => usize::from(u16::from_le_bytes(self.take())) % limit,
        }
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    /// How long to wait, which is seldom done.
    pub fn patience(&mut self) -> Option<Duration> {
        if self.byte() % 16 > 0 || self.waits == 0 {
            return None;
        }
        self.waits -= 1;
        Some(Duration::from_micros(self.byte().saturating_sub(128).into()) / 8)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let there = N.min(self.data.len());
        taken[..there].copy_from_slice(&self.data[..there]);
        self.data = &self.data[there..];
        taken
    }
}

/// A place beside the header, and something that should not be there but might be. `None` when the header, which may be
/// rubbish itself, leads nowhere.
pub fn a_bad_word(input: &mut Input<'_>, bytes: &[u8]) -> Option<(usize, u64)> {
    let words = (bytes.len() / 8).checked_sub(HEADER / 8).filter(|&words| words > 0)?;
    let header = |name| get_word(bytes, field(name).0) as usize;
    let (first, stride, count) = (header("cells offset"), header("cell stride"), header("cells"));
    let any = |input: &mut Input<'_>| HEADER + input.below(words) * 8;
    let cell = |input: &mut Input<'_>| first.wrapping_add(input.below(count).wrapping_mul(stride));
    let offset = match input.byte() % 16 {
        // The control block: hints, roles, orphans, the obstacle, the words of who sleeps, the gate.
        0 => HEADER,
        1 => HEADER + 128,
        2..5 => HEADER + input.below(9) * 128 + input.below(3) * 8,
        5..7 => RECORDS + input.below(PROCESSES) * RECORD + input.below(13) * 8,
        7 => any(input),
        8 => cell(input).wrapping_add(input.below(stride / 8) * 8),
        _ => cell(input),
    };
    if offset.checked_add(8).is_none_or(|end| end > bytes.len()) || offset < HEADER {
        return None;
    }
    let there = get_word(bytes, offset);
    let near = |input: &mut Input<'_>| i64::from(input.byte() as i8) as u64;
    let value = match input.byte() % 10 {
        0 => input.word(),
        1 => EXTREMES[input.below(EXTREMES.len())],
        2 => there.wrapping_add(near(input)),
        3 => there ^ 1 << input.below(64),
        // SPSC: another line, another count. MPMC: another lap, another state, owner or span.
        4 => there.wrapping_add(near(input) << 8),
        5 => there & !0xff | u64::from(input.byte()),
        6 => there.wrapping_add(near(input) << 24) & !7 | u64::from(input.byte() & 7),
        7 => {
            let (owner, span) = (input.below(PROCESSES + 2) as u64, u64::from(input.byte()));
            there & !0xff_ffff | span << 16 | owner << 3 | u64::from(input.byte() & 7)
        }
        // A holder of a role: a record that is there or not, of a generation that was or not.
        8 => (input.below(4) as u64) << 40 | 1 << 14 | input.below(PROCESSES + 2) as u64,
        _ => get_word(bytes, any(input)),
    };
    Some((offset, value))
}

/// One of the good rings with something wrong about its header, its words or its size.
pub fn a_bad_file(input: &mut Input<'_>, good: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = good[input.below(good.len())].clone();
    let wrongs = input.below(6);
    let most = bytes.len() + 4096;
    for _ in 0..wrongs {
        match input.byte() % 8 {
            0..3 => {
                let (name, offset, _) = FIELDS[input.below(FIELDS.len())];
                let there = get_word(&bytes, offset);
                let value = match input.byte() % 4 {
                    0 => input.word(),
                    1 => EXTREMES[input.below(EXTREMES.len())],
                    2 => there ^ 1 << input.below(64),
                    _ => there.wrapping_add(i64::from(input.byte() as i8) as u64),
                };
                set_field(&mut bytes, name, value);
            }
            3 => {
                let offset = input.below(HEADER);
                bytes[offset] = input.byte();
                if input.byte() % 2 == 0 {
                    fix_checksum(&mut bytes);
                }
            }
            _ => {
                if let Some((offset, value)) = a_bad_word(input, &bytes) {
                    set_word(&mut bytes, offset, value);
                }
            }
        }
    }
    match input.byte() % 16 {
        0 => bytes.truncate(input.below(most)),
        1 => bytes.resize(input.below(most), 0),
        2 => bytes.fill(input.byte()),
        _ => {}
    }
    bytes
}

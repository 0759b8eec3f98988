//! Bad words for good segments: at random, yet the same for the same seed, and near what could do harm.

use super::bytes::{CONSUMER, HEAD, HEADER, PRODUCER, RECORD, RECORDS, TAIL, field, get_word};

/// Values that are on some edge.
#[rustfmt::skip]
pub const EXTREMES: [u64; 30] = [
    0, 1, 2, 7, 8, 63, 64, 65, 255, 256, 4095, 4096, 8191, 8192, u32::MAX as u64 - 1, u32::MAX as u64, 1 << 31, 1 << 32,
    (1 << 55) + 1, (1 << 56) - 50, (1 << 56) - 1, 1 << 56, 1 << 57, (1 << 62) - 1, 1 << 62, i64::MAX as u64, 1 << 63,
    u64::MAX - 63, u64::MAX - 1, u64::MAX,
];

/// Numbers that look random and are the same for the same seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A place beside the header, and something that should not be there but might be.
pub fn a_bad_word(random: &mut Random, bytes: &[u8]) -> (usize, u64) {
    let cells = get_word(bytes, field("cells offset").0) as usize;
    let stride = get_word(bytes, field("cell stride").0) as usize;
    let processes = get_word(bytes, field("processes").0) as usize;
    let cell = cells + random.below((bytes.len() - cells) / stride) * stride;
    let offset = match random.below(12) {
        0 | 1 => HEAD,
        2 => TAIL,
        3 => PRODUCER,
        4 => CONSUMER,
        5 => RECORDS + random.below(processes) * RECORD + random.below(6) * 8,
        6 => cell + 8 + random.below((stride - 8) / 8) * 8,
        7 => HEADER + random.below((bytes.len() - HEADER) / 8) * 8,
        _ => cell,
    };
    let there = get_word(bytes, offset);
    let value = match random.below(8) {
        0 => random.next(),
        1 => EXTREMES[random.below(EXTREMES.len())],
        2 => there.wrapping_add(random.below(20) as u64).wrapping_sub(10),
        3 => there ^ (1 << random.below(64)),
        // The line of a tag, one lap around, and counts beyond what a cell holds.
        4 => there.wrapping_add((random.below(40) as u64).wrapping_sub(20) << 8),
        5 => (there & !0xff) | random.below(256) as u64,
        // A holder: a record that is there or not, of a generation that was or not.
        6 => (random.below(3) as u64) << 40 | 1 << 14 | random.below(processes + 2) as u64,
        _ => get_word(bytes, HEADER + random.below((bytes.len() - HEADER) / 8) * 8),
    };
    (offset, value)
}

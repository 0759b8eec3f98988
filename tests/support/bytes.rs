//! The bytes of a segment, as somebody who does not keep to the protocol sees them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

pub const HEADER: usize = 512;
/// Offset of the word that counts what was popped.
pub const HEAD: usize = 512;
/// Offset of the word that counts what was pushed.
pub const TAIL: usize = 512 + 128;
pub const PRODUCER: usize = 512 + 256;
pub const CONSUMER: usize = 512 + 256 + 8;
/// Offsets of the words that those sleep on who wait for a message, and for room. Four bytes each.
pub const MESSAGES: usize = 512 + 640;
pub const ROOM: usize = 512 + 768;
pub const RECORDS: usize = 512 + 1152;
pub const RECORD: usize = 128;

/// The fields of the header: name, offset, length in bytes.
pub const FIELDS: [(&str, usize, usize); 20] = [
    ("magic", 0, 8),
    ("byte order", 8, 4),
    ("version", 12, 4),
    ("kind", 16, 4),
    ("last detach", 20, 4),
    ("item size", 24, 8),
    ("item align", 32, 8),
    ("items per cell", 40, 8),
    ("payload offset", 48, 8),
    ("cell stride", 56, 8),
    ("capacity", 64, 8),
    ("cells", 72, 8),
    ("schema", 80, 8),
    ("processes", 88, 8),
    ("control offset", 96, 8),
    ("records offset", 104, 8),
    ("cells offset", 112, 8),
    ("total size", 120, 8),
    ("boot id", 128, 8),
    ("created at", 144, 8),
];

/// Where a field lies.
pub fn field(name: &str) -> (usize, usize) {
    let (_, offset, length) = FIELDS.iter().find(|(field, ..)| *field == name).expect("a field of the header");
    (*offset, *length)
}

/// Stores a value in a field of the header, and makes the checksum right again.
pub fn set_field(segment: &mut [u8], name: &str, value: u64) {
    let (offset, length) = field(name);
    segment[offset..offset + length].copy_from_slice(&value.to_ne_bytes()[..length]);
    fix_checksum(segment);
}

pub fn get_word(segment: &[u8], offset: usize) -> u64 {
    u64::from_ne_bytes(segment[offset..offset + 8].try_into().expect("eight bytes"))
}

pub fn set_word(segment: &mut [u8], offset: usize, value: u64) {
    segment[offset..offset + 8].copy_from_slice(&value.to_ne_bytes());
}

/// FNV-1a of what lies before the sum.
pub fn fix_checksum(segment: &mut [u8]) {
    let sum = segment[..HEADER - 8]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    set_word(segment, HEADER - 8, sum);
}

/// A segment's file, open for scribbling beside the processes that have it mapped.
pub struct Scribbler(File);

impl Scribbler {
    pub fn new(path: &Path) -> Scribbler {
        Scribbler(OpenOptions::new().read(true).write(true).open(path).expect("the segment is there"))
    }

    pub fn get(&self, offset: usize) -> u64 {
        let mut word = [0; 8];
        self.0.read_exact_at(&mut word, offset as u64).expect("within the segment");
        u64::from_ne_bytes(word)
    }

    pub fn set(&self, offset: usize, value: u64) {
        self.0.write_all_at(&value.to_ne_bytes(), offset as u64).expect("within the segment");
    }

    pub fn set_byte(&self, offset: usize, value: u8) {
        self.0.write_all_at(&[value], offset as u64).expect("within the segment");
    }

    pub fn length(&self) -> usize {
        self.0.metadata().expect("an open file has a size").len() as usize
    }

    /// Where the first cell starts.
    pub fn cells(&self) -> usize {
        self.get(field("cells offset").0) as usize
    }

    pub fn stride(&self) -> usize {
        self.get(field("cell stride").0) as usize
    }
}

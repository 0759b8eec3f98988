//! What of a victim others can see: the memory that it shares. What else it leaves behind, only system calls change.

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;

/// All that lies in the shared mappings of a process which is stopped whenever it is looked at.
#[derive(Debug)]
pub struct Visible {
    memory: File,
    mappings: Vec<Mapping>,
}

#[derive(Debug)]
struct Mapping {
    start: u64,
    bytes: Vec<u8>,
}

impl Visible {
    pub fn of(pid: u32) -> Visible {
        let maps = read_to_string(format!("/proc/{pid}/maps")).expect("our victim's");
        let mut visible = Visible {
            memory: File::open(format!("/proc/{pid}/mem")).expect("our victim's"),
            mappings: maps.lines().filter_map(Mapping::shared).collect(),
        };
        visible.has_changed();
        visible
    }

    /// Whether anything has, since the last time that this was asked.
    pub fn has_changed(&mut self) -> bool {
        let mut has_changed = false;
        for mapping in &mut self.mappings {
            let mut now = vec![0; mapping.bytes.len()];
            // What cannot be read, as there is no file behind it any more, is as good as zeros.
            let _ = self.memory.read_exact_at(&mut now, mapping.start);
            has_changed |= now != mapping.bytes;
            mapping.bytes = now;
        }
        has_changed
    }
}

impl Mapping {
    /// A line of `/proc/PID/maps`: `7f0000000000-7f0000001000 rw-s ...`.
    fn shared(line: &str) -> Option<Mapping> {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).expect("an address");
        let (start, end) = (number(start), number(end));
        let bytes = vec![0; (end - start) as usize];
        rest.starts_with("rw-s").then_some(Mapping { start, bytes })
    }
}

//! The limit: two cache lines that two cores store to in turns, and nothing else. No message can go round faster.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Two bare cache lines, 128 bytes apart, shared by two processes.
pub struct Lines {
    memory: shared_memory::Shmem,
    name: String,
}

impl Lines {
    pub fn create(session: &str) -> Result<Lines> {
        let name = format!("/{session}-lines");
        let memory = shared_memory::ShmemConf::new().os_id(&name).size(4096).create()?;
        Ok(Lines { memory, name })
    }

    pub fn open(session: &str) -> Result<Lines> {
        let name = format!("/{session}-lines");
        let memory = shared_memory::ShmemConf::new().os_id(&name).open()?;
        Ok(Lines { memory, name })
    }

    /// Once both have it, the name is not needed.
    pub fn unlink(&self) {
        let _ = std::fs::remove_file(format!("/dev/shm{}", self.name));
    }

    pub fn ask(&self, number: u64, alone: bool, gone: impl Fn() -> bool) -> Result<()> {
        self.line(0).store(number, Ordering::Release);
        wait(self.line(1), number, alone, gone)
    }

    pub fn answer(&self, number: u64, alone: bool, gone: impl Fn() -> bool) -> Result<()> {
        wait(self.line(0), number, alone, gone)?;
        self.line(1).store(number, Ordering::Release);
        Ok(())
    }

    fn line(&self, index: usize) -> &AtomicU64 {
        // SAFETY: both lines lie within the 4096 bytes of the segment.
        let line = unsafe { self.memory.as_ptr().add(index * 128) };
        // SAFETY: it is aligned to its line, mapped as long as `self`, and accessed as an atomic only.
        unsafe { AtomicU64::from_ptr(line.cast()) }
    }
}

/// Spins until `line` holds `number`, and looks now and then whether the other process is still there.
fn wait(line: &AtomicU64, number: u64, alone: bool, gone: impl Fn() -> bool) -> Result<()> {
    loop {
        for _ in 0..if alone { 100 } else { 10_000_000 } {
            if line.load(Ordering::Acquire) == number {
                return Ok(());
            }
            std::hint::spin_loop();
        }
        if gone() {
            return Err("the other process has gone".into());
        }
        if alone {
            std::thread::yield_now();
        }
    }
}

//! What each process has done, written down where its death does not erase it: memory that the kernel keeps for us.

use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::cell::UnsafeCell;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Producers, and as many consumers.
pub const PRODUCERS: usize = 4;
pub const SLOTS: usize = 2 * PRODUCERS;

/// Deliveries that a consumer writes down before it leaves.
pub const DELIVERIES: usize = 1 << 13;

/// The most messages of a batch: enough of them for a death in the middle.
pub const BATCH: usize = 64;

/// More than two cache lines, so that a message in halves is possible, and would be noticed.
#[derive(Clone, Copy, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
pub struct Message {
    /// The life that pushed it, from 1 on: each process that is started is another one.
    pub producer: u64,
    pub sequence: u64,
    check: [u64; 17],
}

impl Message {
    pub fn new(producer: u64, sequence: u64) -> Message {
        let seed = producer.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ sequence.wrapping_mul(0xd6e8_feb8_6659_fd93);
        let check = std::array::from_fn(|word| (seed ^ word as u64).wrapping_mul(0xff51_afd7_ed55_8ccd));
        Message { producer, sequence, check }
    }

    /// Whether all its bytes are of one message.
    pub fn is_whole(&self) -> bool {
        self.producer != 0 && *self == Message::new(self.producer, self.sequence)
    }
}

/// What a process is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u64)]
pub enum Doing {
    Starting,
    Pushing,
    /// With `try_pop`: its caller alone can know which message that was.
    Popping,
    /// With `pop_slice` or `peek`: the message is in the ledger before it is handed over.
    Copying,
    Recording,
    Waiting,
}

const DOINGS: [Doing; 6] =
    [Doing::Starting, Doing::Pushing, Doing::Popping, Doing::Copying, Doing::Recording, Doing::Waiting];

/// The ledger of one process. Plain stores: when a process is killed, all that it has stored is there.
#[repr(C)]
pub struct Ledger {
    /// A producer's pushes: those below `acknowledged` returned `Ok`, and none from `intended` on was ever tried.
    pub acknowledged: AtomicU64,
    pub intended: AtomicU64,
    /// A consumer's deliveries: so many pops have returned. What lies behind may have been handed over.
    pub delivered: AtomicU64,
    doing: AtomicU64,
    /// Who was in the way the last time, and how often somebody was.
    pub busy_with: AtomicU64,
    pub busy: AtomicU64,
    redelivered: [AtomicU8; DELIVERIES],
    deliveries: UnsafeCell<[Message; DELIVERIES]>,
}

impl Ledger {
    pub fn doing(&self) -> Doing {
        DOINGS[self.doing.load(Ordering::SeqCst) as usize % DOINGS.len()]
    }

    pub fn set_doing(&self, doing: Doing) {
        self.doing.store(doing as u64, Ordering::SeqCst);
    }

    pub fn busy_with(&self, pid: u32) {
        self.busy_with.store(pid.into(), Ordering::Relaxed);
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// `count` more deliveries are in the ledger.
    pub fn record(&self, count: usize, redelivered: bool) {
        let first = self.delivered.load(Ordering::SeqCst);
        for delivery in first..first + count as u64 {
            self.redelivered[delivery as usize].store(redelivered.into(), Ordering::SeqCst);
        }
        self.delivered.store(first + count as u64, Ordering::SeqCst);
    }

    /// The messages of a consumer's ledger.
    ///
    /// # Safety
    /// Nobody else has them: the caller is the process of that ledger, or that process has ended.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn deliveries(&self) -> &mut [Message; DELIVERIES] {
        // SAFETY: by the caller's word.
        unsafe { &mut *self.deliveries.get() }
    }

    /// For the next process; the deliveries are wiped by who reads them.
    pub fn wipe(&self) {
        let counters = [&self.acknowledged, &self.intended, &self.delivered, &self.doing, &self.busy_with, &self.busy];
        for counter in counters {
            counter.store(0, Ordering::SeqCst);
        }
    }

    pub fn is_redelivered(&self, delivery: usize) -> bool {
        self.redelivered[delivery].load(Ordering::SeqCst) != 0
    }
}

/// The ledgers of all processes. There is no name that somebody would have to remove: children inherit the file.
pub struct Ledgers {
    file: OwnedFd,
    first: NonNull<Ledger>,
}

// SAFETY: it is memory that all processes share; who may touch the deliveries is said there.
unsafe impl Sync for Ledgers {}

impl Ledgers {
    pub fn new() -> io::Result<Ledgers> {
        let file = memfd_create("kill_storm", MemfdFlags::empty())?;
        ftruncate(&file, (SLOTS * size_of::<Ledger>()) as u64)?;
        Ledgers::map(file)
    }

    /// The ledgers of our parent, which keeps `file` open for us.
    pub fn inherited(file: RawFd) -> io::Result<Ledgers> {
        // SAFETY: our parent has left it open, and nothing here closes it.
        let file = unsafe { BorrowedFd::borrow_raw(file) };
        Ledgers::map(file.try_clone_to_owned()?)
    }

    fn map(file: OwnedFd) -> io::Result<Ledgers> {
        let (length, access) = (SLOTS * size_of::<Ledger>(), ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: a new mapping, at an address of the kernel's choice; it stays as long as the process.
        let memory = unsafe { mmap(null_mut(), length, access, MapFlags::SHARED, &file, 0) }?;
        Ok(Ledgers { file, first: NonNull::new(memory).expect("a mapping").cast() })
    }

    pub fn file(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    pub fn of(&self, slot: usize) -> &Ledger {
        assert!(slot < SLOTS);
        // SAFETY: there are `SLOTS` of them.
        let ledger = unsafe { self.first.add(slot) };
        // SAFETY: it is mapped, and zeros are a valid ledger, of which everything can be shared but the deliveries.
        unsafe { ledger.as_ref() }
    }
}

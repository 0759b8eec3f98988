//! The words that processes share beside the cells: indices, roles, process records.

use core::mem::{offset_of, size_of};
use core::sync::atomic::{AtomicU32, AtomicU64};
use crossbeam_utils::CachePadded;

/// What both ends of a ring share, each word with cache lines of its own, so that nobody's store disturbs a neighbour.
#[repr(C)]
pub(crate) struct Control {
    /// Position of the next message to pop. SPSC: written by the consumer only, exact after every pop. MPMC: a position
    /// that consumers have got to, from which to start looking. Latest: not used.
    pub(crate) head: CachePadded<AtomicU64>,
    /// Position of the next message to push. SPSC: written by the producer only. It may lag behind the tags when a
    /// producer was killed, so it is a place to start looking from, and good enough for counting. MPMC: as for `head`.
    /// Latest: the version of the newest value, which is how many were written.
    pub(crate) tail: CachePadded<AtomicU64>,
    /// Who has the roles. Written when a role is claimed or given up.
    pub(crate) roles: CachePadded<Roles>,
    /// Whether there are messages that somebody took and did not hand over. Written after deaths.
    pub(crate) orphans: CachePadded<Orphans>,
    /// The last cell that was found in the hands of a living process by somebody who could not go on (MPMC). For people.
    pub(crate) obstacle: CachePadded<Obstacle>,
    /// Consumers that sleep until there is a message, and producers until there is room: the word of an event each.
    /// Written around sleep only.
    pub(crate) messages: CachePadded<AtomicU32>,
    pub(crate) room: CachePadded<AtomicU32>,
    /// Likewise, who sleeps until a producer or a consumer comes.
    pub(crate) ends: CachePadded<AtomicU32>,
    /// Of memory without a file: what else the kernel keeps.
    pub(crate) gate: CachePadded<Gate>,
}

/// Who is in the gate, and where that means something. Whoever makes the segment is in it meanwhile.
#[repr(C)]
pub(crate) struct Gate {
    /// A process, as its word says; 0: nobody.
    pub(crate) holder: AtomicU64,
    /// The namespaces of all who may attach.
    pub(crate) namespaces: AtomicU64,
}

/// A cell that is in somebody's way, by its word, and since when, in nanoseconds since 1970.
#[repr(C)]
pub(crate) struct Obstacle {
    pub(crate) cell: AtomicU64,
    pub(crate) word: AtomicU64,
    pub(crate) since: AtomicU64,
}

/// Equal, unless there may be orphans in the ring (MPMC).
#[repr(C)]
pub(crate) struct Orphans {
    /// Counts the occasions on which orphans may have been made.
    pub(crate) orphaned: AtomicU64,
    /// `orphaned`, as of the last search that found none.
    pub(crate) adopted: AtomicU64,
}

/// One [`Holder`] word for each end. MPMC: how many producers, and consumers, have ever come.
#[repr(C)]
pub(crate) struct Roles {
    pub(crate) producer: AtomicU64,
    pub(crate) consumer: AtomicU64,
}

/// One attached process. Who is alive is decided by a lock byte in the kernel, or `alive`, by `generation`, and, when a name is to be
/// removed or somebody died, by `attached`; everything else is for people to read.
#[repr(C)]
pub(crate) struct RecordWords {
    /// Counts the processes that have used this record, so that a word which names an earlier one cannot be mistaken.
    pub(crate) generation: AtomicU64,
    /// The generation that is attached. 0: nobody, or somebody who left in an orderly way, or died and was cleared up
    /// after.
    pub(crate) attached: AtomicU64,
    pub(crate) pid: AtomicU64,
    /// When the process was started, in clock ticks since boot, as in `/proc/PID/stat`.
    pub(crate) start_time: AtomicU64,
    /// Inode number of the pid namespace in which `pid` counts.
    pub(crate) pid_namespace: AtomicU64,
    /// When it attached, in nanoseconds since 1970.
    pub(crate) attached_at: AtomicU64,
    /// Producers and consumers that it has now (MPMC).
    pub(crate) producers: AtomicU64,
    pub(crate) consumers: AtomicU64,
    /// Processes that died with this record and were cleared up after, what they had claimed and not committed, and
    /// taken and not handed over, in messages (MPMC).
    pub(crate) deaths: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) orphaned: AtomicU64,
    /// Of memory without a file, instead of two lock bytes: the process that uses the record, and the one that is
    /// attached with it. 0: nobody.
    pub(crate) claimed: AtomicU64,
    pub(crate) alive: AtomicU64,
    /// When it was last known to be at work on the ring, in nanoseconds since 1970. Written where time does not matter only:
    /// see `inspect::Process`.
    pub(crate) seen_at: AtomicU64,
}

pub(crate) type Record = CachePadded<RecordWords>;

/// Who holds a role: `generation:24 | pid:24 | unclean:1 | used:1 | record + 1:14`. All zero: nobody ever did.
///
/// The pid is for people, so that they are told of the very process that took the role, whoever has its record by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Holder(u64);

impl Holder {
    const RECORD: u64 = (1 << 14) - 1;
    const USED: u64 = 1 << 14;
    const UNCLEAN: u64 = 1 << 15;
    const PID_SHIFT: u32 = 16;
    const GENERATION_SHIFT: u32 = 40;
    /// A pid has at most 22 bits on Linux. A generation that wraps around would meet its own number again only if one
    /// record were used 2^24 times while a dead process's word stays unclaimed.
    const LOW_24: u32 = (1 << 24) - 1;

    /// Held by the process of this record and generation, with this pid.
    pub(crate) const fn of(record: usize, generation: u32, pid: u32) -> Holder {
        let generation = Self::generation(generation as u64) as u64;
        let pid = (pid & Self::LOW_24) as u64;
        Holder(generation << Self::GENERATION_SHIFT | pid << Self::PID_SHIFT | Self::USED | (record as u64 + 1))
    }

    /// What a holder's word keeps of a record's generation.
    pub(crate) const fn generation(of_record: u64) -> u32 {
        of_record as u32 & Self::LOW_24
    }

    /// Given up. `clean` says that the holder left nothing half-done.
    pub(crate) const fn left(clean: bool) -> Holder {
        Holder(Self::USED | if clean { 0 } else { Self::UNCLEAN })
    }

    pub(crate) const fn from_word(word: u64) -> Holder {
        Holder(word)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    /// The record of the holder, and its generation; `None` when the role is free.
    pub(crate) const fn held_by(self) -> Option<(usize, u32)> {
        match self.0 & Self::RECORD {
            0 => None,
            n => Some((n as usize - 1, (self.0 >> Self::GENERATION_SHIFT) as u32)),
        }
    }

    /// The pid of whoever holds the role, as it calls itself.
    pub(crate) const fn pid(self) -> u32 {
        (self.0 >> Self::PID_SHIFT) as u32 & Self::LOW_24
    }

    /// Whether somebody has held the role at some time.
    pub(crate) const fn is_used(self) -> bool {
        self.0 & Self::USED != 0
    }

    /// Whether whoever had the role last, or has it, may have left something half-done.
    pub(crate) const fn needs_repair(self) -> bool {
        self.held_by().is_some() || self.0 & Self::UNCLEAN != 0
    }
}

// The padding of `CachePadded` differs between architectures. These sizes are part of the layout.
const _: () = {
    assert!(size_of::<CachePadded<AtomicU64>>() == 128, "this layout needs cache padding of 128 bytes");
    assert!(offset_of!(Control, head) == 0 && offset_of!(Control, tail) == 128 && offset_of!(Control, roles) == 256);
    assert!(offset_of!(Control, orphans) == 384 && offset_of!(Control, obstacle) == 512);
    assert!(offset_of!(Control, messages) == 640 && offset_of!(Control, room) == 768);
    assert!(offset_of!(Control, ends) == 896 && offset_of!(Control, gate) == 1024);
    assert!(size_of::<CachePadded<AtomicU32>>() == 128 && size_of::<Control>() == 1152);
    assert!(size_of::<Record>() == 128);
};

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_holder_word_gives_back_what_was_put_in() {
        let holder = Holder::from_word(Holder::of(8_190, u32::MAX, 4_194_303).word());
        assert_eq!(holder.held_by(), Some((8_190, Holder::generation(u64::MAX))));
        assert_eq!(holder.pid(), 4_194_303);
        assert!(holder.is_used() && holder.needs_repair());
        assert_eq!(Holder::left(true).held_by(), None);
        assert!(Holder::left(true).is_used() && !Holder::left(true).needs_repair());
        assert!(Holder::left(false).needs_repair());
        assert!(!Holder::from_word(0).is_used() && !Holder::from_word(0).needs_repair());
    }
}

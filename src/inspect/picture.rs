//! What a picture of a segment consists of. Plain data, for people and programs to read.

use crate::error::{Corrupted, HeaderError};
use crate::layout::header;
use crate::recover::Recovered;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

pub use header::{Kind, Lifetime};

/// All that can be said of a segment at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Picture {
    /// The name of the ring, as one would open it: the name of its file, `sysv:0x00001234` for a key, the whole path where
    /// that leads through `/proc`.
    pub name: String,
    /// The path by which it was opened; `None` for a System V segment.
    pub path: Option<PathBuf>,
    /// When the picture was taken.
    pub taken_at: SystemTime,
    /// What the file system says.
    pub file: File,
    /// What else the kernel says of a System V segment.
    pub system_v: Option<SystemV>,
    /// The version of its layout; `None` when it is no ring.
    pub version: Option<u32>,
    /// What its header says, if it is of the version that this build reads. When `errors` are there, nothing of it need be
    /// so.
    pub layout: Option<Layout>,
    /// What is wrong with the header, field by field.
    pub errors: Vec<HeaderError>,
    /// Whether some process that is alive is attached, by the kernel's word. Doubt is a yes.
    pub in_use: bool,
    /// What lies behind the header, if nothing is wrong with that.
    pub contents: Option<Contents>,
}

/// What the file system says of a segment; of a System V segment, what the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct File {
    /// The device on which it lies. 0 for a System V segment.
    pub device: u64,
    /// Its number there: two names with the same device and inode are the same ring. The number of a System V segment, as
    /// `ipcs -m` shows it.
    pub inode: u64,
    /// Names that it has: 0 when it was unlinked, or its key was taken away, and it lives on in those who have it open.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes of memory that are set aside for it.
    pub allocated: u64,
    /// Bytes of a page of it, as far as the file system tells.
    pub page: u64,
    /// The user id of its owner.
    pub owner: u32,
    /// The id of its group.
    pub group: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// What the kernel says of a System V segment, beside what it says of any. Whoever takes a picture attaches it for reading;
/// that is left out here, as long as nothing else has happened since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemV {
    /// Its number (`shmid`).
    pub id: i32,
    /// The pid of the process that made it, as it counts in our pid namespace; 0 for one that does not count there.
    pub creator: u32,
    /// Likewise, of the process that has attached or detached it last.
    pub last: u32,
    /// How many times it is attached.
    pub attached: u64,
    /// When it was last attached, to a second.
    pub attached_at: Option<SystemTime>,
    /// When it was last detached, to a second.
    pub detached_at: Option<SystemTime>,
    /// When it was made, or got another mode or owner, to a second.
    pub changed_at: SystemTime,
}

/// What the header of a ring says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// Which algorithm it follows; `None` for one that this build does not know.
    pub kind: Option<Kind>,
    /// The name of its message type, without paths, as its creator calls it. Cut off after 64 bytes.
    pub type_name: String,
    /// The tag by which programs know that they mean the same type.
    pub schema: u64,
    /// Bytes of a message.
    pub item_size: u64,
    /// Alignment of a message, in bytes.
    pub item_align: u64,
    /// Messages that the ring holds.
    pub capacity: u64,
    /// Cells that hold them.
    pub cells: u64,
    /// Messages in a cell.
    pub items_per_cell: u64,
    /// Bytes from the start of a cell to its first message.
    pub payload_offset: u64,
    /// Bytes from one cell to the next.
    pub stride: u64,
    /// Processes that can be attached at the same time.
    pub processes: u64,
    /// Bytes of the whole segment.
    pub total_size: u64,
    /// Who removes its name.
    pub lifetime: Lifetime,
    /// When it was created.
    pub created_at: SystemTime,
    /// The boot of the machine in which it was created, as in `/proc/sys/kernel/random/boot_id`; zeros if unknown.
    pub boot_id: [u8; 16],
    /// Whether that was another boot than this one; never when either is unknown.
    pub other_boot: bool,
}

/// What a ring contains, and who is at it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Contents {
    /// Position of the next message to push: how many were pushed since the ring was created. Of a `Latest`, the version of
    /// the newest value.
    pub pushed: u64,
    /// Position of the next message to pop. Of a `Latest` 0, as nothing is ever popped.
    pub popped: u64,
    /// How many messages are in the ring, orphans aside. Of a `Latest`, how many values are kept.
    pub fill: u64,
    /// Whether the ring stood still while these were counted, so that they are exact. Else they are as of some moments
    /// during that time.
    pub still: bool,
    /// Who is attached, and who died attached and was not cleared up after yet.
    pub processes: Vec<Process>,
    /// Who has the roles, of an SPSC ring. Of a `Latest`, its writer is the producer; readers have no role.
    pub roles: Option<Roles>,
    /// What is in somebody's hands, of an MPMC ring: the first [`MOST_HELD`] of them.
    pub held: Vec<HeldCell>,
    /// How many there are.
    pub held_count: u64,
    /// Messages that were taken from the ring and not handed over: any consumer may have them next.
    pub orphans: u64,
    /// Messages that never came, in cells that nobody has freed yet.
    pub skips: u64,
    /// The most often that a message which is in the ring now was adopted from the dead.
    pub most_adopted: u8,
    /// What was cleared up after the dead since the ring was created (MPMC).
    pub recovered: Recovered,
    /// Consumers that wait for a message.
    pub consumers_asleep: Sleepers,
    /// Producers that wait for room.
    pub producers_asleep: Sleepers,
    /// Those who wait for a peer to come.
    pub peers_asleep: Sleepers,
    /// Words that no correct process writes. The ring cannot be trusted where they are.
    pub corrupted: Vec<Corrupted>,
}

/// The most that [`Contents::held`] lists.
pub const MOST_HELD: usize = 1_000;

/// A process that is attached to a ring, or died attached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// The number of its process record.
    pub record: usize,
    /// The process, as it calls itself.
    pub pid: u32,
    /// What is known of it.
    pub state: PeerState,
    /// Whether its pid counts in another pid namespace than ours: here that number is another process, or none.
    pub elsewhere: bool,
    /// Its command line, its arguments apart. `None` when it is dead or not ours to see.
    pub command: Option<Vec<String>>,
    /// When it attached.
    pub attached_at: SystemTime,
    /// When it was last known to be at work on the ring: it attached, made or gave up a producer or a consumer, waited, or
    /// looked whether somebody is dead. A process that waits is seen at least every 100 ms. One that pushes and pops without
    /// having to wait is not seen at all: for its sake, nobody looks at a clock. So it may have pushed and popped since, and
    /// whether it does so now is to be seen by the positions of two pictures.
    pub seen_at: SystemTime,
    /// Producers that it has.
    pub producers: u64,
    /// Consumers that it has.
    pub consumers: u64,
    /// Processes that died with the same record before it and were cleared up after (MPMC).
    pub deaths_before: u64,
}

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerState {
    /// Alive. Whether it is stopped cannot be seen when it lives in another pid namespace.
    Alive,
    /// Alive, and stopped by a signal or a debugger. What it holds, it holds until it goes on or is killed.
    Stopped,
    /// Dead. What it held is repaired by whoever needs it first.
    Dead,
}

/// Who has the two roles of an SPSC ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roles {
    /// Who pushes.
    pub producer: RoleHolder,
    /// Who pops.
    pub consumer: RoleHolder,
}

/// Who has a role of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleHolder {
    /// Nobody has claimed it yet.
    NeverCame,
    /// This process has it and is alive, though it may be stopped.
    Alive {
        /// The process, as it calls itself.
        pid: u32,
    },
    /// Its last holder gave it up in an orderly way.
    Left,
    /// Its last holder died. The role can be claimed.
    Dead {
        /// The process, as it called itself.
        pid: u32,
    },
}

/// A message, or a batch, that a process is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldCell {
    /// The number of the (first) cell.
    pub cell: u64,
    /// The position of the (first) message.
    pub position: u64,
    /// How many messages.
    pub messages: u64,
    /// The process record of whoever holds it.
    pub record: usize,
    /// Its pid, as it calls itself.
    pub pid: u32,
    /// Whether it is being pushed; else it is being popped.
    pub pushing: bool,
    /// How often the message was adopted from the dead.
    pub adopted: u8,
    /// For how long it has been in somebody's way. `None` if it is in nobody's, as nobody looks at a clock before that.
    pub in_the_way_for: Option<Duration>,
}

/// Whether anybody sleeps on an event of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sleepers {
    /// Somebody sleeps, or is about to; or did, when it was killed.
    pub asleep: bool,
    /// Whoever wakes pays for a fence: somebody slept not long ago, or has no barrier to call for.
    pub alert: bool,
}

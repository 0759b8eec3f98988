//! Who is attached, who is in the way, and the one way to remove somebody who is alive.

use crate::error::EvictError;
pub use crate::inspect::PeerState;
use crate::layout::cell::{State, Word};
use crate::layout::control::{Record, RecordWords};
use crate::message::Message;
use crate::queue::mpmc::Ring;
use crate::recover::Recovered;
use crate::ring::memory::{Mapped, Memory, Single};
use crate::sys::process::{self, Identity, RunState};
use core::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the kernel may take to bring a killed process down.
const EVICTION_PATIENCE: Duration = Duration::from_secs(10);

/// A process that is attached to a ring, or died attached and was not cleared up after yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The process, as it calls itself.
    pub pid: u32,
    /// What is known of it.
    pub state: PeerState,
    /// Producers that it has.
    pub producers: u64,
    /// Consumers that it has.
    pub consumers: u64,
    /// When it attached.
    pub attached_at: SystemTime,
    /// What it is in the middle of.
    pub holds: Vec<Held>,
}

/// A message, or a batch, that a process is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// The position of the first message: how many were pushed before it since the ring was created.
    pub position: u64,
    /// How many messages.
    pub messages: usize,
    /// Whether it is being pushed; else it is being popped.
    pub pushing: bool,
    /// For how long it has been in somebody's way. `None` if it is in nobody's, as nobody looks at a clock before that.
    pub in_the_way_for: Option<Duration>,
}

impl<T: Message> Ring<T> {
    /// Who is attached, and who holds what. Asks the kernel for each, some microseconds, and looks at all cells.
    ///
    /// What is listed as held may be over by the time that it is read: ask twice.
    ///
    /// ```
    /// # use ringway::{Lifetime, Options, mpmc};
    /// # let name = format!("doc-mpmc-peers-{}", std::process::id());
    /// # let ring = mpmc::Ring::<u64>::create(&name, &Options::new().lifetime(Lifetime::LastDetach))?;
    /// let mut producer = ring.producer();
    /// let reserved = producer.reserve()?;
    /// let peers = ring.peers();
    /// assert_eq!((peers[0].pid, peers[0].producers), (std::process::id(), 1));
    /// assert!(peers[0].holds[0].pushing);
    /// # drop(reserved);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peers(&self) -> Vec<Peer> {
        let records = self.attachment.parts().records();
        let attached = |record: &usize| load(&records[*record].attached) != 0;
        let mut peers: Vec<(usize, Peer)> =
            (0..records.len()).filter(attached).map(|record| (record, self.peer(record, &records[record]))).collect();
        let memory = Mapped::<T, Single>::new(self.attachment.parts().clone());
        for cell in 0..memory.cells() {
            // Relaxed: for people to read.
            let word = Word::from_word(memory.word(cell).load(Ordering::Relaxed));
            let owner = word.owner().map(usize::from);
            if let Some((_, peer)) = peers.iter_mut().find(|(record, _)| Some(*record) == owner) {
                peer.holds.push(Held {
                    position: word.lap().wrapping_mul(memory.cells() as u64).wrapping_add(cell as u64),
                    messages: word.span(),
                    pushing: word.state() == State::Claimed,
                    in_the_way_for: self.in_the_way_for(cell, word),
                });
            }
        }
        peers.into_iter().map(|(_, peer)| peer).collect()
    }

    fn peer(&self, record: usize, words: &RecordWords) -> Peer {
        let is_dead = self.attachment.is_dead(record);
        let stopped = || process::run_state(&identity(words)) == Some(RunState::Stopped);
        Peer {
            pid: load(&words.pid) as u32,
            state: match is_dead {
                true => PeerState::Dead,
                false if stopped() => PeerState::Stopped,
                false => PeerState::Alive,
            },
            producers: load(&words.producers),
            consumers: load(&words.consumers),
            attached_at: UNIX_EPOCH + Duration::from_nanos(load(&words.attached_at)),
            holds: Vec::new(),
        }
    }

    fn in_the_way_for(&self, cell: usize, word: Word) -> Option<Duration> {
        let obstacle = &self.attachment.parts().control().obstacle;
        let is_it = load(&obstacle.cell) == cell as u64 && load(&obstacle.word) == word.word();
        is_it.then(|| Duration::from_nanos(process::now().saturating_sub(load(&obstacle.since))))
    }

    /// Kills the process `pid`, which is attached to this ring, waits until it is dead, and clears up after it. This is
    /// the only way to remove somebody who is alive, such as a process that was stopped in the middle of a push: nothing
    /// else in this library ever takes anything from the living.
    ///
    /// The process is killed through a descriptor that stands for it alone: whoever gets its pid later is safe. All that
    /// it does elsewhere ends as well. Which process that is, the segment says: whoever may write to the segment can have
    /// us kill any process of its choice that we may kill.
    ///
    /// # Errors
    /// [`EvictError`]; nobody was killed, except with [`EvictError::Timeout`].
    pub fn evict(&self, pid: u32) -> Result<Recovered, EvictError> {
        let ring = || Box::from(self.name());
        if pid == process::pid() {
            return Err(EvictError::Ourselves { ring: ring() });
        }
        let records = self.attachment.parts().records();
        let is_it = |words: &&Record| load(&words.attached) != 0 && load(&words.pid) == u64::from(pid);
        let is_dead = |record| self.attachment.is_dead(record);
        let is_alive = |&(record, words): &(usize, &Record)| is_it(&words) && !is_dead(record);
        let Some((_, words)) = records.iter().enumerate().find(is_alive) else {
            return Err(EvictError::NotAttached { ring: ring(), pid });
        };
        let identity = identity(words);
        if identity.pid_namespace != Identity::of_this_process().pid_namespace {
            return Err(EvictError::OtherNamespace { ring: ring(), pid });
        }
        process::kill(&identity).map_err(|source| match source.kind() {
            std::io::ErrorKind::PermissionDenied => EvictError::Permission { ring: ring(), pid },
            _ => EvictError::System { ring: ring(), pid, source },
        })?;
        // It may be attached more than once.
        let deadline = Instant::now() + EVICTION_PATIENCE;
        while records.iter().enumerate().any(|record| is_alive(&record)) {
            if Instant::now() >= deadline {
                return Err(EvictError::Timeout { ring: ring(), pid, waited_ms: EVICTION_PATIENCE.as_millis() as u64 });
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(self.recover())
    }
}

fn load(word: &AtomicU64) -> u64 {
    // Relaxed: for people to read; what matters is asked of the kernel.
    word.load(Ordering::Relaxed)
}

fn identity(words: &RecordWords) -> Identity {
    Identity {
        pid: load(&words.pid) as u32,
        start_time: load(&words.start_time),
        pid_namespace: load(&words.pid_namespace),
    }
}

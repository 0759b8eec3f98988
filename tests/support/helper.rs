//! Threads that may block, and what becomes of them.

use super::asleep::is_asleep;
use super::{PATIENCE, wait_until};
use rustix::thread::gettid;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Instant;

/// A thread that does something that may block.
pub struct Helper<V> {
    /// Its path under `/proc`.
    path: String,
    thread: JoinHandle<()>,
    result: Receiver<(V, Instant)>,
}

impl<V: Send + 'static> Helper<V> {
    pub fn start(job: impl FnOnce() -> V + Send + 'static) -> Helper<V> {
        let (id_sender, id) = channel();
        let (sender, result) = channel();
        let thread = std::thread::spawn(move || {
            let _ = id_sender.send(gettid());
            let value = job();
            let _ = sender.send((value, Instant::now()));
        });
        let id = id.recv().expect("it has just started").as_raw_nonzero();
        Helper { path: format!("self/task/{id}"), thread, result }
    }

    pub fn is_asleep(&self) -> bool {
        is_asleep(&self.path)
    }

    #[track_caller]
    pub fn wait_until_asleep(&self) {
        wait_until("a thread sleeps", || self.is_asleep());
    }

    /// What it returns. Fails when it does not.
    #[track_caller]
    pub fn result(self) -> V {
        self.result_at().0
    }

    /// Also, when it has returned.
    #[track_caller]
    pub fn result_at(self) -> (V, Instant) {
        match self.result.recv_timeout(PATIENCE) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => panic!("a thread hangs; it sleeps: {}", self.is_asleep()),
            Err(RecvTimeoutError::Disconnected) => panic!("a thread has panicked"),
        }
    }

    /// Watches it until it has returned. Says whether it was ever asleep.
    pub fn is_asleep_before_it_returns(&self) -> bool {
        let mut was_asleep = false;
        wait_until("a thread returns", || {
            was_asleep |= self.is_asleep();
            self.thread.is_finished()
        });
        was_asleep
    }
}

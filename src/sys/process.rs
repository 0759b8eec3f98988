//! Who we are, in terms that another process can look up, and what the system says of itself.

use core::sync::atomic::{AtomicU64, Ordering};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// This process, for other processes and for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) pid: u32,
    /// In clock ticks since boot; 0 where `/proc` is not there.
    pub(crate) start_time: u64,
    /// The inode of the pid namespace in which `pid` counts; 0 where `/proc` is not there.
    pub(crate) pid_namespace: u64,
}

impl Identity {
    pub(crate) fn of_this_process() -> Identity {
        let mut stat = [0; 1024];
        Identity {
            pid: pid(),
            start_time: start_time(read_proc("/proc/self/stat", &mut stat)).unwrap_or(0),
            pid_namespace: namespace("/proc/self/ns/pid"),
        }
    }
}

/// The pid of this process, asked of the kernel: a forked child gets its own.
pub(crate) fn pid() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get() as u32
}

/// Which boot of the machine this is, as 16 bytes; zeros where the system does not say.
pub(crate) fn boot_id() -> [u8; 16] {
    let mut text = [0; 64];
    let mut id = [0; 16];
    let digits = read_proc("/proc/sys/kernel/random/boot_id", &mut text).iter().filter_map(|&byte| hex(byte));
    for (index, digit) in digits.take(32).enumerate() {
        id[index / 2] = id[index / 2] << 4 | digit;
    }
    id
}

/// Whether a process goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunState {
    Running,
    /// By a signal, or a debugger.
    Stopped,
}

/// The state of this very process; `None` when it is not there, or lives in a pid namespace that we do not see into.
pub(crate) fn run_state(of: &Identity) -> Option<RunState> {
    let mut buffer = [0; 1024];
    let stat = read_proc(&format!("/proc/{}/stat", of.pid), &mut buffer);
    if !is_of(stat, of) {
        return None;
    }
    Some(if matches!(state(stat)?, b'T' | b't') { RunState::Stopped } else { RunState::Running })
}

/// The command line of this very process, its arguments apart; `None` as for [`run_state`].
pub(crate) fn command_line(of: &Identity) -> Option<Vec<String>> {
    let mut buffer = [0; 4096];
    let line = read_proc(&format!("/proc/{}/cmdline", of.pid), &mut buffer).to_vec();
    // After the line was read: it is of this process.
    is_of(read_proc(&format!("/proc/{}/stat", of.pid), &mut buffer), of).then_some(())?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    Some(line.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// Kills this very process, not one that has got its pid since. One that is gone already is no error.
pub(crate) fn kill(victim: &Identity) -> io::Result<()> {
    let pid = i32::try_from(victim.pid).ok().filter(|&pid| pid > 0).and_then(Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(()),
        result => result?,
    };
    // From here on the descriptor stands for one process. Is it ours?
    let mut buffer = [0; 1024];
    if !is_of(read_proc(&format!("/proc/{}/stat", victim.pid), &mut buffer), victim) {
        return Ok(());
    }
    match pidfd_send_signal(&descriptor, Signal::KILL) {
        Err(Errno::SRCH) => Ok(()),
        result => Ok(result?),
    }
}

/// A process of our own pid and time namespace, in one word: `start_time:42 | pid:22`. 0 is nobody.
///
/// No process that comes later is the same one: it would have to get the pid within the clock tick, ten milliseconds,
/// in which this one was started, after all other pids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life(u64);

impl Life {
    const PID_BITS: u32 = 22;
    const PID: u64 = (1 << Self::PID_BITS) - 1;

    /// `None` where the system does not say when we were started.
    pub(crate) fn ours() -> Option<Life> {
        // As it was when we were asked last, unless a fork has made another process of us.
        static WORD: AtomicU64 = AtomicU64::new(0);
        static FORKS: AtomicU64 = AtomicU64::new(u64::MAX);
        let forks = super::fork::count();
        // Acquire: the word is of the same time, or later. Pairs with the Release below.
        if FORKS.load(Ordering::Acquire) == forks {
            let life = Life(WORD.load(Ordering::Relaxed));
            // NB: a bare `clone` system call is a fork that nobody counts.
            if life.pid() == pid() {
                return Some(life);
            }
        }
        let us = Identity::of_this_process();
        (us.start_time != 0).then(|| {
            let life = Life::of(&us);
            WORD.store(life.0, Ordering::Relaxed);
            FORKS.store(forks, Ordering::Release);
            life
        })
    }

    pub(crate) const fn of(process: &Identity) -> Life {
        Life(process.start_time << Self::PID_BITS | process.pid as u64 & Self::PID)
    }

    pub(crate) const fn from_word(word: u64) -> Life {
        Life(word)
    }

    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    pub(crate) const fn pid(self) -> u32 {
        (self.0 & Self::PID) as u32
    }

    const fn start_time(self) -> u64 {
        self.0 >> Self::PID_BITS
    }

    /// Whether the process has ended, and with it all that it stored. Doubt is a no.
    pub(crate) fn is_over(self) -> bool {
        if self.pid() == pid() {
            // We have its pid: then it is us, or was.
            return Life::ours().is_some_and(|us| us != self);
        }
        if is_free(self.pid()) {
            return true;
        }
        // A process with its pid is there. The same one? Another `/proc` than ours would tell of others.
        if !is_our_proc() {
            return false;
        }
        let mut buffer = [0; 1024];
        let stat = read_proc(&format!("/proc/{}/stat", self.pid()), &mut buffer);
        match (start_time(stat), state(stat)) {
            (None, _) | (_, None) => is_free(self.pid()), // it may have ended meanwhile, or we may not look
            (Some(start), _) if start & (u64::MAX >> Self::PID_BITS) != self.start_time() => true,
            // A zombie does nothing any more. Its other threads, as long as they are listed, may.
            (_, Some(b'Z')) => is_alone(self.pid()),
            _ => false,
        }
    }
}

/// Where a [`Life`] means something: our pid namespace, and our time namespace, in which start times count. `None` where
/// that cannot be said, so that nothing can be said of others.
pub(crate) fn namespaces() -> Option<u64> {
    // These numbers have 32 bits. There are time namespaces from Linux 5.6 on.
    let (pid, time) = (namespace("/proc/self/ns/pid"), namespace("/proc/self/ns/time") & u64::from(u32::MAX));
    (pid != 0 && is_our_proc()).then_some(pid << 32 | time)
}

/// The inode number of one of our namespaces; 0 where `/proc` is not there.
fn namespace(path: &str) -> u64 {
    if cfg!(miri) {
        return 0; // it does not know the call
    }
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    rustix::fs::stat(path).map_or(0, |stat| stat.st_ino as u64)
}

/// Whether no process has this pid.
pub(crate) fn is_free(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().filter(|&pid| pid > 0).and_then(Pid::from_raw);
    // A word with an impossible pid is nobody's.
    pid.is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH))
}

/// Whether `/proc` shows the pids of our own namespace.
fn is_our_proc() -> bool {
    let link = rustix::fs::readlink("/proc/self", Vec::new());
    link.is_ok_and(|link| link.to_str().ok().and_then(|text| text.parse().ok()) == Some(pid()))
}

/// Whether a process has no thread but its first one.
fn is_alone(pid: u32) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| tasks.count() == 1)
}

/// Field 3 of `/proc/PID/stat`.
fn state(stat: &[u8]) -> Option<u8> {
    stat.get(stat.iter().rposition(|&byte| byte == b')')? + 2).copied()
}

fn is_of(stat: &[u8], process: &Identity) -> bool {
    start_time(stat) == Some(process.start_time) && process.pid_namespace == namespace("/proc/self/ns/pid")
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// Field 22 of `/proc/PID/stat`. Field 2, the command, is in brackets and may hold anything, brackets too.
fn start_time(stat: &[u8]) -> Option<u64> {
    let after_command = stat.iter().rposition(|&byte| byte == b')')? + 2;
    let field = stat.get(after_command..)?.split(|&byte| byte == b' ').nth(22 - 3)?;
    core::str::from_utf8(field).ok()?.parse().ok()
}

/// The text of a small file of `/proc`, or nothing.
fn read_proc<'b>(path: &str, buffer: &'b mut [u8]) -> &'b [u8] {
    if cfg!(miri) {
        return &[]; // it knows neither `/proc` nor the call that opens it
    }
    let length = super::file::open(path, OFlags::RDONLY)
        .ok()
        .and_then(|file| super::file::read_start(file, buffer).ok())
        .unwrap_or(0);
    &buffer[..length]
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_any_command_name() {
        let mut stat = b"42 (a ) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20".to_vec();
        assert_eq!(start_time(&stat), Some(987_654));
        stat.truncate(12);
        assert_eq!(start_time(&stat), None);
    }

    #[test]
    fn a_process_is_over_when_it_has_ended_and_not_before_whoever_has_its_pid() {
        let us = Life::ours().expect("/proc is there");
        assert_eq!((us.pid(), Life::from_word(us.word())), (std::process::id(), us));
        assert!(!us.is_over());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("it can be run");
        let mut buffer = [0; 1024];
        let stat = read_proc(&format!("/proc/{}/stat", child.id()), &mut buffer);
        let start_time = start_time(stat).expect("it is there");
        let of = |start_time| Life::of(&Identity { pid: child.id(), start_time, pid_namespace: 0 });
        let life = of(start_time);
        assert!(!life.is_over());
        assert!(of(start_time - 1).is_over(), "an earlier process with the same pid");
        assert!(Life::of(&Identity { start_time: 1, ..Identity::of_this_process() }).is_over(), "likewise, of ours");
        child.kill().expect("it is there");
        // A zombie, until it is waited for.
        while !life.is_over() {
            std::thread::yield_now();
        }
        child.wait().expect("it ends");
        assert!(life.is_over());
    }

    #[test]
    fn this_process_and_this_boot_have_an_identity() {
        let me = Identity::of_this_process();
        assert_eq!(me.pid, std::process::id());
        assert!(me.start_time > 0 && me.pid_namespace > 0);
        assert_eq!(me, Identity::of_this_process());
        assert_ne!(boot_id(), [0; 16]);
    }
}

//! Who we are, in terms that another process can look up, and what the system says of itself.

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
        let namespace = rustix::fs::stat("/proc/self/ns/pid");
        Identity {
            pid: pid(),
            start_time: start_time(read_proc("/proc/self/stat", &mut stat)).unwrap_or(0),
            #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
            pid_namespace: namespace.map_or(0, |stat| stat.st_ino as u64),
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
    let state = stat.get(stat.iter().rposition(|&byte| byte == b')')? + 2)?;
    Some(if matches!(state, b'T' | b't') { RunState::Stopped } else { RunState::Running })
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

fn is_of(stat: &[u8], process: &Identity) -> bool {
    let namespace = rustix::fs::stat("/proc/self/ns/pid").map_or(0, |stat| stat.st_ino);
    start_time(stat) == Some(process.start_time) && process.pid_namespace == namespace
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
    fn this_process_and_this_boot_have_an_identity() {
        let me = Identity::of_this_process();
        assert_eq!(me.pid, std::process::id());
        assert!(me.start_time > 0 && me.pid_namespace > 0);
        assert_eq!(me, Identity::of_this_process());
        assert_ne!(boot_id(), [0; 16]);
    }
}

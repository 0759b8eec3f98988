//! What `send` and `recv` have in common: how messages are written, how long they wait, and how they get on.

use crate::failure::{Code, Failure};
use crate::observe;
use crate::show;
use clap::Args;
use ringway::bytes::Ring;
use ringway::{OpenError, Options};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How messages look outside of a ring.
#[derive(Debug, Args)]
pub struct Format {
    /// One message a line, as hexadecimal digits
    #[arg(long)]
    pub hex: bool,
    /// Messages as they are, one after the other, with nothing in between
    #[arg(long, conflicts_with = "hex")]
    pub binary: bool,
}

/// The ring that messages go to, or come from.
#[derive(Debug, Args)]
pub struct Target {
    /// The ring: a name, sysv:KEY, or a path
    name: String,
    /// Also if it belongs to another user, who can stop this command by truncating the ring
    #[arg(long)]
    any_owner: bool,
}

impl Target {
    pub fn open(&self) -> Result<Ring, Failure> {
        let source = observe::source(&self.name)?;
        match Ring::open(&source) {
            Err(OpenError::Owner { found, .. }) if self.any_owner => {
                Ok(Ring::open_with(&source, &Options::new().owner(found))?)
            }
            Err(OpenError::Owner { name, found, .. }) => {
                let owner = show::user(found);
                let message =
                    format!("ring `{name}` belongs to {owner}, and not to us; if you trust {owner}: --any-owner");
                Err(Failure::new(Code::Failed, message))
            }
            result => Ok(result?),
        }
    }
}

/// Says on the terminal how far it has got, if somebody looks.
#[derive(Debug)]
pub struct Progress {
    done: &'static str,
    count: u64,
    start: Instant,
    /// When to say it next; `None` if nobody looks.
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    const INTERVAL: Duration = Duration::from_millis(500);

    pub fn new(done: &'static str) -> Progress {
        let start = Instant::now();
        let next = std::io::stderr().is_terminal().then(|| start + Progress::INTERVAL);
        Progress { done, count: 0, start, next, shown: false }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// So many more.
    pub fn step(&mut self, more: u64) {
        let before = self.count;
        self.count += more;
        // The clock is looked at now and then.
        if before / 64 != self.count / 64 {
            self.show();
        }
    }

    /// Says it, if it is time.
    pub fn show(&mut self) {
        let now = Instant::now();
        if self.next.is_some_and(|next| now >= next) {
            self.next = Some(now + Progress::INTERVAL);
            self.shown = true;
            let rate = show::count(self.count as f64 / self.start.elapsed().as_secs_f64());
            let _ = write!(std::io::stderr(), "\r{} {}, {rate}/s \x1b[K", self.count, self.done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// A time-out, as it is said to a person.
pub fn too_late(what: &str, pid: Option<u32>) -> Failure {
    let held = pid.map(|pid| format!(": the cell in front is in the hands of process {pid}, which may be stopped"));
    Failure::new(Code::Busy, format!("{what} in time{}", held.unwrap_or_default()))
}

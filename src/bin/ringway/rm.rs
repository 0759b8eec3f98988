//! `ringway rm`: removes the names of rings.

use crate::failure::{Code, Failure};
use crate::observe;
use crate::out::Out;
use crate::show;
use clap::Args;
use ringway::inspect::PeerState;
use ringway::{UnlinkError, remove};

/// Remove rings by name.
///
/// A ring that is in use is not removed without --force: with it, its processes go on, nobody else finds it any more, and
/// its memory is freed when the last of them leaves. Who is alive is the kernel's word, and nobody attaches meanwhile.
#[derive(Debug, Args)]
pub struct Rm {
    /// Rings: names, sysv:KEY, or paths
    #[arg(required = true)]
    names: Vec<String>,
    /// Also while processes are attached
    #[arg(short, long)]
    force: bool,
}

impl Rm {
    pub fn run(self, _: &mut Out) -> Result<(), Failure> {
        for name in &self.names {
            let source = observe::source(name)?;
            match self.force {
                true => remove::ring(source)?,
                false => remove::unused_ring(source).map_err(|error| explained(name, error))?,
            }
        }
        Ok(())
    }
}

/// Who it is that uses it, and what to do about it.
fn explained(name: &str, error: UnlinkError) -> Failure {
    if !matches!(error, UnlinkError::InUse { .. }) {
        return error.into();
    }
    let users = users(name).map_or_else(|| "; stop its processes".to_owned(), |users| format!(" by {users}"));
    let message = format!("ring `{name}` was not removed: it is in use{users}, or remove it with --force");
    Failure::new(Code::Busy, message)
}

/// `process 12 (./a), process 13 (./b); stop them`.
fn users(name: &str) -> Option<String> {
    let contents = observe::open(name).ok()?.picture().ok()?.contents?;
    let alive = contents.processes.iter().filter(|process| process.state != PeerState::Dead);
    let named = alive.map(|process| {
        let command = process.command.as_ref().and_then(|words| words.first()).map(|word| show::harmless(word));
        command.map_or_else(|| process.pid.to_string(), |command| format!("{} ({command})", process.pid))
    });
    let named: Vec<String> = named.collect();
    let them = if named.len() == 1 { "it" } else { "them" };
    (!named.is_empty()).then(|| format!("process {}; stop {them}", named.join(", process ")))
}

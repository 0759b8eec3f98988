//! `ringway gc`: removes what nobody holds.

use crate::failure::{Code, Failure};
use crate::observe::{self, alive_and_dead};
use crate::out::Out;
use crate::show;
use clap::Args;
use ringway::inspect::{Entry, Maker, Segment, Temporary};
use ringway::{Source, UnlinkError, remove};
use serde::Serialize;
use std::io::Write;

/// Remove what nobody holds any more.
///
/// What creators have left that were killed in the middle of making a ring. With --dead also rings whose last processes
/// were killed, with the messages in them. That somebody is dead is the kernel's word, never a guess; what is in use is
/// never removed, nor is a ring that all its processes have left in an orderly way.
///
/// Creators of older builds of this program prove in no way that they are alive. What they make, or have left, is removed
/// only with --unproven: if nobody has it locked, and no process has the pid that its name says.
#[derive(Debug, Args)]
pub struct Gc {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Also remove rings whose last processes were killed
    #[arg(long)]
    dead: bool,
    /// Also remove what creators of other builds seem to have left; look at it with --dry-run first
    #[arg(long)]
    unproven: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Something that was removed, or would be.
#[derive(Debug, Serialize)]
struct Removal {
    name: String,
    #[serde(skip)]
    source: Source,
    /// `leftover`, `unproven-leftover` or `dead-ring`.
    what: &'static str,
    allocated: u64,
    /// Messages that are lost with it.
    messages: u64,
    removed: bool,
    /// Why it was not removed.
    error: Option<String>,
}

impl Gc {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let listing = observe::list()?;
        let leftovers = listing.temporaries.iter().filter_map(|temporary| match temporary.maker {
            Maker::Dead => Some(leftover(temporary, "leftover")),
            Maker::Unproven if self.unproven => Some(leftover(temporary, "unproven-leftover")),
            _ => None,
        });
        let mut removals: Vec<Removal> = leftovers.collect();
        if self.dead {
            removals.extend(listing.rings.iter().filter_map(dead_ring));
        }
        if !self.dry_run {
            removals.retain_mut(Removal::carry_out);
        }
        let failed = removals.iter().any(|removal| removal.error.is_some());
        match self.json {
            true => out.json(&removals)?,
            false => {
                for removal in &removals {
                    removal.print(out, self.dry_run)?;
                }
            }
        }
        if failed { Err(Failure::Silent(Code::Failed)) } else { Ok(()) }
    }
}

fn leftover(temporary: &Temporary, what: &'static str) -> Removal {
    let Temporary { name, source, allocated, .. } = temporary.clone();
    Removal { name, source, what, allocated, messages: 0, removed: false, error: None }
}

/// The ring, if somebody died in it and nobody is left.
fn dead_ring(ring: &Entry) -> Option<Removal> {
    let picture = Segment::open(&ring.source).ok()?.picture().ok()?;
    let (alive, dead) = alive_and_dead(&picture);
    let messages = picture.contents.as_ref()?.fill;
    let is_dead = !picture.in_use && alive == 0 && dead > 0;
    let allocated = picture.file.allocated;
    let (name, source) = (ring.name.clone(), ring.source.clone());
    is_dead.then_some(Removal { name, source, what: "dead-ring", allocated, messages, removed: false, error: None })
}

impl Removal {
    /// Removes it, if it still is what it was. Says whether there is anything to be said of it.
    fn carry_out(&mut self) -> bool {
        let removed = match self.what {
            "leftover" => remove::leftover(&self.source),
            "unproven-leftover" => remove::unproven_leftover(&self.name),
            _ => remove::unused_ring(&self.source),
        };
        match removed {
            Ok(()) => self.removed = true,
            // Somebody was faster, or has come back to it.
            Err(UnlinkError::NotFound { .. } | UnlinkError::InUse { .. } | UnlinkError::Replaced { .. }) => {
                return false;
            }
            Err(error) => self.error = Some(error.to_string()),
        }
        true
    }

    fn print(&self, out: &mut Out, dry_run: bool) -> std::io::Result<()> {
        let verb = match (&self.error, dry_run) {
            (Some(_), _) => "not removed",
            (None, true) => "would be removed",
            (None, false) => "removed",
        };
        let (name, size) = (show::harmless(&self.name), show::bytes(self.allocated));
        let what = match self.what {
            "leftover" => "left by a creator that was killed".to_owned(),
            "unproven-leftover" => "of a creator of another build that is not there any more, it seems".to_owned(),
            _ => format!("its last processes were killed, messages in it: {}", self.messages),
        };
        let error = self.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        writeln!(out, "{verb}: {name}  {size}, {what}{error}")
    }
}

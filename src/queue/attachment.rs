//! One process's attachment to one segment: its mapping and its process record, and who removes the name in the end.

use super::options::Options;
use super::waiting::{Shared, Wait};
use crate::error::{CreateError, OpenError};
use crate::layout::control::Holder;
use crate::layout::geometry::{CellShape, Geometry, MAX_PROCESSES};
use crate::layout::header::{Expected, Identity, Kind, Lifetime, Schema};
use crate::layout::parts::Parts;
use crate::recover;
use crate::registry::{Gate, Register, Registration, Witness};
use crate::ring::memory::{Mapped, Single};
use crate::segment::{Memory, Plan, Segment, Source, Wanted};
use crate::sys::fork::{self, Incarnation};
use crate::sys::futex;
use crate::sys::lock::Lock;
use crate::sys::process;
use crate::wait::Event;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long we wait for what takes others microseconds, unless they are stopped: a name that is being replaced, a
/// process that is leaving.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How long `open_or_create` waits for memory to come back from others who are creating the same ring.
const SPACE_PATIENCE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Attachment {
    /// There until drop.
    registration: Option<Registration>,
    segment: Segment,
    holder: Holder,
    /// Whether sleepers reach us by a barrier, so that we need no fence to notice them.
    accepts_barriers: bool,
    /// How handles wait unless they are told otherwise.
    wait: Wait,
    /// The process that this belongs to. A forked child has no part in it.
    process: Incarnation,
}

impl Attachment {
    pub(super) fn create<T>(kind: Kind, source: &Source, options: &Options) -> Result<Attachment, CreateError> {
        Attachment::create_as(kind, kind.shape::<T>(), Schema::of::<T>(options.schema), source, options)
    }

    /// As [`create`](Self::create), of messages of that shape and schema.
    pub(super) fn create_as(
        kind: Kind,
        shape: CellShape,
        schema: Schema,
        source: &Source,
        options: &Options,
    ) -> Result<Attachment, CreateError> {
        let name = || source.to_string();
        let found = options.processes;
        if found == 0 || found > MAX_PROCESSES {
            return Err(CreateError::Processes { name: name(), found, expected: MAX_PROCESSES });
        }
        let capacity = options.capacity_of(kind, shape);
        let Some(geometry) = Geometry::new(shape, capacity, options.processes) else {
            let expected = Geometry::max_capacity(shape, options.processes);
            return Err(CreateError::Capacity { name: name(), found: capacity, expected });
        };
        let identity = Identity {
            kind,
            schema,
            lifetime: options.lifetime,
            boot_id: process::boot_id(),
            created_at: process::now(),
        };
        let plan = Plan { geometry, identity: &identity, wishes: &options.memory };
        let mut segment = Segment::create(source, &plan)?;
        // Attached before others can find it, so that a segment without a living process is one that nobody makes.
        let registration =
            Registration::new(segment.parts().records(), || reopen(&segment), |_, _| {}, &fork::forbid())
                .and_then(|registration| registration.ok_or_else(|| io::Error::other("all process records are in use")))
                .map_err(|source| CreateError::System { name: name(), doing: "attaching to it", source })?;
        segment.publish()?;
        Ok(Attachment::of(segment, registration, options))
    }

    pub(super) fn open<T>(kind: Kind, source: &Source, options: &Options) -> Result<Attachment, OpenError> {
        let start = Instant::now();
        loop {
            match Attachment::try_open::<T>(kind, source, options) {
                Err(OpenError::NotFound { .. }) if start.elapsed() < options.timeout => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                result => return result,
            }
        }
    }

    /// Opens the ring, or creates it, whichever is possible.
    pub(super) fn open_or_create<T>(kind: Kind, source: &Source, options: &Options) -> Result<Attachment, OpenError> {
        let start = Instant::now();
        loop {
            let not_found = match Attachment::try_open::<T>(kind, source, options) {
                Err(error @ (OpenError::NotFound { .. } | OpenError::NoName { .. })) => error,
                result => return result,
            };
            match Attachment::create::<T>(kind, source, options) {
                Err(CreateError::Exists { .. }) => return Err(not_found),
                Err(CreateError::AlreadyExists { .. }) if start.elapsed() >= PATIENCE => {
                    return Err(timeout(
                        source,
                        "the name kept appearing and disappearing, or who is making the ring is stopped",
                    ));
                }
                Err(CreateError::AlreadyExists { .. }) => {}
                // What is missing may be what others have taken who are creating the same ring at this moment.
                Err(CreateError::NoSpace { .. }) if start.elapsed() < SPACE_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(1 + u64::from(process::pid() % 8)));
                }
                result => return result.map_err(OpenError::Create),
            }
        }
    }

    fn try_open<T>(kind: Kind, source: &Source, options: &Options) -> Result<Attachment, OpenError> {
        let ring = Expected {
            kind,
            shape: kind.shape::<T>(),
            schema: Schema::of::<T>(options.schema),
            capacity: options.capacity,
        };
        Attachment::try_open_as(&ring, source, options, |parts, register, record| {
            let memory = Mapped::<T, Single>::new(parts.clone());
            recover::recover_record::<T, _>(&memory, register, record);
        })
    }

    /// Attaches to a ring that is as `expected`. `recover` clears up after the dead whose process record is going to be ours
    /// (MPMC).
    pub(super) fn try_open_as(
        expected: &Expected,
        source: &Source,
        options: &Options,
        recover: impl Fn(&Parts, Register<'_>, usize),
    ) -> Result<Attachment, OpenError> {
        let wanted = Wanted { ring: *expected, wishes: &options.memory, owner: options.owner };
        let segment = Segment::open(source, &wanted)?;
        // While we have it, nobody leaves as the last.
        let gate = Gate::pass(|| reopen(&segment), Lock::Shared, PATIENCE);
        let Some(gate) = gate.map_err(system_error(source, "opening it once more, and locking it"))? else {
            return Err(timeout(source, "a process that is leaving it holds its gate, and may be stopped"));
        };
        // Has somebody left as the last one before?
        if !segment.is_current() {
            return Err(OpenError::NotFound { name: source.to_string() });
        }
        let records = segment.parts().records();
        let clear_up = |record, register: Register<'_>| match expected.kind {
            Kind::Spsc | Kind::Latest => {}
            Kind::Mpmc => recover(segment.parts(), register, record),
        };
        let registration = Registration::new(records, || reopen(&segment), clear_up, gate.no_forks())
            .map_err(system_error(source, "attaching to it"))?;
        drop(gate);
        let Some(registration) = registration else {
            let limit = segment.parts().geometry().processes;
            return Err(OpenError::TooManyProcesses { name: source.to_string(), limit });
        };
        let attachment = Attachment::of(segment, registration, options);
        // Our record may have been of somebody who died: what it held is there for others.
        attachment.announce();
        Ok(attachment)
    }

    fn of(segment: Segment, registration: Registration, options: &Options) -> Attachment {
        let holder = registration.holder();
        let accepts_barriers = futex::accept_barriers();
        if !accepts_barriers {
            let control = segment.parts().control();
            for word in [&*control.messages, &*control.room, &*control.ends] {
                Event(Shared(word)).always_alert();
            }
        }
        let process = Incarnation::current();
        Attachment { registration: Some(registration), segment, holder, accepts_barriers, wait: options.wait, process }
    }

    pub(super) fn accepts_barriers(&self) -> bool {
        self.accepts_barriers
    }

    pub(super) fn wait(&self) -> Wait {
        self.wait
    }

    pub(super) fn parts(&self) -> &Parts {
        self.segment.parts()
    }

    /// The word by which others know us.
    pub(super) fn holder(&self) -> Holder {
        self.holder
    }

    /// The process record by which others know us.
    pub(super) fn record(&self) -> usize {
        self.holder.held_by().map_or(0, |(record, _)| record)
    }

    /// Whether we are a forked child that has got hold of its parent's attachment, whose memory it does not have.
    pub(super) fn is_inherited(&self) -> bool {
        Incarnation::current() != self.process
    }

    pub(super) fn memory(&self) -> Memory {
        self.segment.memory()
    }

    /// A descriptor by which another process can attach, if that is how it is done.
    pub(super) fn to_be_sent(&self) -> Option<BorrowedFd<'_>> {
        self.segment.to_be_sent()
    }

    /// Has `ask` ask who is alive; `None` when that cannot be asked.
    pub(super) fn ask<R>(&self, ask: impl FnOnce(Register<'_>) -> R) -> Option<R> {
        let records = self.parts().records();
        match without_file(&self.segment) {
            None => self.segment.with_file(|file| ask(Register { records, witness: Witness::File(file) })),
            Some(witness) => Some(ask(Register { records, witness })),
        }
    }

    /// Whether the process of that record and generation is alive. Doubt is a yes.
    pub(super) fn is_alive(&self, record: usize, generation: u32) -> bool {
        self.ask(|register| register.is_alive(record, generation)).unwrap_or(true)
    }

    /// Whether nobody who is alive uses that record. Doubt is a no.
    pub(super) fn is_dead(&self, record: usize) -> bool {
        self.ask(|register| register.is_dead(record)).unwrap_or(false)
    }
}

/// Opens what testifies to who is alive, with a description of its own.
fn reopen(segment: &Segment) -> io::Result<Witness<'_, OwnedFd>> {
    match without_file(segment) {
        None => segment.reopen().map(Witness::File),
        Some(witness) => Ok(witness),
    }
}

/// What testifies to who is alive where there is no file.
fn without_file<F>(segment: &Segment) -> Option<Witness<'_, F>> {
    match segment.is_private() {
        true => Some(Witness::Alone),
        false if segment.has_file() => None,
        false => Some(Witness::Words(&segment.parts().control().gate.holder)),
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if self.is_inherited() {
            return; // its memory is our parent's, and so are its locks
        }
        let Attachment { registration, segment, .. } = self;
        if segment.has_name() && segment.lifetime() == Lifetime::LastDetach {
            leave_through_the_gate(segment, registration);
        }
        if let Some(registration) = registration {
            registration.leave(segment.parts().records());
        }
    }
}

/// Gives up our record, and the name as well if nobody else is attached and alive. The gate is held meanwhile, so that
/// of two processes that leave at the same time one sees that it is the last.
fn leave_through_the_gate(segment: &Segment, registration: &mut Option<Registration>) {
    // When somebody is stopped while attaching or leaving, the name stays for the next one to remove. When the file
    // cannot be opened by its name, that is not ours to remove.
    let gate = Gate::pass(|| reopen(segment), Lock::Exclusive, PATIENCE).unwrap_or(None);
    let records = segment.parts().records();
    if let Some(registration) = registration.take() {
        let is_last =
            |gate: &Gate<'_>| !registration.is_anybody_else_alive(Register { records, witness: gate.witness() });
        if gate.as_ref().is_some_and(is_last) {
            segment.unlink();
        }
        registration.leave(records);
    }
}

fn system_error(source: &Source, doing: &'static str) -> impl FnOnce(io::Error) -> OpenError {
    move |error| match error.kind() {
        // The name went to another file, or to none, while we were attaching.
        io::ErrorKind::NotFound => OpenError::NotFound { name: source.to_string() },
        _ => OpenError::System { name: source.to_string(), doing, source: error },
    }
}

fn timeout(source: &Source, why: &'static str) -> OpenError {
    OpenError::Timeout { name: source.to_string(), waited_ms: PATIENCE.as_millis() as u64, why }
}

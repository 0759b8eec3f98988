//! One process's attachment to one segment: its mapping and its process record, and who removes the name in the end.

use super::options::Options;
use crate::error::{CreateError, OpenError};
use crate::layout::control::Holder;
use crate::layout::geometry::{CellShape, Geometry, MAX_PROCESSES};
use crate::layout::header::{Expected, Identity, Kind, Lifetime, Schema};
use crate::layout::parts::Parts;
use crate::registry::{self, Registration};
use crate::segment::name::Name;
use crate::segment::posix::Segment;
use crate::sys::lock::Lock;
use crate::sys::process;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long we wait for what takes others microseconds, unless they are stopped: a name that is being replaced, a
/// process that is leaving.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Attachment {
    registration: Registration,
    segment: Segment,
    /// The process that this belongs to. A forked child has no part in it.
    process: u32,
    /// Set while we leave. NB: the last field, so that the gate is given up after the registration.
    gate: Option<OwnedFd>,
}

impl Attachment {
    pub(super) fn create<T>(kind: Kind, name: &Name, options: &Options) -> Result<Attachment, CreateError> {
        let shape = CellShape::of::<T>();
        let found = options.processes;
        if found == 0 || found > MAX_PROCESSES {
            return Err(CreateError::Processes { name: name.into(), found, expected: MAX_PROCESSES });
        }
        let capacity = options.capacity.unwrap_or(Options::DEFAULT_CAPACITY);
        let Some(geometry) = Geometry::new(shape, capacity, options.processes) else {
            let expected = Geometry::max_capacity(shape, options.processes);
            return Err(CreateError::Capacity { name: name.into(), found: capacity, expected });
        };
        let identity = Identity {
            kind,
            schema: Schema::of::<T>(options.schema),
            lifetime: options.lifetime,
            boot_id: process::boot_id(),
            created_at: process::now(),
        };
        let mut segment = Segment::create(name.clone(), geometry, &identity, options.mode)?;
        // Attached before others can find it, so that a segment without a living process is one that nobody makes.
        let registration = Registration::new(segment.parts().records(), || segment.reopen())
            .and_then(|registration| registration.ok_or_else(|| io::Error::other("all process records are in use")))
            .map_err(|source| CreateError::System { name: name.into(), doing: "attaching to it", source })?;
        segment.publish()?;
        Ok(Attachment::of(segment, registration))
    }

    pub(super) fn open<T>(kind: Kind, name: &Name, options: &Options) -> Result<Attachment, OpenError> {
        let start = Instant::now();
        loop {
            match Attachment::try_open::<T>(kind, name, options) {
                Err(OpenError::NotFound { .. }) if start.elapsed() < options.timeout => {
                    std::thread::sleep(Duration::from_micros(200));
                }
                result => return result,
            }
        }
    }

    /// Opens the ring, or creates it, whichever is possible.
    pub(super) fn open_or_create<T>(kind: Kind, name: &Name, options: &Options) -> Result<Attachment, OpenError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Attachment::try_open::<T>(kind, name, options) {
                Err(OpenError::NotFound { .. }) => {}
                result => return result,
            }
            match Attachment::create::<T>(kind, name, options) {
                Err(CreateError::AlreadyExists { .. }) => {}
                result => return result.map_err(OpenError::Create),
            }
            if Instant::now() >= deadline {
                return Err(timeout(name, "the name kept appearing and disappearing"));
            }
        }
    }

    fn try_open<T>(kind: Kind, name: &Name, options: &Options) -> Result<Attachment, OpenError> {
        let expected = Expected {
            kind,
            shape: CellShape::of::<T>(),
            schema: Schema::of::<T>(options.schema),
            capacity: options.capacity,
            boot_id: process::boot_id(),
        };
        let owner = options.owner.unwrap_or_else(|| rustix::process::geteuid().as_raw());
        let segment = Segment::open(name.clone(), &expected, owner)?;
        let system = |doing| {
            let name = String::from(name);
            move |source: io::Error| match source.kind() {
                // The name went to another file, or to none, while we were attaching.
                io::ErrorKind::NotFound => OpenError::NotFound { name },
                _ => OpenError::System { name, doing, source },
            }
        };
        let gate = segment.reopen().map_err(system("opening it once more"))?;
        if !registry::open_gate(&gate, Lock::Shared, PATIENCE).map_err(system("locking it"))? {
            return Err(timeout(name, "a process that is leaving it holds its gate, and may be stopped"));
        }
        // Nobody leaves as the last one now. Has somebody done so before?
        if !segment.is_current() {
            return Err(OpenError::NotFound { name: name.into() });
        }
        let registration =
            Registration::new(segment.parts().records(), || segment.reopen()).map_err(system("attaching to it"))?;
        registry::close_gate(&gate).map_err(system("unlocking it"))?;
        let Some(registration) = registration else {
            let limit = segment.parts().geometry().processes;
            return Err(OpenError::TooManyProcesses { name: name.into(), limit });
        };
        Ok(Attachment::of(segment, registration))
    }

    fn of(segment: Segment, registration: Registration) -> Attachment {
        Attachment { registration, segment, process: process::pid(), gate: None }
    }

    pub(super) fn parts(&self) -> &Parts {
        self.segment.parts()
    }

    /// The word by which others know us.
    pub(super) fn holder(&self) -> Holder {
        self.registration.holder()
    }

    /// Whether we are a forked child that has got hold of its parent's attachment, whose memory it does not have.
    pub(super) fn is_inherited(&self) -> bool {
        process::pid() != self.process
    }

    /// Whether the process of that record and generation is alive. Doubt is a yes.
    pub(super) fn is_alive(&self, record: usize, generation: u32) -> bool {
        let records = self.parts().records();
        self.segment.with_file(|file| registry::is_alive(records, file, record, generation)).unwrap_or(true)
    }

    pub(super) fn pid_of(&self, record: usize, generation: u32) -> u32 {
        registry::pid_of(self.parts().records(), record, generation)
    }

    /// Removes the name if nobody else is attached and alive. The gate is held until our own record is given up, so
    /// that of two processes that leave at the same time one sees that it is the last.
    fn leave_as_last(&self) -> Option<OwnedFd> {
        let description = self.segment.reopen().ok()?; // fails when the name is gone: nothing to remove
        if !registry::open_gate(&description, Lock::Exclusive, PATIENCE).ok()? {
            return None; // somebody is stopped while attaching or leaving; the name stays for the next one to remove
        }
        if !self.registration.is_anybody_else_alive(self.parts().records(), &description) {
            self.segment.unlink();
        }
        Some(description)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        if self.segment.lifetime() == Lifetime::LastDetach {
            self.gate = self.leave_as_last();
        }
        self.registration.leave(self.parts().records());
    }
}

fn timeout(name: &Name, why: &'static str) -> OpenError {
    OpenError::Timeout { name: name.into(), waited_ms: PATIENCE.as_millis() as u64, why }
}

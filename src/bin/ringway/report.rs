//! What `--json` prints. The names and meanings of these fields are stable: some may be added, none changes.

use crate::observe::{Activity, Observed, alive_and_dead};
use crate::show;
use ringway::inspect::{Contents, HeldCell, Kind, Lifetime, Maker, PeerState, Picture, Process, RoleHolder, Temporary};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Of `ls`.
#[derive(Debug, Serialize)]
pub struct List {
    pub rings: Vec<Ring>,
    pub temporaries: Vec<InTheMaking>,
    /// Files that may not be read, so that they may be rings.
    pub unreadable: u64,
}

/// Of `ls` and `gc`.
#[derive(Debug, Serialize)]
pub struct InTheMaking {
    name: String,
    creator: u32,
    /// Its creator is dead.
    leftover: bool,
    /// Its creator is of another build, and proves in no way that is known here that it is alive.
    unproven: bool,
    allocated: u64,
}

/// One ring. Times are in seconds, dates in seconds since 1970, sizes in bytes.
#[derive(Debug, Serialize)]
pub struct Ring {
    name: String,
    /// Null for a System V segment.
    path: Option<String>,
    /// `ok`, `damaged` (words that no correct process writes), `corrupt` (the header is wrong) or `other-version`.
    status: &'static str,
    version: Option<u32>,
    errors: Vec<String>,
    in_use: bool,
    alive: usize,
    dead: usize,
    file: File,
    /// Null for a file.
    system_v: Option<SystemV>,
    layout: Option<Layout>,
    contents: Option<Inside>,
    rates: Option<Rates>,
}

#[derive(Debug, Serialize)]
struct File {
    device: u64,
    inode: u64,
    links: u64,
    size: u64,
    allocated: u64,
    page: u64,
    owner: u32,
    owner_name: String,
    group: u32,
    group_name: String,
    /// In octal digits.
    mode: String,
}

#[derive(Debug, Serialize)]
struct SystemV {
    id: i32,
    creator: u32,
    last: u32,
    attached: u64,
    attached_at: Option<f64>,
    detached_at: Option<f64>,
    changed_at: f64,
}

#[derive(Debug, Serialize)]
struct Layout {
    /// `spsc`, `mpmc`, `latest`, or null for one that this build does not know.
    kind: Option<&'static str>,
    message_type: String,
    schema: String,
    item_size: u64,
    item_align: u64,
    capacity: u64,
    cells: u64,
    items_per_cell: u64,
    payload_offset: u64,
    stride: u64,
    processes: u64,
    total_size: u64,
    /// `persistent` or `last-detach`.
    lifetime: &'static str,
    created_at: f64,
    boot_id: String,
    other_boot: bool,
}

#[derive(Debug, Serialize)]
struct Inside {
    pushed: u64,
    popped: u64,
    fill: u64,
    still: bool,
    processes: Vec<Attached>,
    producer: Option<Role>,
    consumer: Option<Role>,
    held: Vec<Held>,
    held_count: u64,
    orphans: u64,
    skips: u64,
    most_adopted: u8,
    deaths: u64,
    skipped: u64,
    redelivered: u64,
    consumers_asleep: bool,
    producers_asleep: bool,
    peers_asleep: bool,
    corrupted: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Attached {
    record: usize,
    pid: u32,
    /// `alive`, `stopped` or `dead`.
    state: &'static str,
    other_pid_namespace: bool,
    command: Option<Vec<String>>,
    attached_at: f64,
    /// It was at work on the ring then, and perhaps since.
    seen_at: f64,
    /// It was at work while we looked, and nobody else can have been it. False says nothing.
    active: bool,
    producers: u64,
    consumers: u64,
    deaths_before: u64,
}

#[derive(Debug, Serialize)]
struct Role {
    /// `never-came`, `alive`, `left` or `dead`.
    state: &'static str,
    pid: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Held {
    cell: u64,
    position: u64,
    messages: u64,
    record: usize,
    pid: u32,
    pushing: bool,
    adopted: u8,
    in_the_way_for: Option<f64>,
    /// It was seen held for so long, and may have been before.
    held_for: f64,
}

/// Messages per second.
#[derive(Debug, Serialize)]
struct Rates {
    pushed: f64,
    popped: f64,
}

pub fn path(picture: &Picture) -> Option<String> {
    picture.path.as_ref().map(|path| path.display().to_string())
}

/// The word for how a ring is, here and in tables.
pub fn status(picture: &Picture) -> &'static str {
    use ringway::HeaderError;
    match &picture.contents {
        Some(contents) if contents.corrupted.is_empty() => "ok",
        Some(_) => "damaged",
        None if matches!(picture.errors[..], [HeaderError::Version { .. }]) => "other-version",
        None => "corrupt",
    }
}

pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Spsc => "spsc",
        Kind::Mpmc => "mpmc",
        Kind::Latest => "latest",
    }
}

pub fn state(state: PeerState) -> &'static str {
    match state {
        PeerState::Stopped => "stopped",
        PeerState::Dead => "dead",
        _ => "alive",
    }
}

pub fn lifetime(lifetime: Lifetime) -> &'static str {
    match lifetime {
        Lifetime::Persistent => "persistent",
        Lifetime::LastDetach => "last-detach",
    }
}

/// The boot, as the system writes it.
pub fn boot(id: [u8; 16]) -> String {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

impl From<&Temporary> for InTheMaking {
    fn from(temporary: &Temporary) -> InTheMaking {
        InTheMaking {
            name: temporary.name.clone(),
            creator: temporary.creator,
            leftover: temporary.maker == Maker::Dead,
            unproven: temporary.maker == Maker::Unproven,
            allocated: temporary.allocated,
        }
    }
}

impl From<&Observed> for Ring {
    fn from(observed: &Observed) -> Ring {
        let picture = &observed.picture;
        let (alive, dead) = alive_and_dead(picture);
        let file = &picture.file;
        Ring {
            name: picture.name.clone(),
            path: path(picture),
            status: status(picture),
            version: picture.version,
            errors: picture.errors.iter().map(ToString::to_string).collect(),
            in_use: picture.in_use,
            alive,
            dead,
            file: File {
                device: file.device,
                inode: file.inode,
                links: file.links,
                size: file.size,
                allocated: file.allocated,
                page: file.page,
                owner: file.owner,
                owner_name: show::user(file.owner),
                group: file.group,
                group_name: show::group(file.group),
                mode: format!("{:04o}", file.mode),
            },
            system_v: picture.system_v.as_ref().map(system_v),
            layout: picture.layout.as_ref().map(layout),
            contents: picture.contents.as_ref().map(|contents| inside(contents, observed)),
            rates: observed.rates.map(|rates| Rates { pushed: rates.pushed, popped: rates.popped }),
        }
    }
}

fn layout(layout: &ringway::inspect::Layout) -> Layout {
    Layout {
        kind: layout.kind.map(kind),
        message_type: layout.type_name.clone(),
        schema: format!("{:#018x}", layout.schema),
        item_size: layout.item_size,
        item_align: layout.item_align,
        capacity: layout.capacity,
        cells: layout.cells,
        items_per_cell: layout.items_per_cell,
        payload_offset: layout.payload_offset,
        stride: layout.stride,
        processes: layout.processes,
        total_size: layout.total_size,
        lifetime: lifetime(layout.lifetime),
        created_at: seconds(layout.created_at),
        boot_id: boot(layout.boot_id),
        other_boot: layout.other_boot,
    }
}

fn system_v(of: &ringway::inspect::SystemV) -> SystemV {
    SystemV {
        id: of.id,
        creator: of.creator,
        last: of.last,
        attached: of.attached,
        attached_at: of.attached_at.map(seconds),
        detached_at: of.detached_at.map(seconds),
        changed_at: seconds(of.changed_at),
    }
}

fn inside(contents: &Contents, observed: &Observed) -> Inside {
    Inside {
        pushed: contents.pushed,
        popped: contents.popped,
        fill: contents.fill,
        still: contents.still,
        processes: contents.processes.iter().map(|process| attached(process, observed)).collect(),
        producer: contents.roles.map(|roles| role(roles.producer)),
        consumer: contents.roles.map(|roles| role(roles.consumer)),
        held: contents.held.iter().zip(&observed.held_for).map(held).collect(),
        held_count: contents.held_count,
        orphans: contents.orphans,
        skips: contents.skips,
        most_adopted: contents.most_adopted,
        deaths: contents.recovered.deaths,
        skipped: contents.recovered.skipped,
        redelivered: contents.recovered.redelivered,
        consumers_asleep: contents.consumers_asleep.asleep,
        producers_asleep: contents.producers_asleep.asleep,
        peers_asleep: contents.peers_asleep.asleep,
        corrupted: contents.corrupted.iter().map(ToString::to_string).collect(),
    }
}

fn attached(process: &Process, observed: &Observed) -> Attached {
    Attached {
        record: process.record,
        pid: process.pid,
        state: state(process.state),
        other_pid_namespace: process.elsewhere,
        command: process.command.clone(),
        attached_at: seconds(process.attached_at),
        seen_at: seconds(process.seen_at),
        active: observed.activity(process) == Activity::Now,
        producers: process.producers,
        consumers: process.consumers,
        deaths_before: process.deaths_before,
    }
}

fn role(holder: RoleHolder) -> Role {
    let (state, pid) = match holder {
        RoleHolder::NeverCame => ("never-came", None),
        RoleHolder::Alive { pid } => ("alive", Some(pid)),
        RoleHolder::Left => ("left", None),
        RoleHolder::Dead { pid } => ("dead", Some(pid)),
    };
    Role { state, pid }
}

fn held((held, held_for): (&HeldCell, &Duration)) -> Held {
    Held {
        cell: held.cell,
        position: held.position,
        messages: held.messages,
        record: held.record,
        pid: held.pid,
        pushing: held.pushing,
        adopted: held.adopted,
        in_the_way_for: held.in_the_way_for.map(|time| time.as_secs_f64()),
        held_for: held_for.as_secs_f64(),
    }
}

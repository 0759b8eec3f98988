//! The first bytes of a segment: what it is, for whom, and how it is laid out. Written once, before the name exists.

pub(crate) mod examined;

use super::cell::Word;
use super::geometry::{CellShape, Geometry, MAX_ALIGN, MAX_ITEM, MAX_PROCESSES};
use super::tag::Tag;
use crate::error::HeaderError;
use core::mem::{offset_of, size_of};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of everything in `layout`. There is no compatibility between versions: a ring holds messages in flight, not
/// archives, and is created anew.
pub(crate) const VERSION: u32 = 5;
pub(crate) const MAGIC: [u8; 8] = *b"RINGWAY\0";
const BYTE_ORDER: u32 = 0x0102_0304;
const TYPE_NAME: usize = 64;

/// Which algorithm a ring follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Kind {
    /// One producer, one consumer: see [`spsc`](crate::spsc).
    Spsc = 1,
    /// Many producers, many consumers: see [`mpmc`](crate::mpmc).
    Mpmc = 2,
    /// One writer, many readers, and the newest value: see [`latest`](crate::latest).
    Latest = 3,
}

impl Kind {
    fn of(number: u32) -> Option<Kind> {
        [Kind::Spsc, Kind::Mpmc, Kind::Latest].into_iter().find(|&kind| kind as u32 == number)
    }

    /// How the cells of this kind hold messages of a size and an alignment that [`CellShape::is_possible`].
    pub(crate) const fn shape_of(self, item_size: usize, item_align: usize) -> CellShape {
        match self {
            Kind::Spsc => CellShape::new(item_size, item_align),
            Kind::Mpmc => CellShape::new_single(item_size, item_align),
            Kind::Latest => CellShape::new_overwritten(item_size, item_align),
        }
    }

    /// How the cells of this kind hold messages of type `T`.
    pub(crate) const fn shape<T>(self) -> CellShape {
        match self {
            Kind::Spsc => CellShape::packed::<T>(),
            Kind::Mpmc => CellShape::single::<T>(),
            Kind::Latest => CellShape::overwritten::<T>(),
        }
    }

    /// The word of a cell of a new ring.
    pub(crate) const fn first_word(self, cell: usize) -> u64 {
        match self {
            Kind::Spsc => Tag::new(cell as u64, 0).word(),
            Kind::Mpmc => Word::free(0).word(),
            // No version yet.
            Kind::Latest => 0,
        }
    }
}

/// Who removes the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lifetime {
    /// The name stays until somebody unlinks it: the ring and its messages outlive every process. The default.
    #[default]
    Persistent,
    /// The last process to detach removes the name. Processes that were killed count as detached, so the name is left
    /// over only when the very last process is killed; then it goes with the next one that attaches and detaches.
    LastDetach,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Header {
    magic: [u8; 8],
    byte_order: u32,
    version: u32,
    kind: u32,
    last_detach: u32,
    item_size: u64,
    item_align: u64,
    items_per_cell: u64,
    payload_offset: u64,
    cell_stride: u64,
    capacity: u64,
    cells: u64,
    schema: u64,
    processes: u64,
    control_offset: u64,
    records_offset: u64,
    cells_offset: u64,
    total_size: u64,
    /// Which boot of the machine it was made in; zero where the system does not say. For people: it is not checked, as
    /// containers that share a folder may have boot ids of their own.
    boot_id: [u8; 16],
    /// When it was created, in nanoseconds since 1970. For people.
    created_at: u64,
    type_name: [u8; TYPE_NAME],
    /// Bytes of the memory: those of the segment, in whole pages where they are huge.
    memory_size: u64,
    reserved: [u8; 280],
    checksum: u64,
}

const _: () = assert!(size_of::<Header>() == 512 && offset_of!(Header, checksum) == 504);

/// What makes a message type the same type for two programs: its name without the path, unless a tag was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema {
    tag: u64,
    type_name: [u8; TYPE_NAME],
}

impl Schema {
    /// The schema of `T`, tagged by `tag`, or else by the name of the type.
    pub(crate) fn of<T>(tag: Option<u64>) -> Schema {
        Schema::named(&without_paths(core::any::type_name::<T>()), tag)
    }

    /// The schema of the type that is called `name`, without paths.
    pub(crate) fn named(name: &str, tag: Option<u64>) -> Schema {
        let mut type_name = [0; TYPE_NAME];
        let shown = name.len().min(TYPE_NAME);
        type_name[..shown].copy_from_slice(&name.as_bytes()[..shown]);
        Schema { tag: tag.unwrap_or_else(|| fnv1a(name.as_bytes())), type_name }
    }
}

/// `a::b::Pair<c::D, e::F>` as `Pair<D, F>`: a program's module paths are its own business.
fn without_paths(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut word_start = 0;
    let mut characters = name.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ':' && characters.peek() == Some(&':') {
            characters.next();
            short.truncate(word_start);
            continue;
        }
        short.push(character);
        if !(character.is_alphanumeric() || character == '_') {
            word_start = short.len();
        }
    }
    short
}

/// What a segment is created with, beside its geometry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) schema: Schema,
    pub(crate) lifetime: Lifetime,
    pub(crate) boot_id: [u8; 16],
    pub(crate) created_at: u64,
}

/// What a process that attaches wants to find.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) kind: Kind,
    pub(crate) shape: CellShape,
    pub(crate) schema: Schema,
    pub(crate) capacity: Option<usize>,
}

impl Header {
    pub(crate) fn new(geometry: &Geometry, identity: &Identity, memory_size: u64) -> Header {
        let mut header = Header {
            magic: MAGIC,
            byte_order: BYTE_ORDER,
            version: VERSION,
            kind: identity.kind as u32,
            last_detach: u32::from(identity.lifetime == Lifetime::LastDetach),
            item_size: geometry.shape.item_size as u64,
            item_align: geometry.shape.item_align as u64,
            items_per_cell: geometry.shape.items_per_cell as u64,
            payload_offset: geometry.shape.payload_offset as u64,
            cell_stride: geometry.shape.stride as u64,
            capacity: geometry.capacity as u64,
            cells: geometry.cells as u64,
            schema: identity.schema.tag,
            processes: geometry.processes as u64,
            control_offset: geometry.control_offset as u64,
            records_offset: geometry.records_offset as u64,
            cells_offset: geometry.cells_offset as u64,
            total_size: geometry.total_size as u64,
            boot_id: identity.boot_id,
            created_at: identity.created_at,
            type_name: identity.schema.type_name,
            memory_size,
            reserved: [0; 280],
            checksum: 0,
        };
        header.checksum = header.sum();
        header
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        match self.last_detach {
            0 => Lifetime::Persistent,
            _ => Lifetime::LastDetach,
        }
    }

    /// Whether `bytes`, the first of a file, are those of a segment of any kind and version.
    pub(crate) fn is_ours(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    /// The header in `bytes` and the geometry that it describes, when it is what `expected` asks for and the memory
    /// is `file_size` bytes long.
    ///
    /// Nothing is believed: all that follows from something else is computed again and compared, so that a geometry
    /// which comes out of here is as good as one of our own making.
    pub(crate) fn check(bytes: &[u8], file_size: u64, expected: &Expected) -> Result<(Header, Geometry), HeaderError> {
        let Ok((header, _)) = Header::read_from_prefix(bytes) else {
            return Err(HeaderError::TooShort { found: bytes.len() as u64, expected: size_of::<Header>() as u64 });
        };
        header.check_identity(expected)?;
        let geometry = header.check_geometry(expected)?;
        header.check_size(file_size)?;
        Ok((header, geometry))
    }

    fn check_size(&self, file_size: u64) -> Result<(), HeaderError> {
        match file_size == self.memory_size {
            true => Ok(()),
            false => Err(HeaderError::FileSize { found: file_size, expected: self.memory_size }),
        }
    }

    /// Is it a ring, of a version whose bytes we can read?
    fn check_version(&self) -> Result<(), HeaderError> {
        if self.magic != MAGIC {
            return Err(HeaderError::Magic { found: self.magic, expected: MAGIC });
        }
        if self.byte_order != BYTE_ORDER {
            return Err(HeaderError::ByteOrder { found: self.byte_order, expected: BYTE_ORDER });
        }
        if self.version != VERSION {
            return Err(HeaderError::Version { found: self.version, expected: VERSION });
        }
        Ok(())
    }

    /// Is it as its creator wrote it?
    fn check_sum(&self) -> Result<(), HeaderError> {
        match self.sum() {
            sum if sum == self.checksum => Ok(()),
            sum => Err(HeaderError::Checksum { found: self.checksum, expected: sum }),
        }
    }

    /// Is it a ring, of our version, intact, and of the type that was asked for?
    fn check_identity(&self, expected: &Expected) -> Result<(), HeaderError> {
        self.check_version()?;
        self.check_sum()?;
        if self.kind != expected.kind as u32 {
            return Err(HeaderError::Kind { found: self.kind, expected: expected.kind as u32 });
        }
        if self.item_size != expected.shape.item_size as u64 {
            return Err(HeaderError::ItemSize {
                found: self.item_size,
                expected: expected.shape.item_size as u64,
                found_type: text(&self.type_name),
                expected_type: text(&expected.schema.type_name),
            });
        }
        if self.item_align != expected.shape.item_align as u64 {
            return Err(HeaderError::ItemAlign { found: self.item_align, expected: expected.shape.item_align as u64 });
        }
        if self.schema != expected.schema.tag {
            return Err(HeaderError::Schema {
                found: self.schema,
                expected: expected.schema.tag,
                found_type: text(&self.type_name),
                expected_type: text(&expected.schema.type_name),
            });
        }
        Ok(())
    }

    /// Do the numbers follow from one another?
    fn check_geometry(&self, expected: &Expected) -> Result<Geometry, HeaderError> {
        let geometry = self.derive_geometry(expected)?;
        match self.contradictions(&geometry).next() {
            Some(error) => Err(error),
            None => Ok(geometry),
        }
    }

    /// What follows from the numbers that nothing else determines.
    fn derive_geometry(&self, expected: &Expected) -> Result<Geometry, HeaderError> {
        debug_assert!(expected.shape.item_size <= MAX_ITEM && expected.shape.item_align <= MAX_ALIGN);
        if self.processes == 0 || self.processes > MAX_PROCESSES as u64 {
            let (found, expected) = (self.processes, self.processes.clamp(1, MAX_PROCESSES as u64));
            return Err(HeaderError::Geometry { field: "number of processes", found, expected });
        }
        let processes = self.processes as usize;
        let geometry = usize::try_from(self.capacity).ok().and_then(|n| Geometry::new(expected.shape, n, processes));
        let Some(geometry) = geometry else {
            let most = Geometry::max_capacity(expected.shape, processes) as u64;
            let (found, expected) = (self.capacity, self.capacity.clamp(1, most));
            return Err(HeaderError::Geometry { field: "capacity", found, expected });
        };
        if let Some(capacity) = expected.capacity.filter(|&capacity| capacity != geometry.capacity) {
            return Err(HeaderError::Capacity { found: self.capacity, expected: capacity as u64 });
        }
        Ok(geometry)
    }

    /// What is not as in `geometry`.
    fn contradictions(&self, geometry: &Geometry) -> impl Iterator<Item = HeaderError> + use<> {
        let numbers = [
            ("items per cell", self.items_per_cell, geometry.shape.items_per_cell),
            ("payload offset", self.payload_offset, geometry.shape.payload_offset),
            ("cell stride", self.cell_stride, geometry.shape.stride),
            ("number of cells", self.cells, geometry.cells),
            ("control offset", self.control_offset, geometry.control_offset),
            ("process record offset", self.records_offset, geometry.records_offset),
            ("cells offset", self.cells_offset, geometry.cells_offset),
            ("total size", self.total_size, geometry.total_size),
        ];
        // In whole pages, it may be more than the ring.
        let (found, expected) = (self.memory_size, self.total_size);
        let too_small = HeaderError::Geometry { field: "size of the memory", found, expected };
        let too_small = (found < expected).then_some(too_small);
        let different = numbers.into_iter().filter_map(|(field, found, expected)| {
            let expected = expected as u64;
            (found != expected).then_some(HeaderError::Geometry { field, found, expected })
        });
        different.chain(too_small)
    }

    /// FNV-1a of every byte before the sum. Each of its steps is a bijection, so any single changed byte shows.
    fn sum(&self) -> u64 {
        fnv1a(&self.as_bytes()[..offset_of!(Header, checksum)])
    }
}

/// The 64-bit FNV-1a hash (Fowler, Noll, Vo; offset basis and prime from draft-eastlake-fnv).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// A zero-padded name, as far as it can be shown.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).chars().filter(|character| !character.is_control()).collect()
}

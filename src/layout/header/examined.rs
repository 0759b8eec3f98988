//! What a header says, to somebody who expects no certain kind or type of ring, and all that is wrong with it.

use super::*;

/// A header, looked at from all sides.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The layout version, when the bytes are those of a ring.
    pub(crate) version: Option<u32>,
    /// What it says, when it is of our version. As good as its geometry: without one, nothing of it is known to be so.
    pub(crate) stated: Option<Stated>,
    /// What its creator must have expected, and the geometry that follows: when nothing at all is wrong.
    pub(crate) sound: Option<(Expected, Geometry)>,
    /// What is wrong, field by field.
    pub(crate) errors: Vec<HeaderError>,
}

/// What a header says.
#[derive(Clone, Debug)]
pub(crate) struct Stated {
    pub(crate) kind: Option<Kind>,
    pub(crate) lifetime: Lifetime,
    pub(crate) type_name: String,
    pub(crate) schema: u64,
    pub(crate) item_size: u64,
    pub(crate) item_align: u64,
    pub(crate) items_per_cell: u64,
    pub(crate) payload_offset: u64,
    pub(crate) cell_stride: u64,
    pub(crate) capacity: u64,
    pub(crate) cells: u64,
    pub(crate) processes: u64,
    pub(crate) total_size: u64,
    pub(crate) boot_id: [u8; 16],
    pub(crate) created_at: u64,
}

impl Header {
    /// All that `bytes`, the first of a file of `file_size` bytes, say. Nothing is believed, as in [`Header::check`].
    pub(crate) fn examine(bytes: &[u8], file_size: u64) -> Examined {
        let nothing = |error| Examined { version: None, stated: None, sound: None, errors: vec![error] };
        let Ok((header, _)) = Header::read_from_prefix(bytes) else {
            let (found, expected) = (bytes.len() as u64, size_of::<Header>() as u64);
            return nothing(HeaderError::TooShort { found, expected });
        };
        if let Err(error) = header.check_version() {
            let version = matches!(error, HeaderError::Version { .. }).then_some(header.version);
            return Examined { version, ..nothing(error) };
        }
        let mut errors = Vec::new();
        errors.extend(header.check_sum().err());
        let sound = header.examine_geometry(file_size, &mut errors).filter(|_| errors.is_empty());
        Examined { version: Some(header.version), stated: Some(header.stated()), sound, errors }
    }

    /// What follows from the few numbers that nothing else determines, and which of the others are not as they should be.
    fn examine_geometry(&self, file_size: u64, errors: &mut Vec<HeaderError>) -> Option<(Expected, Geometry)> {
        let kind = Kind::of(self.kind);
        if kind.is_none() {
            let expected = self.kind.clamp(Kind::Spsc as u32, Kind::Latest as u32);
            errors.push(contradiction("kind", self.kind.into(), expected.into()));
        }
        let message = CellShape::is_possible(self.item_size, self.item_align);
        if !message {
            let expected = self.item_size.clamp(1, MAX_ITEM as u64);
            match self.item_size == expected {
                false => errors.push(contradiction("message size", self.item_size, expected)),
                true => errors.push(contradiction("message alignment", self.item_align, 1)),
            }
        }
        let (Some(kind), true) = (kind, message) else {
            errors.extend(self.check_size(file_size).err());
            return None;
        };
        let expected = Expected {
            kind,
            shape: kind.shape_of(self.item_size as usize, self.item_align as usize),
            schema: Schema { tag: self.schema, type_name: self.type_name },
            capacity: None,
        };
        let geometry = match self.derive_geometry(&expected) {
            Ok(geometry) => {
                errors.extend(self.contradictions(&geometry));
                Some((expected, geometry))
            }
            Err(error) => {
                errors.push(error);
                None
            }
        };
        errors.extend(self.check_size(file_size).err());
        geometry
    }

    fn stated(&self) -> Stated {
        Stated {
            kind: Kind::of(self.kind),
            lifetime: self.lifetime(),
            type_name: text(&self.type_name),
            schema: self.schema,
            item_size: self.item_size,
            item_align: self.item_align,
            items_per_cell: self.items_per_cell,
            payload_offset: self.payload_offset,
            cell_stride: self.cell_stride,
            capacity: self.capacity,
            cells: self.cells,
            processes: self.processes,
            total_size: self.total_size,
            boot_id: self.boot_id,
            created_at: self.created_at,
        }
    }
}

fn contradiction(field: &'static str, found: u64, expected: u64) -> HeaderError {
    HeaderError::Geometry { field, found, expected }
}

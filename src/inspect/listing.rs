//! Which rings there are.

use crate::layout::header::Header;
use crate::segment::folder::SHM;
use crate::segment::keyed::{self, Listed};
use crate::segment::{Source, making};
use crate::sys::file;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;
use std::io;

/// What was found in the folder of shared memory, and among System V segments.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Rings, of any layout, by name.
    pub rings: Vec<Entry>,
    /// Rings in the making, and what is left of such.
    pub temporaries: Vec<Temporary>,
    /// Files and System V segments that we may not read: there may be rings among them.
    pub unreadable: u64,
}

/// Something that begins as a ring does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Its name, with what is not UTF-8 replaced; `sysv:0x00001234` for a key.
    pub name: String,
    /// What it is found by.
    pub source: Source,
}

/// A ring in the making, or what is left of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Temporary {
    /// Its name.
    pub name: String,
    /// What it is found by, for [`remove::leftover`](crate::remove::leftover()).
    pub source: Source,
    /// The pid of its creator, as that called itself, or as the kernel remembers it.
    pub creator: u32,
    /// What is known of its creator.
    pub maker: Maker,
    /// Bytes of memory that are set aside for it.
    pub allocated: u64,
}

/// What is known of the creator of a ring in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// At work, as far as anybody can tell.
    Alive,
    /// Dead, by the kernel's word: it will never be a ring.
    Dead,
    /// One that proves in no way that is known here that it is alive: of another build of this library, or one that may not
    /// read the folder of shared memory.
    Unproven,
}

/// Lists the rings of this machine that have a name in `/dev/shm`, or a System V key, and what killed creators have left.
/// Links are not followed, and what is no ring is left out.
///
/// ```
/// # use ringway::{Lifetime, Options, inspect, spsc};
/// # let name = format!("doc-list-{}", std::process::id());
/// # let _ring = spsc::Ring::<u64>::create(&name, &Options::new().lifetime(Lifetime::LastDetach))?;
/// for ring in inspect::list()?.rings {
///     println!("{}", ring.name);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the folder cannot be read. Files that vanish meanwhile are no error.
pub fn list() -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in fs::read_dir(SHM)? {
        listing.add_file(&entry?);
    }
    for listed in keyed::list() {
        listing.add_segment(listed);
    }
    listing.rings.sort_by(|one, other| one.name.cmp(&other.name));
    listing.temporaries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listing)
}

impl Listing {
    fn add_file(&mut self, entry: &fs::DirEntry) {
        let (file, path) = (entry.file_name(), entry.path());
        let (name, source) = (file.to_string_lossy().into_owned(), Source::posix(&file));
        if let Some(creator) = making::creator(&name) {
            let Ok(metadata) = entry.metadata() else { return };
            if metadata.is_file() {
                let allocated = std::os::unix::fs::MetadataExt::blocks(&metadata).saturating_mul(512);
                let maker = match making::is_leftover(&name) {
                    None => Maker::Unproven,
                    Some(true) => Maker::Dead,
                    Some(false) => Maker::Alive,
                };
                self.temporaries.push(Temporary { name, source, creator, maker, allocated });
            }
            return;
        }
        // Nothing but files is opened: to open a device may have consequences.
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            return;
        }
        let mut start = [0; 8];
        match file::open_following(&path, OFlags::RDONLY | OFlags::NOFOLLOW) {
            Ok(file) => {
                let is_ring = file::read_start(&file, &mut start).is_ok_and(|read| Header::is_ours(&start[..read]));
                self.rings.extend(is_ring.then_some(Entry { name, source }));
            }
            Err(Errno::ACCESS | Errno::PERM) => self.unreadable += 1,
            Err(_) => {}
        }
    }

    fn add_segment(&mut self, listed: Listed) {
        let of = |key| {
            let source = Source::system_v(key);
            (source.to_string(), source)
        };
        match listed {
            Listed::Ring { key } => {
                let (name, source) = of(key);
                self.rings.push(Entry { name, source });
            }
            Listed::Making { key, creator, is_over, allocated } => {
                let (name, source) = of(key);
                let maker = if is_over { Maker::Dead } else { Maker::Alive };
                self.temporaries.push(Temporary { name, source, creator, maker, allocated });
            }
            Listed::Unreadable => self.unreadable += 1,
        }
    }
}

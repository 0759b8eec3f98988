//! Which rings there are.

use crate::layout::header::Header;
use crate::segment::folder::SHM;
use crate::segment::making;
use crate::sys::file;
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs;
use std::io;
use std::path::PathBuf;

/// What was found in the folder of shared memory.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Listing {
    /// Rings, of any layout, by name.
    pub rings: Vec<Entry>,
    /// Rings in the making, and what is left of such.
    pub temporaries: Vec<Temporary>,
    /// Files that we may not read: there may be rings among them.
    pub unreadable: u64,
}

/// A file that begins as a ring does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Entry {
    /// Its name, with what is not UTF-8 replaced.
    pub name: String,
    /// Its file, for [`Segment::open_path`](super::Segment::open_path).
    pub path: PathBuf,
}

/// A ring in the making, or what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Temporary {
    /// Its name, for [`remove::leftover`](crate::remove::leftover).
    pub name: String,
    /// The pid of its creator, as that called itself.
    pub creator: u32,
    /// Whether its creator is dead, by the kernel's word: it will never be a ring.
    pub is_leftover: bool,
    /// Bytes of memory that are set aside for it.
    pub allocated: u64,
}

/// Lists the rings of this machine that have a name, and what killed creators have left. Links are not followed, and what
/// is no ring is left out.
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
        let entry = entry?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        if let Some(creator) = making::creator(&name) {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                let is_leftover = making::is_leftover(&name);
                let allocated = std::os::unix::fs::MetadataExt::blocks(&metadata).saturating_mul(512);
                listing.temporaries.push(Temporary { name, creator, is_leftover, allocated });
            }
            continue;
        }
        // Nothing but files is opened: to open a device may have consequences.
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let mut start = [0; 8];
        match file::open_following(&path, OFlags::RDONLY | OFlags::NOFOLLOW) {
            Ok(file) => {
                let is_ring = file::read_start(&file, &mut start).is_ok_and(|read| Header::is_ours(&start[..read]));
                listing.rings.extend(is_ring.then_some(Entry { name, path }));
            }
            Err(Errno::ACCESS | Errno::PERM) => listing.unreadable += 1,
            Err(_) => {}
        }
    }
    listing.rings.sort();
    listing.temporaries.sort();
    Ok(listing)
}

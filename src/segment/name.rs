//! The names of rings: one path component, checked before anything is looked at.

use super::folder::Folder;
use crate::error::InvalidName;
use std::ffi::OsStr;

/// The most bytes in a name. A file name has at most 255; what the C library leaves of that for `shm_open` differs.
const LONGEST: usize = 250;

/// Names that begin like this are rings in the making. They are left over when a creator is killed.
pub(crate) const TEMPORARY: &str = ".ringway-";

/// They end like this when their creator proves that it is alive by a lock: see [`making`](super::making). Creators of
/// older builds did not, some cannot, and their names do not.
pub(crate) const PROVEN_BY_LOCK: &str = ".lock";

/// A name that can be a file name in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    file: String,
    folder: Folder,
    /// Its path, as it counts from its folder when that is opened.
    path: String,
}

impl Name {
    pub(crate) fn new(name: &OsStr, folder: Folder) -> Result<Name, InvalidName> {
        let Some(text) = name.to_str() else {
            return Err(InvalidName::NotUtf8 { found: name.to_string_lossy().into_owned() });
        };
        let found = || text.to_owned();
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > LONGEST {
            return Err(InvalidName::TooLong { found: text.len(), expected: LONGEST });
        }
        if text.contains(|c: char| c == '/' || c.is_control()) || text == "." || text == ".." {
            return Err(InvalidName::NotAComponent { found: found() });
        }
        if text.starts_with(TEMPORARY) {
            return Err(InvalidName::Reserved { found: found(), prefix: TEMPORARY });
        }
        Ok(Name::of(found(), folder))
    }

    fn of(file: String, folder: Folder) -> Name {
        let path = folder.path_of(&file);
        Name { file, folder, path }
    }

    /// A name for a ring in the making, in the same folder, which nobody else uses.
    pub(super) fn temporary(&self) -> Result<Name, rustix::io::Errno> {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let pid = crate::sys::process::pid();
        let file = format!("{TEMPORARY}{pid}-{:016x}{PROVEN_BY_LOCK}", u64::from_ne_bytes(random));
        Ok(Name::of(file, self.folder.clone()))
    }

    /// The same temporary name, which does not say that its creator has anything locked.
    pub(super) fn unproven(&self) -> Name {
        let file = self.file.strip_suffix(PROVEN_BY_LOCK).unwrap_or(&self.file);
        Name::of(file.into(), self.folder.clone())
    }

    /// Its path, as it counts from its folder when that is opened.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The name in its folder.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// As `shm_open` wants it.
    pub(super) fn os_id(&self) -> String {
        format!("/{}", self.file)
    }
}

/// For people.
impl From<&Name> for String {
    fn from(name: &Name) -> String {
        match &name.folder {
            Folder::Shm => name.file.clone(),
            Folder::Own(_) => format!("{}/{}", name.folder.place(), name.file),
        }
    }
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn name(bytes: impl AsRef<OsStr>) -> Result<Name, InvalidName> {
        Name::new(bytes.as_ref(), Folder::Shm)
    }

    #[test]
    fn a_name_is_one_component_of_a_path() {
        for good in ["ticks", "a", "Ticks.v2", "..a", "ü", "with space", &"x".repeat(250)] {
            assert_eq!(name(good).map(|name| name.file), Ok(good.to_owned()));
        }
        assert_eq!(name(""), Err(InvalidName::Empty));
        assert!(matches!(name("x".repeat(251)), Err(InvalidName::TooLong { found: 251, expected: 250 })));
        for bad in ["/", "a/b", "/a", "a\0b", "a\nb", ".", ".."] {
            assert!(matches!(name(bad), Err(InvalidName::NotAComponent { .. })), "{bad:?}");
        }
        assert!(matches!(name(OsStr::from_bytes(b"a\xff")), Err(InvalidName::NotUtf8 { .. })));
        assert!(matches!(name(".ringway-1"), Err(InvalidName::Reserved { .. })));
    }
}

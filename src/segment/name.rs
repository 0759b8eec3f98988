//! The names of rings: one path component, checked before anything is looked at.

use crate::error::InvalidName;
use std::ffi::OsStr;

/// The most bytes in a name. A file name has at most 255; what the C library leaves of that for `shm_open` differs.
const LONGEST: usize = 250;

/// Names that begin like this are rings in the making. They are left over when a creator is killed.
pub(crate) const TEMPORARY: &str = ".ringway-";

/// The folder in which Linux keeps POSIX shared memory (shm_overview(7)).
pub(crate) const FOLDER: &str = "/dev/shm";

/// A name that can be a file name in [`FOLDER`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(name: &OsStr) -> Result<Name, InvalidName> {
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
        Ok(Name(found()))
    }

    /// A name for a ring in the making, which nobody else uses.
    pub(crate) fn temporary() -> Result<Name, rustix::io::Errno> {
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let pid = crate::sys::process::pid();
        Ok(Name(format!("{TEMPORARY}{pid}-{:016x}", u64::from_ne_bytes(random))))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn path(&self) -> String {
        format!("{FOLDER}/{}", self.0)
    }

    /// As `shm_open` wants it.
    pub(crate) fn os_id(&self) -> String {
        format!("/{}", self.0)
    }
}

impl From<&Name> for String {
    fn from(name: &Name) -> String {
        name.0.clone()
    }
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_name_is_one_component_of_a_path() {
        for good in ["ticks", "a", "Ticks.v2", "..a", "ü", "with space", &"x".repeat(250)] {
            assert_eq!(Name::new(good.as_ref()).map(|name| name.0), Ok(good.to_owned()));
        }
        assert_eq!(Name::new("".as_ref()), Err(InvalidName::Empty));
        assert!(matches!(Name::new("x".repeat(251).as_ref()), Err(InvalidName::TooLong { found: 251, expected: 250 })));
        for bad in ["/", "a/b", "/a", "a\0b", "a\nb", ".", ".."] {
            assert!(matches!(Name::new(bad.as_ref()), Err(InvalidName::NotAComponent { .. })), "{bad:?}");
        }
        assert!(matches!(Name::new(OsStr::from_bytes(b"a\xff")), Err(InvalidName::NotUtf8 { .. })));
        assert!(matches!(Name::new(".ringway-1".as_ref()), Err(InvalidName::Reserved { .. })));
    }
}

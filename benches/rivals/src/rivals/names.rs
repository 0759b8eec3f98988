//! Where the files lie by which two processes meet, and that they go.

use std::fs;
use std::path::{Path, PathBuf};

/// The file of a rival of that kind. In memory, so that no disk is measured.
pub fn path(kind: &str, name: &str) -> PathBuf {
    PathBuf::from(format!("/dev/shm/ringway-rivals-{name}.{kind}"))
}

/// A file until this is dropped. Whoever has opened it goes on without the name.
#[derive(Debug)]
pub struct Name(PathBuf);

impl Name {
    /// Makes room for a new file: one of that name was left by a process that was killed.
    pub fn claim(kind: &str, name: &str) -> Name {
        let path = path(kind, name);
        let _ = fs::remove_file(&path);
        Name(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_file(&self.0);
    }
}

/// What went wrong with which file.
pub fn at<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}

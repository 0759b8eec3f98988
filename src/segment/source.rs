//! Where a ring's memory comes from, as a user says it.

use super::folder::Folder;
use crate::error::InvalidName;
use crate::sys::{shm, socket};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

/// Where a ring's memory comes from: which kind of memory, and how others find it.
///
/// A string is a POSIX name. Every other kind is one call, and nothing but this call changes when another kind is used:
///
/// ```
/// use ringway::{Options, Source, spsc};
///
/// # let name = format!("doc-source-{}", std::process::id());
/// let named = spsc::Ring::<u64>::create(&name, &Options::new())?;
/// let sealed = spsc::Ring::<u64>::create(Source::memfd("ticks"), &Options::new())?;
/// let same = spsc::Ring::<u64>::open(Source::fd(sealed.as_fd().expect("a memfd has one"))?)?;
/// # spsc::Ring::<u64>::unlink(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Source(Place);

/// The kinds of memory, and what finds it.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A name for a file in a folder. It may turn out to be none.
    Posix { name: OsString, folder: Folder },
    /// Memory without a name, to be made. The label is for people.
    Memfd { label: String },
    /// Memory without a name, that exists.
    Descriptor(Arc<OwnedFd>),
    /// Likewise, open in some process.
    ProcessDescriptor { pid: u32, descriptor: u32 },
    /// Memory of this process, to be made.
    Heap,
    /// A number for memory that the kernel keeps.
    SystemV { key: i32 },
    /// What nothing can be found by.
    Invalid(InvalidName),
}

impl Source {
    /// Memory under a POSIX name, in `/dev/shm`: one path component of at most 250 bytes. As good as the name itself,
    /// which is a source already.
    pub fn posix(name: impl AsRef<OsStr>) -> Source {
        Source(Place::Posix { name: name.as_ref().to_owned(), folder: Folder::Shm })
    }

    /// The name in a folder of your own instead, such as one below `/run`: other users cannot even see it, nor take the
    /// name before you. A folder on a hugetlbfs gives a ring in huge pages.
    ///
    /// The folder must belong to us or to root and must not be writable by others, unless it is sticky; it is looked at
    /// each time that it is used. A relative path counts from the current folder of this moment.
    ///
    /// ```
    /// use ringway::{Options, Source, spsc};
    ///
    /// # let folder = std::env::temp_dir().join(format!("ringway-doc-dir-{}", std::process::id()));
    /// # std::fs::create_dir(&folder)?;
    /// let source = Source::posix("ticks").dir(&folder);
    /// let ring = spsc::Ring::<u64>::create(&source, &Options::new())?;
    /// assert!(folder.join("ticks").exists());
    /// spsc::Ring::<u64>::unlink(&source)?;
    /// # std::fs::remove_dir(&folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dir(self, folder: impl AsRef<Path>) -> Source {
        let folder = folder.as_ref();
        Source(match (self.0, std::path::absolute(folder)) {
            (Place::Posix { name, .. }, Ok(path)) => Place::Posix { name, folder: Folder::Own(path) },
            (Place::Posix { .. }, Err(error)) => {
                let found = folder.to_string_lossy().into_owned();
                Place::Invalid(InvalidName::Folder { found, why: error.to_string() })
            }
            (Place::Invalid(error), _) => Place::Invalid(error),
            (other, _) => Place::Invalid(InvalidName::NoFolder { found: Source(other).to_string() }),
        })
    }

    /// New memory without a name (`memfd_create`), for peers that are not trusted with your life: it is sealed against
    /// shrinking, growing and any further seals, so that nobody can truncate it under you. Whoever shall attach gets its
    /// descriptor: by [`Ring::send_to`](crate::Ring::send_to), by inheritance, or through `/proc`. It is gone when the
    /// last process lets go of it.
    ///
    /// The label is for people: `/proc/PID/maps` shows it.
    pub fn memfd(label: impl Into<String>) -> Source {
        Source(Place::Memfd { label: label.into() })
    }

    /// The memory behind a descriptor, which must be that of a ring made as a [`Source::memfd`]: seals are checked before
    /// anything is mapped. The descriptor is duplicated; who lends it keeps it.
    ///
    /// The ring is opened through `/proc/self/fd`, so `/proc` must be there, and the mode of the ring must let us.
    ///
    /// # Errors
    /// When there is no descriptor left for a duplicate.
    pub fn fd(descriptor: impl AsFd) -> io::Result<Source> {
        let duplicate = descriptor.as_fd().try_clone_to_owned()?;
        Ok(Source(Place::Descriptor(Arc::new(duplicate))))
    }

    /// As [`Source::fd`], for a descriptor of another process that we may look into: `/proc/PID/fd/N`.
    pub fn fd_of(pid: u32, descriptor: u32) -> Source {
        Source(Place::ProcessDescriptor { pid, descriptor })
    }

    /// Waits for the ring that the process at the other end of `socket`, a Unix stream socket, sends with
    /// [`Ring::send_to`](crate::Ring::send_to).
    ///
    /// ```
    /// use ringway::{Options, Source, spsc};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// // One process:
    /// let ring = spsc::Ring::<u64>::create(Source::memfd("ticks"), &Options::new())?;
    /// ring.send_to(&ours)?;
    /// // Another:
    /// let ring = spsc::Ring::<u64>::open(Source::receive(&theirs)?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What the system says of the socket; `UnexpectedEof` when the other end has closed it, `InvalidData` when something
    /// else than one descriptor came.
    pub fn receive(socket: impl AsFd) -> io::Result<Source> {
        socket::receive(socket).map(|descriptor| Source(Place::Descriptor(Arc::new(descriptor))))
    }

    /// Memory of this process alone: for a ring between threads, for examples and tests. Others cannot open it; its ends
    /// are had by cloning the [`Ring`](crate::Ring). Its mode and its group mean nothing.
    ///
    /// ```
    /// use ringway::{Options, Source, spsc};
    ///
    /// let ring = spsc::Ring::<u64>::create(Source::heap(), &Options::new())?;
    /// let other = ring.clone();
    /// let consumer = std::thread::spawn(move || other.consumer().expect("free").pop());
    /// ring.producer()?.push(7)?;
    /// assert_eq!(consumer.join().expect("no panic"), Ok(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn heap() -> Source {
        Source(Place::Heap)
    }

    /// A System V segment under a key, which any number but 0 can be. `ipcs -m` shows it, and `ipcrm -M` removes it; errors
    /// and the `ringway` command call it `sysv:0x00001234`. The key is taken in the whole of the IPC namespace, and known to
    /// everybody there; whoever has no key may use [`Source::ftok`].
    ///
    /// It has no file, and so no lock that the kernel drops: a process counts as alive while `/proc` shows it, also after
    /// an exec. All processes must live in the same pid and time namespaces, with `/proc` mounted; whoever lives in others
    /// is refused. Where there is a choice, use another kind of memory.
    ///
    /// ```
    /// use ringway::{Options, Source, spsc};
    ///
    /// # let key = std::process::id() as i32 | 0x5200_0000;
    /// let ring = spsc::Ring::<u64>::create(Source::system_v(key), &Options::new())?;
    /// let same = spsc::Ring::<u64>::open(Source::system_v(key))?;
    /// spsc::Ring::<u64>::unlink(Source::system_v(key))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn system_v(key: i32) -> Source {
        match key {
            0 => Source(Place::Invalid(InvalidName::PrivateKey)),
            key => Source(Place::SystemV { key }),
        }
    }

    /// A System V segment under the key that `ftok(3)` makes of a file that exists and a number: of some bits of the
    /// file's inode and device. Another file may have the same.
    pub fn ftok(path: impl AsRef<Path>, id: u8) -> Source {
        let path = path.as_ref();
        match shm::key_of(path, id) {
            Ok(key) => Source::system_v(key),
            Err(error) => {
                let path = path.to_string_lossy().into_owned();
                Source(Place::Invalid(InvalidName::NoKey { path, why: error.to_string() }))
            }
        }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.0
    }
}

impl<S: AsRef<OsStr>> From<S> for Source {
    fn from(name: S) -> Source {
        Source::posix(name)
    }
}

impl From<&Source> for Source {
    fn from(source: &Source) -> Source {
        source.clone()
    }
}

/// For people: what is said of it in errors.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Posix { name, folder: Folder::Shm } => f.write_str(&name.to_string_lossy()),
            Place::Posix { name, folder } => write!(f, "{}/{}", folder.place(), name.to_string_lossy()),
            Place::Memfd { label } => write!(f, "memfd:{label}"),
            Place::Heap => f.write_str("a ring on the heap"),
            Place::SystemV { key } => write!(f, "sysv:{key:#010x}"),
            Place::Descriptor(_) => f.write_str("the ring of a descriptor"),
            Place::ProcessDescriptor { pid, descriptor } => write!(f, "/proc/{pid}/fd/{descriptor}"),
            Place::Invalid(error) => error.fmt(f),
        }
    }
}

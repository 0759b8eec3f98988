//! The kinds of memory that a ring can be in, as tests use them, and the two kinds of ring as one type parameter.

use super::Name;
use ringway::{ClaimError, HugePages, Kind, Mpmc, Options, Ring, Role, Source, Spsc, mpmc, spsc};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A place for one ring, in one kind of memory. Whatever is there is removed when this is dropped.
pub trait Memory: Sized {
    /// Whether it is found by a name.
    const NAMED: bool;

    fn new() -> Self;

    fn source(&self) -> Source;

    /// What is asked of the memory, beside what a test asks for.
    fn wish(options: Options) -> Options {
        options
    }

    /// What another process is told, to find the ring that is there. It may have a descriptor.
    fn address(&self, _descriptor: Option<BorrowedFd<'_>>) -> String;

    /// What is still there of the ring, though nobody is attached.
    fn left_behind(&self) -> Vec<String>;
}

/// What is said when the ring at an address is opened.
pub fn options_of(address: &str) -> Options {
    match address.starts_with(HUGE) {
        true => Options::new().huge_pages(HugePages::Require),
        false => Options::new(),
    }
}

/// How the address of sealed memory begins that is in huge pages.
const HUGE: &str = "huge ";

/// The source of the ring at an address.
pub fn source_of(address: &str) -> Source {
    let words: Vec<&str> = address.strip_prefix(HUGE).unwrap_or(address).split('|').collect();
    match words[..] {
        ["posix", name] => Source::from(name),
        ["dir", folder, name] => Source::posix(name).dir(folder),
        ["system v", key] => Source::system_v(key.parse().expect("a key")),
        ["fd", pid, descriptor] => Source::fd_of(pid.parse().expect("pid"), descriptor.parse().expect("descriptor")),
        _ => panic!("{address}"),
    }
}

/// A name in `/dev/shm`.
pub struct Posix(Name);

impl Memory for Posix {
    const NAMED: bool = true;

    fn new() -> Posix {
        Posix(Name::new())
    }

    fn source(&self) -> Source {
        Source::posix(self.0.as_str())
    }

    fn address(&self, _: Option<BorrowedFd<'_>>) -> String {
        format!("posix|{}", self.0.as_str())
    }

    fn left_behind(&self) -> Vec<String> {
        self.0.exists().then(|| self.0.as_str().to_owned()).into_iter().collect()
    }
}

/// A name in a folder of its own, which it removes.
pub struct InFolder(pub PathBuf);

impl InFolder {
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).expect("our own folder");
        entries.map(|entry| entry.expect("an entry").path().display().to_string()).collect()
    }
}

impl Memory for InFolder {
    const NAMED: bool = true;

    fn new() -> InFolder {
        // Where shared memory is, so that there is room; the name is one that `Name` keeps free.
        let path = Name::new().path();
        std::fs::create_dir(&path).expect("a new folder");
        InFolder(path)
    }

    fn source(&self) -> Source {
        Source::posix("ring").dir(&self.0)
    }

    fn address(&self, _: Option<BorrowedFd<'_>>) -> String {
        format!("dir|{}|ring", self.0.display())
    }

    fn left_behind(&self) -> Vec<String> {
        self.files()
    }
}

impl Drop for InFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A sealed memfd, found through `/proc`. It has a label of its own, by which to see whether it is still there.
pub struct Memfd {
    label: String,
}

impl Memory for Memfd {
    const NAMED: bool = false;

    fn new() -> Memfd {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Memfd { label: format!("ringway-test-{}", COUNT.fetch_add(1, Ordering::Relaxed)) }
    }

    fn source(&self) -> Source {
        Source::memfd(&self.label)
    }

    fn address(&self, descriptor: Option<BorrowedFd<'_>>) -> String {
        format!("fd|{}|{}", std::process::id(), descriptor.expect("a memfd has one").as_raw_fd())
    }

    fn left_behind(&self) -> Vec<String> {
        let path = format!("/memfd:{} (deleted)", self.label);
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("our own").flatten();
        let links = descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
        let open = links.filter(|link| link.as_os_str() == path.as_str()).map(|_| "open".to_owned());
        let maps = std::fs::read_to_string("/proc/self/maps").expect("our own");
        open.chain(maps.lines().filter(|line| line.ends_with(&path)).map(str::to_owned)).collect()
    }
}

/// A key that nobody else uses. Whatever has it is removed when this is dropped.
pub struct SystemV(pub i32);

impl SystemV {
    /// The number of the segment that has the key.
    pub fn id(&self) -> Option<i32> {
        // SAFETY: it takes numbers.
        let id = unsafe { libc::shmget(self.0, 0, 0) };
        (id >= 0).then_some(id)
    }
}

impl Memory for SystemV {
    const NAMED: bool = true;

    fn new() -> SystemV {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        SystemV(0x5200_0000 | ((std::process::id() & 0xffff) << 8 | count & 0xff) as i32)
    }

    fn source(&self) -> Source {
        Source::system_v(self.0)
    }

    fn address(&self, _: Option<BorrowedFd<'_>>) -> String {
        format!("system v|{}", self.0)
    }

    fn left_behind(&self) -> Vec<String> {
        self.id().map(|id| format!("segment {id}")).into_iter().collect()
    }
}

impl Drop for SystemV {
    fn drop(&mut self) {
        if let Some(id) = self.id() {
            // SAFETY: this command takes no argument.
            unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }
}

/// The same, in huge pages.
pub struct HugeMemfd(Memfd);

impl Memory for HugeMemfd {
    const NAMED: bool = false;

    fn new() -> HugeMemfd {
        HugeMemfd(Memfd::new())
    }

    fn source(&self) -> Source {
        self.0.source()
    }

    fn wish(options: Options) -> Options {
        options.huge_pages(HugePages::Require)
    }

    fn address(&self, descriptor: Option<BorrowedFd<'_>>) -> String {
        format!("{HUGE}{}", self.0.address(descriptor))
    }

    fn left_behind(&self) -> Vec<String> {
        self.0.left_behind()
    }
}

/// A System V segment, in huge pages.
pub struct HugeSystemV(SystemV);

impl Memory for HugeSystemV {
    const NAMED: bool = true;

    fn new() -> HugeSystemV {
        HugeSystemV(SystemV::new())
    }

    fn source(&self) -> Source {
        self.0.source()
    }

    fn wish(options: Options) -> Options {
        options.huge_pages(HugePages::Require)
    }

    fn address(&self, descriptor: Option<BorrowedFd<'_>>) -> String {
        self.0.address(descriptor)
    }

    fn left_behind(&self) -> Vec<String> {
        self.0.left_behind()
    }
}

/// A name in `/dev/shm`, of pages that were put together to huge ones.
pub struct HugePosix(Posix);

impl Memory for HugePosix {
    const NAMED: bool = true;

    fn new() -> HugePosix {
        HugePosix(Posix::new())
    }

    fn source(&self) -> Source {
        self.0.source()
    }

    fn wish(options: Options) -> Options {
        options.huge_pages(HugePages::Require)
    }

    fn address(&self, descriptor: Option<BorrowedFd<'_>>) -> String {
        self.0.address(descriptor)
    }

    fn left_behind(&self) -> Vec<String> {
        self.0.left_behind()
    }
}

/// A folder on a hugetlbfs that this thread, and the processes that it starts, see mounted there.
pub const HUGE_FOLDER: &str = "/dev/shm/ringway-test-hugetlbfs";

pub struct InHugeFolder;

impl Memory for InHugeFolder {
    const NAMED: bool = true;

    fn new() -> InHugeFolder {
        InHugeFolder
    }

    fn source(&self) -> Source {
        Source::posix("ring").dir(HUGE_FOLDER)
    }

    fn address(&self, _: Option<BorrowedFd<'_>>) -> String {
        format!("dir|{HUGE_FOLDER}|ring")
    }

    fn left_behind(&self) -> Vec<String> {
        let entries = std::fs::read_dir(HUGE_FOLDER).expect("it is mounted");
        entries.map(|entry| entry.expect("an entry").path().display().to_string()).collect()
    }
}

impl Drop for InHugeFolder {
    fn drop(&mut self) {
        for file in self.left_behind() {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// The ends of a ring of either kind.
pub trait Ends: Kind + Sized {
    const NAME: &'static str;
    type Other: Kind;
    type Producer;
    type Consumer;

    fn producer(ring: &Ring<u64, Self>) -> Result<Self::Producer, ClaimError>;
    fn consumer(ring: &Ring<u64, Self>) -> Result<Self::Consumer, ClaimError>;
    fn try_push(producer: &mut Self::Producer, message: u64) -> bool;
    fn push(producer: &mut Self::Producer, message: u64, patience: Duration) -> bool;
    fn try_pop(consumer: &mut Self::Consumer) -> Option<u64>;
    /// `None` when nothing comes, be it that nobody is there to push.
    fn pop(consumer: &mut Self::Consumer, patience: Duration) -> Option<u64>;
    /// Whether a process that is alive, of that pid, has a producer.
    fn holds_the_producer(ring: &Ring<u64, Self>, pid: u32) -> bool;
}

impl Ends for Spsc {
    const NAME: &'static str = "spsc";
    type Other = Mpmc;
    type Producer = spsc::Producer<u64>;
    type Consumer = spsc::Consumer<u64>;

    fn producer(ring: &Ring<u64, Self>) -> Result<Self::Producer, ClaimError> {
        ring.producer()
    }

    fn consumer(ring: &Ring<u64, Self>) -> Result<Self::Consumer, ClaimError> {
        ring.consumer()
    }

    fn try_push(producer: &mut Self::Producer, message: u64) -> bool {
        producer.try_push(message).is_ok()
    }

    fn push(producer: &mut Self::Producer, message: u64, patience: Duration) -> bool {
        producer.push_timeout(message, patience).is_ok()
    }

    fn try_pop(consumer: &mut Self::Consumer) -> Option<u64> {
        consumer.try_pop().ok()
    }

    fn pop(consumer: &mut Self::Consumer, patience: Duration) -> Option<u64> {
        until(patience, || consumer.try_pop().ok())
    }

    fn holds_the_producer(ring: &Ring<u64, Self>, pid: u32) -> bool {
        ring.peer(Role::Producer) == spsc::Peer::Alive { pid }
    }
}

impl Ends for Mpmc {
    const NAME: &'static str = "mpmc";
    type Other = Spsc;
    type Producer = mpmc::Producer<u64>;
    type Consumer = mpmc::Consumer<u64>;

    fn producer(ring: &Ring<u64, Self>) -> Result<Self::Producer, ClaimError> {
        Ok(ring.producer())
    }

    fn consumer(ring: &Ring<u64, Self>) -> Result<Self::Consumer, ClaimError> {
        Ok(ring.consumer())
    }

    fn try_push(producer: &mut Self::Producer, message: u64) -> bool {
        producer.try_push(message).is_ok()
    }

    fn push(producer: &mut Self::Producer, message: u64, patience: Duration) -> bool {
        producer.push_timeout(message, patience).is_ok()
    }

    fn try_pop(consumer: &mut Self::Consumer) -> Option<u64> {
        consumer.try_pop().ok().map(|popped| *popped)
    }

    fn pop(consumer: &mut Self::Consumer, patience: Duration) -> Option<u64> {
        until(patience, || consumer.try_pop().ok().map(|popped| *popped))
    }

    fn holds_the_producer(ring: &Ring<u64, Self>, pid: u32) -> bool {
        ring.peers().iter().any(|peer| peer.pid == pid && peer.state != mpmc::PeerState::Dead && peer.producers == 1)
    }
}

/// NB: not the waiting operations, which end when the other side has left, and here it comes again.
fn until<V>(patience: Duration, mut attempt: impl FnMut() -> Option<V>) -> Option<V> {
    let deadline = std::time::Instant::now() + patience;
    loop {
        match attempt() {
            None if std::time::Instant::now() < deadline => std::thread::yield_now(),
            result => return result,
        }
    }
}

//! Rings in use, while another process writes rubbish into them through a mapping of its own.
//!
//! Nothing is promised of what comes through. Whoever uses the ring returns from each call, and a ring beside it goes on as
//! if nothing had happened. Messages that lie in a ring are let alone where somebody may have borrowed one: that is what
//! nobody defends against.

use super::super::bytes::{HEADER, field, get_word};
use super::super::damage::Random;
use super::input::{Input, a_bad_word};
use super::sample::Checked;
use super::{Clay, in_time, options, use_bytes, use_mpmc, use_spsc};
use ringway::{Options, Source, bytes, mpmc, spsc};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The rings that are written to. Of those that end so, messages too.
pub const RINGS: [&str; 7] =
    ["spsc words", "mpmc words", "spsc checked", "mpmc checked", "spsc bytes", "mpmc bytes", "system v words"];

const CAPACITY: usize = 20;
const USERS: usize = 3;

/// Makes the ring `which`, whose address is a name or a key.
pub fn create(which: &str, address: &str) {
    let options = Options::new().processes(8).capacity(CAPACITY);
    match which {
        "spsc words" | "spsc bytes" => drop(spsc::Ring::<u64>::create(address, &options).expect("new")),
        "mpmc words" | "mpmc bytes" => drop(mpmc::Ring::<u64>::create(address, &options).expect("new")),
        "spsc checked" => drop(spsc::Ring::<Checked>::create(address, &options).expect("new")),
        "mpmc checked" => drop(mpmc::Ring::<Checked>::create(address, &options).expect("new")),
        _ => drop(mpmc::Ring::<u64>::create(key(address), &options).expect("new")),
    }
}

fn key(address: &str) -> Source {
    Source::system_v(address.parse().expect("a key"))
}

/// Uses the ring for so long, from several threads, and another one beside it.
pub fn use_it(which: &str, address: &str, seed: u64, time: Duration) {
    // NB: nobody else writes there, and nothing is read but by `inspect`.
    let path = Path::new("/dev/shm").join(address);
    let file = File::open(&path).or_else(|_| File::open("/proc/self/exe")).expect("a file");
    let clay = Clay { file, good: vec![0; HEADER] };
    macro_rules! with {
        ($open:expr, $use:ident) => {
            share(seed, time, || $open.ok(), |ring, input| $use(ring, input, &clay))
        };
    }
    match which {
        "spsc words" => with!(spsc::Ring::<u64>::open(address), use_spsc),
        "mpmc words" => with!(mpmc::Ring::<u64>::open(address), use_mpmc),
        "spsc checked" => with!(spsc::Ring::<Checked>::open(address), use_spsc),
        "mpmc checked" => with!(mpmc::Ring::<Checked>::open(address), use_mpmc),
        "spsc bytes" | "mpmc bytes" => with!(bytes::Ring::open(address), use_bytes),
        _ => with!(mpmc::Ring::<u64>::open(key(address)), use_mpmc),
    }
}

fn share<R>(
    seed: u64,
    time: Duration,
    open: impl Fn() -> Option<R> + Sync,
    use_once: impl Fn(&R, &mut Input<'_>) + Sync,
) {
    let end = Instant::now() + time;
    let uses = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for user in 0..USERS {
            let (open, use_once, uses) = (&open, &use_once, &uses);
            scope.spawn(move || {
                let mut random = Random(seed << 8 | user as u64);
                let (mut ring, mut data) = (None, Vec::new());
                while Instant::now() < end {
                    if ring.is_none() || random.below(16) == 0 {
                        ring = in_time(open).or(ring);
                    }
                    let Some(ring) = &ring else { continue };
                    data.clear();
                    data.resize_with(100, || random.next() as u8);
                    in_time(|| use_once(ring, &mut Input::new(&data)));
                    uses.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| keep_a_neighbour(end));
    });
    assert!(uses.into_inner() > 0, "nobody has ever attached");
}

/// A ring beside it: nothing is lost there, and nothing comes twice.
fn keep_a_neighbour(end: Instant) {
    let ring = mpmc::Ring::<u64>::create(Source::memfd("neighbour"), &options().capacity(9)).expect("memory");
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let mut number = 0;
    while Instant::now() < end || number < 1_000 {
        producer.push(number).expect("room");
        assert_eq!(consumer.pop().map(mpmc::Popped::into_inner), Ok(number));
        number += 1;
    }
}

/// All words of a segment, mapped to be written to.
struct Words(&'static [AtomicU64]);

impl Words {
    fn of_file(path: &Path) -> Words {
        let file = File::options().read(true).write(true).open(path).expect("the ring is there");
        let length = file.metadata().expect("an open file").len() as usize;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert_ne!(base, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Words::at(base, length)
    }

    fn of_key(key: i32) -> Words {
        // SAFETY: it takes numbers.
        let id = unsafe { libc::shmget(key, 0, 0) };
        // SAFETY: plain numbers, for which zero is a value.
        let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: it writes to a variable of ours.
        assert_eq!(unsafe { libc::shmctl(id, libc::IPC_STAT, &mut status) }, 0);
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base = unsafe { libc::shmat(id, std::ptr::null(), 0) };
        assert_ne!(base.addr(), usize::MAX, "{}", std::io::Error::last_os_error());
        Words::at(base, status.shm_segsz)
    }

    fn at(base: *mut libc::c_void, length: usize) -> Words {
        // SAFETY: mapped, aligned, and never unmapped; all that is done with it is atomic.
        Words(unsafe { std::slice::from_raw_parts(base.cast(), length / 8) })
    }

    fn copy(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect()
    }
}

/// Writes rubbish into the ring until it is enough, and mostly puts back what was there, so that the ring goes on.
pub fn scribble(which: &str, address: &str, seed: u64, enough: &AtomicBool) {
    let words = match which {
        "system v words" => Words::of_key(address.parse().expect("a key")),
        _ => Words::of_file(&Path::new("/dev/shm").join(address)),
    };
    let good = words.copy();
    let header = |name| get_word(&good, field(name).0) as usize;
    let (cells, stride) = (header("cells offset"), header("cell stride"));
    let lent = !which.ends_with("checked");
    let mut random = Random(seed);
    let mut now = good.clone();
    while !enough.load(Ordering::Relaxed) {
        let data: [u8; 40] = std::array::from_fn(|_| random.next() as u8);
        // Near what is there at the moment, or was at the beginning.
        if random.below(16) == 0 {
            now = words.copy();
            now[..HEADER].copy_from_slice(&good[..HEADER]);
        }
        let mut input = Input::new(&data);
        let chosen = match random.below(32) {
            0 => Some((random.below(HEADER / 8) * 8, random.next() >> random.below(64))),
            _ => a_bad_word(&mut input, &now),
        };
        let Some((offset, value)) = chosen.map(|(offset, value)| (offset & !7, value)) else { continue };
        if lent && offset >= cells && (offset - cells) % stride != 0 {
            continue;
        }
        let word = &words.0[offset / 8];
        let there = word.load(Ordering::Relaxed);
        word.store(value, Ordering::Relaxed);
        for _ in 0..random.below(200) {
            std::hint::spin_loop();
        }
        match random.below(20) {
            _ if offset < HEADER => word.store(get_word(&good, offset), Ordering::Relaxed),
            0 => {}
            1 => {
                for offset in (HEADER..good.len()).step_by(8).filter(|offset| !lent || *offset < cells) {
                    words.0[offset / 8].store(get_word(&good, offset), Ordering::Relaxed);
                }
            }
            _ => word.store(there, Ordering::Relaxed),
        }
    }
}

//! Rings as bytes say: which ring, what is wrong with it, and what is done to it. Whatever the bytes, there is an error, or
//! a wrong message of a valid type, or none: no panic, no signal, no endless loop, and another ring is as it was.
//!
//! The bytes come from `hostile_fuzz.rs`, which makes them up from a seed, or from a fuzzer: see `tests/fuzz`.

mod ends;
mod input;
#[cfg(test)]
pub mod live;
mod sample;

use super::bytes::{HEADER, field, get_word, set_word};
use ends::{Erased, Pops, Pushes};
use input::{Input, a_bad_file, a_bad_word};
use ringway::inspect::Segment;
use ringway::{Lifetime, OpenError, Options, Role, bytes, mpmc, remove, spsc};
use sample::{Checked, Sample};
use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Process records of each ring.
const PROCESSES: usize = 3;

/// The most operations on one ring.
const OPERATIONS: usize = 48;

/// The most processor time that one ring may take. It takes microseconds; what has no bound takes for ever.
const MOST: Duration = Duration::from_secs(2);

/// A ring of one type to which this process is attached, to be spoilt again and again.
trait Stage {
    fn run(&self, input: &mut Input<'_>);
}

/// The file of a ring that nobody uses but us, and what is in it while nothing is wrong.
struct Clay {
    file: File,
    good: Vec<u8>,
}

impl Clay {
    fn of(path: &Path) -> Clay {
        Clay { file: open(path), good: fs::read(path).expect("it was just made") }
    }

    /// Writes something bad, if there is such a place.
    fn scratch(&self, input: &mut Input<'_>) {
        if let Some((offset, value)) = a_bad_word(input, &self.good) {
            self.file.write_all_at(&value.to_ne_bytes(), offset as u64).expect("within the file");
        }
    }

    /// Makes the ring good again but for some words.
    fn spoil(&self, input: &mut Input<'_>) {
        let mut bytes = self.good.clone();
        for _ in 0..input.below(6) {
            if let Some((offset, value)) = a_bad_word(input, &bytes) {
                set_word(&mut bytes, offset, value);
            }
        }
        self.file.write_all_at(&bytes, 0).expect("as long as it was");
    }
}

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).expect("it was just made")
}

struct Spsc<T>(spsc::Ring<T>, Clay);
struct Mpmc<T>(mpmc::Ring<T>, Clay);
struct Bytes(bytes::Ring, Clay);

impl<T: Sample> Stage for Spsc<T>
where
    spsc::Producer<T>: Pushes,
    spsc::Consumer<T>: Pops,
{
    fn run(&self, input: &mut Input<'_>) {
        self.1.spoil(input);
        use_spsc(&self.0, input, &self.1);
    }
}

impl<T: Sample> Stage for Mpmc<T>
where
    mpmc::Producer<T>: Pushes,
    mpmc::Consumer<T>: Pops,
{
    fn run(&self, input: &mut Input<'_>) {
        self.1.spoil(input);
        use_mpmc(&self.0, input, &self.1);
    }
}

impl Stage for Bytes {
    fn run(&self, input: &mut Input<'_>) {
        self.1.spoil(input);
        use_bytes(&self.0, input, &self.1);
    }
}

fn use_spsc<T: Sample>(ring: &spsc::Ring<T>, input: &mut Input<'_>, clay: &Clay)
where
    spsc::Producer<T>: Pushes,
    spsc::Consumer<T>: Pops,
{
    let look = |_| {
        assert!(ring.len() <= ring.capacity());
        black_box((ring.is_empty(), ring.is_full(), ring.peer(Role::Producer), ring.peer(Role::Consumer)));
    };
    operate(input, clay, || ring.producer().ok(), || ring.consumer().ok(), look);
}

fn use_mpmc<T: Sample>(ring: &mpmc::Ring<T>, input: &mut Input<'_>, clay: &Clay)
where
    mpmc::Producer<T>: Pushes,
    mpmc::Consumer<T>: Pops,
{
    // NB: nobody is evicted. The pids are rubbish, and somebody's.
    let look = |closely: bool| {
        assert!(ring.len() <= ring.capacity());
        black_box((ring.is_empty(), ring.is_full(), ring.recovered()));
        if closely {
            black_box((ring.peers(), ring.recover()));
        }
    };
    operate(input, clay, || Some(ring.producer()), || Some(ring.consumer()), look);
}

fn use_bytes(ring: &bytes::Ring, input: &mut Input<'_>, clay: &Clay) {
    let look = |_| assert!(ring.message_size() <= 1 << 31 && ring.capacity() > 0);
    let size = ring.message_size();
    let producer = || ring.producer().ok().map(|end| Erased { end, size });
    let consumer = || ring.consumer().ok().map(|end| Erased { end, size });
    operate(input, clay, producer, consumer, look);
}

/// Does what the bytes say with the ends of a ring. `look` looks at the ring, closely or not.
fn operate<P: Pushes, C: Pops>(
    input: &mut Input<'_>,
    clay: &Clay,
    producer: impl Fn() -> Option<P>,
    consumer: impl Fn() -> Option<C>,
    look: impl Fn(bool),
) {
    let (mut producers, mut consumers) = (Vec::from_iter(producer()), Vec::from_iter(consumer()));
    for _ in 0..OPERATIONS {
        if input.data.is_empty() {
            break;
        }
        match input.byte() % 16 {
            0..5 => {
                let which = input.below(producers.len());
                if let Some(producer) = producers.get_mut(which) {
                    producer.push(input);
                }
            }
            5..10 => {
                let which = input.below(consumers.len());
                if let Some(consumer) = consumers.get_mut(which) {
                    consumer.pop(input);
                }
            }
            10 if producers.len() < 3 => producers.extend(producer()),
            11 if consumers.len() < 3 => consumers.extend(consumer()),
            12 => drop(producers.pop()),
            13 => drop(consumers.pop()),
            14 => clay.scratch(input),
            15 if input.pictures > 0 && input.byte() % 16 == 0 => {
                input.pictures -= 1;
                inspect(Segment::from_fd(clay.file.try_clone().expect("descriptors").into()));
            }
            _ => look(input.byte() % 16 == 0),
        }
    }
}

fn inspect(segment: Result<Segment, ringway::InspectError>) {
    let Ok(segment) = segment else { return };
    black_box(segment.picture().expect("nobody truncates it"));
    assert!(segment.peek(100, 100).map_or(0, |glimpses| glimpses.len()) <= 100);
}

/// All that bytes can choose from.
pub struct Fuzz {
    stages: Vec<Box<dyn Stage>>,
    /// Good rings, to be spoilt before anybody attaches.
    good: Vec<Vec<u8>>,
    path: PathBuf,
    name: String,
    neighbour: Neighbour,
}

/// A ring that nobody spoils.
struct Neighbour {
    producer: spsc::Producer<u64>,
    consumer: spsc::Consumer<u64>,
    clay: Clay,
    rounds: u64,
}

impl Neighbour {
    fn is_as_it_was(&mut self) {
        self.rounds += 1;
        if self.rounds % 64 != 0 {
            return;
        }
        let mut now = vec![0; self.clay.good.len()];
        self.clay.file.read_exact_at(&mut now, 0).expect("as long as it was");
        assert!(now == self.clay.good, "another ring was touched");
        assert_eq!(self.consumer.try_pop(), Ok(self.rounds - 64));
        assert!(self.producer.try_push(self.rounds).is_ok());
        self.clay.file.read_exact_at(&mut self.clay.good, 0).expect("as long as it was");
    }
}

impl Fuzz {
    /// Uses the name `name`, and leaves nothing there unless it is ended by what it looks for.
    pub fn new(name: &str) -> Fuzz {
        let path = Path::new("/dev/shm").join(name);
        let mut good = Vec::new();
        for capacity in [1, 2, 9, 40] {
            good.extend([spsc_image::<u8>(name, capacity), spsc_image::<u64>(name, capacity)]);
            good.extend([spsc_image::<[u64; 9]>(name, capacity), mpmc_image::<u64>(name, capacity)]);
            good.extend([spsc_image::<Checked>(name, capacity), mpmc_image::<Checked>(name, capacity)]);
        }
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        for good in &good {
            let kind = get_word(good, field("kind").0) as u32;
            let attach = |path: &Path| {
                fs::write(path, good).expect("a file of our own");
                Clay::of(path)
            };
            let options = options();
            let clay = attach(&path);
            stages.push(match (kind, get_word(good, field("item size").0), is_checked(good)) {
                (1, 1, _) => Box::new(Spsc(spsc::Ring::<u8>::open_with(name, &options).expect("good"), clay)),
                (1, 8, false) => Box::new(Spsc(spsc::Ring::<u64>::open_with(name, &options).expect("good"), clay)),
                (1, 8, true) => Box::new(Spsc(spsc::Ring::<Checked>::open_with(name, &options).expect("good"), clay)),
                (1, ..) => Box::new(Spsc(spsc::Ring::<[u64; 9]>::open_with(name, &options).expect("good"), clay)),
                (_, _, false) => Box::new(Mpmc(mpmc::Ring::<u64>::open_with(name, &options).expect("good"), clay)),
                (..) => Box::new(Mpmc(mpmc::Ring::<Checked>::open_with(name, &options).expect("good"), clay)),
            });
            // Without a name it goes with us.
            fs::remove_file(&path).expect("a file of our own");
            let clay = attach(&path);
            stages.push(Box::new(Bytes(bytes::Ring::open(name).expect("good"), clay)));
            fs::remove_file(&path).expect("a file of our own");
        }
        let ring = spsc::Ring::<u64>::create(name, &options().capacity(9)).expect("a free name");
        let (mut producer, consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
        assert!(producer.try_push(0).is_ok());
        let neighbour = Neighbour { producer, consumer, clay: Clay::of(&path), rounds: 0 };
        fs::remove_file(&path).expect("a file of our own");
        Fuzz { stages, good, path, name: name.into(), neighbour }
    }

    /// A ring that is spoilt while we are attached.
    pub fn attached(&mut self, data: &[u8]) {
        in_time(|| {
            let mut input = Input::new(data);
            let stage = input.below(self.stages.len());
            self.stages[stage].run(&mut input);
        });
        self.neighbour.is_as_it_was();
    }

    /// A file that is spoilt before we attach to it.
    pub fn file(&mut self, data: &[u8]) {
        let mut input = Input::new(data);
        let bytes = a_bad_file(&mut input, &self.good);
        fs::write(&self.path, &bytes).expect("a file of our own");
        let clay = Clay { file: open(&self.path), good: bytes };
        let how = input.byte() % 16;
        let attached = in_time(|| self.attach(how, &mut input, &clay));
        // Who is refused has changed nothing, and nobody changes the header.
        let written = if attached { clay.good.len().min(HEADER) } else { clay.good.len() };
        let mut now = vec![0; written];
        clay.file.read_exact_at(&mut now, 0).expect("nobody truncates it");
        assert!(now == clay.good[..written], "what is not ours was written to");
        let _ = fs::remove_file(&self.path);
        self.neighbour.is_as_it_was();
    }

    /// Says whether it was a ring, as far as anybody can tell who attaches.
    fn attach(&self, how: u8, input: &mut Input<'_>, clay: &Clay) -> bool {
        let (name, options) = (self.name.as_str(), options());
        let said = |error: OpenError| drop(error.to_string());
        macro_rules! open {
            ($kind:ident, $plain:ty, $use:ident) => {
                match $kind::Ring::<$plain>::open_with(name, &options) {
                    Ok(ring) => {
                        $use(&ring, input, clay);
                        true
                    }
                    Err(error) => {
                        said(error);
                        false
                    }
                }
            };
        }
        match how {
            0 | 1 => open!(spsc, u64, use_spsc),
            2 => open!(spsc, u8, use_spsc),
            3 => open!(spsc, Checked, use_spsc),
            4 => open!(spsc, [u64; 9], use_spsc),
            5 | 6 => open!(mpmc, u64, use_mpmc),
            7 => open!(mpmc, Checked, use_mpmc),
            8 => {
                inspect(Segment::open(name));
                false
            }
            9 => {
                black_box((remove::unused_ring(name).is_ok(), remove::ring(name).is_ok()));
                false
            }
            _ => match bytes::Ring::open(name) {
                Ok(ring) => {
                    use_bytes(&ring, input, clay);
                    true
                }
                Err(error) => {
                    said(error);
                    false
                }
            },
        }
    }
}

fn options() -> Options {
    Options::new().processes(PROCESSES).lifetime(Lifetime::LastDetach)
}

/// Whether it is a ring of messages that are not valid in every pattern of bits.
fn is_checked(good: &[u8]) -> bool {
    good[..HEADER].windows(7).any(|bytes| bytes == b"Checked")
}

/// The bytes of a good ring with some messages in it, some laps after its creation.
fn image<P: Pushes, C: Pops>(name: &str, ring: impl FnOnce(&Options) -> (P, C), capacity: usize) -> Vec<u8> {
    let (mut producer, mut consumer) = ring(&options().lifetime(Lifetime::Persistent).capacity(capacity));
    for _ in 0..3 * capacity {
        producer.push(&mut Input::new(&[]));
        consumer.pop(&mut Input::new(&[]));
    }
    for _ in 0..capacity.div_ceil(2) {
        producer.push(&mut Input::new(&[]));
    }
    drop((producer, consumer));
    let path = Path::new("/dev/shm").join(name);
    let bytes = fs::read(&path).expect("a file");
    fs::remove_file(path).expect("a file");
    bytes
}

fn spsc_image<T: Sample>(name: &str, capacity: usize) -> Vec<u8>
where
    spsc::Producer<T>: Pushes,
    spsc::Consumer<T>: Pops,
{
    let ring = |options: &Options| {
        let ring = spsc::Ring::<T>::create(name, options).expect("a free name");
        (ring.producer().expect("free"), ring.consumer().expect("free"))
    };
    image(name, ring, capacity)
}

fn mpmc_image<T: Sample>(name: &str, capacity: usize) -> Vec<u8>
where
    mpmc::Producer<T>: Pushes,
    mpmc::Consumer<T>: Pops,
{
    let ring = |options: &Options| {
        let ring = mpmc::Ring::<T>::create(name, options).expect("a free name");
        (ring.producer(), ring.consumer())
    };
    image(name, ring, capacity)
}

fn in_time<V>(job: impl FnOnce() -> V) -> V {
    let start = processor_time();
    let value = job();
    let taken = processor_time() - start;
    assert!(taken < MOST, "it took {taken:?}");
    value
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

//! All candidates interleaved in rounds.

use super::cores::Cores;
use super::job::{CHUNKS, Calls, Job, Place, Work};
use super::limits::{BULK, TWO_LINES};
use super::link::Link;
use super::timed::{Latencies, histogram};
use hdrhistogram::Histogram;
use std::any::Any;
use std::fmt;
use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

const MOST_ROUNDS: usize = 151;
/// A line takes longer than this from one physical core to another and back. Where it does not, the two cpus share one
/// core at the moment, as the cpus of a virtual machine may, and all else is as meaningless.
const SHARED_CORE: f64 = 100.0;
const PROBE: u64 = 1000;
const PATIENCE: u32 = 40;

/// Something that is ready to be measured.
pub trait Measured {
    /// The time that `count` messages, round trips or chunks take.
    fn run(&mut self, count: u64) -> Duration;

    /// Runs that were repeated as the system took a core away, and runs that were like that and count all the same.
    fn disturbances(&self) -> (u64, u64) {
        (0, 0)
    }

    /// What each of them took in the last run, if that is what counts.
    fn latencies(&self) -> Option<&Latencies> {
        None
    }
}

/// What there is to measure.
pub trait Task: Copy {
    fn open(self, cores: Cores) -> Result<Box<dyn Measured>, String>;

    /// By how much the time for one is divided: candidates that move different amounts are compared by it.
    fn unit(self) -> f64 {
        1.0
    }

    /// How long one measurement in one round takes, about.
    fn run_time(self) -> Duration {
        Duration::from_millis(1)
    }
}

impl Task for Job {
    fn open(self, cores: Cores) -> Result<Box<dyn Measured>, String> {
        Ok(Box::new(Link::open(self, cores)?))
    }

    /// Round trips and latencies are compared as such, flows by their bytes.
    fn unit(self) -> f64 {
        if self.work.is_round_trip() || self.work.is_timed() { 1.0 } else { self.bytes as f64 }
    }

    fn run_time(self) -> Duration {
        match self.work {
            // Several slices of time for each of the threads, so that all of them are there.
            work if work.is_crowd() => Duration::from_millis(24),
            work if work.is_timed() => Duration::from_millis(8),
            _ => Duration::from_millis(1),
        }
    }
}

/// One candidate, and what it needed in each round.
pub struct Row<T> {
    pub task: T,
    /// While it is open.
    measured: Option<Box<dyn Measured>>,
    failure: Option<String>,
    count: u64,
    nanoseconds: Vec<f64>,
    /// Where the time of each is what counts: all of them.
    pub latencies: Histogram<u64>,
}

impl<T: Task> Row<T> {
    pub fn new(task: T) -> Row<T> {
        Row { task, measured: None, failure: None, count: 0, nanoseconds: Vec::new(), latencies: histogram() }
    }

    pub fn open(&mut self, cores: Cores, quick: bool) {
        if self.failure.is_some() {
            return;
        }
        let opened = caught(|| {
            let mut measured = self.task.open(cores)?;
            let count = if quick { 100 } else { count_for(&mut *measured, self.task.run_time()) };
            Ok((measured, count))
        });
        match opened {
            Ok((measured, count)) => (self.measured, self.count) = (Some(measured), count),
            Err(reason) => self.failure = Some(reason),
        }
    }

    pub fn measure(&mut self) {
        let Some(measured) = &mut self.measured else {
            return;
        };
        match caught(|| Ok(measured.run(self.count))) {
            Ok(took) => self.nanoseconds.push(took.as_secs_f64() * 1e9 / self.count as f64),
            Err(reason) => {
                self.failure = Some(reason);
                self.measured = None;
                return;
            }
        }
        if let Some(latencies) = measured.latencies() {
            self.latencies.add(&*latencies.lock().expect("nobody panicked")).expect("the same bounds");
        }
    }

    /// For what cannot be had any more, or not here.
    pub fn fail(&mut self, reason: String) {
        self.failure = Some(reason);
    }

    /// Why there are no figures, if there are none.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Nanoseconds for one, by the median of all rounds.
    pub fn nanoseconds(&self) -> Option<f64> {
        self.failure().is_none().then(|| median(self.nanoseconds.clone()))
    }

    fn cost(&self, round: usize) -> f64 {
        self.nanoseconds[round] / self.task.unit()
    }

    /// How much longer it takes than `other`, by the median of all rounds.
    pub fn cost_beside(&self, other: &Row<T>) -> Option<f64> {
        let ratio = |round| self.cost(round) / other.cost(round);
        let both = self.failure().or(other.failure()).is_none();
        both.then(|| median((0..self.nanoseconds.len()).map(ratio).collect()))
    }
}

/// What `work` returns, or why it panicked.
fn caught<V>(work: impl FnOnce() -> Result<V, String>) -> Result<V, String> {
    let reason = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().map_or("it panicked".into(), |text| text.to_string()),
    };
    // What panicked is not used again.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(reason(panic)))
}

/// How much takes about as long as `run_time`. Warms up, too.
fn count_for(measured: &mut dyn Measured, run_time: Duration) -> u64 {
    let mut count = 100;
    loop {
        let took = measured.run(count);
        if took > run_time / 2 {
            return (count as f64 * run_time.as_secs_f64() / took.as_secs_f64()).max(1.0) as u64;
        }
        count *= 2;
    }
}

/// Rows that are measured in turns.
pub struct Block<T> {
    pub title: String,
    pub rows: Vec<Row<T>>,
}

impl<T: Task> Block<T> {
    /// All candidates, ready to be measured.
    pub fn new(title: impl Into<String>, tasks: impl IntoIterator<Item = T>, cores: Cores, quick: bool) -> Block<T> {
        let mut block = Block { title: title.into(), rows: tasks.into_iter().map(Row::new).collect() };
        block.open(cores, quick);
        block
    }

    pub fn open(&mut self, cores: Cores, quick: bool) {
        self.rows.iter_mut().for_each(|row| row.open(cores, quick));
    }

    /// Gives up what the candidates need to be measured, and keeps the figures.
    pub fn close(&mut self) {
        self.rows.iter_mut().for_each(|row| row.measured = None);
    }

    pub fn row(&self, is_it: impl Fn(T) -> bool) -> Option<&Row<T>> {
        self.rows.iter().find(|row| is_it(row.task))
    }
}

/// How the rounds went.
#[derive(Clone, Copy, Default)]
pub struct Report {
    pub rounds: usize,
    blocks: usize,
    /// How often we waited as the two cpus were found on one physical core.
    waited: u32,
    /// Blocks that were measured like that all the same.
    on_one_core: u32,
    repeated: u64,
    disturbed: u64,
}

/// Measures all in turns for about as long as `budget`, and tells `progress` which part of that is over.
pub fn measure<T: Task>(
    blocks: &mut [Block<T>],
    cores: Cores,
    quick: bool,
    budget: Duration,
    mut progress: impl FnMut(f64),
) -> Report {
    let probe = Job { candidate: &TWO_LINES, work: Work::RoundTrip, place: Place::Threads, bytes: 8 };
    let mut probe = Link::open(probe, cores).expect("two threads");
    let start = Instant::now();
    let mut report = Report { blocks: blocks.len(), ..Report::default() };
    let most = if quick { 1 } else { MOST_ROUNDS };
    while report.rounds < most && (report.rounds == 0 || start.elapsed() < budget) {
        for block in &mut *blocks {
            if !quick {
                report.wait_for_two_cores(&mut probe, cores);
            }
            block.rows.iter_mut().for_each(Row::measure);
            let by_time = start.elapsed().as_secs_f64() / budget.as_secs_f64();
            progress(by_time.max(report.rounds as f64 / most as f64).min(1.0));
        }
        report.rounds += 1;
    }
    for measured in blocks.iter().flat_map(|block| &block.rows).filter_map(|row| row.measured.as_ref()) {
        let (repeated, disturbed) = measured.disturbances();
        report.repeated += repeated;
        report.disturbed += disturbed;
    }
    report
}

impl Report {
    /// Whether so many blocks were measured with both sides on one core that the medians may be of that.
    pub fn is_of_one_core(&self, cores: Cores) -> bool {
        cores.are_siblings() || self.on_one_core as usize * 10 > self.rounds * self.blocks
    }

    fn wait_for_two_cores(&mut self, probe: &mut Link, cores: Cores) {
        // Where cpus stay where they are, the system knows whether they share a core.
        if cores.are_one() || !cores.wander {
            return;
        }
        for _ in 0..PATIENCE {
            if probe.run(PROBE).as_secs_f64() * 1e9 / PROBE as f64 >= SHARED_CORE {
                return;
            }
            self.waited += 1;
            // Once it has lasted a while it will last: measure, and say so.
            if self.on_one_core > 3 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.on_one_core += 1;
    }
}

/// The rounds of one block, and of another.
impl AddAssign for Report {
    fn add_assign(&mut self, more: Report) {
        self.blocks = 1;
        self.rounds += more.rounds * more.blocks;
        self.waited += more.waited;
        self.on_one_core += more.on_one_core;
        self.repeated += more.repeated;
        self.disturbed += more.disturbed;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { rounds, blocks, waited, on_one_core, repeated, disturbed } = self;
        match blocks {
            1 => write!(f, "{rounds} rounds, in each of which all candidates took turns; medians")?,
            _ => write!(f, "{rounds} rounds of {blocks} blocks, in each of which all candidates took turns; medians")?,
        }
        if *waited > 0 {
            write!(
                f,
                "\nNB: {waited} times the two cpus shared one physical core (a line went there and back in less than \
                 {SHARED_CORE} ns), and we waited; {on_one_core} blocks were measured like that all the same"
            )?;
        }
        if repeated + disturbed > 0 {
            write!(
                f,
                "\nNB: {repeated} runs were repeated as the system took a core away meanwhile; {disturbed} were like \
                 that to the end and count all the same"
            )?;
        }
        Ok(())
    }
}

/// The size of the chunks with which a bulk copy is fastest, so that the limit is one.
pub fn fastest_chunk(place: Place, cores: Cores, quick: bool) -> usize {
    let job = |bytes| Job { candidate: &BULK, work: Work::flow(Calls::Batches), place, bytes };
    let mut block = Block::new("", CHUNKS.map(job), cores, quick);
    for _ in 0..if quick { 1 } else { 15 } {
        block.rows.iter_mut().for_each(Row::measure);
    }
    let cost = |row: &&Row<Job>| row.nanoseconds().map_or(f64::MAX, |nanoseconds| nanoseconds / row.task.unit());
    let best = block.rows.iter().min_by(|one, other| cost(one).total_cmp(&cost(other)));
    best.map_or(CHUNKS[0], |row| row.task.bytes)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

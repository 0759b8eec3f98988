//! All candidates interleaved in rounds.

use super::cores::Cores;
use super::job::{Job, Place, Work};
use super::link::Link;
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
}

/// What there is to measure.
pub trait Task: Copy {
    fn open(self, cores: Cores) -> Box<dyn Measured>;

    /// By how much the time for one is divided: candidates that move different amounts are compared by it.
    fn unit(self) -> f64;

    /// How long one measurement in one round takes, about.
    fn run_time(self) -> Duration {
        Duration::from_millis(1)
    }
}

/// One candidate, and what it needed in each round.
pub struct Row<T> {
    pub task: T,
    measured: Box<dyn Measured>,
    count: u64,
    nanoseconds: Vec<f64>,
}

impl<T: Task> Row<T> {
    pub fn new(task: T, cores: Cores, quick: bool) -> Row<T> {
        let mut measured = task.open(cores);
        let count = if quick { 100 } else { count_for(&mut *measured, task.run_time()) };
        Row { task, measured, count, nanoseconds: Vec::new() }
    }

    pub fn measure(&mut self) {
        let took = self.measured.run(self.count);
        self.nanoseconds.push(took.as_secs_f64() * 1e9 / self.count as f64);
    }

    /// Nanoseconds for one, by the median of all rounds.
    pub fn nanoseconds(&self) -> f64 {
        median(self.nanoseconds.clone())
    }

    fn cost(&self, round: usize) -> f64 {
        self.nanoseconds[round] / self.task.unit()
    }

    /// How much longer it takes than `other`, by the median of all rounds.
    pub fn cost_beside(&self, other: &Row<T>) -> f64 {
        median((0..self.nanoseconds.len()).map(|round| self.cost(round) / other.cost(round)).collect())
    }
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
    pub fn row(&self, is_it: impl Fn(T) -> bool) -> Option<&Row<T>> {
        self.rows.iter().find(|row| is_it(row.task))
    }
}

/// Measures all in turns for about as long as `budget`, and says how that went.
pub fn measure<T: Task>(blocks: &mut [Block<T>], cores: Cores, quick: bool, budget: Duration) {
    let mut probe = Link::open(Job { work: Work::Lines, place: Place::Threads, bytes: 8 }, cores);
    let (start, mut rounds) = (Instant::now(), 0);
    let mut luck = Luck::default();
    while rounds < if quick { 1 } else { MOST_ROUNDS } && (rounds == 0 || start.elapsed() < budget) {
        for block in &mut *blocks {
            luck.wait_for_two_cores(&mut probe, cores, quick);
            block.rows.iter_mut().for_each(Row::measure);
        }
        rounds += 1;
    }
    println!("{rounds} rounds of {} blocks, in each of which all candidates took turns; medians", blocks.len());
    luck.report();
    report_preemptions(blocks);
}

/// How often the two cpus were found on one physical core.
#[derive(Default)]
struct Luck {
    repeated: u32,
    in_vain: u32,
}

impl Luck {
    fn wait_for_two_cores(&mut self, probe: &mut Link, cores: Cores, quick: bool) {
        if quick || cores.near == cores.far {
            return;
        }
        for _ in 0..PATIENCE {
            if probe.run(PROBE).as_secs_f64() * 1e9 / PROBE as f64 >= SHARED_CORE {
                return;
            }
            self.repeated += 1;
            std::thread::sleep(Duration::from_millis(20));
            // Once it has lasted a while it will last: measure, and say so.
            if self.in_vain > 3 {
                break;
            }
        }
        self.in_vain += 1;
    }

    fn report(&self) {
        if self.repeated > 0 {
            println!(
                "NB: {} times the two cpus shared one physical core (a line went there and back in less than \
                 {SHARED_CORE} ns), and we waited; {} blocks were measured like that all the same",
                self.repeated, self.in_vain
            );
        }
    }
}

/// How busy the machine was with other things.
fn report_preemptions<T>(blocks: &[Block<T>]) {
    let rows = blocks.iter().flat_map(|block| &block.rows);
    let (repeated, accepted) = rows.fold((0, 0), |(repeated, accepted), row| {
        let (more_repeated, more_accepted) = row.measured.disturbances();
        (repeated + more_repeated, accepted + more_accepted)
    });
    if repeated + accepted > 0 {
        println!(
            "NB: {repeated} runs were repeated as the system took a core away meanwhile; {accepted} were like that to \
             the end and count all the same"
        );
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

//! The table of the MPMC ring: medians and ratios.

use super::cores::Cores;
use super::crowd::{Alone, Crowd};
use super::job::{Bench, Job, Place, Queue, SIZES, Work};
use super::link::Link;
use super::recovery::{self, Holding};
use super::rounds::{self, Block, Measured, Row, Task};
use std::fmt;
use std::time::Duration;

/// How long all rounds may take.
const BUDGET: Duration = Duration::from_secs(28);
const KILLS: usize = 1000;
const CROWDS: [(usize, usize); 4] = [(2, 1), (1, 2), (2, 2), (4, 4)];
const ROUND_TRIP: &str = "round trip, 8 bytes";
const ALONE: &str = "push and pop in one thread, 8 bytes";

/// One thing to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// Two ends on two cores.
    Link(Job),
    /// So many writers and readers, in threads.
    Crowd(Queue, usize, usize),
    /// One thread.
    Alone(Queue),
}

impl Task for Measure {
    fn open(self, cores: Cores) -> Box<dyn Measured> {
        match self {
            Measure::Link(job) => Box::new(Link::open(job, cores)),
            Measure::Crowd(queue, writers, readers) => Box::new(Crowd::open(queue, writers, readers, cores)),
            Measure::Alone(queue) => Box::new(Alone::open(queue)),
        }
    }

    fn unit(self) -> f64 {
        1.0
    }

    fn run_time(self) -> Duration {
        match self {
            // So that the system lets each thread run several times.
            Measure::Crowd(..) => Duration::from_millis(6),
            _ => Duration::from_millis(1),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Measure::Link(job) => {
                write!(f, "{:<10} {}", job.place, job.work.name())?;
                if matches!(job.work, Work::Batches(_)) { write!(f, ", batches of {}", job.batch()) } else { Ok(()) }
            }
            Measure::Crowd(queue, ..) | Measure::Alone(queue) => f.write_str(queue.name()),
        }
    }
}

fn flow_title(bytes: usize) -> String {
    format!("1P1C, {bytes} bytes")
}

fn crowd_title(writers: usize, readers: usize) -> String {
    format!("{writers}P{readers}C, 8 bytes")
}

/// What there is to measure, by the blocks of the table.
pub fn measures() -> Vec<(String, Vec<Measure>)> {
    let jobs = Job::of(Bench::Mpmc);
    let links = |of: &dyn Fn(&Job) -> bool| -> Vec<Measure> {
        jobs.iter().filter(|job| of(job)).map(|job| Measure::Link(*job)).collect()
    };
    let rivals = || Queue::of(Bench::Mpmc, Place::Threads).into_iter();
    let mut blocks = Vec::new();
    for bytes in SIZES {
        let is_flow = |job: &Job| {
            let is_flow = matches!(job.work, Work::OneByOne(_) | Work::Batches(_));
            // The larger ones are there to see how they compare.
            job.bytes == bytes && is_flow && (bytes == 8 || job.place == Place::Threads)
        };
        blocks.push((flow_title(bytes), links(&is_flow)));
    }
    for (writers, readers) in CROWDS {
        let crowd = |queue| Measure::Crowd(queue, writers, readers);
        blocks.push((crowd_title(writers, readers), rivals().map(crowd).collect()));
    }
    blocks.push((ROUND_TRIP.into(), links(&|job| job.bytes == 8 && job.work.is_round_trip())));
    blocks.push((ALONE.into(), rivals().map(Measure::Alone).collect()));
    blocks
}

pub fn run(cores: Cores, quick: bool) {
    println!("\nsummary: {}", cores.describe());
    let open = |(title, measures): (String, Vec<Measure>)| {
        let rows = measures.into_iter().map(|measure| Row::new(measure, cores, quick)).collect();
        Block { title, rows }
    };
    let mut blocks: Vec<_> = measures().into_iter().map(open).collect();
    rounds::measure(&mut blocks, cores, quick, BUDGET);
    blocks.iter().for_each(print);
    let kills = if quick { 10 } else { KILLS };
    println!("\nfrom a kill to the next success of a survivor, {kills} kills{:>16}{:>8}{:>8}", "p50 ms", "p99", "max");
    let reservation = recovery("producer with a reservation", Holding::Reservation, kills / 2, cores);
    let peek = recovery("consumer with a peek, ring full", Holding::Peek, kills / 2, cores);
    goals(&blocks, reservation.max(peek));
}

/// One of the rivals in threads, one by one; or whatever is asked for.
fn row_of(block: &Block<Measure>, place: Place, of: impl Fn(Work) -> bool, queue: Queue) -> Option<&Row<Measure>> {
    block.row(|measure| match measure {
        Measure::Link(job) => job.place == place && of(job.work),
        Measure::Crowd(of_queue, ..) | Measure::Alone(of_queue) => of_queue == queue,
    })
}

fn one_by_one(block: &Block<Measure>, queue: Queue) -> Option<&Row<Measure>> {
    row_of(block, Place::Threads, |work| [Work::OneByOne(queue), Work::RoundTrip(queue)].contains(&work), queue)
}

fn print(block: &Block<Measure>) {
    let is_time = [ROUND_TRIP, ALONE].contains(&&*block.title);
    // A ratio is of times where time is what counts, less is better; of speeds for a flow, more is better.
    let ratio = |row: &Row<Measure>, other: Option<&Row<Measure>>| match other {
        None => format!("{:>14}", "-"),
        Some(other) if is_time => format!("{:14.2}", row.cost_beside(other)),
        Some(other) => format!("{:14.2}", other.cost_beside(row)),
    };
    let head = if is_time { "ns" } else { "M/s" };
    println!("\n{:<40}{head:>8}{:>14}{:>14}{:>14}", block.title, "/ raw lines", "/ ArrayQueue", "/ Vyukov");
    for row in &block.rows {
        let place = if let Measure::Link(job) = row.task { job.place } else { Place::Threads };
        let lines =
            block.row(|measure| matches!(measure, Measure::Link(job) if job.place == place && job.work == Work::Lines));
        let cost = row.nanoseconds();
        let figure = if is_time { cost } else { 1e3 / cost };
        let rivals = [Queue::Crossbeam, Queue::Vyukov].map(|queue| ratio(row, one_by_one(block, queue)));
        println!("  {:<38}{figure:8.2}{}{}", row.task.to_string(), ratio(row, lines), rivals.concat());
    }
}

/// The 99th percentile in milliseconds.
fn recovery(who: &str, holding: Holding, kills: usize, cores: Cores) -> f64 {
    let times = recovery::measure(holding, kills, cores);
    let at = |part: f64| times[((times.len() - 1) as f64 * part).ceil() as usize].as_secs_f64() * 1e3;
    println!("  {who:<58}{:8.2}{:8.2}{:8.2}", at(0.5), at(0.99), at(1.0));
    at(0.99)
}

/// What we want to reach, and where we are. It only tells: a time is no reason to fail.
fn goals(blocks: &[Block<Measure>], recovery: f64) {
    let ours = Queue::Mpmc;
    let line = |what: &str, figure: f64, goal: &str| println!("  {what:<66}{figure:6.2}   goal {goal}");
    let find = |title: &str| blocks.iter().find(|block| block.title == title).expect("a block of ours");
    println!("\nin short");
    for (title, goal) in [(flow_title(8), 2.0), (crowd_title(2, 2), 1.5), (crowd_title(4, 4), 1.5)] {
        let block = find(&title);
        if let (Some(ours), Some(other)) = (one_by_one(block, ours), one_by_one(block, Queue::Crossbeam)) {
            line(&format!("{title} / ArrayQueue"), other.cost_beside(ours), &format!("at least {goal}"));
        }
    }
    let flow = find(&flow_title(8));
    let batches = row_of(flow, Place::Threads, |work| work == Work::Batches(ours), ours);
    if let (Some(batches), Some(other)) = (batches, one_by_one(flow, Queue::Crossbeam)) {
        line("1P1C, 8 bytes in batches of 32 / ArrayQueue", other.cost_beside(batches), "at least 4");
    }
    for place in [Place::Threads, Place::Processes] {
        let row = |work| row_of(find(ROUND_TRIP), place, move |other| other == work, ours);
        if let (Some(trip), Some(lines)) = (row(Work::RoundTrip(ours)), row(Work::Lines)) {
            line(&format!("{place}: round trip of 8 bytes / raw lines"), trip.cost_beside(lines), "at most 1.7");
        }
    }
    let alone = find(ALONE);
    if let (Some(ours), Some(other)) = (one_by_one(alone, ours), one_by_one(alone, Queue::Vyukov)) {
        line("push and pop in one thread / plain Vyukov", ours.cost_beside(other), "at most 1.1");
    }
    line("recovery, 99 of 100 kills, in milliseconds", recovery, "at most 10");
}

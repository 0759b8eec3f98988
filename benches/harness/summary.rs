//! The table of the SPSC ring: medians and ratios.

use super::cores::Cores;
use super::job::{Bench, CHUNKS, Job, Place, Queue, SIZES, Work};
use super::link::Link;
use super::queues::RingOf;
use super::rounds::{self, Block, Measured, Row, Task, median};
use ringway::spsc;
use std::time::{Duration, Instant};

/// Words for a ring of 1 MiB: seven to a line.
pub const MEBIBYTE_OF_WORDS: usize = (1 << 20) / 64 * 7;
/// How long all rounds may take.
const BUDGET: Duration = Duration::from_secs(35);

/// A name for the ring that is attached to.
pub fn attach_name() -> String {
    format!("bench-spsc-{}-attach", std::process::id())
}

impl Task for Job {
    fn open(self, cores: Cores) -> Box<dyn Measured> {
        Box::new(Link::open(self, cores))
    }

    /// Round trips are compared as such, flows by their bytes.
    fn unit(self) -> f64 {
        if self.work.is_round_trip() { 1.0 } else { self.bytes as f64 }
    }
}

pub fn run(cores: Cores, quick: bool) {
    println!("\nsummary: {}", cores.describe());
    let chunk = choose_chunk(cores, quick);
    let mut blocks = blocks(cores, chunk, quick);
    rounds::measure(&mut blocks, cores, quick, BUDGET);
    blocks.iter().for_each(print);
    attach(if quick { 3 } else { 500 });
    goals(&blocks);
}

/// The size of the chunks with which a bulk copy is fastest, so that the limit is one.
fn choose_chunk(cores: Cores, quick: bool) -> usize {
    let job = |bytes| Job { work: Work::Bulk, place: Place::Threads, bytes };
    let mut rows: Vec<Row<Job>> = CHUNKS.iter().map(|&bytes| Row::new(job(bytes), cores, quick)).collect();
    for _ in 0..if quick { 1 } else { 31 } {
        rows.iter_mut().for_each(Row::measure);
    }
    let cost = |row: &Row<Job>| row.nanoseconds() / row.task.unit();
    print!("bulk copy in chunks of");
    for row in &rows {
        print!(" {} KiB: {:.1} GB/s,", row.task.bytes >> 10, 1.0 / cost(row));
    }
    let best = rows.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).expect("a size of chunks").task.bytes;
    println!(" so {} KiB are the limit", best >> 10);
    best
}

fn blocks(cores: Cores, chunk: usize, quick: bool) -> Vec<Block<Job>> {
    let places = [Place::Threads, Place::Processes];
    type Of = fn(Queue) -> Work;
    let kinds: [(&str, Work, usize, Of); 3] = [
        ("round trip", Work::Lines, 8, Work::RoundTrip),
        ("one by one", Work::Bulk, chunk, Work::OneByOne),
        ("in batches of 64", Work::Bulk, chunk, Work::Batches),
    ];
    let mut blocks = Vec::new();
    for (title, limit, limit_bytes, work_of) in kinds {
        for bytes in SIZES {
            let mut jobs = Vec::new();
            for place in places {
                jobs.push(Job { work: limit, place, bytes: limit_bytes });
                jobs.extend(Queue::of(Bench::Spsc, place).into_iter().map(|queue| Job {
                    work: work_of(queue),
                    place,
                    bytes,
                }));
            }
            let known = Job::of(Bench::Spsc);
            let rows = jobs.into_iter().filter(|job| known.contains(job)).map(|job| Row::new(job, cores, quick));
            blocks.push(Block { title: format!("{title}, {bytes} bytes"), rows: rows.collect() });
        }
    }
    blocks
}

fn row_of(block: &Block<Job>, place: Place, of: impl Fn(Work) -> bool) -> Option<&Row<Job>> {
    block.row(|job| job.place == place && of(job.work))
}

fn print(block: &Block<Job>) {
    let round_trip = block.rows[0].task.work.is_round_trip();
    // A ratio is of times for a round trip, less is better; of speeds for a flow, more is better.
    let ratio = |row: &Row<Job>, other: Option<&Row<Job>>| match other {
        None => format!("{:>8}", "-"),
        Some(other) if round_trip => format!("{:8.2}", row.cost_beside(other)),
        Some(other) => format!("{:8.2}", other.cost_beside(row)),
    };
    let head = if round_trip { "ns" } else { "M/s      GB/s" };
    println!("\n{:<40}{head:>19}{:>8}{:>8}", block.title, "/ limit", "/ rtrb");
    // The rivals live in one process; a ring between two is compared with them all the same.
    let rtrb = row_of(block, Place::Threads, |work| work.queue() == Some(Queue::Rtrb));
    for row in &block.rows {
        let limit = row_of(block, row.task.place, |work| matches!(work, Work::Lines | Work::Bulk));
        let cost = row.nanoseconds();
        let figures = match (round_trip, row.task.work) {
            (true, _) => format!("{cost:19.1}"),
            (false, Work::Bulk) => format!("{:>9}{:10.2}", "", row.task.bytes as f64 / cost),
            (false, _) => format!("{:9.2}{:10.2}", 1e3 / cost, row.task.bytes as f64 / cost),
        };
        let who = format!("{:<10} {}", row.task.place, row.task.work.name());
        println!("  {who:<38}{figures}{}{}", ratio(row, limit), ratio(row, rtrb));
    }
}

fn attach(times: usize) {
    let (ring, _name) = <spsc::Ring<[u64; 1]> as RingOf<_>>::create(attach_name(), MEBIBYTE_OF_WORDS);
    let mut microseconds: Vec<f64> = (0..times)
        .map(|_| {
            let start = Instant::now();
            drop(spsc::Ring::<[u64; 1]>::open(ring.name()).expect("the ring"));
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    microseconds.sort_by(f64::total_cmp);
    let worst = microseconds[microseconds.len() - 1];
    println!(
        "\nattach to a ring of 1 MiB and detach: median {:.1} us, worst of {times} {worst:.1} us",
        median(microseconds)
    );
}

/// What we want to reach, and where we are. It only tells: a time is no reason to fail.
fn goals(blocks: &[Block<Job>]) {
    let find = |title: &str, place, work: Work| {
        let block = blocks.iter().find(|block| block.title == title)?;
        row_of(block, place, |other| other == work)
    };
    let ring = Queue::Spsc;
    let line = |what: &str, ours: Option<&Row<Job>>, other: Option<&Row<Job>>, speed: bool, goal: &str| {
        if let (Some(ours), Some(other)) = (ours, other) {
            let ratio = if speed { other.cost_beside(ours) } else { ours.cost_beside(other) };
            println!("  {what:<66}{ratio:6.2}   goal {goal}");
        }
    };
    println!("\nin short");
    for place in [Place::Threads, Place::Processes] {
        let (trip, single, batch) = ("round trip, 8 bytes", "one by one, 8 bytes", "in batches of 64, 8 bytes");
        line(
            &format!("{place}: round trip of 8 bytes / raw lines"),
            find(trip, place, Work::RoundTrip(ring)),
            find(trip, place, Work::Lines),
            false,
            "at most 1.10",
        );
        line(
            &format!("{place}: flow of 8 bytes one by one / rtrb"),
            find(single, place, Work::OneByOne(ring)),
            find(single, Place::Threads, Work::OneByOne(Queue::Rtrb)),
            true,
            "at least 2",
        );
        line(
            &format!("{place}: flow of 8 bytes in batches / bulk copy"),
            find(batch, place, Work::Batches(ring)),
            find(batch, place, Work::Bulk),
            true,
            "at least 0.6",
        );
    }
}

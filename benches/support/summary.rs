//! All candidates interleaved in rounds, and a table of medians and ratios.

use super::cores::Cores;
use super::job::{CHUNKS, Job, Place, Queue, SIZES, Work};
use super::link::Link;
use super::queues;
use ringway::spsc;
use std::time::{Duration, Instant};

/// Words for a ring of 1 MiB: seven to a line.
pub const MEBIBYTE_OF_WORDS: usize = (1 << 20) / 64 * 7;
/// How long one measurement in one round takes, about.
const RUN: Duration = Duration::from_millis(1);
/// How long all rounds may take.
const BUDGET: Duration = Duration::from_secs(35);
const MOST_ROUNDS: usize = 151;
/// A line takes longer than this from one physical core to another and back. Where it does not, the two cpus share one
/// core at the moment, as the cpus of a virtual machine may, and all else is as meaningless.
const SHARED_CORE: f64 = 100.0;
const PROBE: u64 = 1000;
const PATIENCE: u32 = 40;

/// A name for the ring that is attached to.
pub fn attach_name() -> String {
    format!("bench-spsc-{}-attach", std::process::id())
}

/// One candidate, and what it needed per round trip or byte in each round.
struct Row {
    job: Job,
    link: Link,
    count: u64,
    nanoseconds: Vec<f64>,
}

impl Row {
    fn new(job: Job, cores: Cores, quick: bool) -> Row {
        let mut link = Link::open(job, cores);
        let count = if quick { 100 } else { Row::count_for(&mut link) };
        Row { job, link, count, nanoseconds: Vec::new() }
    }

    /// How much takes about as long as a [`RUN`]. Warms up, too.
    fn count_for(link: &mut Link) -> u64 {
        let mut count = 100;
        loop {
            let took = link.run(count);
            if took > RUN / 2 {
                return (count as f64 * RUN.as_secs_f64() / took.as_secs_f64()).max(1.0) as u64;
            }
            count *= 2;
        }
    }

    fn measure(&mut self) {
        let took = self.link.run(self.count);
        self.nanoseconds.push(took.as_secs_f64() * 1e9 / self.count as f64);
    }

    /// Nanoseconds per round trip, or per byte.
    fn cost(&self, round: usize) -> f64 {
        match self.job.work.is_round_trip() {
            true => self.nanoseconds[round],
            false => self.nanoseconds[round] / self.job.bytes as f64,
        }
    }

    /// How much longer it takes than `other`, by the median of all rounds.
    fn cost_beside(&self, other: &Row) -> f64 {
        median((0..self.nanoseconds.len()).map(|round| self.cost(round) / other.cost(round)).collect())
    }
}

/// Rows that are measured in turns.
struct Block {
    title: String,
    rows: Vec<Row>,
}

pub fn run(cores: Cores, quick: bool) {
    println!("\nsummary: {}", cores.describe());
    let mut probe = Link::open(Job { work: Work::Lines, place: Place::Threads, bytes: 8 }, cores);
    let chunk = choose_chunk(cores, quick);
    let mut blocks = blocks(cores, chunk, quick);
    let (start, mut rounds) = (Instant::now(), 0);
    let mut luck = Luck::default();
    while rounds < if quick { 1 } else { MOST_ROUNDS } && (rounds == 0 || start.elapsed() < BUDGET) {
        for block in &mut blocks {
            luck.wait_for_two_cores(&mut probe, cores, quick);
            block.rows.iter_mut().for_each(Row::measure);
        }
        rounds += 1;
    }
    println!("{rounds} rounds of {} blocks, in each of which all candidates took turns; medians", blocks.len());
    luck.report();
    report_preemptions(&blocks);
    for block in &blocks {
        block.print();
    }
    attach(if quick { 3 } else { 500 });
    goals(&blocks);
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
fn report_preemptions(blocks: &[Block]) {
    let rows = || blocks.iter().flat_map(|block| &block.rows);
    let repeated: u64 = rows().map(|row| row.link.repeated).sum();
    let accepted: u64 = rows().map(|row| row.link.disturbed).sum();
    if repeated + accepted > 0 {
        println!(
            "NB: {repeated} runs were repeated as the system took a core away meanwhile; {accepted} were like that to \
             the end and count all the same"
        );
    }
}

/// The size of the chunks with which a bulk copy is fastest, so that the limit is one.
fn choose_chunk(cores: Cores, quick: bool) -> usize {
    let job = |bytes| Job { work: Work::Bulk, place: Place::Threads, bytes };
    let mut rows: Vec<Row> = CHUNKS.iter().map(|&bytes| Row::new(job(bytes), cores, quick)).collect();
    for _ in 0..if quick { 1 } else { 31 } {
        rows.iter_mut().for_each(Row::measure);
    }
    let cost = |row: &Row| median((0..row.nanoseconds.len()).map(|round| row.cost(round)).collect());
    print!("bulk copy in chunks of");
    for row in &rows {
        print!(" {} KiB: {:.1} GB/s,", row.job.bytes >> 10, 1.0 / cost(row));
    }
    let best = rows.iter().min_by(|a, b| cost(a).total_cmp(&cost(b))).expect("a size of chunks").job.bytes;
    println!(" so {} KiB are the limit", best >> 10);
    best
}

fn blocks(cores: Cores, chunk: usize, quick: bool) -> Vec<Block> {
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
                jobs.extend(Queue::of(place).into_iter().map(|queue| Job { work: work_of(queue), place, bytes }));
            }
            let known = Job::all();
            let rows = jobs.into_iter().filter(|job| known.contains(job)).map(|job| Row::new(job, cores, quick));
            blocks.push(Block { title: format!("{title}, {bytes} bytes"), rows: rows.collect() });
        }
    }
    blocks
}

impl Block {
    fn row(&self, place: Place, of: impl Fn(Work) -> bool) -> Option<&Row> {
        self.rows.iter().find(|row| row.job.place == place && of(row.job.work))
    }

    fn print(&self) {
        let round_trip = self.rows[0].job.work.is_round_trip();
        // A ratio is of times for a round trip, less is better; of speeds for a flow, more is better.
        let ratio = |row: &Row, other: Option<&Row>| match other {
            None => format!("{:>8}", "-"),
            Some(other) if round_trip => format!("{:8.2}", row.cost_beside(other)),
            Some(other) => format!("{:8.2}", other.cost_beside(row)),
        };
        let head = if round_trip { "ns" } else { "M/s      GB/s" };
        println!("\n{:<40}{head:>19}{:>8}{:>8}", self.title, "/ limit", "/ rtrb");
        // The rivals live in one process; a ring between two is compared with them all the same.
        let rtrb = self.row(Place::Threads, |work| work.name() == "rtrb");
        for row in &self.rows {
            let limit = self.row(row.job.place, |work| matches!(work, Work::Lines | Work::Bulk));
            let cost = median(row.nanoseconds.clone());
            let figures = match (round_trip, row.job.work) {
                (true, _) => format!("{cost:19.1}"),
                (false, Work::Bulk) => format!("{:>9}{:10.2}", "", row.job.bytes as f64 / cost),
                (false, _) => format!("{:9.2}{:10.2}", 1e3 / cost, row.job.bytes as f64 / cost),
            };
            let who = format!("{:<10} {}", row.job.place, row.job.work.name());
            println!("  {who:<38}{figures}{}{}", ratio(row, limit), ratio(row, rtrb));
        }
    }
}

fn attach(times: usize) {
    let (ring, _name) = queues::create::<u64>(attach_name(), MEBIBYTE_OF_WORDS);
    let mut microseconds: Vec<f64> = (0..times)
        .map(|_| {
            let start = Instant::now();
            drop(spsc::Ring::<u64>::open(ring.name()).expect("the ring"));
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
fn goals(blocks: &[Block]) {
    let find = |title: &str, place, work: Work| {
        let block = blocks.iter().find(|block| block.title == title)?;
        block.row(place, |other| other == work)
    };
    let ring = Queue::Ringway;
    let line = |what: &str, ours: Option<&Row>, other: Option<&Row>, speed: bool, goal: &str| {
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

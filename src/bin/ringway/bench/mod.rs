//! `ringway bench`: how fast the rings are on this machine, between two processes, and how fast they could be.

#[allow(dead_code, unsafe_code)] // the benches use all of it
#[path = "../../../../benches/harness/mod.rs"]
mod harness;
mod report;

use crate::failure::{Code, Failure};
use crate::out::Out;
use clap::Args;
use harness::channel::Candidate;
use harness::cores::{Cores, pin};
use harness::job::{Calls, Job, Place, Work};
use harness::limits::{BULK, EXCHANGE, TWO_LINES};
use harness::rings::{MPMC, SPSC};
use harness::rounds::{self, Block};
use harness::sleepers::{MPMC_PARK, SPSC_PARK};
use report::Report;
use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

/// All that is measured.
const CANDIDATES: [&Candidate; 7] = [&TWO_LINES, &BULK, &EXCHANGE, &SPSC, &SPSC_PARK, &MPMC, &MPMC_PARK];

/// Measure the rings on this machine, beside what the machine can do
///
/// Two processes on two cores pass messages to each other, through rings and through bare memory, in turns; each figure is
/// a median of many turns, and each ratio a median of ratios within a turn. Nothing else should run meanwhile. Takes
/// some seconds longer than it measures.
#[derive(Debug, Args)]
pub struct Bench {
    /// Print JSON, and nothing else
    #[arg(long)]
    json: bool,
    /// For how long to measure
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
}

/// The second process of `bench`, which starts it.
#[derive(Debug, Args)]
pub struct BenchPeer {
    arguments: Vec<String>,
}

impl Bench {
    pub fn run(self, out: &mut Out) -> Result<(), Failure> {
        let text = self.measure().map_err(|reason| Failure::new(Code::Failed, reason))?;
        Ok(out.write_all(text.as_bytes())?)
    }

    fn measure(self) -> Result<String, String> {
        let cores = Cores::choose();
        pin(cores.near);
        let shows_progress = stderr().is_terminal();
        let progress = |part: f64| {
            if shows_progress {
                // If nobody can see it, it does no harm.
                let _ = write!(stderr(), "\r\x1b[Kmeasuring: {:3.0} %", part * 100.0);
            }
        };
        progress(0.0);
        let chunk = rounds::fastest_chunk(Place::Processes, cores, self.seconds < 5);
        let mut blocks = comparisons(chunk).map(|jobs| Block::new("", jobs, cores, false));
        let how = rounds::measure(&mut blocks, cores, false, Duration::from_secs(self.seconds), progress);
        if shows_progress {
            let _ = write!(stderr(), "\r\x1b[K");
        }
        let report = Report::new(&blocks, &how, cores)?;
        if self.json { report.json() } else { Ok(report.text(&how, cores)) }
    }
}

impl BenchPeer {
    /// Does what the first process says, and has nothing to print.
    pub fn run(self) -> Result<(), Failure> {
        let done = harness::link::be_the_peer(&self.arguments, &CANDIDATES);
        done.map_err(|reason| Failure::new(Code::Failed, reason))
    }
}

/// What is measured in turns. [`Report::new`] knows them by their places.
fn comparisons(chunk: usize) -> [Vec<Job>; 5] {
    let of = |work, candidates: &[&'static Candidate], bytes| -> Vec<Job> {
        candidates.iter().map(|candidate| Job { candidate, work, place: Place::Processes, bytes }).collect()
    };
    let one_by_one = Work::flow(Calls::OneByOne);
    let batches = Work::flow(Calls::Batches);
    let mut in_batches = of(batches, &[&BULK], chunk);
    in_batches.extend(of(batches, &[&SPSC, &MPMC], 8));
    [
        of(Work::RoundTrip, &[&TWO_LINES, &SPSC, &SPSC_PARK, &MPMC, &MPMC_PARK], 8),
        of(Work::EachTrip, &[&TWO_LINES, &SPSC, &MPMC], 8),
        of(one_by_one, &[&SPSC, &SPSC_PARK, &MPMC, &MPMC_PARK], 8),
        in_batches,
        vec![Job { candidate: &EXCHANGE, work: Work::Alone, place: Place::Threads, bytes: 8 }],
    ]
}

//! How long a message takes: there and back, and one way while others are on their way.
//!
//! ```text
//! cargo bench --bench latency                      everything, with plots in target/criterion
//! cargo bench --bench latency -- summary           the tables only, less than a minute
//! cargo bench --bench latency -- "round trip, 8"   those of criterion's benches
//! cargo bench --bench latency -- --test            each once, to see that they work
//! ```
//!
//! The method is in `benches/README.md`.

#[allow(dead_code)] // each bench uses a part of it
mod harness;
#[allow(dead_code)]
mod program;

use harness::channel::Candidate;
use harness::job::{Job, Work};
use harness::limits::{ONE_LINE, TWO_LINES};
use harness::rings::{MPMC, SPSC};
use program::{Comparison, PLACES, find, goal, tables};
use std::time::Duration;

const BUDGET: Duration = Duration::from_secs(40);
const SIZES: [usize; 4] = [8, 56, 256, 4096];
/// Messages per second of the flows.
const RATES: [u64; 3] = [100_000, 1_000_000, 5_000_000];
const EACH: &str = "each round trip, 8 bytes";

fn main() {
    program::run(
        |criterion, cores| program::benches(criterion, comparisons(), cores),
        |cores, quick| {
            let blocks = tables(comparisons(), cores, quick, BUDGET);
            println!("\nin short");
            for place in PLACES {
                for (ring, most) in [(&SPSC, "at most 1.05"), (&MPMC, "at most 1.7")] {
                    let [trip, lines] = [ring, &TWO_LINES].map(|candidate| find(&blocks, &title(8), place, candidate));
                    let what = format!("{place}: {}, round trip of 8 bytes / two bare lines", ring.name);
                    goal(&what, trip.cost_beside(lines), most);
                }
            }
        },
    );
}

fn title(bytes: usize) -> String {
    format!("round trip, {bytes} bytes")
}

fn comparisons() -> Vec<Comparison> {
    let jobs = |candidates: &[&'static Candidate], work, bytes| -> Vec<Job> {
        let all = PLACES.iter().flat_map(|&place| candidates.iter().map(move |&candidate| (place, candidate)));
        all.map(|(place, candidate)| Job { candidate, work, place, bytes }).collect()
    };
    let mut comparisons = vec![(title(8), jobs(&[&TWO_LINES, &ONE_LINE, &SPSC, &MPMC], Work::RoundTrip, 8))];
    for bytes in &SIZES[1..] {
        comparisons.push((title(*bytes), jobs(&[&TWO_LINES, &SPSC, &MPMC], Work::RoundTrip, *bytes)));
    }
    comparisons.push((EACH.into(), jobs(&[&TWO_LINES, &SPSC, &MPMC], Work::EachTrip, 8)));
    for rate in RATES {
        let work = Work::Paced { nanoseconds: 1_000_000_000 / rate };
        let title = format!("one way at {} k/s, 8 bytes", rate / 1000);
        comparisons.push((title, jobs(&[&TWO_LINES, &SPSC, &MPMC], work, 8)));
    }
    comparisons
}

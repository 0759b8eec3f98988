//! How many messages go through, from one producer or several to one consumer or several.
//!
//! ```text
//! cargo bench --bench throughput                everything, with plots in target/criterion
//! cargo bench --bench throughput -- summary     the tables only, less than a minute
//! cargo bench --bench throughput -- 2P2C        those of criterion's benches
//! cargo bench --bench throughput -- --test      each once, to see that they work
//! ```
//!
//! The method is in `benches/README.md`.

#[allow(dead_code)] // each bench uses a part of it
mod harness;
#[allow(dead_code)]
mod program;

use harness::cores::Cores;
use harness::job::{Calls, Job, Place, SIZES, Work};
use harness::limits::{BULK, COPY, EXCHANGE};
use harness::rings::{MPMC, SPSC};
use harness::rounds::fastest_chunk;
use program::{Comparison, PLACES, find, flow_title, goal, limit, tables};
use std::time::Duration;

const BUDGET: Duration = Duration::from_secs(40);
const CROWDS: [(usize, usize); 4] = [(2, 1), (1, 2), (2, 2), (4, 4)];
/// The sizes for which the guards are there.
const LARGE: [usize; 2] = [4096, 65536];
/// The sizes of messages of crowds in the table. Criterion has all.
const OF_CROWDS: [usize; 2] = [8, 4096];
/// Any size of chunks will do where nothing is compared with them.
const CHUNK: usize = 64 << 10;

fn main() {
    program::run(|criterion, cores| program::benches(criterion, comparisons(CHUNK, &SIZES), cores), summary);
}

fn comparisons(chunk: usize, of_crowds: &[usize]) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    let mut add = |writers, readers, bytes, calls| {
        let work = Work::Flow { writers, readers, calls };
        let mut jobs = Vec::new();
        for place in PLACES {
            if calls == Calls::InPlace {
                if place == Place::Threads {
                    jobs.push(Job { candidate: &COPY, work: Work::Alone, place, bytes });
                }
            } else {
                jobs.push(Job { candidate: &BULK, work: Work::flow(Calls::Batches), place, bytes: chunk });
            }
            if writers + readers == 2 {
                jobs.push(Job { candidate: &SPSC, work, place, bytes });
            }
            jobs.push(Job { candidate: &MPMC, work, place, bytes });
        }
        comparisons.push((flow_title(writers, readers, bytes, calls), jobs));
    };
    for calls in [Calls::OneByOne, Calls::Batches] {
        SIZES.into_iter().for_each(|bytes| add(1, 1, bytes, calls));
    }
    LARGE.into_iter().for_each(|bytes| add(1, 1, bytes, Calls::InPlace));
    for (writers, readers) in CROWDS {
        for &bytes in of_crowds {
            [Calls::OneByOne, Calls::Batches].into_iter().for_each(|calls| add(writers, readers, bytes, calls));
        }
    }
    let alone = |candidate| Job { candidate, work: Work::Alone, place: Place::Threads, bytes: 8 };
    comparisons.push((ALONE.into(), [&EXCHANGE, &SPSC, &MPMC].map(alone).into()));
    comparisons
}

const ALONE: &str = "push and pop in one thread, 8 bytes";

fn summary(cores: Cores, quick: bool) {
    let chunk = fastest_chunk(Place::Threads, cores, quick);
    println!("bulk copies go in chunks of {} KiB, with which they are fastest", chunk >> 10);
    let blocks = tables(comparisons(chunk, &OF_CROWDS), cores, quick, BUDGET);
    println!("\nin short");
    for place in PLACES {
        let title = flow_title(1, 1, 8, Calls::Batches);
        let [batches, bulk] = [&SPSC, &BULK].map(|candidate| find(&blocks, &title, place, candidate));
        let what = format!("{place}: ringway spsc, 8 bytes in batches / bulk copy");
        goal(&what, bulk.cost_beside(batches), "at least 0.7");
    }
    let title = flow_title(1, 1, 65536, Calls::InPlace);
    for place in PLACES {
        let in_place = find(&blocks, &title, place, &SPSC);
        let copy = find(&blocks, &title, Place::Threads, &COPY);
        let what = format!("{place}: ringway spsc, 64 KiB in place / one memcpy");
        goal(&what, in_place.cost_beside(copy), "at most 1.2");
    }
    let alone = find(&blocks, ALONE, Place::Threads, &MPMC);
    let block = blocks.last().expect("the last block");
    let exchange = limit(block, alone).expect("an exchange");
    goal("ringway mpmc, push and pop in one thread / one exchange", alone.cost_beside(exchange), "about 2");
}

//! What is asked, and of whom.

use crate::Selection;
use ringway_rivals::candidates::{MPMC, Rival, SPSC};
use ringway_rivals::harness::channel::Candidate;
use ringway_rivals::harness::job::{Calls, Job, Place, SIZES, Work};
use ringway_rivals::harness::limits::{BULK, COPY, EXCHANGE, ONE_LINE, TWO_LINES};
use ringway_rivals::harness::sleepers::{MPMC_PARK, SPSC_PARK};

/// What all answers of a question are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A time, of which less is better.
    Time,
    /// Times, by percentiles.
    Percentiles,
    /// Messages, or bytes, per second.
    Speed,
}

/// One question, to some candidates that take turns.
pub struct Question {
    /// For programs.
    pub id: String,
    pub title: String,
    pub kind: Kind,
    pub jobs: Vec<Job>,
    /// Who is compared with the others.
    pub ours: &'static Candidate,
    /// What the machine can do.
    pub limit: Option<&'static Candidate>,
}

/// All that this program measures, so that a second process finds it by name.
pub fn candidates(rivals: &[Rival]) -> Vec<&'static Candidate> {
    let mut all = vec![&TWO_LINES, &ONE_LINE, &BULK, &EXCHANGE, &COPY, &SPSC, &MPMC, &SPSC_PARK, &MPMC_PARK];
    all.extend(rivals.iter().flat_map(|rival| [Some(rival.awake), rival.asleep]).flatten());
    all
}

/// Between two processes, or where there is nothing else, between two threads.
pub fn place_of(candidate: &Candidate) -> Place {
    if candidate.across { Place::Processes } else { Place::Threads }
}

/// Large pieces are copied in chunks of so many bytes, with which that is fastest.
pub fn all(rivals: &[Rival], chunk: usize, selection: &Selection) -> Vec<Question> {
    let jobs = |candidates: Vec<&'static Candidate>, work, bytes| -> Vec<Job> {
        let job = |candidate| Job { candidate, work, place: place_of(candidate), bytes };
        candidates.into_iter().map(job).collect()
    };
    let with_rivals = |ours: &[&'static Candidate], which: &dyn Fn(&Rival) -> Option<&'static Candidate>| {
        ours.iter().copied().chain(rivals.iter().filter_map(which)).collect::<Vec<_>>()
    };
    let awake = |rival: &Rival| Some(rival.awake);
    let mut questions = Vec::new();
    for bytes in [8, 4096, 65536] {
        let mut limits: Vec<&'static Candidate> = vec![&TWO_LINES];
        limits.extend((bytes == 8).then_some(&ONE_LINE));
        questions.push(Question {
            id: format!("round_trip_{bytes}"),
            title: format!("Round trip, {bytes} bytes, both sides awake"),
            kind: Kind::Time,
            jobs: jobs([limits, with_rivals(&[&SPSC, &MPMC], &awake)].concat(), Work::RoundTrip, bytes),
            ours: &SPSC,
            limit: Some(&TWO_LINES),
        });
    }
    questions.push(Question {
        id: "round_trip_8_blocking".into(),
        title: "Round trip, 8 bytes, by calls that sleep when they have to".into(),
        kind: Kind::Time,
        jobs: jobs(with_rivals(&[&SPSC_PARK, &MPMC_PARK], &|rival| rival.asleep), Work::RoundTrip, 8),
        ours: &SPSC_PARK,
        limit: None,
    });
    questions.push(Question {
        id: "each_round_trip_8".into(),
        title: "Each round trip by the clock, 8 bytes, both sides awake".into(),
        kind: Kind::Percentiles,
        jobs: jobs(with_rivals(&[&TWO_LINES, &SPSC, &MPMC], &awake), Work::EachTrip, 8),
        ours: &SPSC,
        limit: Some(&TWO_LINES),
    });
    let mut flow = |name: &str, title: &str, calls, bytes, candidates| {
        let work = Work::flow(calls);
        let bulk = Job { candidate: &BULK, work: Work::flow(Calls::Batches), place: Place::Processes, bytes: chunk };
        let mut all = if calls == Calls::InPlace { jobs(vec![&COPY], Work::Alone, bytes) } else { vec![bulk] };
        all.extend(jobs(candidates, work, bytes));
        questions.push(Question {
            id: format!("{name}_{bytes}"),
            title: format!("{title}, {bytes} bytes"),
            kind: Kind::Speed,
            jobs: all,
            ours: &SPSC,
            limit: Some(if calls == Calls::InPlace { &COPY } else { &BULK }),
        });
    };
    for bytes in SIZES {
        flow("one_by_one", "One way, one by one", Calls::OneByOne, bytes, with_rivals(&[&SPSC, &MPMC], &awake));
    }
    for bytes in [8, 4096] {
        let batches = |rival: &Rival| rival.description.has_batches.then_some(rival.awake);
        flow("batches", "One way, in batches", Calls::Batches, bytes, with_rivals(&[&SPSC, &MPMC], &batches));
    }
    let lends =
        |rival: &Rival| LENDS.iter().any(|name| rival.description.name.starts_with(name)).then_some(rival.awake);
    flow("in_place", "One way, written and read in place", Calls::InPlace, 65536, with_rivals(&[&SPSC, &MPMC], &lends));
    let crowds = |rival: &Rival| rival.awake.crowds.then_some(rival.awake);
    for (writers, readers) in [(1, 1), (2, 2), (4, 4)] {
        let work = Work::Flow { writers, readers, calls: Calls::OneByOne };
        questions.push(Question {
            id: format!("crowd_{writers}p{readers}c_8"),
            title: format!("Many to many: {writers}P{readers}C, 8 bytes, one by one"),
            kind: Kind::Speed,
            jobs: jobs(with_rivals(&[&MPMC], &crowds), work, 8),
            ours: &MPMC,
            limit: None,
        });
    }
    questions.push(Question {
        id: "alone_8".into(),
        title: "Push and pop in one thread, 8 bytes".into(),
        kind: Kind::Time,
        jobs: jobs(with_rivals(&[&EXCHANGE, &SPSC, &MPMC], &awake), Work::Alone, 8)
            .into_iter()
            .map(|job| Job { place: Place::Threads, ..job })
            .collect(),
        ours: &SPSC,
        limit: None,
    });
    questions.retain(|question| selection.wants(&question.id));
    questions
}

/// Rivals that lend a message's place in the queue.
const LENDS: [&str; 2] = ["iceoryx2", "shaq"];

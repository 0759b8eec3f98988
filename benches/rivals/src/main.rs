//! ringway against its rivals and the limits of the machine: all candidates of a question in turns, in one run.
//!
//! ```text
//! cargo run --release --manifest-path benches/rivals/Cargo.toml                     tables, in two minutes or three
//! cargo run --release --manifest-path benches/rivals/Cargo.toml -- round_trip_8     of these questions
//! cargo run --release --manifest-path benches/rivals/Cargo.toml -- --rival iceoryx2 --rival pipe
//! cargo run --release --manifest-path benches/rivals/Cargo.toml -- --json           for programs
//! cargo run --release --manifest-path benches/rivals/Cargo.toml -- --svg benches/charts
//! ```
//!
//! A rival that does not build is left out by `--no-default-features --features ...`; one that cannot be opened here, or
//! breaks its contract, is named in the tables, and the others go on. The method is in `benches/README.md`.

mod chart;
mod findings;
mod questions;
mod table;
mod trial;

use clap::Parser;
use findings::Findings;
use questions::{Question, candidates};
use ringway_rivals::candidates::{Rival, all};
use ringway_rivals::harness::cores::{Cores, pin};
use ringway_rivals::harness::job::{Job, Place};
use ringway_rivals::harness::link::{PEER, be_the_peer};
use ringway_rivals::harness::rounds::{self, Block, Report, Row};
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Each question is asked so many times, with everything set up anew: where a queue comes to lie is a matter of luck.
const PASSES: usize = 3;

/// ringway against its rivals, in turns
#[derive(Debug, Parser)]
#[command(name = "ringway-rivals")]
struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Print JSON, and nothing else
    #[arg(long)]
    json: bool,
    /// Draw charts into this folder
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// For how long to measure, beside the time that it takes to set everything up
    #[arg(long, value_name = "N", default_value_t = 100)]
    seconds: u64,
    /// Each once, to see that they work; for that, not for the figures
    #[arg(long)]
    test: bool,
}

/// What is asked, and of whom.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// Questions, by parts of their names; all by default
    questions: Vec<String>,
    /// Rivals, by parts of their names; all by default
    #[arg(long = "rival", value_name = "NAME")]
    rivals: Vec<String>,
}

impl Selection {
    /// Whether the question of that name is asked.
    pub fn wants(&self, question: &str) -> bool {
        self.questions.is_empty() || self.questions.iter().any(|part| question.contains(part))
    }

    fn wants_rival(&self, rival: &Rival) -> bool {
        self.rivals.is_empty() || self.rivals.iter().any(|part| rival.description.name.contains(part))
    }
}

fn main() -> ExitCode {
    // Messages of 64 KiB go by value, in an unoptimised program through many hands.
    let run = std::thread::Builder::new().stack_size(64 << 20).spawn(run).expect("a thread");
    match run.join().expect("no panic beside those of the rivals") {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("ringway-rivals: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rivals = all();
    let candidates = candidates(&rivals);
    match arguments.first() {
        Some(first) if first == PEER => return be_the_peer(&arguments[1..], &candidates),
        Some(first) if first == trial::TRIAL => return trial::take(&arguments[1..], &candidates),
        _ => {}
    }
    let arguments = Arguments::parse();
    let wanted = rivals.into_iter().filter(|rival| arguments.selection.wants_rival(rival));
    let cores = Cores::choose();
    pin(cores.near);
    let progress = Progress { visible: stderr().is_terminal() };
    progress.say("trying the rivals");
    let rivals: Vec<(Rival, Option<String>)> = wanted.map(|rival| (rival, trial::of(rival.awake).err())).collect();
    // What panics from here on is a rival's failure, which the tables name.
    std::panic::set_hook(Box::new(|_| ()));
    let findings = measure(&rivals, &arguments, cores, &progress)?;
    progress.say("");
    if let Some(folder) = &arguments.svg {
        chart::draw_all(&findings, folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&findings).map_err(|error| format!("JSON: {error}"))? + "\n",
        false => table::all(&findings),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever read our output has had enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("output failed: {error}")),
        _ => Ok(()),
    }
}

fn measure(
    rivals: &[(Rival, Option<String>)],
    arguments: &Arguments,
    cores: Cores,
    progress: &Progress,
) -> Result<Findings, String> {
    let working: Vec<Rival> = rivals.iter().filter(|(_, failure)| failure.is_none()).map(|(rival, _)| *rival).collect();
    let chunk = rounds::fastest_chunk(Place::Processes, cores, arguments.test);
    let questions = questions::all(&working, chunk, &arguments.selection);
    if questions.is_empty() {
        return Err("no question has such a name; without a name, all are asked".into());
    }
    let block = |question: &Question| Block::<Job> {
        title: question.title.clone(),
        rows: question.jobs.iter().map(|job| Row::new(*job)).collect(),
    };
    let mut asked: Vec<_> = questions.into_iter().map(|question| (block(&question), question)).collect();
    let passes = if arguments.test { 1 } else { PASSES };
    let budget = Duration::from_secs(arguments.seconds) / (passes * asked.len()) as u32;
    let mut report = Report::default();
    for pass in 1..=passes {
        for (block, question) in &mut asked {
            progress.say(&format!("pass {pass} of {passes}: {}", question.title));
            block.open(cores, arguments.test);
            report += rounds::measure(std::slice::from_mut(block), cores, arguments.test, budget, |_| ());
            block.close();
        }
    }
    let asked: Vec<_> = asked.into_iter().map(|(block, question)| (question, block)).collect();
    Ok(Findings::new(&asked, rivals, &report, cores))
}

/// A line on the terminal that says what is going on.
struct Progress {
    visible: bool,
}

impl Progress {
    fn say(&self, what: &str) {
        if self.visible {
            // If nobody can see it, it does no harm.
            let _ = write!(stderr(), "\r\x1b[K{what}");
        }
    }
}

//! What was found: for the table, for programs, and for the charts.

use crate::questions::{Kind, Question};
use ringway_rivals::candidates::Rival;
use ringway_rivals::harness::channel::Candidate;
use ringway_rivals::harness::cores::{Cores, machine};
use ringway_rivals::harness::job::Job;
use ringway_rivals::harness::limits::{BULK, COPY, EXCHANGE, ONE_LINE, TWO_LINES};
use ringway_rivals::harness::rounds::{Block, Report, Row};
use serde::Serialize;
use std::time::SystemTime;

/// Where on the way to all messages the percentiles are taken.
pub const PERCENTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

/// All of it.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// Of ringway.
    pub version: &'static str,
    pub date: String,
    pub processor: String,
    pub kernel: String,
    pub cpus: [usize; 2],
    pub same_core: bool,
    /// How the measuring went.
    pub notes: String,
    pub rivals: Vec<About>,
    pub answers: Vec<Answer>,
}

/// What is known of a rival.
#[derive(Debug, Serialize)]
pub struct About {
    pub name: &'static str,
    pub version: Option<&'static str>,
    pub in_process_only: bool,
    pub contract: &'static str,
    pub on_death: Option<&'static str>,
    pub link: &'static str,
    /// Why it was not measured, if it was not.
    pub failure: Option<String>,
}

/// The answer to one question.
#[derive(Debug, Serialize)]
pub struct Answer {
    pub id: String,
    pub title: String,
    #[serde(skip)]
    pub kind: Kind,
    pub rows: Vec<Line>,
}

/// Whose figure it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Limit,
    Ringway,
    /// It can be met from a second process, and was.
    Across,
    /// It lives in one process.
    InProcess,
}

/// What one candidate needs.
#[derive(Debug, Serialize)]
pub struct Line {
    pub name: &'static str,
    pub role: Role,
    pub bytes: usize,
    /// For one message, round trip or piece of memory.
    pub nanoseconds: Option<f64>,
    /// How many times as long as ringway, by the median of ratios within a round. Flows are compared by their bytes.
    pub beside_ringway: Option<f64>,
    /// How many times as long as what the machine can do.
    pub beside_limit: Option<f64>,
    /// Nanoseconds, at [`PERCENTILES`].
    pub percentiles: Option<[u64; 5]>,
    /// Why there is no figure.
    pub failure: Option<String>,
}

impl Findings {
    pub fn new(
        asked: &[(Question, Block<Job>)],
        rivals: &[(Rival, Option<String>)],
        report: &Report,
        cores: Cores,
    ) -> Findings {
        let (processor, kernel) = machine();
        let about = |(rival, failure): &(Rival, Option<String>)| About {
            name: rival.description.name,
            version: rival.description.version,
            in_process_only: rival.description.in_process_only,
            contract: rival.description.contract.name(),
            on_death: rival.description.on_death,
            link: rival.description.link,
            failure: failure.clone(),
        };
        Findings {
            version: version(),
            date: today(),
            processor,
            kernel,
            cpus: [cores.near, cores.far],
            same_core: report.is_of_one_core(cores),
            notes: format!("{}. {report}", cores.describe()),
            rivals: rivals.iter().map(about).collect(),
            answers: asked.iter().map(|(question, block)| Answer::new(question, block)).collect(),
        }
    }

    /// In which each figure should be read, in one line.
    pub fn caption(&self) -> String {
        let Findings { version, processor, kernel, date, .. } = self;
        format!("ringway {version}, {date}; {processor}, Linux {kernel}, two cores; medians")
    }

    pub fn line(&self, id: &str, name: &str) -> Option<&Line> {
        self.answer(id)?.rows.iter().find(|line| line.name == name)
    }

    pub fn answer(&self, id: &str) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.id == id)
    }
}

impl Answer {
    fn new(question: &Question, block: &Block<Job>) -> Answer {
        let find = |candidate: &Candidate| block.row(|job| job.candidate == candidate);
        let ours = find(question.ours);
        let limit = question.limit.and_then(find);
        let line = |row: &Row<Job>| Line {
            name: row.task.candidate.name,
            role: role(row.task.candidate),
            bytes: row.task.bytes,
            nanoseconds: row.nanoseconds(),
            beside_ringway: ours.and_then(|ours| row.cost_beside(ours)),
            beside_limit: limit.and_then(|limit| row.cost_beside(limit)),
            percentiles: (question.kind == Kind::Percentiles && row.failure().is_none())
                .then(|| PERCENTILES.map(|part| row.latencies.value_at_quantile(part))),
            failure: row.failure().map(Into::into),
        };
        let (id, title, kind) = (question.id.clone(), question.title.clone(), question.kind);
        Answer { id, title, kind, rows: block.rows.iter().map(line).collect() }
    }

    /// Who is compared with the rivals is the first of ours.
    pub fn rivals(&self) -> impl Iterator<Item = &Line> {
        self.rows.iter().filter(|line| matches!(line.role, Role::Across | Role::InProcess))
    }
}

impl Line {
    /// Messages per second.
    pub fn per_second(&self) -> Option<f64> {
        self.nanoseconds.map(|nanoseconds| 1e9 / nanoseconds)
    }

    pub fn bytes_per_second(&self) -> Option<f64> {
        self.per_second().map(|messages| messages * self.bytes as f64)
    }
}

fn role(candidate: &Candidate) -> Role {
    match candidate {
        limit if [&TWO_LINES, &ONE_LINE, &BULK, &EXCHANGE, &COPY].contains(&limit) => Role::Limit,
        ours if ours.name.starts_with("ringway ") => Role::Ringway,
        rival if rival.across => Role::Across,
        _ => Role::InProcess,
    }
}

/// The version of ringway that was built.
fn version() -> &'static str {
    let manifest = include_str!("../../../Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = "));
    version.map_or("?", |version| version.trim_matches('"'))
}

/// The date, as year-month-day (Howard Hinnant's `civil_from_days`).
fn today() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{}-{month:02}-{day:02}", year_of_era + era * 400 + next)
}

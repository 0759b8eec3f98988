//! What `ringway bench` found, for people and for programs.

use super::harness::channel::Candidate;
use super::harness::cores::{Cores, machine};
use super::harness::job::Job;
use super::harness::limits::{BULK, EXCHANGE, TWO_LINES};
use super::harness::rings::{MPMC, SPSC};
use super::harness::rounds::{self, Block, Row};
use super::harness::sleepers::{MPMC_PARK, SPSC_PARK};
use serde::Serialize;
use std::fmt::Write;

/// All figures. Ratios are of the same turns, so that they need not be those of the figures to the last digit.
#[derive(Debug, Serialize)]
pub struct Report {
    version: &'static str,
    processor: String,
    kernel: String,
    /// The cpus of the two processes.
    cpus: [usize; 2],
    /// The two sides shared one core, or one cpu, for a part of the time: the figures say little.
    same_core: bool,
    rounds: usize,
    limits: Limits,
    spsc: Ring,
    mpmc: Ring,
}

/// What the machine can do.
#[derive(Debug, Serialize)]
struct Limits {
    /// A cache line there, another one back.
    line_rtt_ns: f64,
    line_rtt_each_ns: Percentiles,
    /// From core to core, in pieces of so many bytes.
    copy_bytes_per_s: f64,
    copy_chunk_bytes: usize,
    /// A compare-and-exchange on a line that nobody else wants.
    exchange_ns: f64,
}

/// What a ring can do, with messages of 8 bytes.
#[derive(Debug, Serialize)]
struct Ring {
    /// Both sides look again and again.
    #[serde(flatten)]
    spin: Traffic,
    /// One by one, each by a clock, which takes its time as well.
    rtt_each_ns: Percentiles,
    batch_bytes_per_s: f64,
    /// Beside the bulk copy.
    batch_ratio: f64,
    /// By operations that sleep when there is nothing to do for long; which is not the case here.
    park: Traffic,
}

#[derive(Debug, Serialize)]
struct Traffic {
    /// The median of all rounds.
    rtt_ns_p50: f64,
    /// Beside the bare lines.
    rtt_ratio: f64,
    /// One way, one by one.
    msgs_per_s: f64,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
}

impl Report {
    /// What the blocks of [`comparisons`](super::comparisons) say.
    pub fn new(blocks: &[Block<Job>; 5], how: &rounds::Report, cores: Cores) -> Result<Report, String> {
        let [trips, each_trip, one_by_one, batches, alone] = blocks;
        let lines = find(trips, &TWO_LINES)?;
        let copy = find(batches, &BULK)?;
        let traffic = |candidate| -> Result<Traffic, String> {
            let trip = find(trips, candidate)?;
            Ok(Traffic {
                rtt_ns_p50: nanoseconds(trip)?,
                rtt_ratio: trip.cost_beside(lines).ok_or("no ratio")?,
                msgs_per_s: 1e9 / nanoseconds(find(one_by_one, candidate)?)?,
            })
        };
        let percentiles = |candidate| -> Result<Percentiles, String> {
            let latencies = &find(each_trip, candidate)?.latencies;
            let [p50, p90, p99, p999] = [0.5, 0.9, 0.99, 0.999].map(|part| latencies.value_at_quantile(part));
            Ok(Percentiles { p50, p90, p99, p999 })
        };
        let bytes_per_s = |row: &Row<Job>| Ok::<_, String>(row.task.bytes as f64 * 1e9 / nanoseconds(row)?);
        let ring = |spin, park| -> Result<Ring, String> {
            let batches = find(batches, spin)?;
            Ok(Ring {
                spin: traffic(spin)?,
                rtt_each_ns: percentiles(spin)?,
                batch_bytes_per_s: bytes_per_s(batches)?,
                batch_ratio: copy.cost_beside(batches).ok_or("no ratio")?,
                park: traffic(park)?,
            })
        };
        let (processor, kernel) = machine();
        Ok(Report {
            version: env!("CARGO_PKG_VERSION"),
            processor,
            kernel,
            cpus: [cores.near, cores.far],
            same_core: how.is_of_one_core(cores),
            rounds: how.rounds,
            limits: Limits {
                line_rtt_ns: nanoseconds(lines)?,
                line_rtt_each_ns: percentiles(&TWO_LINES)?,
                copy_bytes_per_s: bytes_per_s(copy)?,
                copy_chunk_bytes: copy.task.bytes,
                exchange_ns: nanoseconds(find(alone, &EXCHANGE)?)?,
            },
            spsc: ring(&SPSC, &SPSC_PARK)?,
            mpmc: ring(&MPMC, &MPMC_PARK)?,
        })
    }

    pub fn json(&self) -> Result<String, String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| format!("JSON: {error}"))?;
        Ok(text + "\n")
    }

    pub fn text(&self, how: &rounds::Report, cores: Cores) -> String {
        let mut text = String::new();
        let mut line = |parts: std::fmt::Arguments<'_>| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{parts}");
        };
        let Report { version, processor, kernel, limits, .. } = self;
        line(format_args!("ringway {version} on {processor}, Linux {kernel}"));
        line(format_args!("two processes: {}", cores.describe()));
        line(format_args!("{how}"));
        if self.same_core && !cores.are_one() {
            line(format_args!("NB: both sides shared one core for part of the time; try again, or trust none of this"));
        }

        let head =
            |title: &str| format!("\n{title:<34}{:>12}{:>12}{:>12}{:>12}", "the machine", "spsc", "mpmc", "unit");
        let (spsc, mpmc) = (&self.spsc, &self.mpmc);
        let row = |what: &str, figures: [f64; 3], digits: usize, unit: &str| {
            let figures = figures.map(|figure| match figure.is_nan() {
                true => format!("{:>12}", "-"),
                false => format!("{figure:12.digits$}"),
            });
            format!("  {what:<32}{}{unit:>12}", figures.concat())
        };
        line(format_args!("{}", head("round trip, 8 bytes")));
        let trip = |of: fn(&Ring) -> &Traffic| [limits.line_rtt_ns, of(spsc).rtt_ns_p50, of(mpmc).rtt_ns_p50];
        let ratio = |of: fn(&Ring) -> &Traffic| [1.0, of(spsc).rtt_ratio, of(mpmc).rtt_ratio];
        line(format_args!("{}", row("both sides spin", trip(|ring| &ring.spin), 0, "ns")));
        line(format_args!("{}", row("  beside the machine", ratio(|ring| &ring.spin), 2, "x")));
        line(format_args!("{}", row("both sides may sleep (Park)", trip(|ring| &ring.park), 0, "ns")));
        line(format_args!("{}", row("  beside the machine", ratio(|ring| &ring.park), 2, "x")));
        let each = |of: fn(&Percentiles) -> u64| {
            [&limits.line_rtt_each_ns, &spsc.rtt_each_ns, &mpmc.rtt_each_ns].map(|each| of(each) as f64)
        };
        line(format_args!("{}", row("each by the clock, p50", each(|each| each.p50), 0, "ns")));
        line(format_args!("{}", row("  p99", each(|each| each.p99), 0, "ns")));
        line(format_args!("{}", row("  p99.9", each(|each| each.p999), 0, "ns")));

        line(format_args!("{}", head("one way, 8 bytes")));
        let flow = |of: fn(&Ring) -> &Traffic| [f64::NAN, of(spsc).msgs_per_s / 1e6, of(mpmc).msgs_per_s / 1e6];
        line(format_args!("{}", row("one by one", flow(|ring| &ring.spin), 1, "M/s")));
        line(format_args!("{}", row("one by one, Park", flow(|ring| &ring.park), 1, "M/s")));
        let batches = [limits.copy_bytes_per_s, spsc.batch_bytes_per_s, mpmc.batch_bytes_per_s];
        line(format_args!("{}", row("in batches", batches.map(|bytes| bytes / 1e9), 2, "GB/s")));
        let ratios = [1.0, spsc.batch_ratio, mpmc.batch_ratio];
        line(format_args!("{}", row("  beside the machine", ratios, 2, "x")));

        line(format_args!(
            "\nThe machine: a cache line there and another one back; a copy from core to core in pieces of {} KiB. One \
             exchange\n(compare and swap) on a line that nobody else wants takes {:.1} ns.",
            limits.copy_chunk_bytes >> 10,
            limits.exchange_ns
        ));
        text
    }
}

fn find<'b>(block: &'b Block<Job>, candidate: &Candidate) -> Result<&'b Row<Job>, String> {
    block.row(|job| job.candidate == candidate).ok_or_else(|| format!("{} was not measured", candidate.name))
}

fn nanoseconds(row: &Row<Job>) -> Result<f64, String> {
    row.nanoseconds().ok_or_else(|| format!("{}: {}", row.task.candidate.name, row.failure().unwrap_or("no figures")))
}

//! `ringway bench`: that it works, and that its figures agree with each other. How good they are is not for a test.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;
use std::process::{Command, Output, Stdio};

const RINGWAY: &str = env!("CARGO_BIN_EXE_ringway");

fn bench(arguments: &[&str]) -> Output {
    let output = Command::new(RINGWAY).args(arguments).stdin(Stdio::null()).output().expect("the command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON and nothing else")
}

/// The number at `path`, which is positive.
fn figure(report: &Value, path: &str) -> f64 {
    let figure = report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number at {path}"));
    assert!(figure.is_finite() && figure > 0.0, "{path} is {figure}");
    figure
}

/// Ratios are medians of ratios, not ratios of medians: they agree as far as a noisy machine lets them.
fn agree(ratio: f64, expected: f64, what: &str) {
    assert!(ratio < expected * 5.0 && expected < ratio * 5.0, "{what}: {ratio}, but the figures say {expected}");
}

#[test]
fn json_has_all_figures_and_they_agree() {
    let report = json(&bench(&["bench", "--json", "--seconds", "1"]));
    let line = figure(&report, "/limits/line_rtt_ns");
    let copy = figure(&report, "/limits/copy_bytes_per_s");
    for ring in ["spsc", "mpmc"] {
        let of = |name: &str| figure(&report, &format!("/{ring}/{name}"));
        agree(of("rtt_ratio"), of("rtt_ns_p50") / line, "rtt_ratio");
        agree(of("batch_ratio"), of("batch_bytes_per_s") / copy, "batch_ratio");
        agree(of("park/rtt_ratio"), of("park/rtt_ns_p50") / line, "park/rtt_ratio");
        assert!(of("msgs_per_s") > 1.0 && of("park/msgs_per_s") > 1.0);
        assert!(of("rtt_each_ns/p50") <= of("rtt_each_ns/p99"));
    }
    assert!(report["same_core"].is_boolean());
}

#[test]
fn one_cpu_is_enough_and_the_report_says_so() {
    let allowed = sched_getaffinity(None).expect("the cpus that we may use");
    let mut only = CpuSet::new();
    only.set((0..CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu)).expect("a cpu to run on"));
    // For this thread, and so for what it starts.
    sched_setaffinity(None, &only).expect("to stay on one cpu");
    let text = String::from_utf8(bench(&["bench", "--seconds", "1"]).stdout).expect("text");
    assert!(text.contains("ONLY ONE CPU"), "{text}");
    assert!(text.contains("round trip, 8 bytes") && text.contains("in batches"), "{text}");
    assert!(!text.contains('\x1b') && !text.contains('\r'), "no terminal, no colours and no progress: {text:?}");
}

#[test]
fn the_second_process_is_not_for_people() {
    let output = Command::new(RINGWAY).arg("bench-peer").output().expect("the command");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("for the program itself"));
}

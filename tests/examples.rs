//! The examples do what they say: each is run as its readers run it, with small numbers.
//!
//! Cargo builds them when it builds all tests. For this file by itself: `cargo build --examples`, with the same profile.

use std::path::PathBuf;
use std::process::Command;

/// What example `name` prints.
fn output(name: &str, arguments: &[&str]) -> Vec<String> {
    // `target/PROFILE/deps/examples-HASH` and `target/PROFILE/examples/NAME`.
    let test = std::env::current_exe().expect("this program has a file");
    let profile = test.ancestors().nth(2).expect("it lies two folders below the profile's");
    let example: PathBuf = profile.join("examples").join(name);
    let run = Command::new(&example).args(arguments).output();
    let run = run.unwrap_or_else(|error| panic!("{example:?}: {error}; build it first: cargo build --examples"));
    let (said, complained) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{name}: {}\n{said}\n{complained}", run.status);
    nothing_is_left_of(name);
    said.lines().map(str::to_owned).collect()
}

/// No ring of a process that has ended.
fn nothing_is_left_of(name: &str) {
    for entry in std::fs::read_dir("/dev/shm").expect("the folder of shared memory can be read").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-')) else { continue };
        let pid = rest.split('-').next().unwrap_or_default();
        assert!(PathBuf::from("/proc").join(pid).exists(), "{file} is left over");
    }
}

/// The numbers in a line of text.
fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
}

#[track_caller]
fn lines_with<'l>(lines: &'l [String], word: &str, count: usize) -> Vec<&'l str> {
    let found: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.contains(word)).collect();
    assert_eq!(found.len(), count, "lines with {word:?}:\n{}", lines.join("\n"));
    found
}

#[test]
fn latest_is_whole_whoever_is_killed() {
    let lines = output("latest", &["3", "4"]);
    lines_with(&lines, "which is whole", 4);
    let end = numbers(lines_with(&lines, "all saw the end", 1)[0])[0];
    assert!(end > 4 * 1_000, "{end} versions");
    for reader in lines_with(&lines, "values, 0 wrong", 3) {
        let [_, read, of, ..] = numbers(reader)[..] else { panic!("{reader}") };
        assert!(of == end && 0 < read && read <= of, "{reader}");
    }
}

#[test]
fn counter_counts_each_message_once_and_the_one_that_was_being_worked_on_twice() {
    let lines = output("counter", &["12"]);
    lines_with(&lines, "the consumer was killed over counter 6", 1);
    let counted: Vec<u64> = lines_with(&lines, "message number", 13).iter().map(|line| numbers(line)[0]).collect();
    assert_eq!(counted, [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11]);
}

#[test]
fn presence_counts_who_is_there_and_the_last_one_cleans_up() {
    let lines = output("presence", &["3"]);
    let counts: Vec<u64> = lines.iter().map(|line| numbers(line)[0]).collect();
    assert_eq!(counts, [1, 4, 3, 0], "{lines:#?}");
}

#[test]
fn record_arrives_as_it_was_sent_or_is_refused() {
    let lines = output("record", &[]);
    let expected = [
        "record 1: Ada, 73.5 kg, grade A",
        "record -2: Blaise Pascal, 0.25 kg, grade ß",
        "record 9223372036854775807: Çatalhöyük, a town of old, inf kg, grade →",
    ];
    assert_eq!(lines[..3], expected);
    assert!(lines[3].starts_with("refused: message 3 of ring `record-") && lines.len() == 4, "{lines:#?}");
}

#[test]
fn results_are_of_one_round_only() {
    let lines = output("results", &["3"]);
    assert_eq!(
        (&*lines[0], &**lines.last().expect("lines")),
        ("read-only: results of round 1", "read-only: results of round 100")
    );
    lines_with(&lines, "results of round 100, 100000 points, the last is 999 (player 999)", 3);
    lines_with(&lines, "of 100 sets, each of one round only", 3);
}

#[test]
fn open_or_create_makes_one_ring_and_refuses_what_is_none() {
    let lines = output("open_or_create", &["5"]);
    assert_eq!(lines[0], "5 processes opened or created it at the same time: 1 ring");
    let expected = [
        "its capacity is 64 messages, expected 65",
        "of 8 bytes, expected `[u64; 4]` of 32 bytes",
        "expected 0x",
        "its kind is 1 (spsc), expected 2 (mpmc)",
        "bytes long, expected",
        "not a ring",
    ];
    assert_eq!(lines.len(), 1 + expected.len(), "{lines:#?}");
    for (line, expected) in lines[1..].iter().zip(expected) {
        assert!(line.contains(expected), "{line}\nis without\n{expected}");
    }
}

fn every_frame_is_seen_by_both(arguments: &[&str]) {
    let lines = output("video", arguments);
    lines_with(&lines, "here is the next one", 1);
    let sealed = if arguments.contains(&"--encrypt") { ", sealed" } else { "" };
    lines_with(&lines, &format!("camera: 8 frames of 12441600 bytes to each{sealed}: "), 1);
    lines_with(&lines, "brightness: frames 0 to 7, 0 wrong, ", 1);
    let motion = lines_with(&lines, "motion: frames ", 1)[0];
    assert!(motion.contains(" to 7, 0 wrong") && numbers(motion)[0] <= 4, "{motion}");
}

#[test]
fn video_reaches_both_analysers_though_one_is_killed() {
    every_frame_is_seen_by_both(&["8"]);
}

#[test]
fn video_can_be_sealed() {
    every_frame_is_seen_by_both(&["8", "--encrypt"]);
}

//! The `ringway` command, as a user runs it, and what it is expected to print.
#![allow(dead_code)] // each test file uses a part of it

use assert_cmd::Command;
use std::fs;
use std::path::Path;

/// What a run of the command has printed, and its exit code.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// How to run the command, without a terminal.
pub fn ringway(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(arguments).env_remove("NO_COLOR").timeout(crate::support::PATIENCE);
    command
}

pub fn run(arguments: &[&str]) -> Run {
    let output = ringway(arguments).output().expect("it can be run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("it ends by itself");
    Run { code, out: text(output.stdout), err: text(output.stderr) }
}

/// What a successful run prints.
#[track_caller]
pub fn done(arguments: &[&str]) -> String {
    let run = run(arguments);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "ringway {arguments:?} printed {}", run.out);
    assert!(!run.out.contains('\x1b'), "colour without a terminal");
    run.out
}

/// What a run that ends with `code` complains of.
#[track_caller]
pub fn fails(code: i32, arguments: &[&str]) -> String {
    let run = run(arguments);
    assert_eq!(run.code, code, "ringway {arguments:?} printed {}{}", run.out, run.err);
    assert!(!run.err.contains("panicked"), "{}", run.err);
    run.err
}

#[track_caller]
pub fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&done(arguments)).expect("JSON")
}

/// Fails when `text` is not what is kept in `tests/snapshots`. With `RINGWAY_TEST_UPDATE` in the environment it is kept
/// from now on.
#[track_caller]
pub fn assert_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("RINGWAY_TEST_UPDATE").is_some() {
        fs::write(&path, text).expect("the snapshot can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, kept, "not as in {}", path.display());
}

/// `text` with what differs from run to run replaced: the words that are given, and times. Spaces that only align are
/// made one.
pub fn masked(text: &str, words: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (word, mask) in words {
        text = text.replace(word, mask);
    }
    let line = |line: &str| line.split_whitespace().map(mask_time).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

fn mask_time(word: &str) -> &str {
    let unit = word.trim_start_matches('>').trim_start_matches(|character: char| character.is_ascii_digit());
    let is_time = unit.len() < word.len() && ["ms", "s", "min", "h", "d"].contains(&unit);
    if is_time { "TIME" } else { word }
}

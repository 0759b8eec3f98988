//! The verbs that make, feed and drain rings: `create`, `send`, `recv`.

#[path = "support/command.rs"]
mod command;
mod support;
#[path = "support/terminal.rs"]
mod terminal;

use command::{done, fails, ringway};
use ringway::{Lifetime, Options, mpmc, spsc};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use support::damage::Random;
use support::memory::{Memory, SystemV};
use support::{Child, Job, Name, be_the_other_process, listen, say, wait_until};
use terminal::Terminal;

fn attach(arguments: &[String]) {
    let ring = mpmc::Ring::<u64>::open(&arguments[0]).expect("made by the parent");
    let mut producer = ring.producer();
    let _claimed = producer.reserve().expect("room");
    say("ready");
    listen();
}

const JOBS: &[Job] = &[("attach", attach)];

#[test]
#[ignore = "run by the other tests, as another process"]
fn the_other_process() {
    be_the_other_process(JOBS);
}

/// What is printed when `input` is typed in.
#[track_caller]
fn with_input(arguments: &[&str], input: impl Into<Vec<u8>>, code: i32) -> (Vec<u8>, String) {
    let output = ringway(arguments).write_stdin(input).output().expect("it can be run");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(code), "ringway {arguments:?} said {said}");
    assert!(!said.contains("panicked"), "{said}");
    (output.stdout, said)
}

#[test]
fn a_ring_is_made_for_the_type_that_was_meant() {
    let name = Name::new();
    assert_eq!(done(&["create", name.as_str(), "--kind", "spsc", "--type", "u64", "--capacity", "5"]), "");
    assert_eq!(spsc::Ring::<u64>::open(&name).expect("as it was meant").capacity(), 5);
    let again = fails(5, &["create", name.as_str(), "--kind", "spsc", "--type", "u64", "--capacity", "5"]);
    assert!(again.contains("the name is taken"), "{again}");

    let name = Name::new();
    let arguments = ["--kind", "mpmc", "--item-size", "24", "--align", "8", "--schema", "77", "--mode", "640"];
    done(&[&["create", name.as_str(), "--capacity", "2", "--processes", "3"], &arguments[..]].concat());
    let ring = mpmc::Ring::<[u64; 3]>::open_with(&name, &Options::new().schema(77).capacity(2));
    assert!(ring.is_ok(), "{ring:?}");
    assert_eq!(done(&["ls", "-o", "mode,item,kind", name.as_str()]).lines().nth(1), Some("0640    24  mpmc"));
}

#[test]
fn a_ring_that_there_cannot_be_is_refused() {
    let name = Name::new();
    let create =
        |more: &[&str]| fails(2, &[&["create", name.as_str(), "--kind", "mpmc", "--capacity", "4"], more].concat());
    assert!(create(&[]).contains("--item-size"));
    assert!(create(&["--type", "Tick"]).contains("--item-size is needed"));
    assert!(create(&["--type", "u64", "--item-size", "4"]).contains("has 8 bytes"));
    assert!(create(&["--item-size", "0"]).contains("messages of 0 bytes"));
    assert!(create(&["--item-size", "9", "--align", "2"]).contains("aligned to 2"));
    assert!(create(&["--item-size", "8", "--mode", "999"]).contains("octal"));
    assert!(create(&["--item-size", "8", "--processes", "9999"]).contains("9999 processes"));
    assert!(fails(2, &["create", "a/..", "--kind", "mpmc", "--capacity", "4", "--item-size", "8"]).contains("a/.."));
    assert!(
        fails(2, &["create", name.as_str(), "--kind", "other", "--capacity", "4", "--item-size", "8"])
            .contains("other")
    );
    assert!(!name.exists());
}

#[test]
fn lines_go_in_and_come_out() {
    for kind in ["spsc", "mpmc"] {
        let name = Name::new();
        done(&["create", name.as_str(), "--kind", kind, "--item-size", "16", "--capacity", "8"]);
        with_input(&["send", name.as_str()], "one\ntwo words\n\nthe last, no end", 0);
        assert_eq!(done(&["recv", name.as_str(), "-n", "2"]), "one\ntwo words\n");
        assert_eq!(done(&["recv", name.as_str()]), "\nthe last, no end\n");
        assert_eq!(done(&["recv", name.as_str()]), "", "empty is no failure");
        with_input(&["send", name.as_str(), "--count", "2"], "a\nb\nc\n", 0);
        assert_eq!(done(&["recv", name.as_str()]), "a\nb\n");
    }
}

#[test]
fn bytes_go_in_and_come_out_as_they_are() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &Options::new()).expect("new");
    with_input(&["send", "--hex", name.as_str()], "0100000000000000\n00000000000000ff\n", 0);
    assert_eq!(ring.consumer().expect("free").try_pop(), Ok(1), "whatever the type");
    assert_eq!(done(&["recv", "--hex", name.as_str()]), "00000000000000ff\n");
    let bytes: Vec<u8> = (0..80).collect();
    with_input(&["send", "--binary", name.as_str()], bytes.clone(), 0);
    assert_eq!(with_input(&["recv", "--binary", name.as_str()], "", 0).0, bytes);

    let (_, said) = with_input(&["send", name.as_str()], "good\nlonger than eight\n", 1);
    assert!(said.contains("line 2 of the input has more bytes than a message of this ring: 8"), "{said}");
    assert_eq!(done(&["recv", name.as_str()]), "good\n", "what was good before is there");
    assert!(with_input(&["send", "--hex", name.as_str()], "xx00000000000000\n", 1).1.contains("hexadecimal"));
    assert!(with_input(&["send", "--binary", name.as_str()], "short", 1).1.contains("fewer bytes"));
}

#[test]
fn a_wait_that_is_too_long_is_told_from_other_failures() {
    let name = Name::new();
    done(&["create", name.as_str(), "--kind", "mpmc", "--type", "u64", "--capacity", "2"]);
    let (out, said) = with_input(&["send", name.as_str(), "--timeout", "20"], "1\n2\n3\n", 5);
    assert!(out.is_empty() && said.contains("no room in time"), "{said}");
    assert_eq!(done(&["recv", name.as_str(), "--timeout", "1000", "-n", "2"]), "1\n2\n");
    assert!(fails(5, &["recv", name.as_str(), "--timeout", "20"]).contains("its producers have left"));
    let ring = mpmc::Ring::<u64>::open(&name).expect("there");
    let producer = ring.producer();
    assert!(fails(5, &["recv", name.as_str(), "--timeout", "20"]).contains("no message in time"));
    drop(producer);

    let mut child = Child::start("attach", &[name.as_str()]);
    child.expect("ready");
    let said = fails(5, &["recv", name.as_str()]);
    assert!(said.contains(&format!("process {}", child.pid())), "{said}");
    child.kill();
    wait_until("what the dead had claimed is skipped", || command::run(&["recv", name.as_str()]).code == 0);
}

#[test]
fn a_role_that_is_taken_is_busy_and_what_is_no_ring_is_corrupt() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &Options::new()).expect("new");
    let (_producer, _consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let pid = format!("process {}", std::process::id());
    assert!(with_input(&["send", name.as_str()], "x\n", 5).1.contains(&pid));
    assert!(fails(5, &["recv", name.as_str()]).contains(&pid));
    assert!(fails(3, &["recv", "no-such-ring"]).contains("was not found"));
    assert!(with_input(&["send", "no-such-ring"], "", 3).1.contains("was not found"));
    let other = Name::new();
    std::fs::write(other.path(), vec![7; 600]).expect("ours");
    assert!(fails(4, &["recv", other.as_str()]).contains("not a ring"));
}

#[test]
fn who_follows_gets_each_message_as_it_comes_and_ends_with_the_producers() {
    for kind in ["spsc", "mpmc"] {
        let name = Name::new();
        done(&["create", name.as_str(), "--kind", kind, "--item-size", "4", "--capacity", "3"]);
        let start = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be run")
        };
        let mut sender = start(&["send", name.as_str()]);
        let mut input = sender.stdin.take().expect("piped");
        input.write_all(b"a\n").expect("it listens");
        let ring = ringway::bytes::Ring::open(&name).expect("there");
        let receiver = start(&["recv", "--follow", name.as_str()]);
        let lines = (0..100).map(|number| format!("{number}\n")).collect::<String>();
        input.write_all(lines.as_bytes()).expect("it listens");
        drop(input);
        assert!(sender.wait().expect("it ends").success());
        let output = receiver.wait_with_output().expect("it ends");
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).expect("UTF-8"), format!("a\n{lines}"));
        drop(ring);
    }
}

/// What `recv` writes before it is killed, when so many bytes of it have been read.
fn killed_after(arguments: &[&str], bytes: usize) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    let mut receiver = command.arg("recv").args(arguments).stdout(Stdio::piped()).spawn().expect("it can be run");
    let mut out = receiver.stdout.take().expect("piped");
    let mut read = vec![0; bytes];
    // Fewer, when there are no more.
    let mut filled = 0;
    while filled < bytes {
        match out.read(&mut read[filled..]).expect("a pipe") {
            0 => break,
            count => filled += count,
        }
    }
    read.truncate(filled);
    receiver.kill().expect("it is there");
    out.read_to_end(&mut read).expect("a pipe");
    receiver.wait().expect("it ends");
    read
}

/// Killed again and again, wherever it is: every message is on some output as a whole, and at most those that were being
/// written are there once more.
#[test]
fn who_receives_loses_nothing_when_it_is_killed() {
    const BATCH: usize = 255;
    const MESSAGES: usize = 100_000;
    for kind in ["spsc", "mpmc"] {
        let name = Name::new();
        let capacity = MESSAGES.to_string();
        done(&["create", name.as_str(), "--kind", kind, "--item-size", "16", "--capacity", &capacity]);
        let lines: String = (0..MESSAGES).map(|number| format!("{number}\n")).collect();
        with_input(&["send", name.as_str()], lines, 0);
        let mut random = Random(7);
        let (mut times, mut kills) = (vec![0; MESSAGES], 0);
        let mut ended = 0;
        // Empty twice: what the dead had taken may not have been noticed at once.
        while ended < 2 {
            let read = killed_after(&[name.as_str()], random.below(60_000));
            // What was cut off does not count.
            let whole = read.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
            let text = std::str::from_utf8(&read[..whole]).expect("numbers");
            for line in text.lines() {
                times[line.parse::<usize>().expect("a number")] += 1;
            }
            kills += 1;
            ended = if read.is_empty() && done(&["ls", "-o", "fill", name.as_str()]).contains(" 0") {
                ended + 1
            } else {
                0
            };
        }
        wait_until("what the dead had taken comes", || {
            for line in command::run(&["recv", name.as_str()]).out.lines() {
                times[line.parse::<usize>().expect("a number")] += 1;
            }
            times.iter().all(|&count| count > 0)
        });
        let twice: usize = times.iter().map(|&count| count - 1).sum();
        assert!(kills > 10 && twice <= kills * BATCH, "{kind}: {twice} once more after {kills} kills");
    }
}

#[test]
fn what_cannot_be_written_stays_in_the_ring() {
    for kind in ["spsc", "mpmc"] {
        let name = Name::new();
        done(&["create", name.as_str(), "--kind", kind, "--item-size", "8", "--capacity", "100"]);
        with_input(&["send", name.as_str()], "a\nb\nc\n", 0);
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("there");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        let run = command.args(["recv", name.as_str()]).stdout(full).output().expect("it can be run");
        assert_eq!(run.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&run.stderr).contains("output failed"));
        assert_eq!(done(&["recv", name.as_str()]), "a\nb\nc\n");
    }
}

#[test]
fn messages_go_through_rings_that_have_a_key_or_no_name() {
    let key = SystemV::new();
    let name = key.source().to_string();
    done(&["create", &name, "--kind", "mpmc", "--item-size", "8", "--capacity", "4"]);
    assert!(fails(5, &["create", &name, "--kind", "mpmc", "--item-size", "8", "--capacity", "4"]).contains("is taken"));
    with_input(&["send", &name], "a\nb\n", 0);
    assert_eq!(done(&["recv", &name, "-n", "1"]), "a\n");
    assert!(done(&["peek", &name]).contains(" b."), "it is there still");
    done(&["rm", &name]);
    assert!(fails(3, &["recv", &name]).contains("was not found"));

    let ring = spsc::Ring::<[u8; 8]>::create(ringway::Source::memfd("ticks"), &Options::new()).expect("new");
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&ring.as_fd().expect("a memfd has one"));
    let path = format!("/proc/{}/fd/{descriptor}", std::process::id());
    with_input(&["send", &path], "a\nb\n", 0);
    assert_eq!(done(&["recv", &path]), "a\nb\n");
    let folder = Name::new();
    std::fs::create_dir(folder.path()).expect("ours");
    let path = folder.path().join("ring").display().to_string();
    done(&["create", &path, "--kind", "spsc", "--item-size", "8", "--capacity", "4"]);
    with_input(&["send", &path], "c\n", 0);
    assert_eq!(done(&["recv", &path]), "c\n");
    done(&["rm", &path]);
}

#[test]
fn progress_is_shown_on_a_terminal_and_the_messages_go_through() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &Options::new().lifetime(Lifetime::LastDetach)).expect("new");
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_ringway");
    command.args(["-c", &format!("yes 1 | {program} send {}", name.as_str())]);
    let terminal = Terminal::start(command, 24, 80);
    let mut consumer = ring.consumer();
    let mut popped = 0_u64;
    wait_until("it says how far it has got", || {
        popped += u64::from(consumer.try_pop().is_ok());
        terminal.screen().contains(" sent, ")
    });
    assert!(popped > 0);
}

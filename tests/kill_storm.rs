//! A short kill storm: every message is accounted for, and nothing is left over. The long one is the example.
//!
//! Its processes are this program, run again with the arguments of the example: hence no test harness.

#[path = "../examples/kill_storm/main.rs"]
mod kill_storm;

use std::process::{Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|argument| argument == "live" || argument == "--seconds") {
        return kill_storm::main();
    }
    let name = "every_message_is_accounted_for_in_a_storm_of_kills";
    if arguments.iter().any(|argument| argument == "--list") {
        println!("{name}: test");
    } else if arguments.iter().all(|argument| argument.starts_with('-') || name.contains(argument)) {
        every_message_is_accounted_for_in_a_storm_of_kills();
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}

fn every_message_is_accounted_for_in_a_storm_of_kills() {
    let storm = Command::new(std::env::current_exe().expect("this program has a file"))
        .args(["--seconds", "6"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be run again");
    let pid = storm.id();
    let output = storm.wait_with_output().expect("it ends");
    let report = String::from_utf8(output.stdout).expect("text");
    print!("{report}");
    assert!(output.status.success(), "the storm ended with {}", output.status);

    let last = report.lines().last().expect("a report");
    let numbers: Vec<u64> = last.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    let [acknowledged, delivered, in_flight, unexplained, kills] = numbers[..] else { panic!("not a report: {last}") };
    let expected = format!(
        "acknowledged: {acknowledged}, delivered: {delivered}, in flight at a death: {in_flight}, \
         unexplained: {unexplained}, kills: {kills}"
    );
    assert_eq!(last, expected);
    assert_eq!(unexplained, 0);
    assert!(delivered > 1_000 && kills > 50, "not much of a storm: {last}");
    assert!(delivered.abs_diff(acknowledged) <= in_flight, "{last}");

    let (ring, temporary) = (format!("kill_storm-{pid}"), format!(".ringway-{pid}-"));
    for entry in std::fs::read_dir("/dev/shm").expect("the folder of shared memory can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(name != ring && !name.starts_with(&temporary), "{name} is left over");
    }
}

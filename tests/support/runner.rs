//! Runs the tests in a process of their own, sees that they get on, and cleans up behind them, also when they crash.

use super::board::{Board, board};
use super::{names, victim};
use ringway::{Options, spsc};
use std::io::{Error, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long one kill point may take, which takes milliseconds at most, before something is held to hang.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
pub struct Test {
    pub name: &'static str,
    pub run: fn(),
}

/// What there is to say in the end.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// With fewer of them to die at in all of the tests, something did not take place.
    pub instructions: u64,
    /// Whether roles are taken over; else the room that deaths cost is counted.
    pub roles: bool,
}

/// What was asked for on the command line, as far as it means something here.
#[derive(Debug, Default)]
struct Arguments {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
    verbose: bool,
    ignored: bool,
}

impl Arguments {
    fn new(mut arguments: impl Iterator<Item = String>) -> Arguments {
        let mut parsed = Arguments::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--exact" => parsed.exact = true,
                "--list" => parsed.list = true,
                "--nocapture" | "--no-capture" | "--show-output" => parsed.verbose = true,
                "--ignored" => parsed.ignored = true,
                "--skip" => parsed.skip.extend(arguments.next()),
                "--test-threads" | "--color" | "--format" | "--logfile" | "-Z" => drop(arguments.next()),
                filter if !filter.starts_with('-') => parsed.filters.push(filter.into()),
                _ => {}
            }
        }
        parsed
    }

    fn selects(&self, test: &Test) -> bool {
        let matches = |filter: &String| if self.exact { test.name == filter } else { test.name.contains(filter) };
        let wanted = self.filters.is_empty() || self.filters.iter().any(matches);
        wanted && !self.ignored && !self.skip.iter().any(matches)
    }
}

pub fn main(tests: &[Test], report: &Report) -> ExitCode {
    let arguments = Arguments::new(std::env::args().skip(1));
    let selected: Vec<Test> = tests.iter().copied().filter(|test| arguments.selects(test)).collect();
    if arguments.list {
        selected.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", selected.len());
    if cfg!(debug_assertions) {
        println!(
            "a debug build: killed at some instructions only, and never just stopped; run it with --release for all of it"
        );
    }
    let started = Instant::now();
    let board = board();
    supervise(|| selected.iter().for_each(|test| run(test, arguments.verbose)), board);
    let plausible =
        cfg!(debug_assertions) || selected.len() < tests.len() || board.instructions.get() >= report.instructions;
    let none = [&board.hung, &board.lost, &board.duplicated, &board.capacity_lost, &board.failed]
        .iter()
        .all(|counter| counter.get() == 0);
    let good = plausible && none && board.passed.get() == selected.len() as u64;
    if arguments.verbose && report.roles {
        println!(
            "roles taken over: {}, not at the first attempt: {}, the longest wait: {} us; temporary files of dead creators: {}",
            board.takeovers.get(),
            board.takeovers_late.get(),
            board.takeover_wait.get(),
            board.temporaries.get()
        );
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if good { "ok" } else { "FAILED" },
        board.passed.get(),
        selected.len() as u64 - board.passed.get(),
        tests.len() - selected.len(),
        started.elapsed().as_secs_f64()
    );
    if arguments.verbose {
        let capacity = || format!(", capacity lost: {}", board.capacity_lost.get());
        println!(
            "instructions: {}, kill points: {}, hung: {}, lost: {}, duplicated: {}{}",
            board.instructions.get(),
            board.kill_points.get(),
            board.hung.get(),
            board.lost.get(),
            board.duplicated.get(),
            if report.roles { String::new() } else { capacity() }
        );
    }
    if good { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

fn run(test: &Test, verbose: bool) {
    if verbose {
        println!("test {} ...", test.name);
    }
    let result = catch_unwind(AssertUnwindSafe(test.run));
    victim::end_orphan();
    names::remove_leftovers();
    let counter = if result.is_ok() { &board().passed } else { &board().failed };
    counter.add(1);
    println!("test {} ... {}", test.name, if result.is_ok() { "ok" } else { "FAILED" });
}

/// Runs `tests` in a child, and kills it when it does not get on.
fn supervise(tests: impl FnOnce(), board: &Board) {
    names::remove_those_of_the_dead();
    let _ = std::io::stdout().flush();
    // What the child leaves behind, victims above all, becomes ours to wait for.
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    // SAFETY: this process has one thread, so its child may do whatever it could.
    let child = unsafe { libc::fork() };
    if child == 0 {
        victim::die_with_parent();
        victim::stay_on_one_processor();
        warm_up();
        tests();
        let _ = std::io::stdout().flush();
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    assert!(child > 0, "fork: {}", Error::last_os_error());
    // SAFETY: takes numbers only.
    let ended = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) } as i32;
    assert!(ended >= 0, "pidfd_open: {}", Error::last_os_error());
    loop {
        let before = board.heartbeat.get();
        let mut waited_for = libc::pollfd { fd: ended, events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which is ours.
        let ready = unsafe { libc::poll(&mut waited_for, 1, PATIENCE.as_millis() as i32) };
        if ready > 0 {
            break;
        }
        if ready == 0 && board.heartbeat.get() == before {
            println!("hung: no kill point was done with for {PATIENCE:?}");
            board.hung.add(1);
            // SAFETY: a signal to a child of ours that nobody has waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
    }
    // All of them: the tests, and victims that died with them. (A victim's child may take its ten seconds.)
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(-1, core::ptr::null_mut(), libc::__WALL) } > 0 {}
    let left = names::remove_all_of(child as u32);
    if left > 0 {
        println!("{left} names were left behind");
        board.failed.add(1);
    }
}

/// What the library and the C library set up once is no part of any operation.
fn warm_up() {
    let name = names::fresh();
    let ring = spsc::Ring::<u64>::create(&name, &Options::new().capacity(1)).expect("a ring");
    let _ends = (ring.producer().expect("a role"), ring.consumer().expect("a role"));
    drop(spsc::Ring::<u64>::open(&name).expect("a ring"));
    spsc::Ring::<u64>::unlink(&name).expect("a name");
}

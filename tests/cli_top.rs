//! `ringway top`, in a terminal: what is on the screen, what keys do, and that the terminal is given back.

#[path = "support/command.rs"]
mod command;
mod support;
#[path = "support/terminal.rs"]
mod terminal;

use command::fails;
use ringway::{Options, mpmc, spsc};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{TryRecvError, channel};
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

fn top(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(["top", "--interval", "20"]).args(arguments).env_remove("NO_COLOR");
    command
}

/// The line of the screen that begins with `start`.
fn line<'s>(screen: &'s str, start: &str) -> Option<&'s str> {
    screen.lines().find(|line| line.starts_with(start))
}

/// A name that fits into 80 columns, unlike those of the other tests.
struct Short(Name, String);

impl Short {
    fn new(letter: char) -> Short {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let text = format!("{letter}{}t{}", COUNT.fetch_add(1, Ordering::Relaxed), std::process::id());
        Short(Name::of(&text), text)
    }
}

#[test]
fn rings_are_shown_as_they_fill_and_move_in_80_columns() {
    let (slow, fast) = (Short::new('s'), Short::new('f'));
    let ring = spsc::Ring::<u64>::create(&slow.0, &Options::new().capacity(8)).expect("new");
    let mut producer = ring.producer().expect("free");
    producer.push_slice(&[1; 4]).expect("room");
    let crowd = mpmc::Ring::<u64>::create(&fast.0, &Options::new().capacity(64)).expect("new");
    std::thread::scope(|scope| {
        // Dropped at the end, also that of a failure.
        let (_going_on, going_on) = channel::<()>();
        let (mut crowd_producer, mut crowd_consumer) = (crowd.producer(), crowd.consumer());
        scope.spawn(move || {
            while going_on.try_recv() == Err(TryRecvError::Empty) {
                let _ = crowd_producer.try_push(1);
                let _ = crowd_consumer.try_pop();
                std::thread::yield_now();
            }
        });
        let mut terminal = Terminal::start(top(&[&slow.1, &fast.1]), 24, 80);
        terminal.wait_for("the rings", |screen| {
            let is_whole =
                screen.lines().last().is_some_and(|line| line.starts_with("q quit") && line.contains("choose"));
            is_whole && line(screen, &slow.1).is_some_and(|line| line.contains("never"))
        });
        let screen = terminal.screen();
        let heading = line(&screen, "NAME").expect("a heading");
        for column in ["KIND", "FILL", "IN/S", "OUT/S", "LAG", "PROCS", "DEATHS", "STUCK"] {
            assert!(heading.contains(column), "{screen}");
        }
        assert!(line(&screen, &slow.1).expect("a row").contains("spsc ████····  50%"), "{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= 80));
        assert!(screen.starts_with("2 rings  2 attached, 0 dead"), "{screen}");
        assert!(screen.contains("processes of"), "{screen}");
        assert!(screen.contains(&format!("{:>7}  alive    producer, consumer", std::process::id())), "{screen}");
        terminal.wait_for("a rate", |screen| {
            let words = line(screen, &fast.1).map(|line| line.split_whitespace().collect::<Vec<_>>());
            words.is_some_and(|words| words.iter().any(|word| word.ends_with('k') || word.ends_with('M')))
        });
        producer.push_slice(&[1; 4]).expect("room");
        terminal.wait_for("the ring is full", |screen| line(screen, &slow.1).is_some_and(|line| line.contains("100%")));
        wait_until("it is yellow", || terminal.has_colour());
        assert!(terminal.is_taken());
        terminal.type_keys("q");
        assert!(terminal.wait_for_end().success());
        terminal.wait_for("the screen is given back", |screen| !screen.contains("KIND"));
        wait_until("the terminal is given back", || !terminal.is_taken());
    });
}

#[test]
fn who_is_stuck_and_who_died_is_shown() {
    let name = Short::new('k');
    let ring = mpmc::Ring::<u64>::create(&name.0, &Options::new().capacity(8)).expect("new");
    let mut child = Child::start("attach", &[&name.1]);
    child.expect("ready");
    assert!(ring.consumer().try_pop().is_err_and(|error| matches!(error, ringway::TryPopError::Busy { .. })));
    let terminal = Terminal::start(top(&[&name.1]), 24, 80);
    let pid = child.pid().to_string();
    let shows =
        |what: &str| terminal.wait_for(what, |screen| line(screen, &name.1).is_some_and(|line| line.contains(what)));
    shows(&pid);
    child.signal(rustix::process::Signal::STOP);
    terminal.wait_for("it is stopped", |screen| screen.contains("stopped"));
    child.kill();
    shows("1+1");
    ring.recover();
    terminal.wait_for("it is cleared up after", |screen| {
        line(screen, &name.1).is_some_and(|line| line.split_whitespace().next_back() == Some("1"))
    });
}

#[test]
fn rings_come_and_go_and_are_sorted_and_filtered() {
    let prefix = format!("z{}", std::process::id());
    let create = |name: &str| {
        let text = format!("{prefix}{name}");
        let name = Name::of(&text);
        (spsc::Ring::<u64>::create(&name, &Options::new().capacity(4)).expect("new"), name)
    };
    let (_a, _a_name) = create("a");
    let mut terminal = Terminal::start(top(&["--filter", &prefix]), 24, 100);
    let rows = |screen: &str| {
        let of_ours = screen.lines().filter_map(|line| line.strip_prefix(&prefix)?.chars().next());
        of_ours.collect::<String>()
    };
    terminal.wait_for("the one", |screen| rows(screen) == "a");
    let (b, b_name) = create("b");
    terminal.wait_for("another", |screen| rows(screen) == "ab");
    b.producer().expect("free").try_push(1).expect("room");
    terminal.type_keys("s");
    terminal.wait_for("the fuller one first", |screen| rows(screen) == "ba" && screen.contains("sort: fill"));
    terminal.type_keys("r");
    terminal.wait_for("the other way round", |screen| rows(screen) == "ab" && screen.contains("reversed"));
    terminal.type_keys("/b");
    terminal.wait_for("a filter", |screen| rows(screen) == "b" && screen.contains(&format!("filter: {prefix}b_")));
    terminal.type_keys("\x7f\r");
    terminal.wait_for("no filter", |screen| rows(screen) == "ab" && !screen.contains("(enter: done"));
    terminal.type_keys("\x1b[B");
    terminal.wait_for("the other's processes", |screen| screen.contains(&format!("processes of {prefix}b")));
    drop(b);
    spsc::Ring::<u64>::unlink(&b_name).expect("there");
    terminal.wait_for("it is gone", |screen| rows(screen) == "a");
    terminal.resize(10, 80);
    terminal.wait_for("a smaller screen", |screen| rows(screen) == "a" && screen.lines().count() <= 10);
    terminal.type_keys("\x03");
    assert!(terminal.wait_for_end().success());
}

#[test]
fn no_colour_where_none_is_welcome() {
    let name = Short::new('n');
    let ring = spsc::Ring::<u64>::create(&name.0, &Options::new().capacity(1)).expect("new");
    ring.producer().expect("free").try_push(1).expect("room");
    let mut command = top(&[&name.1]);
    command.env("NO_COLOR", "1");
    let terminal = Terminal::start(command, 24, 80);
    terminal.wait_for("the ring", |screen| line(screen, &name.1).is_some_and(|line| line.contains("100%")));
    assert!(!terminal.has_colour());
}

#[test]
fn a_list_has_colour_and_bars_on_a_terminal_only() {
    let name = Short::new('l');
    let ring = spsc::Ring::<u64>::create(&name.0, &Options::new().capacity(1)).expect("new");
    ring.producer().expect("free").try_push(1).expect("room");
    let list = |no_colour: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        command.args(["ls", "-o", "name,fill", &name.1]).env("NO_COLOR", no_colour);
        let mut terminal = Terminal::start(command, 24, 80);
        assert!(terminal.wait_for_end().success());
        terminal.wait_for("the ring", |screen| line(screen, &name.1).is_some_and(|line| line.contains("████████ 1")));
        terminal.has_colour()
    };
    assert!(list("") && !list("1"), "an empty value means nothing");
    let piped = command::done(&["ls", "-o", "name,fill", &name.1]);
    assert!(!piped.contains('█') && piped.ends_with("1\n"), "{piped}");
}

#[test]
fn a_terminal_of_any_size_will_do() {
    let name = Short::new('m');
    let _ring = spsc::Ring::<u64>::create(&name.0, &Options::new()).expect("new");
    let mut terminal = Terminal::start(top(&[&name.1]), 24, 80);
    terminal.wait_for("the ring", |screen| line(screen, &name.1).is_some());
    for (rows, columns) in [(1, 1), (2, 300), (3, 10), (5, 20)] {
        terminal.resize(rows, columns);
    }
    terminal.resize(24, 80);
    terminal.wait_for("the ring", |screen| line(screen, &name.1).is_some());
    terminal.type_keys("q");
    assert!(terminal.wait_for_end().success());
}

#[test]
fn without_a_terminal_or_a_ring_nothing_is_drawn() {
    assert!(fails(2, &["top"]).contains("standard output is none"));
    let mut terminal = Terminal::start(top(&["no-such-ring"]), 24, 80);
    assert_eq!(terminal.wait_for_end().code(), Some(3));
    terminal.wait_for("why", |screen| screen.contains("`no-such-ring` was not found"));
}

#[test]
fn ls_and_info_fit_into_the_terminal() {
    let name = Short::new('n');
    let ring = spsc::Ring::<u64>::create(&name.0, &Options::new().capacity(8)).expect("new");
    ring.producer().expect("free").try_push(1).expect("room");
    for (width, has_bar) in [(60, false), (80, false), (132, true)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
        command.args(["ls", "--interval", "0", &name.1]);
        let mut terminal = Terminal::start(command, 24, width);
        assert!(terminal.wait_for_end().success());
        terminal.wait_for("the ring, in one line", |screen| line(screen, &name.1).is_some());
        let screen = terminal.screen();
        let heading = line(&screen, "NAME").expect("a heading");
        assert!(heading.contains("FILL") && heading.contains("AGE"), "{screen}");
        // At 80 it depends on the age.
        assert!(width == 80 || heading.contains("MODE") == (width > 80), "{screen}");
        assert_eq!(line(&screen, &name.1).expect("a row").contains("█··"), has_bar, "{screen}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringway"));
    command.args(["info", "--interval", "0", &name.1]);
    let mut terminal = Terminal::start(command, 40, 70);
    assert!(terminal.wait_for_end().success());
    terminal.wait_for("all of it", |screen| screen.contains("COMMAND"));
    let screen = terminal.screen();
    let process = line(&screen, &std::process::id().to_string()).or_else(|| line(&screen, " ")).expect("a row");
    assert!(process.ends_with('…') && process.chars().count() <= 70, "{screen}");
}

#[test]
fn a_ring_with_a_key_is_watched_and_can_be_removed_meanwhile() {
    let key = SystemV::new();
    let name = key.source().to_string();
    let ring = mpmc::Ring::<u64>::create(key.source(), &Options::new().capacity(4)).expect("a new key");
    ring.producer().push_slice(&[1, 2]).expect("room");
    let terminal = Terminal::start(top(&[&name]), 24, 80);
    let start = &name[..6];
    terminal.wait_for("the ring", |screen| line(screen, start).is_some_and(|line| line.contains("50%")));
    terminal.wait_for("its process", |screen| screen.contains(&format!("{:>7}  alive", std::process::id())));
    drop(ring);
    wait_until("it is removed, whoever looks", || command::run(&["rm", &name]).code == 0);
    terminal.wait_for("it is gone", |screen| line(screen, start).is_none());
}

//! The two ways in which a sleeper makes sure that it is noticed: a barrier that it calls for in all other processes,
//! or, where one of them has none to call for, a fence of whoever might wake it. A process that may not call for
//! barriers wakes and is woken like any other, beside others that may.

mod support;

use ringway::{Lifetime, Options, Wait, mpmc, spsc};
use std::time::{Duration, Instant};
use support::asleep::sleepers_of;
use support::bytes::{MESSAGES, ROOM, Scribbler};
use support::{Child, Job, Name, PATIENCE, be_the_other_process, listen, say, wait_until};

/// So many wake-ups in each direction. If all of them were lost, they would take twice [`PATIENCE`].
const ROUNDS: u64 = 600;

#[test]
#[ignore = "the other process of the tests here"]
fn the_other_process() {
    let jobs: [Job; 4] =
        [("spsc", answer_spsc), ("mpmc", answer_mpmc), ("attach", attach), ("refused later", refused_later)];
    be_the_other_process(&jobs);
}

/// From here on `membarrier` is refused to this thread, and to those that it starts.
fn refuse_barriers() {
    let statement = |code, jump_if, jump_else, value| libc::sock_filter { code, jt: jump_if, jf: jump_else, k: value };
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equals = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let answer = (libc::BPF_RET | libc::BPF_K) as u16;
    // The number of the system call comes first in `seccomp_data`.
    let mut filter = [
        statement(load, 0, 0, 0),
        statement(equals, 0, 1, libc::SYS_membarrier as u32),
        statement(answer, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        statement(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the program, and the filter that it points to, live until the kernel has copied them.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    assert!(!has_barriers(), "they are refused");
}

fn has_barriers() -> bool {
    // SAFETY: takes numbers only. 0 asks what there is.
    unsafe { libc::syscall(libc::SYS_membarrier, 0, 0, 0) >= 0 }
}

/// What the names of a child's rings are, whether it has barriers, and what it does.
fn set_up(arguments: &[String]) -> (&str, &str) {
    if arguments[2] == "refused" {
        refuse_barriers();
    } else {
        assert!(has_barriers());
    }
    (&arguments[0], &arguments[1])
}

/// Answers each question, and sleeps before each.
fn answer_spsc(arguments: &[String]) {
    let (questions, answers) = set_up(arguments);
    let open = |name: &str| spsc::Ring::<u64>::open(name).expect("a ring");
    let (mut producer, mut consumer) =
        (open(answers).producer().expect("free"), open(questions).consumer().expect("free"));
    say("there");
    for question in &mut consumer {
        producer.push(question.expect("valid") + 1).expect("room");
    }
    say("done");
}

fn answer_mpmc(arguments: &[String]) {
    let (questions, answers) = set_up(arguments);
    let open = |name: &str| mpmc::Ring::<u64>::open(name).expect("a ring");
    let (mut producer, mut consumer) = (open(answers).producer(), open(questions).consumer());
    say("there");
    for question in &mut consumer {
        producer.push(*question.expect("valid") + 1).expect("room");
    }
    say("done");
}

fn attach(arguments: &[String]) {
    let (questions, _) = set_up(arguments);
    let _ring = spsc::Ring::<u64>::open(questions).expect("a ring");
    say("there");
    listen();
}

/// Attaches as one who has barriers, and has none when it comes to sleep.
fn refused_later(arguments: &[String]) {
    let mut consumer = spsc::Ring::<u64>::open(&arguments[0]).expect("a ring").consumer().expect("free");
    refuse_barriers();
    say("there");
    for message in &mut consumer {
        say(message.expect("valid"));
    }
}

fn options() -> Options {
    Options::new().capacity(1).lifetime(Lifetime::LastDetach)
}

/// Whether all who wake those who sleep on this word always fence.
fn always_fences_for(ring: &Name, offset: usize) -> bool {
    const ALWAYS: u32 = 4;
    let [first, second, third, fourth, ..] = Scribbler::new(&ring.path()).get(offset).to_ne_bytes();
    u32::from_ne_bytes([first, second, third, fourth]) & ALWAYS != 0
}

fn always_fences(ring: &Name) -> bool {
    let words = [MESSAGES, ROOM].map(|offset| always_fences_for(ring, offset));
    assert_eq!(words[0], words[1]);
    words[0]
}

fn barriers(refused: bool) -> &'static str {
    if refused { "refused" } else { "allowed" }
}

/// Questions from this process, or one in its place; answers from another.
fn questions_and_answers(kind: &str, asker_refused: bool, answerer_refused: bool) {
    let (questions, answers) = (Name::new(), Name::new());
    let both = [questions.as_str(), answers.as_str()];
    let what = format!("{kind}: asking {}, answering {}", barriers(asker_refused), barriers(answerer_refused));
    let job = (both[0].to_owned(), both[1].to_owned());
    let create = |name: &Name| match kind {
        "spsc" => drop(spsc::Ring::<u64>::create(name, &options().lifetime(Lifetime::Persistent)).expect("a new name")),
        _ => drop(mpmc::Ring::<u64>::create(name, &options().lifetime(Lifetime::Persistent)).expect("a new name")),
    };
    // A process that has no barriers says so on the ring for ever, so the creator of each is one that has.
    create(&questions);
    create(&answers);
    let mut answerer = Child::start(kind, &[both[0], both[1], barriers(answerer_refused)]);
    answerer.expect("there");
    let pid = answerer.pid();
    let kind = kind.to_owned();
    let asker = std::thread::spawn(move || {
        // A filter is of this thread, whose calls are all that count here.
        if asker_refused {
            refuse_barriers();
        }
        let asleep = || wait_until("the other sleeps", || sleepers_of(pid) == 1);
        let start = Instant::now();
        if kind == "spsc" {
            let open = |name: &str| spsc::Ring::<u64>::open(name).expect("a ring");
            let mut producer = open(&job.0).producer().expect("free");
            let mut consumer = open(&job.1).consumer().expect("free");
            for question in 0..ROUNDS {
                if question % 8 == 0 {
                    asleep();
                }
                producer.push(question).expect("room");
                assert_eq!(consumer.pop_timeout(PATIENCE), Ok(question + 1));
            }
        } else {
            let open = |name: &str| mpmc::Ring::<u64>::open(name).expect("a ring");
            let (mut producer, mut consumer) = (open(&job.0).producer(), open(&job.1).consumer());
            for question in 0..ROUNDS {
                if question % 8 == 0 {
                    asleep();
                }
                producer.push(question).expect("room");
                assert_eq!(consumer.pop_timeout(PATIENCE).map(|answer| *answer), Ok(question + 1));
            }
        }
        start.elapsed()
    });
    let took = asker.join().expect("no panic");
    assert!(took < PATIENCE, "{what}: wake-ups are lost: {took:?} for {ROUNDS} rounds");
    answerer.expect("done");
    for ring in [&questions, &answers] {
        assert_eq!(always_fences(ring), asker_refused || answerer_refused, "{what}");
    }
}

#[test]
fn processes_with_barriers_and_without_wake_each_other() {
    for kind in ["spsc", "mpmc"] {
        for asker_refused in [false, true] {
            for answerer_refused in [false, true] {
                questions_and_answers(kind, asker_refused, answerer_refused);
            }
        }
    }
}

#[test]
fn one_that_has_no_barriers_is_enough_for_all_to_fence_from_then_on() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &options()).expect("a new name");
    let (mut producer, mut consumer) = (ring.producer().expect("free"), ring.consumer().expect("free"));
    let pass = |producer: &mut spsc::Producer<u64>, consumer: &mut spsc::Consumer<u64>| {
        assert!(consumer.pop_timeout(Duration::from_micros(1)).is_err());
        assert_eq!((producer.push(1), consumer.pop()), (Ok(()), Ok(1)));
    };
    let attached = |refused| {
        let mut other = Child::start("attach", &[name.as_str(), "", barriers(refused)]);
        other.expect("there");
        other
    };
    pass(&mut producer, &mut consumer);
    drop(attached(false));
    assert!(!always_fences(&name));
    let other = attached(true);
    assert!(always_fences(&name));
    pass(&mut producer, &mut consumer);
    drop(other);
    for _ in 0..3_000 {
        pass(&mut producer, &mut consumer);
    }
    assert!(always_fences(&name), "for ever: another may be about to attach");
}

#[test]
fn who_loses_its_barriers_later_is_woken_all_the_same() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &options()).expect("a new name");
    let mut producer = ring.producer().expect("free");
    producer.set_wait(Wait::Yield);
    let mut other = Child::start("refused later", &[name.as_str()]);
    other.expect("there");
    for number in 0..50 {
        wait_until("the other sleeps", || sleepers_of(other.pid()) == 1);
        assert!(always_fences_for(&name, MESSAGES));
        assert_eq!(producer.push(number), Ok(()));
        other.expect(&number.to_string());
    }
}

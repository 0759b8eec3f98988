//! A storm of sleep and wake-ups: two processes that wait for each other all the time, and either is killed at any
//! time.
//!
//! One asks, the other answers, over two SPSC rings: each waits for the other by sleeping, in every step. At times both
//! have one processor, so that one runs only when the other sleeps; at times one each, and who answers does so right
//! when the other is about to sleep. Who is killed is replaced, and goes on where the positions of its ends say:
//! question `n` is the message at position `n`, so one that was lost, or came twice, would be out of step. Nobody
//! sleeps for ever.
//!
//! Counted are waits in which the thread really slept. 100,000, the default, take 5 seconds on two cores, more beside
//! other work. `cargo test --release --test park_storm -- 1000000` is a longer storm, and so is that
//! number in `PARK_STORM_CYCLES`.

#[allow(dead_code)]
#[path = "support/bytes.rs"]
mod bytes;

use ringway::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use ringway::{ClaimError, Options, PopError, spsc};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

const NAME: &str = "nobody_sleeps_for_ever_in_a_storm_of_kills";

const DEFAULT_CYCLES: u64 = if cfg!(debug_assertions) { 30_000 } else { 100_000 };

/// With nothing done for so long, somebody sleeps for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// A sleeper that nobody has woken looks by itself after 100 ms. More than half of that is not the machine's delay.
const LATE: u64 = 50_000_000;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Message {
    number: u64,
    /// In nanoseconds.
    sent_at: u64,
}

/// What all processes count.
#[derive(Debug, Default)]
struct Board {
    kills: AtomicU64,
    /// Waits in which a thread slept.
    cycles: AtomicU64,
    /// The longest time from a push to the end of a pop that had begun before, in nanoseconds; of those during which
    /// nobody was killed, too.
    longest: AtomicU64,
    longest_in_peace: AtomicU64,
    /// Such delays of more than [`LATE`] during which nobody was killed: wake-ups that were lost, or a busy machine.
    late: AtomicU64,
}

/// Two rings, and how many questions are to be answered.
#[derive(Debug)]
struct Stage {
    questions: String,
    answers: String,
    rounds: u64,
    processors: [usize; 2],
}

impl Stage {
    fn new(number: usize, rounds: u64, processors: [usize; 2]) -> Stage {
        let name = |what| format!("park_storm-{}-{number}-{what}", std::process::id());
        let stage = Stage { questions: name("questions"), answers: name("answers"), rounds, processors };
        for name in [&stage.questions, &stage.answers] {
            Ring::create(name, &Options::new().capacity(2).processes(4)).expect("a ring");
        }
        stage
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = (Ring::unlink(&self.questions), Ring::unlink(&self.answers));
    }
}

type Ring = spsc::Ring<Message>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked_for = arguments.iter().find_map(|argument| argument.parse().ok());
    let from_outside = std::env::var("PARK_STORM_CYCLES").ok().and_then(|cycles| cycles.parse().ok());
    if arguments.iter().any(|argument| argument == "--list") {
        println!("{NAME}: test");
    } else if asked_for.is_some() || arguments.iter().all(|word| word.starts_with('-') || NAME.contains(word.as_str()))
    {
        storm(asked_for.or(from_outside).unwrap_or(DEFAULT_CYCLES));
        println!("test {NAME} ... ok");
    }
    ExitCode::SUCCESS
}

fn storm(cycles: u64) {
    let started = Instant::now();
    let allowed = sched_getaffinity(None).expect("this process may run somewhere");
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let (first, last) = (processors[0], *processors.last().expect("one at least"));
    let board = board();
    let mut random = Random(std::process::id().into());
    // Two sleeps a round. On one processor a wait is a sleep; on two hardly less often.
    let mut stages = 0;
    while board.cycles.load(SeqCst) < cycles {
        let rounds = ((cycles - board.cycles.load(SeqCst)) / 2).clamp(100, 25_000);
        for processors in [[first, first], [first, last]] {
            let stage = Stage::new(stages, rounds, processors);
            play(&stage, board, &mut random);
            stages += 1;
        }
    }
    let load = |counter: &AtomicU64| counter.load(SeqCst);
    println!(
        "cycles: {}, kills: {}, longest delay: {:.1} ms, with no kill meanwhile: {:.1} ms, \
         of more than 50 ms: {}, {:.1} s",
        load(&board.cycles),
        load(&board.kills),
        load(&board.longest) as f64 / 1e6,
        load(&board.longest_in_peace) as f64 / 1e6,
        load(&board.late),
        started.elapsed().as_secs_f64()
    );
    assert!(load(&board.kills) > 10, "not much of a storm");
    // Each would have taken 100 ms.
    assert!(load(&board.late) <= load(&board.cycles) / 1_000, "wake-ups are lost");
}

/// One of the two processes, killed and waited for when this is dropped.
struct Player {
    pid: Option<Pid>,
}

impl Player {
    fn start(play: impl FnOnce()) -> Player {
        // SAFETY: this process has one thread, so its child may do whatever it could.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).expect("prctl");
                play();
            }));
            // SAFETY: ends the process.
            unsafe { libc::_exit(if result.is_ok() { 0 } else { 101 }) }
        }
        Player { pid: Some(Pid::from_raw(pid).expect("fork")) }
    }

    /// Whether it has ended by itself, which must be in an orderly way.
    fn has_ended(&mut self) -> bool {
        let Some(pid) = self.pid else { return true };
        if let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG).expect("a child") {
            self.pid = None;
            assert_eq!(status.exit_status(), Some(0), "a process ended with {status:?}");
        }
        self.pid.is_none()
    }

    /// Says whether it was killed, and had not ended by itself.
    fn kill(&mut self) -> bool {
        let Some(pid) = self.pid.take() else { return false };
        let _ = kill_process(pid, Signal::KILL);
        let status = waitpid(Some(pid), WaitOptions::empty()).expect("a child").map(|(_, status)| status);
        status.and_then(WaitStatus::terminating_signal).is_some()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.kill();
    }
}

fn play(stage: &Stage, board: &Board, random: &mut Random) {
    let start = |side: usize| Player::start(|| if side == 0 { ask(stage, board) } else { answer(stage, board) });
    let mut players = [start(0), start(1)];
    let (mut seen, mut seen_at) = (0, Instant::now());
    let mut kill_at = Instant::now();
    while !(players[0].has_ended() & players[1].has_ended()) {
        std::thread::sleep(Duration::from_micros(500));
        let cycles = board.cycles.load(SeqCst);
        if cycles != seen {
            (seen, seen_at) = (cycles, Instant::now());
        }
        assert!(seen_at.elapsed() < PATIENCE, "somebody sleeps for ever, after {cycles} cycles: {stage:?}");
        if Instant::now() >= kill_at {
            kill_at = Instant::now() + Duration::from_micros(1_000 + random.next() % 60_000);
            let side = (random.next() % 2) as usize;
            board.kills.fetch_add(1, SeqCst);
            if players[side].kill() {
                players[side] = start(side);
            } else {
                board.kills.fetch_sub(1, SeqCst);
            }
        }
    }
    for name in [&stage.questions, &stage.answers] {
        let ring = Ring::open(name).expect("the ring");
        let positions = (claim(|| ring.producer()).position(), claim(|| ring.consumer()).position());
        assert_eq!(positions, (stage.rounds, stage.rounds), "messages were lost, or came twice");
    }
}

/// The predecessor was killed, and the kernel will say so in a moment.
fn claim<H>(claim: impl Fn() -> Result<H, ClaimError>) -> H {
    let started = Instant::now();
    loop {
        match claim() {
            Ok(handle) => return handle,
            Err(error) => assert!(started.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::yield_now();
    }
}

/// One end of one ring and one of the other, as one of the processes uses them.
struct Ends<'b> {
    producer: spsc::Producer<Message>,
    consumer: spsc::Consumer<Message>,
    /// The file of the ring to which we push: whether the other sleeps there.
    file: File,
    delays: bool,
    random: Random,
    board: &'b Board,
}

impl<'b> Ends<'b> {
    fn new(pushes_to: &str, pops_from: &str, stage: &Stage, side: usize, board: &'b Board) -> Ends<'b> {
        let mut here = CpuSet::new();
        here.set(stage.processors[side]);
        sched_setaffinity(None, &here).expect("a processor of ours");
        let open = |name: &str| Ring::open(name).expect("the ring");
        Ends {
            producer: claim(|| open(pushes_to).producer()),
            consumer: claim(|| open(pops_from).consumer()),
            file: File::open(format!("/dev/shm/{pushes_to}")).expect("the segment"),
            delays: stage.processors[0] != stage.processors[1],
            random: Random(now() | 1),
            board,
        }
    }

    fn push(&mut self, number: u64) {
        assert_eq!(self.producer.position(), number);
        if self.delays {
            self.wait_until_other_sleeps();
        }
        self.producer.push(Message { number, sent_at: now() }).expect("it waits for ever");
    }

    /// It is about to, or not long ago; or, if it was killed, it is not there.
    fn wait_until_other_sleeps(&mut self) {
        const ASLEEP: u32 = 3;
        let mut word = [0; 4];
        for _ in 0..100 {
            self.file.read_exact_at(&mut word, bytes::MESSAGES as u64).expect("within the segment");
            if u32::from_ne_bytes(word) & 3 == ASLEEP {
                break;
            }
        }
        for _ in 0..self.random.next() % 200 {
            std::hint::spin_loop();
        }
    }

    /// Says whether there was a message: else the other is gone, and may come back.
    fn pop(&mut self) -> bool {
        let expected = self.consumer.position();
        let (kills, switches, start) = (self.board.kills.load(SeqCst), voluntary_switches(), now());
        match self.consumer.pop() {
            Ok(Message { number, sent_at }) => {
                assert_eq!(number, expected, "a message was lost, or came twice");
                self.board.cycles.fetch_add(u64::from(voluntary_switches() > switches), SeqCst);
                if sent_at >= start {
                    let delay = now() - sent_at;
                    self.board.longest.fetch_max(delay, SeqCst);
                    if self.board.kills.load(SeqCst) == kills {
                        self.board.longest_in_peace.fetch_max(delay, SeqCst);
                        self.board.late.fetch_add(u64::from(delay > LATE), SeqCst);
                    }
                }
                true
            }
            Err(PopError::Closed) => {
                self.consumer.wait_for_peer(Duration::from_millis(200));
                false
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn ask(stage: &Stage, board: &Board) {
    let mut ends = Ends::new(&stage.questions, &stage.answers, stage, 0, board);
    loop {
        let (asked, answered) = (ends.producer.position(), ends.consumer.position());
        match asked - answered {
            0 if asked == stage.rounds => return,
            0 => ends.push(asked),
            1 => drop(ends.pop()),
            _ => panic!("{asked} questions, and {answered} answers"),
        }
    }
}

fn answer(stage: &Stage, board: &Board) {
    let mut ends = Ends::new(&stage.answers, &stage.questions, stage, 1, board);
    loop {
        let (answered, asked) = (ends.producer.position(), ends.consumer.position());
        match asked - answered {
            0 if asked == stage.rounds => return,
            0 => drop(ends.pop()),
            1 => ends.push(answered),
            _ => panic!("{asked} questions, and {answered} answers"),
        }
    }
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How often this thread has slept.
fn voluntary_switches() -> i64 {
    // SAFETY: plain numbers, for which zero is a valid value.
    let mut usage: libc::rusage = unsafe { core::mem::zeroed() };
    // SAFETY: `usage` is ours.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) };
    usage.ru_nvcsw
}

/// In memory that children share, for as long as they live.
fn board() -> &'static Board {
    // SAFETY: a new mapping at a place that the kernel chooses.
    let page = unsafe {
        mmap_anonymous(core::ptr::null_mut(), size_of::<Board>(), ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)
    };
    // SAFETY: it is aligned to a page, as long as a `Board`, never unmapped, and zeros are a valid `Board`: atomics.
    unsafe { &*page.expect("memory").cast::<Board>() }
}

/// Xorshift.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

//! The processes of one ring: started, killed, started again.

use super::accounts::{Accounts, Sums};
use super::ledger::{Doing, Ledger, Ledgers, Message, PRODUCERS, SLOTS};
use super::{Random, Result};
use ringway::mpmc::Ring;
use ringway::{Lifetime, Options, Recovered, TryPopError};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What takes longer than this will not come: lives last for milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

const NO_PANIC: &str = "no thread panics";

pub struct Storm<'s> {
    pub name: &'s str,
    pub capacity: usize,
    pub ledgers: &'s Ledgers,
    pub seed: u64,
    /// Lives so far, of all rings.
    pub lives: &'s AtomicU64,
    pub kills: &'s AtomicU64,
    /// Somebody wants all of it to stop.
    pub stop: &'s AtomicBool,
}

/// A place for one process after another.
struct Slot {
    process: Mutex<Option<(Child, Instant)>>,
}

impl Storm<'_> {
    /// A ring, and processes that are killed at it until `end`. Returns when all is accounted for. `progress` is told now
    /// and then how many messages were delivered.
    pub fn rage(&self, end: Instant, mut progress: impl FnMut(u64)) -> Result<(Sums, Recovered)> {
        // As many as are alive at a time, and us, and one or two to spare: so the records of the dead are used again.
        let options = Options::new().capacity(self.capacity).processes(SLOTS + 3).lifetime(Lifetime::LastDetach);
        let ring = Ring::create(self.name, &options)?;
        let (slots, to_settle) = ([const { Slot::new() }; SLOTS], Mutex::new(Accounts::default()));
        let (slots, accounts, over) = (&slots, &to_settle, &AtomicBool::new(false));
        std::thread::scope(|scope| {
            let keep_busy = |slot| {
                let result = self.keep_busy(slot, &slots[slot], accounts, over);
                over.fetch_or(result.is_err(), Ordering::SeqCst);
                result.map_err(|error| error.to_string())
            };
            let keepers: Vec<_> = (0..SLOTS).map(|slot| scope.spawn(move || keep_busy(slot))).collect();
            let mut delivered = (0, Instant::now());
            let mut hung = false;
            while !keepers.iter().all(|keeper| keeper.is_finished()) {
                sleep(Duration::from_millis(20));
                let now = self.delivered(accounts);
                if now != delivered.0 {
                    delivered = (now, Instant::now());
                    progress(now);
                }
                // Not before there was a sign of life: what hangs must not be over by the clock.
                over.fetch_or(delivered.1 >= end || self.stop.load(Ordering::SeqCst), Ordering::SeqCst);
                if !hung && (delivered.1.elapsed() > PATIENCE || slots.iter().any(Slot::is_stuck)) {
                    hung = true;
                    self.describe(slots, &ring);
                    over.store(true, Ordering::SeqCst);
                    slots.iter().for_each(Slot::kill);
                }
            }
            for keeper in keepers {
                keeper.join().expect(NO_PANIC)?;
            }
            if hung { Err("the storm hangs".into()) } else { Ok::<_, Box<dyn std::error::Error>>(()) }
        })?;
        let mut accounts = to_settle.into_inner().expect(NO_PANIC);
        accounts.drain(&ring)?;
        Ok((accounts.settle(), ring.recovered()))
    }

    /// Starts a process, kills it, adds up what it has done, and again.
    fn keep_busy(&self, number: usize, slot: &Slot, accounts: &Mutex<Accounts>, over: &AtomicBool) -> Result<()> {
        let ledger = self.ledgers.of(number);
        let mut random = Random(self.seed ^ self.lives.load(Ordering::SeqCst) << 8 ^ number as u64);
        while !over.load(Ordering::SeqCst) {
            ledger.wipe();
            let life = self.lives.fetch_add(1, Ordering::SeqCst) + 1;
            let arguments = [number as u64, life, random.next()].map(|number| number.to_string());
            let mut process = Command::new(std::env::current_exe()?)
                .args(["live", self.name, &self.ledgers.file().to_string()])
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .process_group(0) // a Ctrl-C is for us alone
                .spawn()?;
            let mut attached = process.stdout.take().expect("piped");
            *slot.process.lock().expect(NO_PANIC) = Some((process, Instant::now()));
            // One in eight is killed while it starts and attaches, the others at any time after.
            let early = random.below(8) == 0;
            if !early {
                let _ = attached.read(&mut [0; 1])?;
            }
            // From a microsecond to 8 ms. Half of them live long enough to be killed in the middle of their work.
            let lifetime = match random.below(2) {
                0 => Duration::from_nanos(1_000 << random.below(13)),
                _ => Duration::from_nanos(random.below(8_000_000)),
            };
            wait(lifetime);
            if random.below(2) == 0 {
                take_aim(ledger);
            }
            let (mut process, _) = slot.process.lock().expect(NO_PANIC).take().expect("nobody else takes it");
            process.kill()?;
            let status = process.wait()?;
            match status.signal() {
                Some(libc::SIGKILL) => _ = self.kills.fetch_add(1, Ordering::SeqCst),
                _ if status.success() => {} // it was faster
                _ => return Err(format!("process {number} ended with {status}").into()),
            }
            let mut accounts = accounts.lock().expect(NO_PANIC);
            if number < PRODUCERS {
                accounts.close_producer(life, ledger);
            } else {
                // SAFETY: its process has ended.
                accounts.close_consumer(ledger, unsafe { ledger.deliveries() });
            }
            ledger.wipe();
        }
        Ok(())
    }

    /// About how many messages were delivered.
    fn delivered(&self, accounts: &Mutex<Accounts>) -> u64 {
        let by_the_dead = accounts.lock().expect(NO_PANIC).delivered();
        let by_the_living = (0..SLOTS).map(|slot| self.ledgers.of(slot).delivered.load(Ordering::SeqCst)).sum::<u64>();
        by_the_dead + by_the_living
    }

    /// Who is doing what, when nothing goes on.
    fn describe(&self, slots: &[Slot], ring: &Ring<Message>) {
        eprintln!("nothing goes on, or not for all, with {} messages in a ring of {}", ring.len(), ring.capacity());
        for (number, slot) in slots.iter().enumerate() {
            let process = slot.process.lock().expect(NO_PANIC);
            let (pid, age) =
                process.as_ref().map_or((0, Duration::ZERO), |(process, started)| (process.id(), started.elapsed()));
            let ledger = self.ledgers.of(number);
            let load = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
            eprintln!(
                "process {pid}, {age:?} old: {:?}; pushed {} of {}, popped {}; {} times in the way, last: process {}",
                ledger.doing(),
                load(&ledger.acknowledged),
                load(&ledger.intended),
                load(&ledger.delivered),
                load(&ledger.busy),
                load(&ledger.busy_with),
            );
        }
    }
}

impl Slot {
    const fn new() -> Slot {
        Slot { process: Mutex::new(None) }
    }

    fn is_stuck(&self) -> bool {
        let process = self.process.lock().expect(NO_PANIC);
        process.as_ref().is_some_and(|(_, started)| started.elapsed() > PATIENCE)
    }

    fn kill(&self) {
        let mut process = self.process.lock().expect(NO_PANIC);
        let _ = process.as_mut().map(|(process, _)| process.kill());
    }
}

impl Accounts {
    /// Pops what the processes have left in the ring. None of them is alive.
    fn drain(&mut self, ring: &Ring<Message>) -> Result<()> {
        ring.recover();
        let mut consumer = ring.consumer();
        loop {
            match consumer.try_pop() {
                Ok(popped) => self.deliver(&[*popped], |_| popped.redelivered()),
                Err(TryPopError::Empty) => break,
                Err(error) => return Err(format!("when all were dead: {error}").into()),
            }
        }
        match ring.len() {
            0 => Ok(()),
            left => Err(format!("when all were dead: the ring is empty, and {left} messages are in it").into()),
        }
    }
}

/// Waits for the process to be in the middle of something, for a while.
fn take_aim(ledger: &Ledger) {
    let start = Instant::now();
    while !matches!(ledger.doing(), Doing::Pushing | Doing::Popping | Doing::Copying) {
        if start.elapsed() > Duration::from_micros(100) {
            return;
        }
        std::hint::spin_loop();
    }
}

/// Sleeps, or spins where a sleep would be too long.
fn wait(time: Duration) {
    let start = Instant::now();
    if time > Duration::from_micros(100) {
        sleep(time);
    }
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

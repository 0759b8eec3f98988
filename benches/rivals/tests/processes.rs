//! Each rival that can be reached from a second process, between two of them; and that nothing stays behind.
//!
//! It runs without the usual harness, as it is the second process itself: with the arguments `--far`, rival and name.

// It needs less of it than the other test.
#[allow(dead_code)]
mod flow;

use flow::{CAPACITY, assert_excused, receive, receive_sleeping, send, send_sleeping, unique_name};
use ringway_rivals::contract::{Payload, Reader, Writer};
use ringway_rivals::rivals::{Channel, Description, SleepingReader, SleepingWriter, Visitor, visit};
use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FAR: &str = "--far";
/// What does not look for the near side before it is used, so that opening it says nothing.
const OPENS_UNSEEN: [&str; 2] = ["ipc-channel", "Unix socket"];
/// In which somebody else who runs the same has certainly ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one of the two processes does with each rival that two can meet at.
enum Side {
    Near { only: Option<String> },
    Far { rival: String, bytes: usize, name: String },
}

/// How the far side is told who writes.
fn way_back(name: &str) -> String {
    format!("{name}-back")
}

fn start<T>(rival: &Description, name: &str) -> Child {
    let program = std::env::current_exe().expect("our own program");
    let arguments = [FAR, rival.name, &size_of::<T>().to_string(), name];
    Command::new(program).args(arguments).stdin(Stdio::piped()).spawn().expect("a second process")
}

/// Both channels of a rival: forth, on which the near side writes, and back.
fn channels<T: Payload, C: Channel<T>>(rival: &Description, name: &str) -> Option<[C; 2]> {
    let create = |name: &str| match C::create(name, CAPACITY) {
        Ok(channel) => Some(channel),
        Err(reason) => {
            assert_excused(size_of::<T>(), &reason);
            None
        }
    };
    let both = [create(name)?, create(&way_back(name))?];
    for channel in &both {
        rival.contract.is_kept::<T>(&mut channel.writer(), &mut channel.reader(), CAPACITY);
    }
    Some(both)
}

impl Side {
    fn wants<T>(&self, rival: &Description) -> bool {
        match self {
            Side::Near { only } => only.as_ref().is_none_or(|only| rival.name.contains(only)),
            Side::Far { rival: wanted, bytes, .. } => rival.name == wanted && size_of::<T>() == *bytes,
        }
    }

    /// Everything goes forth and comes back, in the way that is given.
    fn play<T: Payload, C: Channel<T>>(
        &self,
        rival: &Description,
        send: fn(&mut C::Writer),
        receive: fn(&mut C::Reader),
    ) {
        if let Side::Far { name, .. } = self {
            let [forth, back] = [name.clone(), way_back(name)].map(|name| C::open(&name).expect("the near side's"));
            let (mut reader, mut writer) = (forth.reader(), back.writer());
            receive(&mut reader);
            send(&mut writer);
            // Until the near side has all.
            std::io::read_to_string(std::io::stdin()).expect("the end of our input");
            return;
        }
        let start_time = Instant::now();
        let name = unique_name();
        let Some([forth, back]) = channels::<T, C>(rival, &name) else { return };
        let (mut writer, mut reader) = (forth.writer(), back.reader());
        let mut far = start::<T>(rival, &name);
        send(&mut writer);
        receive(&mut reader);
        drop(far.stdin.take());
        assert!(far.wait().expect("the other process").success(), "the other process failed");
        drop((writer, reader, forth, back));
        let still_there = C::open(&name).is_ok() || C::open(&way_back(&name)).is_ok();
        assert!(!still_there || OPENS_UNSEEN.contains(&rival.name), "{} was left behind", rival.name);
        println!("{} bytes through {}: ok, {:.1?}", size_of::<T>(), rival.name, start_time.elapsed());
    }
}

impl<T: Payload> Visitor<T> for Side {
    fn in_process<W, R>(&mut self, _rival: &'static Description, _make: fn(usize) -> Result<(W, R), String>)
    where
        W: Writer<T> + 'static,
        R: Reader<T> + 'static,
    {
    }

    fn across<C: Channel<T> + 'static>(&mut self, rival: &'static Description) {
        if self.wants::<T>(rival) {
            self.play::<T, C>(rival, send, receive);
        }
    }

    fn across_sleeping<C>(&mut self, rival: &'static Description)
    where
        C: Channel<T, Writer: SleepingWriter<T>, Reader: SleepingReader<T>> + 'static,
    {
        if self.wants::<T>(rival) {
            // Forth and back polling in one process, and sleeping in the other.
            match self {
                Side::Near { .. } => self.play::<T, C>(rival, send, receive_sleeping),
                Side::Far { .. } => self.play::<T, C>(rival, send_sleeping, receive),
            }
        }
    }
}

fn visit_all_sizes(mut side: Side) {
    visit::<[u64; 1]>(&mut side);
    visit::<[u64; 7]>(&mut side);
    visit::<[u64; 512]>(&mut side);
    visit::<[u64; 8192]>(&mut side);
}

/// Files of ours, and those that iceoryx2 names in its own way, of whoever uses it as we do.
fn left_behind() -> BTreeSet<String> {
    let ours = format!("test-{}-", std::process::id());
    let entries = ["/dev/shm", "/tmp", "/dev/mqueue"].map(std::fs::read_dir).into_iter().flatten().flatten().flatten();
    let paths = entries.map(|entry| entry.path().display().to_string());
    paths.filter(|path| path.contains("ringway-rivals-iceoryx2") || path.contains(&ours)).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let side = match &arguments[..] {
        [far, rival, bytes, name] if far == FAR => {
            // If the near side fails, nobody else would tell us.
            let signal = Some(rustix::process::Signal::KILL);
            rustix::process::set_parent_process_death_signal(signal).expect("to die in time");
            Side::Far { rival: rival.clone(), bytes: bytes.parse().expect("a number"), name: name.clone() }
        }
        rest => Side::Near { only: rest.iter().find(|argument| !argument.starts_with('-')).cloned() },
    };
    let is_near = matches!(side, Side::Near { .. });
    let before = left_behind();
    // Messages of 64 KiB go by value, and in an unoptimised program through many hands.
    let run = std::thread::Builder::new().stack_size(64 << 20).spawn(|| visit_all_sizes(side)).expect("a thread");
    if run.join().is_err() {
        std::process::exit(1);
    }
    if is_near {
        let start = Instant::now();
        loop {
            let after = left_behind();
            let more: Vec<&String> = after.difference(&before).collect();
            if more.is_empty() {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "left behind: {more:#?}");
            std::thread::yield_now();
        }
        println!("nothing was left behind: ok");
    }
}

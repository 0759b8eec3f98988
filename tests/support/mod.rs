//! What the integration tests share: names that clean up after themselves, other processes, and bytes of segments.
#![allow(dead_code)] // each test file is a program of its own and uses a part of it

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub mod asleep;
pub mod bytes;
pub mod damage;
pub mod helper;
pub mod kinds;
pub mod memory;

/// Long enough for anything that works, on a machine with other things to do.
pub const PATIENCE: Duration = Duration::from_secs(30);

const FOLDER: &str = "/dev/shm";
const CHILD_ROLE: &str = "RINGWAY_TEST_ROLE";
const CHILD_ARGUMENTS: &str = "RINGWAY_TEST_ARGUMENTS";

/// A name that nobody else uses. Whatever has it is removed when this is dropped, also when the test fails.
#[derive(Debug)]
pub struct Name(String);

impl Name {
    pub fn new() -> Name {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("ringway-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Name(name)
    }

    /// A certain name, which nobody else uses.
    pub fn of(name: &str) -> Name {
        Name(name.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn path(&self) -> PathBuf {
        path_of(&self.0)
    }

    /// Whether anything has this name, a dangling link too.
    pub fn exists(&self) -> bool {
        self.path().symlink_metadata().is_ok()
    }
}

impl AsRef<OsStr> for Name {
    fn as_ref(&self) -> &OsStr {
        self.0.as_ref()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let path = self.path();
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
    }
}

pub fn path_of(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Rings in the making that belong to process `pid`.
pub fn temporaries_of(pid: u32) -> Vec<PathBuf> {
    let prefix = format!(".ringway-{pid}-");
    let entries = fs::read_dir(FOLDER).expect("the folder of shared memory can be read");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(prefix.as_bytes()))).collect()
}

/// Whatever this process has in the making is gone soon, as other tests in it finish: nothing is left over.
#[track_caller]
pub fn nothing_in_the_making() {
    for path in temporaries_of(std::process::id()) {
        wait_until("a temporary is removed", || !path.exists());
    }
}

/// Waits until `condition` holds, and fails when that takes too long.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// Says, past the test harness, which keeps to itself what tests that pass have to say, that this one did not check
/// something, and why.
pub fn not_checked(why: impl std::fmt::Display) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = std::io::stderr().lock().write_all(format!("NOT CHECKED by {test}: {why}\n").as_bytes());
}

/// What a child process can be told to do.
pub type Job = (&'static str, fn(&[String]));

/// The whole of the test that is named `the_other_process` in each file that starts processes. It does nothing unless
/// [`Child::start`] has started it.
pub fn be_the_other_process(jobs: &[Job]) {
    let Ok(role) = std::env::var(CHILD_ROLE) else { return };
    // Nobody is left over when the test is killed.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).expect("prctl");
    let arguments = std::env::var(CHILD_ARGUMENTS).expect("arguments");
    let arguments: Vec<String> = arguments.split('\x1f').map(str::to_owned).collect();
    let (_, job) = jobs.iter().find(|(name, _)| *name == role).expect("a job of this file");
    job(&arguments);
}

/// Tells the parent something. Called in a child.
pub fn say(word: impl std::fmt::Display) {
    // Not `print!`: that is the test harness's, which holds on to it.
    let line = format!("\n@{word}\n");
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
}

/// The parent's next word, or `None` when it is gone. Called in a child.
pub fn listen() -> Option<String> {
    let mut line = String::new();
    let length = std::io::stdin().lock().read_line(&mut line).expect("the parent speaks text");
    (length > 0).then(|| line.trim_end().to_owned())
}

/// This test program, run again as another process. Killed and cleaned up after when dropped.
pub struct Child {
    process: std::process::Child,
    lines: Receiver<String>,
    last: String,
}

impl Child {
    pub fn start(role: &str, arguments: &[&str]) -> Child {
        let mut process = command(role, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be run again");
        let stdout = BufReader::new(process.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(word) = line.strip_prefix('@') {
                    if sender.send(word.to_owned()).is_err() {
                        return;
                    }
                }
            }
        });
        Child { process, lines, last: String::new() }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The next word that the child says.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(word) => {
                self.last.clone_from(&word);
                word
            }
            Err(RecvTimeoutError::Timeout) => panic!("child {} hangs; it last said {:?}", self.pid(), self.last),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.process.wait();
                panic!("child {} ended with {status:?}; it last said {:?}", self.pid(), self.last)
            }
        }
    }

    /// What a child that was killed had said and nobody has heard yet.
    pub fn said(&mut self) -> Vec<String> {
        self.lines.iter().collect()
    }

    /// Waits until the child says `word`, and nothing else before.
    #[track_caller]
    pub fn expect(&mut self, word: &str) {
        assert_eq!(self.hear(), word);
    }

    #[track_caller]
    pub fn tell(&mut self, word: &str) {
        let stdin = self.process.stdin.as_mut().expect("piped");
        writeln!(stdin, "{word}").expect("the child listens");
    }

    /// Tells the child to do something and waits until it has answered `done`.
    #[track_caller]
    pub fn order(&mut self, word: &str) {
        self.tell(word);
        self.expect("done");
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.rustix_pid(), signal).expect("the child is there");
    }

    fn rustix_pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.process)
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        self.process.kill().expect("the child is there");
        self.process.wait().expect("it ends");
    }

    /// Hears the child out: everything that it still says until it ends, which must be in an orderly way.
    #[track_caller]
    pub fn finish(mut self) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(word) => {
                    self.last.clone_from(&word);
                    words.push(word);
                }
                Err(RecvTimeoutError::Timeout) => panic!("child {} hangs; it last said {:?}", self.pid(), self.last),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.wait();
        assert!(status.success(), "child {} ended with {status}; it last said {:?}", self.pid(), self.last);
        words
    }

    fn wait(&mut self) -> ExitStatus {
        self.process.wait().expect("it ends")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        for path in temporaries_of(self.pid()) {
            let _ = fs::remove_file(path);
        }
    }
}

/// How to run `role` of this program as another process.
pub fn command(role: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command
        .args(["the_other_process", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD_ROLE, role)
        .env(CHILD_ARGUMENTS, arguments.join("\x1f"));
    command
}

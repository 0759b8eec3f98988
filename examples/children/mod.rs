//! What the examples share that are several processes: the others are this very program, run again with other arguments.
#![allow(dead_code)] // each example uses a part of it

use rustix::process::{Signal, set_parent_process_death_signal};
use std::error::Error;
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Another process. It is killed when this is dropped.
pub struct Child(std::process::Child);

impl Child {
    /// Starts this program with other arguments.
    pub fn start(arguments: &[&str]) -> Result<Child> {
        Ok(Child(Command::new(std::env::current_exe()?).args(arguments).spawn()?))
    }

    /// Likewise, and gives it `secret` to read: where arguments could be seen by others.
    pub fn start_with(arguments: &[&str], secret: &[u8]) -> Result<Child> {
        let mut child = Command::new(std::env::current_exe()?).args(arguments).stdin(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(secret)?;
        }
        Ok(Child(child))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// `kill -9`, and returns when it is dead.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Waits until it ends, and says whether by itself: the other way is by a signal.
    pub fn ended_by_itself(&mut self) -> Result<bool> {
        let status = self.0.wait()?;
        match status.code() {
            Some(0) => Ok(true),
            Some(_) => Err(format!("process {} failed: {status}", self.pid()).into()),
            None => Ok(false),
        }
    }

    /// Whether it goes on.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    /// Waits until it ends by itself.
    pub fn finish(mut self) -> Result<()> {
        match self.ended_by_itself()? {
            true => Ok(()),
            false => Err(format!("process {} was killed", self.pid()).into()),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.kill(); // it may have ended
    }
}

/// Runs a program: `run` is given its arguments. A child, which has some that begin with a word, ends with its parent.
pub fn main(name: &str, run: impl FnOnce(&[&str]) -> Result<()>) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let is_child = arguments.first().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
    let bound = if is_child { set_parent_process_death_signal(Some(Signal::KILL)) } else { Ok(()) };
    match bound.map_err(Box::from).and_then(|()| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The `index`-th argument as a number, or what it is by default.
pub fn number(arguments: &[&str], index: usize, default: u64) -> Result<u64> {
    Ok(arguments.get(index).map_or(Ok(default), |text| text.parse())?)
}

/// A text in a field of fixed size, filled up with zeros: cut off, between two characters, where it is too long.
pub fn text<const N: usize>(from: &str) -> [u8; N] {
    let end = (0..=N.min(from.len())).rev().find(|&end| from.is_char_boundary(end)).unwrap_or(0);
    let mut field = [0; N];
    field[..end].copy_from_slice(&from.as_bytes()[..end]);
    field
}

/// What such a field says. It came from another process, so it may be anything.
pub fn shown(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

//! A program in a terminal of its own, and what is on the screen.
#![allow(dead_code)] // each test file uses a part of it

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a program in it, which is killed when this is dropped.
pub struct Terminal {
    keyboard: File,
    /// The program's side, kept open so that its modes can be asked for when the program has ended.
    line: OwnedFd,
    child: Child,
    parser: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    /// Starts `command` in a terminal of so many rows and columns.
    pub fn start(mut command: Command, rows: u16, columns: u16) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
        let path = ptsname(&master, Vec::new()).expect("it has a name");
        let path = std::ffi::OsStr::from_bytes(path.as_bytes()).to_owned();
        let line = File::options().read(true).write(true).open(path).expect("the other side of it");
        set_size(&master, rows, columns);
        let side = || line.try_clone().expect("a descriptor");
        command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "xterm-256color");
        let start = || {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        };
        // SAFETY: two system calls, between fork and exec.
        unsafe { command.pre_exec(start) };
        let child = command.spawn().expect("it can be run");
        let parser = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let (screen, mut output) = (parser.clone(), File::from(master.try_clone().expect("a descriptor")));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                screen.lock().expect("no panic").process(&bytes[..count]);
            }
        });
        Terminal { keyboard: File::from(master), line: line.into(), child, parser }
    }

    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal is there");
    }

    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.parser.lock().expect("no panic").set_size(rows, columns);
        set_size(&self.keyboard, rows, columns);
    }

    /// What is on the screen, line by line.
    pub fn screen(&self) -> String {
        self.parser.lock().expect("no panic").screen().contents()
    }

    /// Whether some character on the screen is coloured.
    pub fn has_colour(&self) -> bool {
        let parser = self.parser.lock().expect("no panic");
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let is_coloured =
            |row, column| screen.cell(row, column).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default);
        (0..rows).any(|row| (0..columns).any(|column| is_coloured(row, column)))
    }

    /// Whether the program has the whole screen, and gets keys as they are typed.
    pub fn is_taken(&self) -> bool {
        let modes = tcgetattr(&self.line).expect("a terminal").local_modes;
        let parser = self.parser.lock().expect("no panic");
        parser.screen().alternate_screen()
            || parser.screen().hide_cursor()
            || !modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub fn wait_for(&self, what: &str, is_there: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(&self.screen()) {
            assert!(Instant::now() < deadline, "waited in vain: {what}; on the screen is\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the program has ended by itself.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; on the screen is\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_size(terminal: impl AsFd, rows: u16, columns: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a terminal has a size");
}

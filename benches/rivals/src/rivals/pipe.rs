//! A pipe that has a name (FIFO): bytes through the kernel.
//!
//! When one side is killed, the kernel closes its end: a reader that has taken all bytes is told that there will be no
//! more, a writer gets `EPIPE`. A message that the writer was killed in the middle of may be there in part. (Here each
//! end holds the pipe open as a whole, so that either may come first; so that is not to be seen.)
//!
//! One message is one `write` and one `read`. Up to `PIPE_BUF` bytes the kernel writes all or nothing, and as many
//! messages of a batch as that go with one call. The pipe is made as large as was asked for, up to what the system allows,
//! which is the best that it can do. Each end opens it twice, so that it can poll without `fcntl`, and sleep as well.

use super::bytes::{Received, message, receive};
use super::names::{Name, at, path};
use super::{Channel, Contract, Description, SleepingReader, SleepingWriter, Sleeps, WhenFull, broken};
use crate::contract::{Payload, Reader, Writer};
use ringway::zerocopy::IntoBytes;
use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use rustix::io::Errno;
use rustix::pipe::{PIPE_BUF, fcntl_getpipe_size, fcntl_setpipe_size};
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a pipe is.
pub static DESCRIPTION: Description = Description {
    name: "pipe",
    version: None,
    in_process_only: false,
    multi_producer: false,
    multi_consumer: false,
    has_batches: true,
    tries: true,
    sleeps: Sleeps::Both,
    contract: Contract::Weaker { when_full: WhenFull::GivesBack },
    on_death: Some("the kernel closes the end: EPIPE, or the end of the bytes"),
    link: "https://man7.org/linux/man-pages/man7/pipe.7.html",
};

const KIND: &str = "fifo";
const PAGE: usize = 4096;

/// A pipe that has a name.
#[derive(Debug)]
pub struct Fifo<T> {
    path: PathBuf,
    /// Both ends at once: neither of the others waits for its peer to come, or ends when it goes.
    open: Arc<OwnedFd>,
    _name: Option<Name>,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T> Fifo<T> {
    fn at(path: &Path, name: Option<Name>) -> Result<Fifo<T>, String> {
        let fd = open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(at(path))?;
        Ok(Fifo { path: path.to_owned(), open: Arc::new(fd), _name: name, _messages: PhantomData })
    }

    fn end(&self, access: OFlags) -> End {
        let open = |flags| {
            let flags = access | flags | OFlags::CLOEXEC;
            open(&self.path, flags, Mode::empty()).unwrap_or_else(|error| broken("pipe", &error))
        };
        End { polled: open(OFlags::NONBLOCK), slept_on: open(OFlags::empty()), _open: self.open.clone() }
    }
}

impl<T: Payload> Channel<T> for Fifo<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, capacity: usize) -> Result<Self, String> {
        let name = Name::claim(KIND, name);
        mkfifoat(CWD, name.path(), Mode::RUSR | Mode::WUSR).map_err(at(name.path()))?;
        let path = name.path().to_owned();
        let fifo = Fifo::at(&path, Some(name))?;
        // As large as we may: where that is refused, as without privileges above a limit, half as much will do.
        let mut bytes = (capacity * size_of::<T>()).max(PAGE);
        while fcntl_setpipe_size(&fifo.open, bytes).is_err() && bytes > PAGE {
            bytes /= 2;
        }
        if fcntl_getpipe_size(&fifo.open).map_err(at(&path))? < size_of::<T>() {
            return Err(format!(
                "{}: no pipe may be as large as a message of {} bytes",
                path.display(),
                size_of::<T>()
            ));
        }
        Ok(fifo)
    }

    fn open(name: &str) -> Result<Self, String> {
        Fifo::at(&path(KIND, name), None)
    }

    fn writer(&self) -> WriteEnd<T> {
        let end = self.end(OFlags::WRONLY);
        let size = fcntl_getpipe_size(&end.polled).unwrap_or_else(|error| broken("pipe", &error));
        WriteEnd { end, pages: size / PAGE, _messages: PhantomData }
    }

    fn reader(&self) -> ReadEnd<T> {
        ReadEnd {
            end: self.end(OFlags::RDONLY),
            unread: Unread::new(size_of::<T>().max(PIPE_BUF)),
            _messages: PhantomData,
        }
    }
}

#[derive(Debug)]
struct End {
    polled: OwnedFd,
    slept_on: OwnedFd,
    _open: Arc<OwnedFd>,
}

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T> {
    end: End,
    /// As many as the pipe may have.
    pages: usize,
    _messages: PhantomData<fn(T)>,
}

impl<T: Payload> WriteEnd<T> {
    /// How many of these bytes, which are whole messages, the kernel took: all or nothing of each `PIPE_BUF`.
    #[inline(always)]
    fn write(&self, bytes: &[u8]) -> usize {
        loop {
            match rustix::io::write(&self.end.polled, bytes) {
                Ok(count) => return count,
                Err(Errno::AGAIN) => return 0,
                Err(Errno::INTR) => {}
                Err(error) => broken("pipe", &error),
            }
        }
    }

    /// Whether the kernel would take a whole message that is not written all at once: it wants so many pages.
    fn has_room(&self) -> bool {
        let unread = rustix::io::ioctl_fionread(&self.end.polled).unwrap_or_else(|error| broken("pipe", &error));
        (unread as usize).div_ceil(PAGE) + size_of::<T>().div_ceil(PAGE) <= self.pages
    }

    fn write_all(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match rustix::io::write(&self.end.slept_on, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(error) => broken("pipe", &error),
            }
        }
    }
}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        let bytes = message.as_bytes();
        if size_of::<T>() > PIPE_BUF && !self.has_room() {
            return Err(message);
        }
        match self.write(bytes) {
            0 => Err(message),
            // Only if it was not all at once; then the reader has begun with it, and nothing else is of use to it.
            count => {
                self.write_all(&bytes[count..]);
                Ok(())
            }
        }
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        let at_once = (PIPE_BUF / size_of::<T>()).max(1);
        let mut pushed = 0;
        for chunk in messages.chunks(at_once) {
            let count = match chunk {
                [one] => usize::from(self.push(*one).is_ok()),
                _ => self.write(chunk.as_bytes()) / size_of::<T>(),
            };
            pushed += count;
            if count < chunk.len() {
                break;
            }
        }
        pushed
    }
}

impl<T: Payload> SleepingWriter<T> for WriteEnd<T> {
    #[inline(always)]
    fn push_sleeping(&mut self, message: T) {
        self.write_all(message.as_bytes());
    }
}

/// The end that is read from.
#[derive(Debug)]
pub struct ReadEnd<T> {
    end: End,
    unread: Unread,
    _messages: PhantomData<fn() -> T>,
}

/// What was read and not yet popped: a part of a message, or messages of a batch.
#[derive(Debug)]
struct Unread {
    buffer: Box<[u8]>,
    bytes: Range<usize>,
}

impl Unread {
    fn new(room: usize) -> Unread {
        Unread { buffer: vec![0; room].into_boxed_slice(), bytes: 0..0 }
    }

    /// The next message, if it is here as a whole.
    #[inline(always)]
    fn next<T: Payload>(&mut self) -> Option<T> {
        let end = self.bytes.start + size_of::<T>();
        (end <= self.bytes.end).then(|| {
            let next = message(&self.buffer[self.bytes.start..end]);
            self.bytes.start = end;
            next
        })
    }

    /// Reads at most so many bytes.
    fn fill(&mut self, fd: &OwnedFd, most: usize) {
        // What is left is less than a message.
        self.buffer.copy_within(self.bytes.clone(), 0);
        self.bytes = 0..self.bytes.len();
        let end = self.buffer.len().min(self.bytes.end.saturating_add(most));
        match rustix::io::read(fd, &mut self.buffer[self.bytes.end..end]) {
            Ok(0) => broken("pipe", &Errno::PIPE),
            Ok(count) => self.bytes.end += count,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => broken("pipe", &error),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        self.bytes = 0..bytes.len();
    }

    /// A message from the pipe, past the buffer unless something is there already.
    #[inline(always)]
    fn or_read<T: Payload>(&mut self, fd: &OwnedFd) -> Option<T> {
        if !self.bytes.is_empty() {
            return self.and_read(fd);
        }
        let received = receive(|room| match rustix::io::read(fd, room) {
            Ok(([], _)) => Err(Errno::PIPE),
            Ok((got, _)) => Ok(got),
            Err(error) => Err(error),
        });
        match received {
            Ok(Received::Whole(message)) => Some(message),
            Ok(Received::Part(part)) => {
                self.put(&part);
                None
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(error) => broken("pipe", &error),
        }
    }

    #[cold]
    fn and_read<T: Payload>(&mut self, fd: &OwnedFd) -> Option<T> {
        if self.bytes.len() < size_of::<T>() {
            self.fill(fd, size_of::<T>() - self.bytes.len());
        }
        self.next()
    }
}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.unread.or_read(&self.end.polled)
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        if size_of::<T>() > PIPE_BUF / 2 {
            return messages.iter_mut().map_while(|place| self.pop().map(|message| *place = message)).count();
        }
        if self.unread.bytes.len() < size_of::<T>() {
            self.unread.fill(&self.end.polled, usize::MAX);
        }
        messages.iter_mut().map_while(|place| self.unread.next().map(|message| *place = message)).count()
    }
}

impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_sleeping(&mut self) -> T {
        loop {
            if let Some(message) = self.unread.or_read(&self.end.slept_on) {
                return message;
            }
        }
    }
}

//! A POSIX message queue: messages with priorities through the kernel.
//!
//! When one side is killed, the queue and its messages stay, and the other is told nothing.
//!
//! One message is one `mq_send` and one `mq_receive`, all of the same priority, which is the queue's fast path. There is
//! room for `fs.mqueue.msg_max` messages of at most `fs.mqueue.msgsize_max` bytes (10 and 8192, unless somebody has changed
//! that), whatever is asked for. Each end opens the queue twice, so that it can poll and sleep. Batches go one by one.
//!
//! A queue stays after its near side was killed: `mq_unlink` it, or remove it in a mounted `mqueue` file system.

use super::bytes::{Received, receive};
use super::{Channel, Contract, Description, SleepingReader, SleepingWriter, Sleeps, broken};
use crate::contract::{Payload, Reader, Writer};
use libc::mqd_t;
use std::ffi::CString;
use std::io::{Error, ErrorKind};
use std::marker::PhantomData;

/// What a POSIX message queue is.
pub static DESCRIPTION: Description = Description {
    name: "POSIX mq",
    version: None,
    in_process_only: false,
    multi_producer: true,
    multi_consumer: true,
    has_batches: false,
    tries: true,
    sleeps: Sleeps::Both,
    contract: Contract::Whole { room: |asked, _bytes| asked.min(limit("msg_max")) },
    on_death: Some("nothing: the queue stays, and nobody is told"),
    link: "https://man7.org/linux/man-pages/man7/mq_overview.7.html",
};

/// What the system allows.
fn limit(which: &str) -> usize {
    let path = format!("/proc/sys/fs/mqueue/{which}");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| broken("POSIX mq", &format!("{path}: {error}")));
    text.trim().parse().expect("a number")
}

/// A queue that has a name.
#[derive(Debug)]
pub struct Queue<T> {
    name: CString,
    ours: bool,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T> Queue<T> {
    fn at(name: &str, ours: bool) -> Queue<T> {
        let name = CString::new(format!("/ringway-rivals-{name}")).expect("a name without zeros");
        Queue { name, ours, _messages: PhantomData }
    }

    fn end(&self, access: i32) -> End {
        let open =
            |flags| Descriptor::open(&self.name, access | flags).unwrap_or_else(|error| broken("POSIX mq", &error));
        End { polled: open(libc::O_NONBLOCK), slept_on: open(0) }
    }
}

impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        if self.ours {
            // SAFETY: the name is a string with a zero at its end.
            unsafe { libc::mq_unlink(self.name.as_ptr()) };
        }
    }
}

impl<T: Payload> Channel<T> for Queue<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, capacity: usize) -> Result<Self, String> {
        let queue = Queue::at(name, true);
        if size_of::<T>() > limit("msgsize_max") {
            return Err(format!(
                "POSIX mq: a message of {} bytes, but at most {} are allowed; raise fs.mqueue.msgsize_max",
                size_of::<T>(),
                limit("msgsize_max")
            ));
        }
        // SAFETY: as above. One of that name was left by a process that was killed.
        unsafe { libc::mq_unlink(queue.name.as_ptr()) };
        // SAFETY: it is a struct of integers.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = capacity.min(limit("msg_max")) as i64;
        attributes.mq_msgsize = size_of::<T>() as i64;
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
        // SAFETY: the name is a string with a zero at its end, and a new queue takes a mode and its attributes.
        let made = unsafe { libc::mq_open(queue.name.as_ptr(), flags, 0o600 as libc::mode_t, &attributes) };
        if made < 0 {
            return Err(format!("{:?}: {}", queue.name, Error::last_os_error()));
        }
        drop(Descriptor(made));
        Ok(queue)
    }

    fn open(name: &str) -> Result<Self, String> {
        let queue = Queue::at(name, false);
        Descriptor::open(&queue.name, libc::O_RDWR).map_err(|error| format!("{:?}: {error}", queue.name))?;
        Ok(queue)
    }

    fn writer(&self) -> WriteEnd<T> {
        WriteEnd { end: self.end(libc::O_WRONLY), _messages: PhantomData }
    }

    fn reader(&self) -> ReadEnd<T> {
        ReadEnd { end: self.end(libc::O_RDONLY), _messages: PhantomData }
    }
}

#[derive(Debug)]
struct Descriptor(mqd_t);

impl Descriptor {
    fn open(name: &CString, flags: i32) -> Result<Descriptor, Error> {
        // SAFETY: the name is a string with a zero at its end.
        match unsafe { libc::mq_open(name.as_ptr(), flags | libc::O_CLOEXEC) } {
            -1 => Err(Error::last_os_error()),
            opened => Ok(Descriptor(opened)),
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: it is open, and nobody else's.
        unsafe { libc::mq_close(self.0) };
    }
}

#[derive(Debug)]
struct End {
    polled: Descriptor,
    slept_on: Descriptor,
}

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T> {
    end: End,
    _messages: PhantomData<fn(T)>,
}

/// Whether the message went; otherwise there was no room, or a signal.
#[inline(always)]
fn send<T: Payload>(to: &Descriptor, message: &T) -> bool {
    // SAFETY: it is open, and these are the bytes of a message.
    let sent = unsafe { libc::mq_send(to.0, (&raw const *message).cast(), size_of::<T>(), 0) };
    sent == 0 || not_now()
}

/// That nothing was done, if that is all there is to say of the last call.
#[cold]
fn not_now() -> bool {
    let error = Error::last_os_error();
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => false,
        _ => broken("POSIX mq", &error),
    }
}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        if send(&self.end.polled, &message) { Ok(()) } else { Err(message) }
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|message| send(&self.end.polled, *message)).count()
    }
}

impl<T: Payload> SleepingWriter<T> for WriteEnd<T> {
    #[inline(always)]
    fn push_sleeping(&mut self, message: T) {
        while !send(&self.end.slept_on, &message) {}
    }
}

/// The end that is read from.
#[derive(Debug)]
pub struct ReadEnd<T> {
    end: End,
    _messages: PhantomData<fn() -> T>,
}

#[inline(always)]
fn pop<T: Payload>(from: &Descriptor) -> Option<T> {
    let received = receive(|room| {
        // SAFETY: it is open, and there is room for so many bytes.
        let count = unsafe { libc::mq_receive(from.0, room.as_mut_ptr().cast(), room.len(), std::ptr::null_mut()) };
        let got = room.get_mut(..count as usize).ok_or(())?;
        // SAFETY: the call has written so many bytes.
        Ok::<_, ()>(unsafe { got.assume_init_mut() })
    });
    match received {
        Ok(Received::Whole(message)) => Some(message),
        Ok(Received::Part(part)) => broken("POSIX mq", &format!("a message of {} bytes", part.len())),
        Err(()) => {
            not_now();
            None
        }
    }
}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        pop(&self.end.polled)
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.pop().map(|message| *place = message)).count()
    }
}

impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_sleeping(&mut self) -> T {
        loop {
            if let Some(message) = pop(&self.end.slept_on) {
                return message;
            }
        }
    }
}

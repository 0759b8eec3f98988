//! A System V message queue: messages with types through the kernel.
//!
//! When one side is killed, the queue and its messages stay, and the other is told nothing.
//!
//! One message is one `msgsnd` and one `msgrcv` of the first message of any type, which is the queue's fast path. The
//! queue is given so many bytes as the messages that are asked for have, or `kernel.msgmnb` if that is less; a message has
//! at most `kernel.msgmax` bytes (16384 and 8192, unless somebody has changed that). Batches go one by one.
//!
//! A queue stays after its near side was killed: `ipcs -q` shows it, `ipcrm` removes it. As removing it ends it for all, it
//! goes with the last end of the near side.

use super::{Channel, Contract, Description, SleepingReader, SleepingWriter, Sleeps, broken};
use crate::contract::{Payload, Reader, Writer};
use std::io::Error;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// What a System V message queue is.
pub static DESCRIPTION: Description = Description {
    name: "System V mq",
    version: None,
    in_process_only: false,
    multi_producer: true,
    multi_consumer: true,
    has_batches: false,
    tries: true,
    sleeps: Sleeps::Both,
    contract: Contract::Whole { room },
    on_death: Some("nothing: the queue stays, and nobody is told"),
    link: "https://man7.org/linux/man-pages/man7/sysvipc.7.html",
};

/// What the system allows.
fn limit(which: &str) -> usize {
    let path = format!("/proc/sys/kernel/{which}");
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| broken("System V mq", &format!("{path}: {error}")));
    text.trim().parse().expect("a number")
}

fn room(asked: usize, bytes: usize) -> usize {
    asked.min(limit("msgmnb") / bytes)
}

/// A queue that has a key, which is made from a name.
#[derive(Debug)]
pub struct Queue<T> {
    id: Arc<Id>,
    _messages: PhantomData<fn(T) -> T>,
}

#[derive(Debug)]
struct Id {
    id: i32,
    ours: bool,
}

impl Drop for Id {
    fn drop(&mut self) {
        if self.ours {
            // SAFETY: removing takes no argument.
            unsafe { libc::msgctl(self.id, libc::IPC_RMID, std::ptr::null_mut()) };
        }
    }
}

/// FNV-1a, without the sign, and never 0, which is the key of no queue.
fn key(name: &str) -> libc::key_t {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    ((hash >> 1) | 1) as libc::key_t
}

fn get(name: &str, flags: i32) -> Result<i32, String> {
    // SAFETY: nothing but integers.
    match unsafe { libc::msgget(key(name), flags) } {
        -1 => Err(format!("System V mq {:#x} for {name}: {}", key(name), Error::last_os_error())),
        id => Ok(id),
    }
}

impl<T: Payload> Channel<T> for Queue<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, capacity: usize) -> Result<Self, String> {
        let most = limit("msgmax").min(limit("msgmnb"));
        if size_of::<T>() > most {
            return Err(format!(
                "System V mq: a message of {} bytes, but at most {most} are allowed; raise kernel.msgmax and kernel.msgmnb",
                size_of::<T>()
            ));
        }
        if let Ok(id) = get(name, 0) {
            // One of that name was left by a process that was killed.
            drop(Id { id, ours: true });
        }
        let id = get(name, libc::IPC_CREAT | libc::IPC_EXCL | 0o600)?;
        let id = Id { id, ours: true };
        // SAFETY: it is a struct of integers.
        let mut settings: libc::msqid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: there is room for the settings.
        let asked = unsafe { libc::msgctl(id.id, libc::IPC_STAT, &mut settings) };
        settings.msg_qbytes = (room(capacity, size_of::<T>()) * size_of::<T>()) as libc::msglen_t;
        // SAFETY: these are settings.
        let set = unsafe { libc::msgctl(id.id, libc::IPC_SET, &mut settings) };
        if asked < 0 || set < 0 {
            return Err(format!("System V mq for {name}: its size: {}", Error::last_os_error()));
        }
        Ok(Queue { id: Arc::new(id), _messages: PhantomData })
    }

    fn open(name: &str) -> Result<Self, String> {
        Ok(Queue { id: Arc::new(Id { id: get(name, 0)?, ours: false }), _messages: PhantomData })
    }

    fn writer(&self) -> WriteEnd<T> {
        WriteEnd { id: self.id.clone(), _messages: PhantomData }
    }

    fn reader(&self) -> ReadEnd<T> {
        ReadEnd { id: self.id.clone(), _messages: PhantomData }
    }
}

/// A message as the kernel wants it.
#[repr(C)]
struct Envelope<T> {
    kind: libc::c_long,
    message: T,
}

/// That nothing was done, if that is all there is to say of the last call.
#[cold]
fn not_now() {
    let error = Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOMSG | libc::EINTR) => {}
        _ => broken("System V mq", &error),
    }
}

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T> {
    id: Arc<Id>,
    _messages: PhantomData<fn(T)>,
}

impl<T: Payload> WriteEnd<T> {
    #[inline(always)]
    fn send(&self, message: T, flags: i32) -> Result<(), T> {
        let envelope = Envelope { kind: 1, message };
        // SAFETY: these are a message and its type.
        if unsafe { libc::msgsnd(self.id.id, (&raw const envelope).cast(), size_of::<T>(), flags) } < 0 {
            not_now();
            return Err(envelope.message);
        }
        Ok(())
    }
}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        self.send(message, libc::IPC_NOWAIT)
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| self.push(message).is_ok()).count()
    }
}

impl<T: Payload> SleepingWriter<T> for WriteEnd<T> {
    #[inline(always)]
    fn push_sleeping(&mut self, message: T) {
        while self.send(message, 0).is_err() {}
    }
}

/// The end that is read from.
#[derive(Debug)]
pub struct ReadEnd<T> {
    id: Arc<Id>,
    _messages: PhantomData<fn() -> T>,
}

impl<T: Payload> ReadEnd<T> {
    #[inline(always)]
    fn receive(&self, flags: i32) -> Option<T> {
        let mut envelope = MaybeUninit::<Envelope<T>>::uninit();
        // SAFETY: there is room for a type and a message of that size.
        let count = unsafe { libc::msgrcv(self.id.id, envelope.as_mut_ptr().cast(), size_of::<T>(), 0, flags) };
        if count < 0 {
            not_now();
            return None;
        }
        assert_eq!(count as usize, size_of::<T>(), "a message of another size");
        // SAFETY: it has all its bytes, and only messages of that type are sent here.
        Some(unsafe { envelope.assume_init() }.message)
    }
}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.receive(libc::IPC_NOWAIT)
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.pop().map(|message| *place = message)).count()
    }
}

impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_sleeping(&mut self) -> T {
        loop {
            if let Some(message) = self.receive(0) {
                return message;
            }
        }
    }
}

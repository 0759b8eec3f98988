//! A Unix socket with messages (`SOCK_SEQPACKET`), connected by name.
//!
//! When one side is killed, the kernel closes its end: a reader that has taken all messages is told that there will be no
//! more, a writer gets `EPIPE`.
//!
//! One message is one `send` and one `recv`, and a batch goes with `sendmmsg` and `recvmmsg`; the kernel keeps messages
//! apart, so nothing has to be put together. Its buffer is as large as that of a pipe may be. The name is one of the
//! abstract ones, which go with their socket whatever happens. The reader listens, the writer connects, both as soon as the
//! other is there: until then the channel is full, or empty.

use super::bytes::{Received, receive};
use super::{Channel, Contract, Description, SleepingReader, SleepingWriter, Sleeps, WhenFull, broken};
use crate::contract::{Payload, Reader, Writer};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{accept_with, bind, connect, listen, recv, send, socket_with};
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::yield_now;

/// What a Unix socket is.
pub static DESCRIPTION: Description = Description {
    name: "Unix socket",
    version: None,
    in_process_only: false,
    multi_producer: false,
    multi_consumer: false,
    has_batches: true,
    tries: true,
    sleeps: Sleeps::Both,
    contract: Contract::Weaker { when_full: WhenFull::GivesBack },
    on_death: Some("the kernel closes the end: EPIPE, or the end of the messages"),
    link: "https://man7.org/linux/man-pages/man7/unix.7.html",
};

/// Bytes on their way, with what the kernel adds to each message: as many as a pipe may have. Where the system allows
/// less (`net.core.wmem_max`), the kernel takes that.
const BUFFER: usize = 1 << 20;
/// Messages of a batch that go with one call at most.
const AT_ONCE: usize = 64;

/// Where the two meet.
#[derive(Clone, Debug)]
pub struct Socket<T> {
    address: SocketAddrUnix,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T> Socket<T> {
    fn at(name: &str) -> Result<Socket<T>, String> {
        let abstract_name = format!("ringway-rivals-{name}");
        let address = SocketAddrUnix::new_abstract_name(abstract_name.as_bytes())
            .map_err(|error| format!("a socket of the name {abstract_name}: {error}"))?;
        Ok(Socket { address, _messages: PhantomData })
    }
}

fn socket(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC | flags, None)
}

impl<T: Payload> Channel<T> for Socket<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, _capacity: usize) -> Result<Self, String> {
        Socket::at(name)
    }

    fn open(name: &str) -> Result<Self, String> {
        Socket::at(name)
    }

    fn writer(&self) -> WriteEnd<T> {
        WriteEnd { to: self.clone(), connected: None }
    }

    fn reader(&self) -> ReadEnd<T> {
        let listen = || {
            let listening = socket(SocketFlags::NONBLOCK)?;
            bind(&listening, &self.address)?;
            listen(&listening, 1)?;
            Ok(listening)
        };
        let listening = listen().unwrap_or_else(|error: Errno| broken("Unix socket", &error));
        ReadEnd { listening, accepted: None, _messages: PhantomData }
    }
}

/// Headers of messages that go with one call, and what they point to.
struct Batch {
    headers: [libc::mmsghdr; AT_ONCE],
    places: [libc::iovec; AT_ONCE],
}

impl Batch {
    fn new<T>(messages: impl Iterator<Item = *mut T>) -> Batch {
        // SAFETY: these are integers and pointers, which may be null.
        let mut batch: Batch = unsafe { std::mem::zeroed() };
        for (place, message) in batch.places.iter_mut().zip(messages) {
            *place = libc::iovec { iov_base: message.cast(), iov_len: size_of::<T>() };
        }
        batch
    }

    /// The headers, for as long as this stays where it is.
    fn headers(&mut self) -> *mut libc::mmsghdr {
        for (header, place) in self.headers.iter_mut().zip(&mut self.places) {
            header.msg_hdr.msg_iov = place;
            header.msg_hdr.msg_iovlen = 1;
        }
        self.headers.as_mut_ptr()
    }
}

/// How many messages went with a call.
fn done(result: i32) -> usize {
    usize::try_from(result).unwrap_or_else(|_| match std::io::Error::last_os_error() {
        error if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
        error => broken("Unix socket", &error),
    })
}

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T> {
    to: Socket<T>,
    connected: Option<OwnedFd>,
}

impl<T> WriteEnd<T> {
    #[inline(always)]
    fn socket(&mut self) -> Option<&OwnedFd> {
        if self.connected.is_none() {
            self.connected = self.connect();
        }
        self.connected.as_ref()
    }

    #[cold]
    fn connect(&self) -> Option<OwnedFd> {
        let connect = || {
            let socket = socket(SocketFlags::empty())?;
            set_socket_send_buffer_size(&socket, BUFFER)?;
            connect(&socket, &self.to.address)?;
            Ok(socket)
        };
        match connect() {
            Ok(socket) => Some(socket),
            // Nobody listens yet.
            Err(Errno::CONNREFUSED | Errno::INTR) => None,
            Err(error) => broken("Unix socket", &error),
        }
    }
}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        let Some(socket) = self.socket() else {
            return Err(message);
        };
        match send(socket, message.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            Err(Errno::AGAIN | Errno::INTR) => Err(message),
            Err(error) => broken("Unix socket", &error),
        }
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        let Some(socket) = self.socket() else {
            return 0;
        };
        let mut pushed = 0;
        for chunk in messages.chunks(AT_ONCE) {
            // They are not written to.
            let mut batch = Batch::new(chunk.iter().map(|message| (&raw const *message).cast_mut()));
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: each header has the bytes of one message.
            let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), batch.headers(), chunk.len() as u32, flags) };
            let sent = done(sent);
            pushed += sent;
            if sent < chunk.len() {
                break;
            }
        }
        pushed
    }
}

impl<T: Payload> SleepingWriter<T> for WriteEnd<T> {
    #[inline(always)]
    fn push_sleeping(&mut self, message: T) {
        loop {
            let Some(socket) = self.socket() else {
                yield_now();
                continue;
            };
            match send(socket, message.as_bytes(), SendFlags::NOSIGNAL) {
                Ok(_) => return,
                Err(Errno::INTR) => {}
                Err(error) => broken("Unix socket", &error),
            }
        }
    }
}

/// The end that is read from.
#[derive(Debug)]
pub struct ReadEnd<T> {
    listening: OwnedFd,
    accepted: Option<OwnedFd>,
    _messages: PhantomData<fn() -> T>,
}

impl<T: Payload> ReadEnd<T> {
    #[inline(always)]
    fn socket(&mut self) -> Option<&OwnedFd> {
        if self.accepted.is_none() {
            self.accepted = self.accept();
        }
        self.accepted.as_ref()
    }

    #[inline(always)]
    fn receive(&mut self, flags: RecvFlags) -> Option<T> {
        let socket = self.socket()?;
        let received = receive(|room| match recv(socket, room, flags) {
            Ok((([], _), _)) => Err(Errno::PIPE),
            Ok(((got, _), _)) => Ok(got),
            Err(error) => Err(error),
        });
        match received {
            Ok(Received::Whole(message)) => Some(message),
            Ok(Received::Part(part)) => broken("Unix socket", &format!("a message of {} bytes", part.len())),
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(error) => broken("Unix socket", &error),
        }
    }

    #[cold]
    fn accept(&self) -> Option<OwnedFd> {
        match accept_with(&self.listening, SocketFlags::CLOEXEC) {
            Ok(socket) => Some(socket),
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(error) => broken("Unix socket", &error),
        }
    }
}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        self.receive(RecvFlags::DONTWAIT)
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        let Some(socket) = self.socket() else {
            return 0;
        };
        let mut popped = 0;
        for chunk in messages.chunks_mut(AT_ONCE) {
            let mut batch = Batch::new(chunk.iter_mut().map(|message| &raw mut *message));
            let (fd, flags, forever) = (socket.as_raw_fd(), libc::MSG_DONTWAIT, std::ptr::null_mut());
            // SAFETY: each header has room for one message, and only messages of that type are sent here.
            let received = unsafe { libc::recvmmsg(fd, batch.headers(), chunk.len() as u32, flags, forever) };
            let received = done(received);
            if batch.headers[..received].iter().any(|header| header.msg_len as usize != size_of::<T>()) {
                broken("Unix socket", &"the other side is gone, or sends messages of another size");
            }
            popped += received;
            if received < chunk.len() {
                break;
            }
        }
        popped
    }
}

impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_sleeping(&mut self) -> T {
        loop {
            match self.receive(RecvFlags::empty()) {
                Some(message) => return message,
                None if self.accepted.is_none() => yield_now(),
                None => {}
            }
        }
    }
}

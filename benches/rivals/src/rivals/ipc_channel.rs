//! `ipc-channel`: the channels of Servo, which look like those of the standard library and reach other processes; on Linux
//! over Unix sockets.
//!
//! When one side is killed, the kernel closes its end: a receiver is told that the channel is disconnected once it has all
//! messages, a sender gets an error.
//!
//! Used in its variant for bytes, which its documentation recommends where nothing has to be serialised: a message is
//! copied into the kernel and comes out as a `Vec`. Sending blocks when the socket is full, there is no other way; receiving
//! is `try_recv` or `recv`. Batches go one by one.
//!
//! Two processes meet as its documentation says: the reader is a one-shot server, whose name lies in a file, and the writer
//! connects to it and hands the receiving end over. If the near side is killed before that, that file stays, and a
//! directory with a socket in the directory for temporary files.

use super::bytes::message;
use super::names::{Name, at, path};
use super::{Channel, Contract, Description, SleepingReader, SleepingWriter, Sleeps, WhenFull, broken};
use crate::contract::{Payload, Reader, Writer};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel};
use std::fs;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::thread::yield_now;

/// What `ipc-channel` is.
pub static DESCRIPTION: Description = Description {
    name: "ipc-channel",
    version: Some("0.23.1"),
    in_process_only: false,
    multi_producer: false,
    multi_consumer: false,
    has_batches: false,
    tries: false,
    sleeps: Sleeps::Both,
    contract: Contract::Weaker { when_full: WhenFull::Blocks },
    on_death: Some("the kernel closes the end: an error, or the end of the messages"),
    link: "https://crates.io/crates/ipc-channel",
};

const KIND: &str = "ipc-channel";

/// Where the two meet.
#[derive(Debug)]
pub struct Server<T> {
    path: PathBuf,
    _name: Option<Name>,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T: Payload> Channel<T> for Server<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, _capacity: usize) -> Result<Self, String> {
        let name = Name::claim(KIND, name);
        Ok(Server { path: name.path().to_owned(), _name: Some(name), _messages: PhantomData })
    }

    fn open(name: &str) -> Result<Self, String> {
        Ok(Server { path: path(KIND, name), _name: None, _messages: PhantomData })
    }

    fn writer(&self) -> WriteEnd<T> {
        WriteEnd { path: self.path.clone(), sender: None, _messages: PhantomData }
    }

    fn reader(&self) -> ReadEnd<T> {
        let start = || {
            let (server, its_name) = IpcOneShotServer::new().map_err(at(&self.path))?;
            // The file is there as a whole or not at all.
            let draft = self.path.with_extension("draft");
            fs::write(&draft, its_name).map_err(at(&draft))?;
            fs::rename(&draft, &self.path).map_err(at(&self.path))?;
            Ok(server)
        };
        let server = start().unwrap_or_else(|error: String| broken("ipc-channel", &error));
        ReadEnd { path: self.path.clone(), server: Some(server), receiver: None, _messages: PhantomData }
    }
}

/// The end that is written to.
#[derive(Debug)]
pub struct WriteEnd<T> {
    path: PathBuf,
    sender: Option<IpcBytesSender>,
    _messages: PhantomData<fn(T)>,
}

impl<T> WriteEnd<T> {
    #[inline(always)]
    fn sender(&mut self) -> Option<&IpcBytesSender> {
        if self.sender.is_none() {
            self.sender = self.connect();
        }
        self.sender.as_ref()
    }

    #[cold]
    fn connect(&self) -> Option<IpcBytesSender> {
        let server = match fs::read_to_string(&self.path) {
            Ok(server) => server,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => broken("ipc-channel", &at(&self.path)(error)),
        };
        let connect = || {
            let (sender, receiver) = bytes_channel().map_err(|error| error.to_string())?;
            let to_server = IpcSender::connect(server).map_err(|error| error.to_string())?;
            to_server.send(receiver).map_err(|error| error.to_string())?;
            // The reader sees by this that it need not wait for us.
            fs::remove_file(&self.path).map_err(at(&self.path))?;
            Ok(sender)
        };
        Some(connect().unwrap_or_else(|error: String| broken("ipc-channel", &error)))
    }
}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        let Some(sender) = self.sender() else {
            return Err(message);
        };
        sender.send(message.as_bytes()).unwrap_or_else(|error| broken("ipc-channel", &error));
        Ok(())
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| self.push(message).is_ok()).count()
    }
}

impl<T: Payload> SleepingWriter<T> for WriteEnd<T> {
    #[inline(always)]
    fn push_sleeping(&mut self, message: T) {
        while self.push(message).is_err() {
            yield_now();
        }
    }
}

/// The end that is read from.
#[allow(missing_debug_implementations)]
pub struct ReadEnd<T> {
    path: PathBuf,
    server: Option<IpcOneShotServer<IpcBytesReceiver>>,
    receiver: Option<IpcBytesReceiver>,
    _messages: PhantomData<fn() -> T>,
}

impl<T> ReadEnd<T> {
    #[inline(always)]
    fn receiver(&mut self) -> Option<&IpcBytesReceiver> {
        if self.receiver.is_none() {
            self.accept();
        }
        self.receiver.as_ref()
    }

    #[cold]
    fn accept(&mut self) {
        if self.path.exists() {
            return;
        }
        if let Some(server) = self.server.take() {
            let (_, receiver) = server.accept().unwrap_or_else(|error| broken("ipc-channel", &error));
            self.receiver = Some(receiver);
        }
    }
}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        match self.receiver()?.try_recv() {
            Ok(bytes) => Some(message(&bytes)),
            Err(TryRecvError::Empty) => None,
            Err(error) => broken("ipc-channel", &error),
        }
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.pop().map(|message| *place = message)).count()
    }
}

impl<T: Payload> SleepingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_sleeping(&mut self) -> T {
        loop {
            let Some(receiver) = self.receiver() else {
                yield_now();
                continue;
            };
            let bytes = receiver.recv().unwrap_or_else(|error| broken("ipc-channel", &error));
            return message(&bytes);
        }
    }
}

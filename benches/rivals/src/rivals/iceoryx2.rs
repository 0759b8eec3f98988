//! `iceoryx2`: middleware for zero-copy messages between processes.
//!
//! A process that was killed is found by the others when they create or drop a node, or ask for it, and what it left is
//! removed then.
//!
//! Used as publish-subscribe, its fastest pattern, with one publisher and one subscriber at most, `ipc::Service`, which is
//! faster than its thread-safe sibling, loans that are written in place (`loan_uninit`), and its own default settings
//! otherwise. Overflow is off and what cannot be delivered is discarded, of which `send` tells: the message is given back
//! then, so nothing is lost. A large one is offered a hundred times before, as it would have to be written again. It has no batches: they go one by one. It waits by events beside the messages, which are
//! measured nowhere here.
//!
//! Each end has a node of its own. What they share lies in `/dev/shm` and in a directory of our own for temporary files,
//! of which the next node removes what a killed one left.

use super::bytes::fill_in_place;
use super::{Channel, Contract, Description, LendingReader, LendingWriter, Sleeps, broken};
use crate::contract::{Payload, Reader, Writer};
use iceoryx2::node::NodeCreationFailure;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::port::{BackpressureAction, BackpressureInfo};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

/// What `iceoryx2` is.
pub static DESCRIPTION: Description = Description {
    name: "iceoryx2",
    version: Some("0.10.0"),
    in_process_only: false,
    multi_producer: false,
    multi_consumer: false,
    has_batches: false,
    tries: true,
    sleeps: Sleeps::Neither,
    contract: Contract::EXACT,
    on_death: Some("found and cleaned up when another node is created or dropped"),
    link: "https://crates.io/crates/iceoryx2",
};

/// Where its files lie, and how the names of those in `/dev/shm` begin.
const ROOT: &str = "/tmp/ringway-rivals-iceoryx2";
const PREFIX: &str = "ringway-rivals-iceoryx2-";
/// How the name of the one ends that it leaves for ever, as it cannot know who is the last.
const LEFT: &str = ".global_mgmt";
/// Another process may just have removed the directories as they were empty.
const ATTEMPTS: u32 = 100;
/// Who makes a node, or looks whether there is none left.
static NODES: Mutex<()> = Mutex::new(());

/// Messages of so many bytes are not discarded at once, only to be written once more.
const LARGE: usize = 4096;
/// So often it looks for room for them, and yields in between.
const RETRIES: u64 = 100;

fn retry_for_a_while(about: &BackpressureInfo) -> BackpressureAction {
    if about.retries < RETRIES { BackpressureAction::Retry } else { BackpressureAction::DiscardData }
}

/// A message as iceoryx2 wants it.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct Parcel<T>(T);

// SAFETY: a payload is plain data without pointers, and both processes run the same program.
unsafe impl<T: Payload> ZeroCopySend for Parcel<T> {}

impl<T> fmt::Debug for Parcel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parcel")
    }
}

/// A node with a service, and our directory.
struct Attached<T: Payload> {
    service: PortFactory<ipc::Service, Parcel<T>, ()>,
    // After what it made.
    _node: Node<ipc::Service>,
    // After the node.
    _root: Root,
}

impl<T: Payload> Attached<T> {
    /// Makes the service if a capacity is given, and else expects it to be there.
    fn new(name: &str, capacity: Option<usize>) -> Result<Attached<T>, String> {
        set_log_level(LogLevel::Fatal);
        // Also if something fails: after the node.
        let root = Root;
        let node = node().map_err(|error| format!("iceoryx2: a node: {error:?}"))?;
        let service_name = format!("ringway-rivals/{name}")
            .as_str()
            .try_into()
            .map_err(|error| format!("iceoryx2: {name}: {error:?}"))?;
        let builder = node.service_builder(&service_name).publish_subscribe::<Parcel<T>>();
        let service = match capacity {
            Some(capacity) => builder
                .enable_safe_overflow(false)
                .history_size(0)
                .subscriber_max_buffer_size(capacity)
                .subscriber_max_borrowed_samples(1)
                .max_publishers(1)
                .max_subscribers(1)
                .create()
                .map_err(|error| format!("iceoryx2: the service {name}: {error:?}"))?,
            None => builder.open().map_err(|error| format!("iceoryx2: the service {name}: {error:?}"))?,
        };
        Ok(Attached { service, _node: node, _root: root })
    }
}

fn node() -> Result<Node<ipc::Service>, NodeCreationFailure> {
    let mut config = Config::default();
    config.global.set_root_path(&Path::new(ROOT.as_bytes()).expect("a path"));
    config.global.prefix = FileName::new(PREFIX.as_bytes()).expect("a name");
    let _alone = NODES.lock().unwrap_or_else(PoisonError::into_inner);
    let mut attempts = 0;
    loop {
        match NodeBuilder::new().config(&config).signal_handling_mode(SignalHandlingMode::Disabled).create() {
            Ok(node) => return Ok(node),
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(_) => attempts += 1,
        }
    }
}

/// What iceoryx2 itself does not remove: whoever drops this last does.
struct Root;

impl Drop for Root {
    fn drop(&mut self) {
        let _alone = NODES.lock().unwrap_or_else(PoisonError::into_inner);
        for part in ["/nodes", "/services", ""] {
            match fs::remove_dir(format!("{ROOT}{part}")) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Somebody uses it.
                Err(_) => return,
            }
        }
        let files = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
        for file in files {
            if file.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(LEFT)) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

/// A service, on this side.
#[allow(missing_debug_implementations)]
pub struct Service<T: Payload> {
    name: String,
    // It exists as long as somebody is attached.
    _attached: Attached<T>,
    _messages: PhantomData<fn(T) -> T>,
}

impl<T: Payload> Channel<T> for Service<T> {
    type Writer = WriteEnd<T>;
    type Reader = ReadEnd<T>;

    fn create(name: &str, capacity: usize) -> Result<Self, String> {
        Ok(Service { name: name.to_owned(), _attached: Attached::new(name, Some(capacity))?, _messages: PhantomData })
    }

    fn open(name: &str) -> Result<Self, String> {
        Ok(Service { name: name.to_owned(), _attached: Attached::new(name, None)?, _messages: PhantomData })
    }

    fn writer(&self) -> WriteEnd<T> {
        let attached = Attached::new(&self.name, None).unwrap_or_else(|error| broken("iceoryx2", &error));
        let builder = attached.service.publisher_builder();
        let builder = builder.max_loaned_samples(1).backpressure_strategy(BackpressureStrategy::DiscardData);
        let publisher = match size_of::<T>() {
            LARGE.. => builder.set_backpressure_handler(retry_for_a_while).create(),
            _ => builder.create(),
        };
        let publisher = publisher.unwrap_or_else(|error| broken("iceoryx2", &format!("{error:?}")));
        WriteEnd { publisher, _attached: attached }
    }

    fn reader(&self) -> ReadEnd<T> {
        let attached = Attached::new(&self.name, None).unwrap_or_else(|error| broken("iceoryx2", &error));
        let subscriber = attached.service.subscriber_builder().create();
        let subscriber = subscriber.unwrap_or_else(|error| broken("iceoryx2", &format!("{error:?}")));
        ReadEnd { subscriber, _attached: attached }
    }
}

/// The end that is written to.
#[allow(missing_debug_implementations)]
pub struct WriteEnd<T: Payload> {
    publisher: Publisher<ipc::Service, Parcel<T>, ()>,
    // After what was made with it.
    _attached: Attached<T>,
}

// SAFETY: what keeps it from being sent are counters that are not atomic, and all that share them are in this struct:
// nothing that was made with its node is lent to anybody.
unsafe impl<T: Payload> Send for WriteEnd<T> {}

impl<T: Payload> Writer<T> for WriteEnd<T> {
    #[inline(always)]
    fn push(&mut self, message: T) -> Result<(), T> {
        let sample = self.publisher.loan_uninit().unwrap_or_else(|error| broken("iceoryx2", &format!("{error:?}")));
        match sample.write_payload(Parcel(message)).send() {
            Ok(0) => Err(message),
            Ok(_) => Ok(()),
            Err(error) => broken("iceoryx2", &format!("{error:?}")),
        }
    }

    fn push_some(&mut self, messages: &[T]) -> usize {
        messages.iter().take_while(|&&message| self.push(message).is_ok()).count()
    }
}

impl<T: Payload> LendingWriter<T> for WriteEnd<T> {
    #[inline(always)]
    fn push_in_place(&mut self, fill: impl FnOnce(&mut [u8])) -> bool {
        let mut sample = self.publisher.loan_uninit().unwrap_or_else(|error| broken("iceoryx2", &format!("{error:?}")));
        let place: *mut MaybeUninit<Parcel<T>> = sample.payload_mut();
        // SAFETY: a parcel is nothing but its message.
        fill_in_place(unsafe { &mut *place.cast::<MaybeUninit<T>>() }, fill);
        // SAFETY: it has just been written.
        match unsafe { sample.assume_init() }.send() {
            Ok(count) => count > 0,
            Err(error) => broken("iceoryx2", &format!("{error:?}")),
        }
    }
}

/// The end that is read from.
#[allow(missing_debug_implementations)]
pub struct ReadEnd<T: Payload> {
    subscriber: Subscriber<ipc::Service, Parcel<T>, ()>,
    // After what was made with it.
    _attached: Attached<T>,
}

// SAFETY: as for the other end; a sample is dropped before `pop` returns.
unsafe impl<T: Payload> Send for ReadEnd<T> {}

impl<T: Payload> Reader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop(&mut self) -> Option<T> {
        match self.subscriber.receive() {
            Ok(sample) => sample.map(|sample| sample.payload().0),
            Err(error) => broken("iceoryx2", &format!("{error:?}")),
        }
    }

    fn pop_some(&mut self, messages: &mut [T]) -> usize {
        messages.iter_mut().map_while(|place| self.pop().map(|message| *place = message)).count()
    }
}

impl<T: Payload> LendingReader<T> for ReadEnd<T> {
    #[inline(always)]
    fn pop_in_place<V>(&mut self, see: impl FnOnce(&T) -> V) -> Option<V> {
        match self.subscriber.receive() {
            Ok(sample) => sample.map(|sample| see(&sample.payload().0)),
            Err(error) => broken("iceoryx2", &format!("{error:?}")),
        }
    }
}

//! A descriptor on its way from process to process, through a Unix socket.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What goes along with the descriptor: a stream carries none without a byte.
const BYTE: u8 = b'R';

/// Sends a duplicate of `descriptor`.
pub(crate) fn send(socket: impl AsFd, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    loop {
        match sendmsg(&socket, &[IoSlice::new(&[BYTE])], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            result => return Ok(result.map(drop)?),
        }
    }
}

/// Waits for one descriptor, alone with its byte. Whatever else comes is closed.
pub(crate) fn receive(socket: impl AsFd) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        let mut bytes = [IoSliceMut::new(&mut byte)];
        match recvmsg(&socket, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result?.bytes,
        }
    };
    let mut descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect::<Vec<OwnedFd>>(),
        _ => Vec::new(),
    });
    match (length, descriptors.next(), descriptors.next()) {
        (0, ..) => {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other end closed the socket and sent no ring"))
        }
        (_, Some(descriptor), None) if byte == [BYTE] => Ok(descriptor),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "what came was no ring; send one with `Ring::send_to`")),
    }
}

//! 4K video, from a camera to two analysers: `cargo run --release --example video [frames] [--encrypt]`
//!
//! As it is often shown, one buffer in shared memory holds the frame of the moment, and a flag says whether it has been
//! seen. With two readers the flag is not enough, and whoever is killed with the buffer in its hands stops the rest.
//!
//! Done right: a frame (3840 x 2160, NV12: 12.4 million bytes) is drawn where it lies in the ring (`reserve`) and looked at
//! where it lies (`peek`). It is handed back when the work is done: an analyser that is killed (`kill -9`) in the middle,
//! as one is here, loses nothing; the next one begins with that frame.
//!
//! *Two analysers, each of which sees every frame*: there is one ring for each. So each has a role, a position and a
//! recovery of its own, and one that is slow or dead fills its own ring and not the other's. What it costs is one copy of
//! the frame, two milliseconds or so of the 16.7 that a frame has. The alternative, one pool of frames and two rings of
//! numbers, saves that copy, and needs somebody to know when both are done with a frame, also after a death: that is what a
//! ring is for. (A camera that may drop frames would go on where this one waits for room.)
//!
//! With `--encrypt` the memory that others could map holds nothing that can be read or changed unnoticed: frames are sealed
//! with XChaCha20-Poly1305, with a random nonce each, and the number of the frame as part of what is sealed. They are drawn
//! and sealed in memory of the camera's own, and opened in the analyser's own: sealed in place in the ring, each frame
//! would lie there unsealed for some milliseconds, and for good after a death. The key goes through a pipe.

mod children;

use chacha20poly1305::{AeadInPlace, KeyInit, XChaCha20Poly1305};
use children::{Child, Result, number};
use ringway::spsc::{Consumer, Producer, Reserved, Ring};
use ringway::zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};
use ringway::{Lifetime, Options, TryPopError, select};
use rustix::rand::{GetRandomFlags, getrandom};
use std::io::Read;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const WIDTH: usize = 3840;
const HEIGHT: usize = 2160;
const LUMA: usize = WIDTH * HEIGHT;
/// NV12: a byte of brightness for each pixel, and two of colour for each four.
const BYTES: usize = LUMA * 3 / 2;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "ringway::zerocopy")]
#[repr(C)]
struct Frame {
    number: u64,
    nonce: [u8; 24],
    tag: [u8; 16],
    pixels: [u8; BYTES],
}

fn main() -> ExitCode {
    children::main("video", |arguments| match arguments {
        ["analyse", what, name] => analyse(what, name, None),
        ["analyse", what, name, "--encrypt"] => analyse(what, name, Some(receive_key()?)),
        _ => {
            let encrypt = arguments.contains(&"--encrypt");
            let numbers: Vec<&str> = arguments.iter().copied().filter(|word| !word.starts_with("--")).collect();
            capture(number(&numbers, 0, 120)?, encrypt)
        }
    })
}

fn boxed() -> Result<Box<Frame>> {
    Frame::new_box_zeroed().map_err(|_| "no memory for a frame".into())
}

/// An analyser, as the camera sees it.
struct Analyser {
    what: &'static str,
    name: String,
    key: Option<[u8; 32]>,
    producer: Producer<Frame>,
    child: Child,
}

impl Analyser {
    fn new(what: &'static str, key: Option<[u8; 32]>) -> Result<Analyser> {
        let name = format!("video-{}-{what}", std::process::id());
        let ring = Ring::<Frame>::create(&name, &Options::new().capacity(3).lifetime(Lifetime::LastDetach))?;
        let (producer, child) = (ring.producer()?, Analyser::start(what, &name, key)?);
        Ok(Analyser { what, name, key, producer, child })
    }

    fn start(what: &str, name: &str, key: Option<[u8; 32]>) -> Result<Child> {
        match key {
            Some(key) => Child::start_with(&["analyse", what, name, "--encrypt"], &key),
            None => Child::start(&["analyse", what, name]),
        }
    }

    fn kill_and_restart(&mut self) -> Result<()> {
        self.child.kill()?;
        println!("{}: analyser {} was killed; here is the next one", self.what, self.child.pid());
        self.child = Analyser::start(self.what, &self.name, self.key)?;
        Ok(())
    }

    /// The place of the next frame, in the ring.
    fn place(&mut self) -> Result<Reserved<'_, Frame>> {
        while self.producer.is_full() {
            let room = select(&mut [self.producer.case()], PATIENCE);
            if room.is_none() || !self.child.is_running()? {
                return Err(format!("{}: the analyser takes nothing", self.what).into());
            }
        }
        Ok(self.producer.reserve()?)
    }
}

/// The camera.
fn capture(frames: u64, encrypt: bool) -> Result<()> {
    let mut key = [0; 32];
    getrandom(&mut key, GetRandomFlags::empty())?;
    let key = encrypt.then_some(key);
    let (mut brightness, mut motion) = (Analyser::new("brightness", key)?, Analyser::new("motion", key)?);
    let mut sealing = key.map(|key| Ok::<_, Box<dyn std::error::Error>>((cipher(&key), boxed()?))).transpose()?;
    let start = Instant::now();
    for number in 0..frames {
        if number == frames / 2 {
            motion.kill_and_restart()?;
        }
        let mut first = brightness.place()?;
        match &mut sealing {
            Some((cipher, private)) => {
                draw(number, private);
                seal(cipher, private)?;
                first.as_mut_bytes().copy_from_slice(private.as_bytes());
            }
            None => draw(number, &mut first),
        }
        let mut second = motion.place()?;
        second.as_mut_bytes().copy_from_slice(first.as_bytes());
        first.commit();
        second.commit();
    }
    // The camera leaves, and so closes the rings; what is in them is still looked at.
    for analyser in [brightness, motion] {
        drop(analyser.producer);
        analyser.child.finish()?;
    }
    let (seconds, sealed) = (start.elapsed().as_secs_f64(), if encrypt { ", sealed" } else { "" });
    println!(
        "camera: {frames} frames of {BYTES} bytes to each{sealed}: {:.1} frames per second",
        frames as f64 / seconds
    );
    Ok(())
}

/// Bands of brightness, which move down by one line a frame.
fn draw(number: u64, frame: &mut Frame) {
    frame.number = number;
    let (luma, colour) = frame.pixels.split_at_mut(LUMA);
    luma.chunks_exact_mut(WIDTH).zip(0..).for_each(|(line, y)| line.fill(brightness_of(y, number)));
    colour.fill(128);
}

fn brightness_of(line: u64, number: u64) -> u8 {
    (line.wrapping_sub(number)) as u8
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

/// In place; the tag beside it.
fn seal(cipher: &XChaCha20Poly1305, frame: &mut Frame) -> Result<()> {
    getrandom(&mut frame.nonce, GetRandomFlags::empty())?;
    let number = frame.number.to_ne_bytes();
    let sealed = cipher.encrypt_in_place_detached(&frame.nonce.into(), &number, &mut frame.pixels);
    frame.tag = sealed.map_err(|_| "the frame could not be sealed")?.into();
    Ok(())
}

fn unseal(cipher: &XChaCha20Poly1305, frame: &mut Frame) -> Result<()> {
    let number = frame.number.to_ne_bytes();
    let opened = cipher.decrypt_in_place_detached(&frame.nonce.into(), &number, &mut frame.pixels, &frame.tag.into());
    opened.map_err(|_| format!("frame {} was changed by somebody who does not have the key", frame.number).into())
}

fn receive_key() -> Result<[u8; 32]> {
    let mut key = [0; 32];
    std::io::stdin().read_exact(&mut key)?;
    Ok(key)
}

/// Waits for a frame; says whether there is one, or the camera has left.
fn there_is_one(consumer: &mut Consumer<Frame>) -> Result<bool> {
    while consumer.is_empty() {
        if consumer.is_closed() {
            return Ok(false);
        }
        if select(&mut [consumer.case()], PATIENCE).is_none() {
            return Err("the camera has stopped".into());
        }
    }
    Ok(true)
}

fn analyse(what: &str, name: &str, key: Option<[u8; 32]>) -> Result<()> {
    let look = match what {
        "brightness" => brightness_is_right,
        _ => motion_is_right,
    };
    let mut consumer = Ring::<Frame>::open(name)?.consumer()?;
    let mut opening = key.map(|key| Ok::<_, Box<dyn std::error::Error>>((cipher(&key), boxed()?))).transpose()?;
    let first = consumer.position();
    let (mut wrong, mut before, mut start) = (0, Vec::new(), Instant::now());
    while there_is_one(&mut consumer)? {
        let expected = consumer.position();
        if expected == first {
            start = Instant::now();
        }
        let lent = match consumer.peek() {
            Ok(lent) => lent,
            Err(TryPopError::Empty) => continue,
            Err(error) => return Err(error.into()),
        };
        let frame: &Frame = match &mut opening {
            Some((cipher, private)) => {
                private.as_mut_bytes().copy_from_slice(lent.as_bytes());
                unseal(cipher, private)?;
                private
            }
            None => &lent,
        };
        let right = frame.number == expected && look(frame, &mut before);
        wrong += u64::from(!right);
        lent.release();
    }
    let (frames, seconds) = (consumer.position() - first, start.elapsed().as_secs_f64());
    let rate = frames as f64 / seconds;
    println!("{what}: frames {first} to {}, {wrong} wrong, {rate:.1} frames per second", consumer.position() - 1);
    if wrong > 0 { Err("frames were wrong".into()) } else { Ok(()) }
}

/// The sum of all pixels.
fn brightness_is_right(frame: &Frame, _: &mut Vec<u8>) -> bool {
    let sum = |line: &[u8]| line.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
    let found: u64 = frame.pixels[..LUMA].chunks_exact(WIDTH).map(sum).sum();
    let expected: u64 =
        (0..HEIGHT as u64).map(|line| u64::from(brightness_of(line, frame.number)) * WIDTH as u64).sum();
    found == expected
}

/// By how many lines the picture has moved since the frame before, if we have seen that: it is one.
fn motion_is_right(frame: &Frame, before: &mut Vec<u8>) -> bool {
    let column: Vec<u8> = frame.pixels[..LUMA].iter().skip(WIDTH / 2).step_by(WIDTH).copied().collect();
    let moved = before.is_empty() || column[1..] == before[..HEIGHT - 1];
    *before = column;
    moved
}

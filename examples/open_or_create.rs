//! Who creates it, and is it what we think it is: `cargo run --release --example open_or_create [processes]`
//!
//! As it is often shown, each program opens a segment with `O_CREAT`, sets its size with `ftruncate`, and maps it. Of two
//! that start at the same time, one maps what the other has not filled yet; and a segment that is left over from another
//! version, smaller than expected, ends the program with a `SIGBUS` at some later time.
//!
//! Done right: `open_or_create`. A ring is made whole and then gets its name, in one step, so that whoever finds the name
//! finds a ring. Its size, type and layout are checked before anything is mapped. What does not fit is an error, which says
//! what was found and what was expected.

mod children;

use children::{Child, Result, number};
use ringway::{Lifetime, OpenError, Options, mpmc, spsc};
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    children::main("open_or_create", |arguments| match arguments {
        ["race", name, answers] => race(name, answers),
        _ => {
            let name = format!("open_or_create-{}", std::process::id());
            let path = format!("/dev/shm/{name}");
            let result = together(&name, number(arguments, 0, 8)?).and_then(|()| refused(&name, &path));
            let _ = fs::remove_file(path); // whatever it is by now
            result
        }
    })
}

/// Many processes open or create the same ring at the same time.
fn together(name: &str, processes: u64) -> Result<()> {
    let answers = format!("{name}-answers");
    let ring = mpmc::Ring::<u64>::create(&answers, &Options::new().lifetime(Lifetime::LastDetach))?;
    let children: Vec<Child> =
        (0..processes).map(|_| Child::start(&["race", name, &answers])).collect::<Result<_>>()?;
    let mut inodes = Vec::new();
    // A producer of our own, as a ring that all producers have left is closed.
    let (_open, mut consumer) = (ring.producer(), ring.consumer());
    for _ in 0..processes {
        inodes.push(*consumer.pop_timeout(Duration::from_secs(20))?);
    }
    children.into_iter().try_for_each(Child::finish)?;
    inodes.sort_unstable();
    inodes.dedup();
    println!("{processes} processes opened or created it at the same time: {} ring", inodes.len());
    if inodes.len() == 1 { Ok(()) } else { Err("they did not find each other".into()) }
}

fn race(name: &str, answers: &str) -> Result<()> {
    let answers = mpmc::Ring::<u64>::open(answers)?;
    let ring = spsc::Ring::<u64>::open_or_create(name, &Options::new().capacity(64))?;
    // Two names with one inode are one file.
    answers.producer().push(ring.memory().inode.unwrap_or(0))?;
    Ok(())
}

/// What is not as expected is refused, and nothing is changed.
fn refused(name: &str, path: &str) -> Result<()> {
    let say = |what: &str, error: Option<OpenError>| match error {
        Some(error) => {
            println!("{what}: {error}");
            Ok(())
        }
        None => Err(Box::<dyn std::error::Error>::from(format!("{what}: it was not refused"))),
    };
    let open = || spsc::Ring::<u64>::open_or_create(name, &Options::new().capacity(64)).err();
    say("of another capacity", spsc::Ring::<u64>::open_or_create(name, &Options::new().capacity(65)).err())?;
    say("of another size", spsc::Ring::<[u64; 4]>::open(name).err())?;
    say("of another type", spsc::Ring::<f64>::open(name).err())?;
    say("of another kind", mpmc::Ring::<u64>::open(name).err())?;
    let whole = fs::metadata(path)?.len();
    fs::OpenOptions::new().write(true).open(path)?.set_len(whole / 2)?;
    say("cut in half", open())?;
    fs::write(path, vec![b'?'; whole as usize])?;
    say("something else of the same size", open())
}

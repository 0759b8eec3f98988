//! How many of us are here, and the last one out turns off the lights: `cargo run --release --example presence [processes]`
//!
//! As it is often shown, each process counts a number in shared memory up when it comes and down when it goes, and whoever
//! gets to zero removes the segment. A process that is killed does not count down: the number is wrong for ever, and the
//! segment is never removed.
//!
//! Done right: the kernel counts. An attached process holds a lock that is dropped with it, however it ends, and with
//! `Lifetime::LastDetach` the last one to leave removes the name. Here one is killed (`kill -9`), and the others leave.

mod children;

use children::{Child, Result, number};
use ringway::inspect::{PeerState, Segment};
use ringway::{Latest, Lifetime, Options};
use std::process::ExitCode;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    children::main("presence", |arguments| match arguments {
        ["attend", name] => attend(name),
        _ => count(number(arguments, 0, 4)?),
    })
}

fn count(processes: u64) -> Result<()> {
    let name = format!("presence-{}", std::process::id());
    // What the processes share: whether it is time to go.
    let time_to_go = Latest::<u8>::create(&name, &Options::new().lifetime(Lifetime::LastDetach))?;
    println!("{} here: the one that has created it", present(&name)?);
    let mut children: Vec<Child> = (0..processes).map(|_| Child::start(&["attend", &name])).collect::<Result<_>>()?;
    wait_for(&name, processes as usize + 1)?;
    println!("{} here: {processes} more have come", present(&name)?);

    if let Some(mut victim) = children.pop() {
        victim.kill()?;
        wait_for(&name, processes as usize)?;
        println!("{} here: process {} was killed", present(&name)?, victim.pid());
    }

    time_to_go.writer()?.write(&1);
    drop(time_to_go);
    children.into_iter().try_for_each(Child::finish)?;
    match Segment::open(&name) {
        Err(ringway::InspectError::NotFound { .. }) => println!("0 here: the last one has removed the name"),
        other => return Err(format!("the name was to be gone, and there is {other:?}").into()),
    }
    Ok(())
}

/// Who is attached and alive, by the kernel's word.
fn present(name: &str) -> Result<usize> {
    let contents = Segment::open(name)?.picture()?.contents.ok_or("its header is wrong")?;
    Ok(contents.processes.iter().filter(|process| process.state != PeerState::Dead).count())
}

fn wait_for(name: &str, processes: usize) -> Result<()> {
    let start = Instant::now();
    while present(name)? != processes {
        if start.elapsed() > Duration::from_secs(20) {
            return Err(format!("{} are here, expected {processes}", present(name)?).into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Is here until it is time to go.
fn attend(name: &str) -> Result<()> {
    let mut time_to_go = Latest::<u8>::open(name)?.reader();
    time_to_go.read_newer_timeout(Duration::from_secs(20))?;
    Ok(())
}

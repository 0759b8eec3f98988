//! The `ringway` command: see, feed, drain and heal rings in shared memory.
//!
//! One file a verb. Each parses nothing and prints nothing itself but through [`out`], and sees of the library what is
//! public.
#![cfg_attr(not(test), deny(unsafe_code))]

mod bench;
mod create;
mod doctor;
mod failure;
mod gc;
mod generate;
mod info;
mod ls;
mod observe;
mod out;
mod peek;
mod recv;
mod report;
mod rm;
mod send;
mod show;
mod top;
mod transfer;

use clap::{Parser, Subcommand};
use failure::Failure;
use out::Out;
use std::process::ExitCode;

/// What is said of exit codes, in each help.
const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 corrupt or of another version, 5 busy.

A NAME is the name of a ring. `sysv:0x1234` is the System V segment with that key. With a `/` in it, it is the path of a \
file: /proc/PID/fd/N is a ring that a process has open, whether or not it has a name.";

/// See, feed, drain and heal rings in shared memory.
#[derive(Debug, Parser)]
#[command(name = "ringway", version, after_help = EXIT_CODES, max_term_width = 100, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Ls(ls::Ls),
    Info(info::Info),
    Top(top::Top),
    Peek(peek::Peek),
    Create(create::Create),
    Rm(rm::Rm),
    Send(send::Send),
    Recv(recv::Recv),
    Gc(gc::Gc),
    Doctor(doctor::Doctor),
    Bench(bench::Bench),
    #[command(hide = true)]
    BenchPeer(bench::BenchPeer),
    Completions(generate::Completions),
    Man(generate::Man),
}

impl Verb {
    fn run(self, out: &mut Out) -> Result<(), Failure> {
        match self {
            Verb::Ls(verb) => verb.run(out),
            Verb::Info(verb) => verb.run(out),
            Verb::Top(verb) => verb.run(out),
            Verb::Peek(verb) => verb.run(out),
            Verb::Create(verb) => verb.run(out),
            Verb::Rm(verb) => verb.run(out),
            Verb::Send(verb) => verb.run(out),
            Verb::Recv(verb) => verb.run(out),
            Verb::Gc(verb) => verb.run(out),
            Verb::Doctor(verb) => verb.run(out),
            Verb::Bench(verb) => verb.run(out),
            Verb::BenchPeer(verb) => verb.run(),
            Verb::Completions(verb) => verb.run(out),
            Verb::Man(verb) => verb.run(out),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = Out::new();
    let done = arguments.verb.run(&mut out).and_then(|()| Ok(out.finish()?));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

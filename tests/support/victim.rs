//! Processes that are executed one instruction at a time, and killed.
//!
//! A *breeder* is a small process that does nothing but fork *victims*, so that all of them are alike to the byte. A
//! victim sets itself up, and stops at a marker; from there on it moves only as it is told to, until it is killed or
//! comes to the second marker, right behind its operation.

use super::board::board;
use core::arch::asm;
use core::ffi::c_void;
use core::mem::offset_of;
use std::fs::File;
use std::io::{Error, Read, Write};
use std::os::fd::FromRawFd;

/// What a victim runs between its two markers. Everything it does here is a kill point.
pub fn window(operation: impl FnOnce()) -> ! {
    marker();
    operation();
    board().returned.set(1);
    marker();
    // SAFETY: ends the process; nothing of it is needed.
    unsafe { libc::_exit(0) }
}

#[inline(always)]
fn marker() {
    // SAFETY: a breakpoint trap, for which the tracer waits. It changes nothing, and the compiler moves no access to
    // memory across it.
    unsafe { asm!("int3") };
}

/// How a move of a victim ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// At a marker.
    Marker,
    /// At the instruction that it was sent to.
    Instruction,
    /// On its way into a system call, or out of it.
    SystemCall,
}

/// A process that forks victims when it is asked to.
#[derive(Debug)]
pub struct Breeder {
    pid: i32,
    ask: File,
    answer: File,
}

impl Breeder {
    /// `victim` sets itself up and calls [`window`].
    pub fn new(victim: impl Fn()) -> Breeder {
        let ((mut asked, ask), (answer, mut answered)) = (pipe(), pipe());
        // SAFETY: this process has one thread, so its child may do whatever it could.
        let pid = unsafe { libc::fork() };
        if pid != 0 {
            assert!(pid > 0, "fork: {}", Error::last_os_error());
            return Breeder { pid, ask, answer };
        }
        die_with_parent();
        while asked.read_exact(&mut [0]).is_ok() {
            // The child is our sibling, so that the test, not we, is its parent and may trace it.
            // SAFETY: as for `fork`.
            let child = unsafe { libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0) };
            if child == 0 {
                die_with_parent();
                trace(libc::PTRACE_TRACEME, 0, 0, 0);
                victim();
                unreachable!("a victim ends in its window");
            }
            if answered.write_all(&(child as i32).to_ne_bytes()).is_err() {
                break;
            }
        }
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) }
    }

    /// A new victim, stopped at the first marker.
    pub fn victim(&mut self) -> Victim {
        board().wipe();
        self.ask.write_all(&[0]).expect("the breeder listens");
        let mut pid = [0; 4];
        self.answer.read_exact(&mut pid).expect("the breeder answers");
        let pid = i32::from_ne_bytes(pid);
        assert!(pid > 0, "the breeder could not fork");
        board().victim.set(pid as u64);
        let mut victim = Victim { pid, dead: false };
        assert_eq!(victim.wait(), Stop::Marker);
        let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
        trace(libc::PTRACE_SETOPTIONS, pid, 0, options as usize);
        victim
    }
}

impl Drop for Breeder {
    fn drop(&mut self) {
        end(self.pid);
    }
}

/// A process that is stopped. Dropping it kills it.
#[derive(Debug)]
pub struct Victim {
    pid: i32,
    dead: bool,
}

impl Victim {
    pub fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// The address of the next instruction.
    pub fn at(&self) -> u64 {
        trace(libc::PTRACE_PEEKUSER, self.pid, offset_of!(libc::user_regs_struct, rip), 0) as u64
    }

    /// Executes one instruction; of a repeated one, one repetition.
    pub fn step(&mut self) -> Stop {
        trace(libc::PTRACE_SINGLESTEP, self.pid, 0, 0);
        self.wait()
    }

    /// Goes on to the next marker.
    pub fn resume(&mut self) -> Stop {
        trace(libc::PTRACE_CONT, self.pid, 0, 0);
        self.wait()
    }

    /// Whether the next instruction is `syscall`.
    pub fn makes_system_call(&self) -> bool {
        let code = trace(libc::PTRACE_PEEKTEXT, self.pid, self.at() as usize, 0);
        code.to_le_bytes().starts_with(&[0x0f, 0x05])
    }

    /// Goes on until it has made one more system call, to the instruction behind it.
    pub fn run_through_system_call(&mut self) {
        for _ in 0..2 {
            assert_eq!(self.run(), Stop::SystemCall, "all victims make the same system calls");
        }
    }

    /// Goes on until it has made one more system call, or has come to the next marker.
    pub fn run_through_system_call_or_to_marker(&mut self) -> Stop {
        match self.run() {
            Stop::SystemCall => self.run(),
            stop => stop,
        }
    }

    /// Goes on to the next marker. Returns the numbers of the system calls that it makes on the way.
    pub fn system_calls(&mut self) -> Vec<i64> {
        let mut calls = Vec::new();
        while self.run() == Stop::SystemCall {
            calls.push(trace(libc::PTRACE_PEEKUSER, self.pid, offset_of!(libc::user_regs_struct, orig_rax), 0));
            assert_eq!(self.run(), Stop::SystemCall, "out of the system call");
        }
        calls
    }

    /// Goes on until something stops it.
    fn run(&mut self) -> Stop {
        trace(libc::PTRACE_SYSCALL, self.pid, 0, 0);
        self.wait()
    }

    /// Goes on to the instruction at `address`, to the `visit`-th time that it comes there, with where it stands as the
    /// first if that is it; but no further than to its next system call.
    pub fn run_to(&mut self, address: u64, visit: usize) -> Stop {
        // The processor's first breakpoint, on execution.
        let register = |number| offset_of!(libc::user, u_debugreg) + number * size_of::<u64>();
        trace(libc::PTRACE_POKEUSER, self.pid, register(0), address as usize);
        trace(libc::PTRACE_POKEUSER, self.pid, register(7), 1);
        let mut stop = self.run();
        for _ in 1..visit {
            if stop == Stop::Instruction {
                stop = self.run();
            }
        }
        trace(libc::PTRACE_POKEUSER, self.pid, register(7), 0);
        stop
    }

    /// Kills it where it stands, and returns when the kernel says that it is dead.
    pub fn kill(mut self) {
        end(self.pid);
        self.dead = true;
    }

    fn wait(&mut self) -> Stop {
        let mut status = 0;
        // SAFETY: `status` is ours.
        let pid = unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL) };
        assert_eq!(pid, self.pid, "waitpid: {}", Error::last_os_error());
        if !libc::WIFSTOPPED(status) {
            self.dead = true;
            panic!("a victim ended by itself, wait status {status:#x}");
        }
        let signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP | 0x80 {
            return Stop::SystemCall; // as PTRACE_O_TRACESYSGOOD marks it
        }
        assert_eq!(signal, libc::SIGTRAP, "a victim was stopped by signal {signal} at {:#x}", self.at());
        // SAFETY: plain numbers, for which zero is a valid value.
        let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
        trace(libc::PTRACE_GETSIGINFO, self.pid, 0, (&raw mut info).expose_provenance());
        // What the processor traps on has codes of its own; `int3` is a signal from the kernel (sigaction(2)).
        if info.si_code == libc::SI_KERNEL { Stop::Marker } else { Stop::Instruction }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if !self.dead {
            end(self.pid);
        }
    }
}

/// Kills one of our children and waits for its end.
fn end(pid: i32) {
    // SAFETY: a signal to a child of ours that nobody has waited for, so its pid is still its own.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    let mut status = 0;
    // SAFETY: `status` is ours.
    let ended = unsafe { libc::waitpid(pid, &mut status, libc::__WALL) };
    assert!(ended == pid && libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL, "{status:#x}");
}

/// Makes the victim, which calls this, have a child, which has inherited what there is to inherit and outlives it.
pub fn have_a_child() {
    // SAFETY: this process has one thread, so its child may do whatever it could.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // It is killed long before that, unless the test is.
        // SAFETY: no descriptors are asked about.
        unsafe { libc::poll(core::ptr::null_mut(), 0, 10_000) };
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    assert!(child > 0, "fork: {}", Error::last_os_error());
    board().orphan.set(child as u64);
}

/// Ends the child of the last victim, if it had one.
pub fn end_orphan() {
    let orphan = board().orphan.get() as i32;
    if orphan > 0 {
        // SAFETY: a signal to a process that nobody waits for before the tests end, so its pid is still its own.
        unsafe { libc::kill(orphan, libc::SIGKILL) };
        board().orphan.set(0);
    }
}

/// Has this process killed when its parent ends.
pub fn die_with_parent() {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

fn trace(request: libc::c_uint, pid: i32, address: usize, data: usize) -> i64 {
    let (mut word, mut data) = (0_i64, data as *mut c_void);
    if matches!(request, libc::PTRACE_PEEKUSER | libc::PTRACE_PEEKTEXT) {
        data = (&raw mut word).cast();
    }
    // The system call, not the C library's function: that one returns what a PEEK finds in a way of its own.
    // SAFETY: what the requests of this file write goes to `word`, or to the `siginfo_t` that the caller passes.
    let result = unsafe { libc::syscall(libc::SYS_ptrace, request, pid, address as *mut c_void, data) };
    assert_eq!(result, 0, "ptrace request {request}: {}", Error::last_os_error());
    word
}

/// The reading and the writing end.
fn pipe() -> (File, File) {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    let result = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(result, 0, "pipe: {}", Error::last_os_error());
    // SAFETY: a new descriptor that nobody else knows.
    let reading = unsafe { File::from_raw_fd(ends[0]) };
    // SAFETY: as above.
    let writing = unsafe { File::from_raw_fd(ends[1]) };
    (reading, writing)
}

/// Keeps this process and its children on one processor: a stop of a victim is then one switch, not two wake-ups.
pub fn stay_on_one_processor() {
    // SAFETY: plain numbers, for which zero is a valid value.
    let mut set: libc::cpu_set_t = unsafe { core::mem::zeroed() };
    // SAFETY: takes nothing.
    let here = unsafe { libc::sched_getcpu() };
    // SAFETY: the set is ours, and the processor is one that exists.
    unsafe { libc::CPU_SET(here as usize, &mut set) };
    // SAFETY: the set is ours.
    unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
}

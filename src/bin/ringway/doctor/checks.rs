//! What the doctor looks at, one function a subject.

use super::Finding;
use crate::show;
use ringway::{Lifetime, Options, mpmc, spsc};
use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustix::thread::futex;
use rustix::thread::{MembarrierQuery, membarrier_query};
use std::fs;
use std::path::Path;
use std::time::Instant;

const FOLDER: &str = "/dev/shm";

pub fn all() -> Vec<Finding> {
    vec![
        ring(),
        folder(),
        permissions(),
        kernel(),
        barriers(),
        waits(),
        cores(),
        governor(),
        huge_pages(),
        locked_memory(),
        file_size(),
        namespace(),
        remove_ipc(),
    ]
}

/// The text of a small file of the system, if it is there.
fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The proof of the pudding.
fn ring() -> Finding {
    let subject = "a ring";
    let start = Instant::now();
    let name = format!("ringway-doctor-{}", std::process::id());
    let options = Options::new().capacity(8).processes(2).lifetime(Lifetime::LastDetach);
    let both = || -> Result<bool, Box<dyn std::error::Error>> {
        let ring = spsc::Ring::<u64>::create(&name, &options)?;
        ring.producer()?.try_push(7)?;
        let one = ring.consumer()?.try_pop()? == 7;
        drop(ring);
        let ring = mpmc::Ring::<u64>::create(&name, &options)?;
        ring.producer().try_push(7)?;
        Ok(one && *ring.consumer().try_pop()? == 7)
    };
    match both() {
        Ok(true) => Finding::good(subject, format!("made, used and removed one of each kind in {:?}", start.elapsed())),
        Ok(false) => Finding::bad(subject, "a message came out wrong", "have the memory of this machine checked"),
        Err(error) => Finding::bad(subject, error.to_string(), "see the other findings"),
    }
}

fn folder() -> Finding {
    let subject = FOLDER;
    let Ok(space) = statvfs(FOLDER) else {
        return Finding::bad(subject, "not there", "mount -t tmpfs -o mode=1777 tmpfs /dev/shm");
    };
    let (size, free) = (space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize);
    let found = format!("{} of {} free", show::bytes(free), show::bytes(size));
    match size {
        0 => Finding::good(subject, "no limit on its size"),
        _ if free < size / 10 => {
            let advice = "remove what is not used (`ringway ls`, `ringway gc`), or mount -o remount,size=... /dev/shm";
            Finding::fair(subject, found, advice)
        }
        _ if size <= 64 << 20 => {
            Finding::fair(subject, found, "64M is what containers get by default: --shm-size, or a larger mount")
        }
        _ => Finding::good(subject, found),
    }
}

fn permissions() -> Finding {
    let subject = "permissions";
    match access(FOLDER, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => {
            use std::os::unix::fs::MetadataExt;
            let mode = fs::metadata(FOLDER).map_or(0, |metadata| metadata.mode() & 0o7777);
            let found = format!("{FOLDER} has mode {mode:04o}, and we may write to it");
            match mode & 0o1002 {
                0o0002 => {
                    let advice = "anybody may remove anybody's rings: chmod 1777 /dev/shm";
                    Finding::fair(subject, found, advice)
                }
                _ => Finding::good(subject, found),
            }
        }
        Err(error) => Finding::bad(subject, format!("no permission to use {FOLDER}: {error}"), "chmod 1777 /dev/shm"),
    }
}

fn kernel() -> Finding {
    let release = text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version {
        (0, _) => Finding::fair("kernel", "its version is not known", "3.17 is the least; mount /proc"),
        version if version < (3, 17) => Finding::bad("kernel", release, "3.17 is the least"),
        _ => Finding::good("kernel", release),
    }
}

fn barriers() -> Finding {
    let subject = "membarrier";
    let all = MembarrierQuery::GLOBAL_EXPEDITED | MembarrierQuery::REGISTER_GLOBAL_EXPEDITED;
    match membarrier_query().contains(all) {
        true => Finding::good(subject, "who sleeps pays for being woken, and nobody else"),
        false => Finding::fair(
            subject,
            "not there, or not allowed: every push and pop pays for a fence",
            "a kernel from 4.16 on; in a sandbox, allow membarrier(2)",
        ),
    }
}

fn waits() -> Finding {
    let subject = "futex_waitv";
    // Nothing to wait for is an error of a call that is there.
    match futex::waitv(&[], futex::WaitvFlags::empty(), None, futex::ClockId::Monotonic) {
        Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => Finding::fair(
            subject,
            "not there, or not allowed: `select` and tasks look every millisecond",
            "a kernel from 5.16 on; in a sandbox, allow futex_waitv(2)",
        ),
        _ => Finding::good(subject, "`select` and tasks sleep until they are woken"),
    }
}

fn cores() -> Finding {
    let subject = "cores";
    match std::thread::available_parallelism().map_or(1, |cores| cores.get()) {
        1 => Finding::fair(subject, "1 for this process", "a ring is for two at once: give it a second core"),
        cores => Finding::good(subject, format!("{cores} for this process")),
    }
}

fn governor() -> Finding {
    let subject = "CPU governor";
    let of = |core: usize| text(format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"));
    let mut governors: Vec<String> = (0..4096).map_while(of).collect();
    governors.sort();
    governors.dedup();
    match &governors[..] {
        [] => Finding::good(subject, "the clock is not ours to set here"),
        [one] if one == "performance" => Finding::good(subject, "performance"),
        _ => {
            Finding::fair(subject, governors.join(", "), "for steady latencies: cpupower frequency-set -g performance")
        }
    }
}

fn huge_pages() -> Finding {
    let subject = "huge pages";
    let pool = |size: &str| {
        let count = |what: &str| text(format!("/sys/kernel/mm/hugepages/hugepages-{size}kB/{what}"));
        Some(format!("{} of {} free", count("free_hugepages")?, count("nr_hugepages")?))
    };
    let transparent = text("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    let chosen =
        transparent.as_deref().and_then(|text| text.split(['[', ']']).nth(1)).unwrap_or("not there").to_owned();
    let sizes = [("2048", "2 MiB"), ("1048576", "1 GiB")];
    let pools: Vec<String> =
        sizes.iter().filter_map(|(size, name)| pool(size).map(|pool| format!("{name}: {pool}"))).collect();
    let found = format!("{}; transparent in shared memory: {chosen}", pools.join(", "));
    Finding::good(subject, found.trim_start_matches("; "))
}

fn locked_memory() -> Finding {
    let subject = "RLIMIT_MEMLOCK";
    match getrlimit(Resource::Memlock).current {
        None => Finding::good(subject, "no limit"),
        Some(most) => {
            Finding::good(subject, format!("{} may be locked: enough for rings that are not", show::bytes(most)))
        }
    }
}

fn file_size() -> Finding {
    let subject = "RLIMIT_FSIZE";
    match getrlimit(Resource::Fsize).current {
        None => Finding::good(subject, "no limit"),
        Some(most) => Finding::fair(subject, format!("rings of up to {}", show::bytes(most)), "ulimit -f unlimited"),
    }
}

fn namespace() -> Finding {
    let subject = "pid namespace";
    // The kernel's own number for the first one.
    const FIRST: &str = "pid:[4026531836]";
    let link = |path| fs::read_link(path).map_or_else(|_| "unknown".to_owned(), |link| link.display().to_string());
    match link("/proc/self/ns/pid") {
        first if first == FIRST => Finding::good(subject, "that of the machine"),
        other => Finding::good(
            subject,
            format!("{other}, one of its own: processes outside are known to be alive, not whether they are stopped"),
        ),
    }
}

/// systemd-logind removes the shared memory of users who log out, unless told otherwise.
fn remove_ipc() -> Finding {
    let subject = "RemoveIPC";
    if fs::metadata("/run/systemd/seats").is_err() {
        return Finding::good(subject, "no systemd-logind here to remove rings at log-out");
    }
    if is_system_user() {
        return Finding::good(subject, "does not concern this user: rings of system users stay");
    }
    let mut files = vec![Path::new("/etc/systemd/logind.conf").to_owned()];
    for folder in ["/usr/lib/systemd/logind.conf.d", "/run/systemd/logind.conf.d", "/etc/systemd/logind.conf.d"] {
        let mut more: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let settings = files.iter().filter_map(text).collect::<Vec<_>>().join("\n");
    let setting = settings.lines().filter_map(|line| line.trim().strip_prefix("RemoveIPC=")).next_back();
    match setting.map(str::trim) {
        Some("no" | "false" | "off" | "0") => Finding::good(subject, "no: rings outlive a log-out"),
        _ => Finding::fair(
            subject,
            "yes: the rings of a user are removed when that user has logged out everywhere",
            "RemoveIPC=no in /etc/systemd/logind.conf, or run as a system user, or `loginctl enable-linger`",
        ),
    }
}

/// As systemd sees it.
fn is_system_user() -> bool {
    rustix::process::geteuid().as_raw() < 1000
}

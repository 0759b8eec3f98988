//! The pages behind a mapping: locked, mapped ahead, placed on a node, and what the kernel says of them.
#![allow(unsafe_code)]

use super::file;
use super::mapping::Mapping;
use core::sync::atomic::{AtomicU8, Ordering};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mm::Advice;
use std::io::Read;

/// Keeps the pages in memory; maps them as well.
pub(crate) fn lock(mapping: &Mapping) -> Result<(), Errno> {
    // SAFETY: it changes nothing in the memory, which is ours.
    unsafe { rustix::mm::mlock(mapping.base().as_ptr().cast(), mapping.len()) }
}

/// Maps every page, so that none is missing when it is touched. All of them must be there, or there to be had.
pub(crate) fn populate(mapping: &Mapping) -> Result<(), Errno> {
    match try_populate(mapping) {
        // Before Linux 5.14.
        Err(Errno::INVAL) => {
            touch(mapping);
            Ok(())
        }
        result => result,
    }
}

/// Maps every page that can be had. Nothing bad happens to who asks for too much.
pub(crate) fn try_populate(mapping: &Mapping) -> Result<(), Errno> {
    // SAFETY: it changes nothing in the memory, which is ours.
    unsafe { rustix::mm::madvise(mapping.base().as_ptr().cast(), mapping.len(), Advice::LinuxPopulateWrite) }
}

fn touch(mapping: &Mapping) {
    for offset in (0..mapping.len()).step_by(rustix::param::page_size()) {
        // SAFETY: the offset lies within the mapping.
        let byte = unsafe { mapping.base().add(offset) };
        // SAFETY: it is mapped, readable and writable, and of a type that may be shared; others may be writing there.
        let byte = unsafe { byte.cast::<AtomicU8>().as_ref() };
        // Changes nothing, whatever others do meanwhile, and yet it is a write.
        byte.fetch_or(0, Ordering::Relaxed);
    }
}

/// Has pages that are not there yet come from a NUMA node, and from no other.
pub(crate) fn bind(mapping: &Mapping, node: u32) -> Result<(), Errno> {
    const MPOL_BIND: usize = 2;
    const NODES: usize = 1024;
    let mut nodes = [0_u64; NODES / 64];
    let Some(word) = nodes.get_mut(node as usize / 64) else { return Err(Errno::INVAL) };
    *word = 1 << (node % 64);
    let (base, length) = (mapping.base().as_ptr(), mapping.len());
    // SAFETY: the kernel reads as many bits as it is told, of our own memory. (It takes one for less than there are.)
    let result = unsafe { libc::syscall(libc::SYS_mbind, base, length, MPOL_BIND, nodes.as_ptr(), NODES + 1, 0_usize) };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// The nodes that the machine has, as it says.
pub(crate) fn nodes() -> String {
    let nodes = std::fs::read_to_string("/sys/devices/system/node/online");
    nodes.map_or_else(|_| "0".to_owned(), |nodes| nodes.trim().to_owned())
}

/// Says that huge pages are welcome. In vain, where there are none.
pub(crate) fn advise_huge(mapping: &Mapping) {
    // SAFETY: it changes nothing in the memory, which is ours.
    let _ = unsafe { rustix::mm::madvise(mapping.base().as_ptr().cast(), mapping.len(), Advice::LinuxHugepage) };
}

/// Has pages put together to huge ones, as far as they are all there (Linux 6.1).
pub(crate) fn collapse(mapping: &Mapping) -> Result<(), Errno> {
    const MADV_COLLAPSE: i32 = 25;
    // SAFETY: it changes nothing in the memory, which is ours.
    let result = unsafe { libc::madvise(mapping.base().as_ptr().cast(), mapping.len(), MADV_COLLAPSE) };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// The huge pages of one size that an administrator has set aside.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) total: u64,
    /// That nobody has, or has been promised.
    pub(crate) free: u64,
    /// The file that says how many there are.
    pub(crate) setting: String,
}

const POOLS: &str = "/sys/kernel/mm/hugepages";

/// `None` where there are no pages of that size.
pub(crate) fn pool(page_size: u64) -> Option<Pool> {
    let folder = format!("{POOLS}/hugepages-{}kB", page_size / 1024);
    let number = |file| read(&format!("{folder}/{file}")).trim().parse::<u64>().ok();
    let default = read("/proc/meminfo").lines().any(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words[..] == ["Hugepagesize:", &(page_size / 1024).to_string(), "kB"]
    });
    let setting = if default { "/proc/sys/vm/nr_hugepages".to_owned() } else { format!("{folder}/nr_hugepages") };
    let promised = number("resv_hugepages").unwrap_or(0);
    Some(Pool { total: number("nr_hugepages")?, free: number("free_hugepages")?.saturating_sub(promised), setting })
}

/// The sizes of huge pages that there are, for people.
pub(crate) fn offered() -> String {
    let folders = std::fs::read_dir(POOLS).into_iter().flatten().flatten();
    let size = |name: String| Some(name.strip_prefix("hugepages-")?.to_owned());
    let mut sizes: Vec<String> = folders.filter_map(|entry| size(entry.file_name().into_string().ok()?)).collect();
    sizes.sort();
    if sizes.is_empty() { "none".to_owned() } else { sizes.join(", ") }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// What the kernel says of a mapping in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Bytes of the pages of which it is made.
    pub(crate) page_size: u64,
    /// Bytes that are mapped at the moment.
    pub(crate) resident: u64,
    /// Of these, bytes that are mapped in huge pages.
    pub(crate) huge: u64,
    pub(crate) locked: bool,
    /// The node of all that is mapped; `None` where there are several, or the system does not know of any.
    pub(crate) node: Option<u32>,
}

/// Zeros, where `/proc` is not there. Looks at the books only, so that nothing is mapped by it.
pub(crate) fn figures(mapping: &Mapping) -> Figures {
    let start = mapping.base().as_ptr() as u64;
    let end = start + mapping.len() as u64;
    let node = only_node(&read("/proc/self/numa_maps"), start, end);
    Figures { node, ..summed(&read("/proc/self/smaps"), start, end) }
}

fn read(path: &str) -> String {
    let mut text = String::new();
    let file = file::open(path, OFlags::RDONLY).map(std::fs::File::from);
    let _ = file.map(|mut file| file.read_to_string(&mut text));
    text
}

/// The node of all ranges that begin between two addresses: `N0=12` says that twelve pages are on node 0 (numa(7)).
fn only_node(numa_maps: &str, start: u64, end: u64) -> Option<u32> {
    let is_ours = |line: &&str| {
        let address = line.split(' ').next().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        address.is_some_and(|address| (start..end).contains(&address))
    };
    let node_of = |word: &str| word.strip_prefix('N')?.split_once('=')?.0.parse::<u32>().ok();
    let nodes = numa_maps.lines().filter(is_ours).flat_map(|line| line.split(' ').filter_map(node_of));
    nodes.map(Some).reduce(|one, other| if one == other { one } else { None }).flatten()
}

/// The sum of what is said of all ranges between two addresses (proc_pid_smaps(5)).
fn summed(smaps: &str, start: u64, end: u64) -> Figures {
    let mut sum = Figures { locked: true, ..Figures::default() };
    let mut is_ours = false;
    for line in smaps.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((from, to)) = first.split_once('-') {
            let [from, to] = [from, to].map(|digits| u64::from_str_radix(digits, 16).unwrap_or(0));
            is_ours = from < end && to > start;
            continue;
        }
        if !is_ours {
            continue;
        }
        let bytes = || words.clone().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024;
        match first {
            "KernelPageSize:" => sum.page_size = sum.page_size.max(bytes()),
            "Rss:" => sum.resident += bytes(),
            // Not part of the above.
            "Shared_Hugetlb:" | "Private_Hugetlb:" => {
                sum.resident += bytes();
                sum.huge += bytes();
            }
            "ShmemPmdMapped:" | "FilePmdMapped:" | "AnonHugePages:" => sum.huge += bytes(),
            "VmFlags:" => sum.locked &= words.any(|flag| matches!(flag, "lo" | "ht")),
            _ => {}
        }
    }
    sum.locked &= sum.page_size > 0;
    sum
}

#[cfg(all(test, not(ringway_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_that_of_all_that_is_mapped() {
        let maps = "1000 default file=/x N1=5\n2000 default file=/dev/shm/N9=3 mapped=3 N0=3 kernelpagesize_kB=4\n\
                    3000 default N0=1\n4000 default N0=1 N1=1\n";
        assert_eq!(only_node(maps, 0x2000, 0x4000), Some(0));
        assert_eq!(only_node(maps, 0x2000, 0x5000), None);
        assert_eq!(only_node(maps, 0x8000, 0x9000), None);
    }

    #[test]
    fn what_is_said_of_each_part_of_a_mapping_is_summed_up() {
        let smaps = "1000-2000 rw-s 0 00:1 7 /dev/shm/other\nRss: 4 kB\nVmFlags: rd lo\n\
                     2000-4000 rw-s 0 00:1 8 /dev/shm/a-b c\nKernelPageSize: 4 kB\nRss: 8 kB\nVmFlags: rd wr lo\n\
                     4000-5000 rw-s 0 00:1 8 /dev/shm/a-b c\nKernelPageSize: 4 kB\nRss: 0 kB\nVmFlags: rd wr\n";
        let sum = summed(smaps, 0x2000, 0x5000);
        assert_eq!(sum, Figures { page_size: 4096, resident: 8192, huge: 0, locked: false, node: None });
        assert!(summed(smaps, 0x2000, 0x4000).locked);
        assert_eq!(summed(smaps, 0x9000, 0xa000), Figures::default());
        let huge = "200000-400000 rw-s 0 00:1 8 /memfd:x\nKernelPageSize: 2048 kB\nRss: 0 kB\n\
                    Shared_Hugetlb: 0 kB\nPrivate_Hugetlb: 2048 kB\nVmFlags: rd wr ht\n";
        let sum = summed(huge, 0x20_0000, 0x40_0000);
        assert_eq!(sum, Figures { page_size: 2 << 20, resident: 2 << 20, huge: 2 << 20, locked: true, node: None });
    }
}

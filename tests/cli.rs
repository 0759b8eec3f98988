//! The verbs of the `ringway` command: what they print, and their exit codes.

#[path = "support/command.rs"]
mod command;
mod support;
#[path = "support/system_v.rs"]
mod system_v;

use command::{assert_snapshot, done, fails, json, masked, ringway, run};
use ringway::{Options, Source, mpmc, spsc};
use rustix::mount::{MountFlags, MountPropagationFlags};
use std::fs;
use std::io::Read;
use std::process::Stdio;
use support::bytes::set_field;
use support::memory::{Memory, SystemV};
use support::{Child, Job, Name, be_the_other_process, listen, path_of, say, wait_until};

const VERBS: [&str; 13] =
    ["ls", "info", "top", "peek", "create", "rm", "send", "recv", "gc", "doctor", "bench", "completions", "man"];

fn attach(arguments: &[String]) {
    let key = arguments[0].strip_prefix("sysv:0x").and_then(|key| i32::from_str_radix(key, 16).ok());
    let source = key.map_or_else(|| Source::posix(&arguments[0]), Source::system_v);
    let ring = mpmc::Ring::<u64>::open(source).expect("made by the parent");
    let mut producer = ring.producer();
    let _claimed = producer.reserve().expect("room");
    say("ready");
    listen();
}

const JOBS: &[Job] = &[("attach", attach), ("collect", collect)];

#[test]
#[ignore = "run by the other tests, as another process"]
fn the_other_process() {
    be_the_other_process(JOBS);
}

/// The values of this run that a picture of `name` shows.
fn known(name: &Name) -> Vec<(String, String)> {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(name.path()).expect("a file").ino();
    let file = json(&["info", "--json", "--interval", "0", name.as_str()])["file"].take();
    let [owner, group] = ["owner_name", "group_name"].map(|key| file[key].as_str().expect("a name").to_owned());
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the system says so");
    [
        (name.as_str().to_owned(), "NAME"),
        (inode.to_string(), "INODE"),
        (boot.trim().to_owned(), "BOOT"),
        (std::process::id().to_string(), "PID"),
        (format!("{owner}:{group}"), "OWNER:GROUP"),
        (format!(" {owner} "), " OWNER "),
    ]
    .map(|(word, mask)| (word, mask.to_owned()))
    .to_vec()
}

fn masked_for(name: &Name, text: &str) -> String {
    let known = known(name);
    let words: Vec<(&str, &str)> = known.iter().map(|(word, mask)| (word.as_str(), mask.as_str())).collect();
    // The command lines are of this program, with the arguments of this run.
    let exe = std::env::args().next().expect("a name");
    let text: String = text.lines().map(|line| line.split(&exe).next().unwrap_or_default().to_owned() + "\n").collect();
    masked(&text, &words)
}

/// A ring that stands still, with something in it.
fn prepared() -> (Name, spsc::Ring<u64>, spsc::Producer<u64>) {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, &Options::new().capacity(100).processes(8)).expect("new");
    let mut producer = ring.producer().expect("free");
    producer.push_slice(&[0x0807_0605_0403_0201, 0x6f6c_6c65_6820_2020, 3]).expect("room");
    (name, ring, producer)
}

#[test]
fn help_is_as_it_was_agreed() {
    assert_snapshot("help.txt", &done(&["--help"]));
    let helps: Vec<String> = VERBS.iter().map(|verb| done(&[verb, "--help"])).collect();
    assert_snapshot("help_of_verbs.txt", &helps.join("\n----\n\n"));
    for verb in VERBS {
        assert!(done(&["--help"]).contains(verb));
    }
}

#[test]
fn ls_shows_each_ring_in_a_line() {
    let (name, _ring, _producer) = prepared();
    assert_snapshot("ls.txt", &masked_for(&name, &done(&["ls", name.as_str()])));
    let all = done(&["ls", "-o", "name,kind,fill"]);
    assert!(all.lines().any(|line| line.split_whitespace().eq([name.as_str(), "spsc", "3"])), "{all}");
    assert_eq!(done(&["ls", "-o", "kind,capacity,type", name.as_str()]), "KIND  CAPACITY  TYPE\nspsc       100  u64\n");
    assert!(fails(3, &["ls", "no-such-ring"]).contains("`no-such-ring` was not found"));
    assert!(fails(2, &["ls", "-o", "colour"]).contains("colour"));
    assert!(fails(2, &["ls", ".."]).is_empty() || fails(2, &["ls", ".."]).contains("cannot name a ring"));
}

#[test]
fn ls_shows_rings_that_are_not_in_order_too() {
    let (name, ..) = prepared();
    let mut bytes = fs::read(name.path()).expect("ours");
    let version = std::mem::replace(&mut bytes[12], 2);
    fs::write(name.path(), &bytes).expect("ours");
    assert!(done(&["ls", name.as_str()]).contains("other-version"));
    bytes[12] = version;
    set_field(&mut bytes, "capacity", 7);
    fs::write(name.path(), &bytes).expect("ours");
    assert!(done(&["ls", name.as_str(), "-o", "status"]).contains("corrupt"));
}

#[test]
fn ls_as_json_says_all_that_is_known_under_names_that_stay() {
    let (name, _ring, _producer) = prepared();
    let list = json(&["ls", "--json", name.as_str()]);
    let ring = &list["rings"][0];
    fn keys(value: &serde_json::Value) -> Vec<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    }
    let parts = ["file", "layout", "contents", "rates"].map(|part| (part, keys(&ring[part])));
    let (process, role) = (&ring["contents"]["processes"][0], &ring["contents"]["producer"]);
    let inner = [("process", keys(process)), ("role", keys(role))];
    let text = format!("{:?}\n{:?}\n{:#?}\n{:#?}\n", keys(&list), keys(ring), parts, inner);
    assert_snapshot("json_keys.txt", &text);
    assert_eq!((&ring["status"], &ring["alive"], &ring["file"]["mode"]), (&"ok".into(), &1.into(), &"0600".into()));
    assert_eq!((&ring["contents"]["fill"], &ring["layout"]["item_size"]), (&3.into(), &8.into()));
    assert_eq!(ring["contents"]["processes"][0]["pid"], std::process::id());
}

#[test]
fn info_says_all_that_is_known() {
    let (name, _ring, _producer) = prepared();
    assert_snapshot("info_spsc.txt", &masked_for(&name, &done(&["info", name.as_str()])));
    let path = name.path();
    assert!(done(&["info", path.to_str().expect("UTF-8")]).contains("3 of 100 (3%)"));
    assert!(fails(3, &["info", "no-such-ring"]).contains("`no-such-ring` was not found"));
    assert!(fails(4, &["info", "/dev/shm"]).contains("is a directory"));
    assert!(fails(2, &["info"]).contains("NAME"));
}

#[test]
fn info_names_who_holds_a_cell_and_who_is_stopped_or_dead() {
    let name = Name::new();
    let ring = mpmc::Ring::<u64>::create(&name, &Options::new().capacity(16)).expect("new");
    let mut child = Child::start("attach", &[name.as_str()]);
    child.expect("ready");
    let text = done(&["info", name.as_str()]).replace(&child.pid().to_string(), "OTHER");
    assert_snapshot("info_mpmc.txt", &masked_for(&name, &text));
    let held = json(&["info", "--json", name.as_str()])["contents"]["held"][0].take();
    let keys = ["adopted", "cell", "held_for", "in_the_way_for", "messages", "pid", "position", "pushing", "record"];
    assert!(held.as_object().is_some_and(|held| held.keys().eq(keys)), "{held}");
    assert!(
        held["held_for"].as_f64().is_some_and(|seconds| seconds >= 0.1),
        "as long as the two looks are apart: {held}"
    );
    child.signal(rustix::process::Signal::STOP);
    wait_until("it is stopped", || done(&["info", name.as_str()]).contains("stopped"));
    child.kill();
    wait_until("it is dead", || done(&["info", name.as_str()]).contains("dead"));
    assert!(done(&["ls", name.as_str()]).contains("1+1 dead"));
    ring.recover();
    assert!(done(&["info", name.as_str()]).contains("1 cleared up after, 1 messages skipped"));
}

#[test]
fn rings_with_a_key_are_seen_and_removed_as_those_with_a_name() {
    let key = SystemV::new();
    let name = key.source().to_string();
    let ring = spsc::Ring::<u64>::create(key.source(), &Options::new().capacity(100).processes(8)).expect("a new key");
    ring.producer().expect("free").push_slice(&[1, 2, 3]).expect("room");
    let pid = std::process::id().to_string();
    assert!(done(&["ls", "-o", "name,fill"]).lines().any(|line| line.split_whitespace().eq([name.as_str(), "3"])));
    let id = key.id().expect("there").to_string();
    let text = done(&["info", &name]);
    let facts = ["segment", "made", "times", "owner", "fill", "producer"];
    let facts: String = text
        .lines()
        .filter(|line| facts.iter().any(|fact| line.starts_with(fact)))
        .fold(String::new(), |all, line| all + line + "\n");
    let owner = facts.lines().find_map(|line| line.strip_prefix("owner")?.split_whitespace().next()).expect("a line");
    assert_snapshot("info_system_v.txt", &masked(&facts, &[(&id, "ID"), (&pid, "PID"), (owner, "OWNER:GROUP")]));
    let decimal = format!("sysv:{}", key.0);
    let seen = json(&["info", "--json", &decimal]);
    assert_eq!((&seen["name"], seen["path"].is_null()), (&name.as_str().into(), true));
    // Others who list what there is have it attached for a moment.
    assert!(text.lines().any(|line| line.starts_with("attached") && line.contains(" now, last change by process ")));
    assert!(seen["system_v"]["attached"].as_u64() >= Some(1));
    assert_eq!(seen["system_v"]["creator"], std::process::id());
    let keys = ["attached", "attached_at", "changed_at", "creator", "detached_at", "id", "last"];
    assert!(seen["system_v"].as_object().is_some_and(|object| object.keys().eq(keys)), "{seen}");
    assert_eq!(json(&["peek", "--json", &name])[2]["position"], 2);

    let said = fails(5, &["rm", &name]);
    assert!(said.contains(&format!("`{name}`")) && said.contains(&format!("in use by process {pid}")), "{said}");
    drop(ring);
    wait_until("it is removed", || run(&["rm", &name]).code == 0);
    for verb in ["info", "ls", "peek", "rm", "top"] {
        let code = if verb == "top" { 2 } else { 3 };
        assert!(verb == "top" || fails(code, &[verb, &name]).contains("was not found"));
    }
    assert!(fails(2, &["info", "sysv:ticks"]).contains("expected the key"));
    assert!(fails(2, &["rm", "sysv:0"]).contains("key 0"));
    // Named so all the same, a file is found by its path.
    let odd = Name::of(&format!("sysv:x{pid}"));
    let _odd = spsc::Ring::<u64>::create(&odd, &Options::new()).expect("new");
    done(&["rm", "-f", odd.path().to_str().expect("UTF-8")]);
    assert!(!odd.exists());
}

#[test]
fn rings_without_a_name_are_seen_through_who_has_them() {
    let ring = mpmc::Ring::<u64>::create(Source::memfd("ticks"), &Options::new()).expect("new");
    ring.producer().try_push(7).expect("room");
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&ring.as_fd().expect("a memfd has one"));
    let path = format!("/proc/{}/fd/{descriptor}", std::process::id());
    assert!(done(&["ls", &path]).contains(&format!("{path}  mpmc")));
    assert!(done(&["info", &path]).contains("without a name"));
    assert_eq!(json(&["peek", "--json", &path])[0]["bytes"], "0700000000000000");
    assert!(fails(2, &["rm", &path]).contains("has no name that could be removed"));
    assert!(fails(3, &["info", &format!("/proc/{}/fd/9999", std::process::id())]).contains("was not found"));
}

#[test]
fn info_of_a_corrupt_ring_says_what_is_wrong() {
    let (name, ..) = prepared();
    let mut bytes = fs::read(name.path()).expect("ours");
    set_field(&mut bytes, "cell stride", 65);
    fs::write(name.path(), &bytes).expect("ours");
    let run = run(&["info", name.as_str()]);
    assert_eq!(run.code, 4);
    assert!(run.out.contains("its cell stride is 65, expected 64"), "{}", run.out);
    assert!(fails(4, &["peek", name.as_str()]).contains("cell stride"));
}

#[test]
fn a_damaged_ring_is_said_to_be_damaged_by_every_verb() {
    let (name, ..) = prepared();
    let mut bytes = fs::read(name.path()).expect("ours");
    // `head`, right behind the header, where there is no message.
    bytes[512..516].fill(0xff);
    fs::write(name.path(), &bytes).expect("ours");
    assert!(done(&["ls", name.as_str()]).contains("damaged"));
    let run = run(&["info", name.as_str()]);
    assert!(run.code == 4 && run.out.contains("is corrupted: the line of a cell"), "{}", run.out);
    for verb in ["peek", "recv"] {
        assert!(fails(4, &[verb, name.as_str()]).contains("is corrupted: "));
    }
}

#[test]
fn peek_shows_messages_and_leaves_them_where_they_are() {
    let (name, ring, _producer) = prepared();
    let shown = done(&["peek", name.as_str(), "-n", "2"]);
    let expected = "message 0\n  01 02 03 04 05 06 07 08                           ........\n\
                    message 1\n  20 20 20 68 65 6c 6c 6f                              hello\n";
    assert_eq!(shown, expected);
    assert_eq!(
        done(&["peek", name.as_str(), "--bytes", "2", "-n", "1"]).lines().nth(1),
        Some(&*format!("  {:<49} {}", "01 02", ".."))
    );
    let raw = ringway(&["peek", "--raw", name.as_str()]).output().expect("runs").stdout;
    assert_eq!((raw.len(), &raw[16..17]), (24, &[3][..]));
    let messages = json(&["peek", name.as_str(), "--json"]);
    assert_eq!(messages[2]["bytes"], "0300000000000000");
    assert_eq!((messages[2]["position"].as_u64(), messages[2]["redelivered"].as_bool()), (Some(2), Some(false)));
    assert_eq!(ring.len(), 3);
    assert!(fails(3, &["peek", "no-such-ring"]).contains("was not found"));
}

#[test]
fn rm_refuses_while_processes_live() {
    let (name, ring, producer) = prepared();
    let said = fails(5, &["rm", name.as_str()]);
    assert!(said.contains(&format!("in use by process {}", std::process::id())) && said.contains("--force"), "{said}");
    assert!(name.exists());
    drop((ring, producer));
    // A child that another test is starting may have copies of our descriptors until it gets to its exec.
    wait_until("it is removed", || run(&["rm", name.as_str()]).code == 0);
    assert!(!name.exists());
    assert!(fails(3, &["rm", name.as_str()]).contains("was not found"));

    let (name, ring, _producer) = prepared();
    done(&["rm", "--force", name.as_str()]);
    assert!(!name.exists() && ring.len() == 3, "its processes go on");
    fs::write(name.path(), "something else").expect("ours");
    assert!(fails(4, &["rm", "-f", name.as_str()]).contains("is not a ring"));
    assert!(name.exists());
    assert!(fails(2, &["rm", "a/.."]).contains("cannot name a ring"));
    assert!(fails(1, &["rm", "/no/such/folder"]).contains("/no/such"));
}

/// As it is when a creator dies right after it has made its file.
fn left_by_a_creator() -> String {
    let name = format!(".ringway-{}-00c0ffee00c0ffef.lock", std::process::id());
    fs::write(path_of(&name), "").expect("ours");
    name
}

#[test]
fn gc_says_what_it_would_remove() {
    let leftover = left_by_a_creator();
    let name = Name::new();
    drop(mpmc::Ring::<u64>::create(&name, &Options::new()).expect("new"));
    assert!(done(&["ls"]).contains("`ringway gc` removes"));
    let plan = |what: &str| {
        let plan = done(&["gc", "--dry-run", "--dead"]);
        assert!(plan.lines().all(|line| line.starts_with("would be removed: ")), "{plan}");
        plan.contains(what)
    };
    assert!(plan(&leftover) && !plan(name.as_str()), "all have left the ring in an orderly way");
    let mut child = Child::start("attach", &[name.as_str()]);
    child.expect("ready");
    assert!(!plan(name.as_str()), "it is in use");
    child.kill();
    wait_until("it is dead", || plan(name.as_str()));
    assert!(!done(&["gc", "--dry-run"]).contains(name.as_str()), "rings only with --dead");
    assert!(name.exists() && path_of(&leftover).exists());
    ringway::remove::leftover(&leftover).expect("nobody is making it");
}

/// In a folder and with keys of its own, as others on this machine may have something to be collected too.
fn collect(_: &[String]) {
    let own = rustix::thread::UnshareFlags::NEWNS | rustix::thread::UnshareFlags::NEWIPC;
    // SAFETY: new namespaces; no descriptors or file system state are shared with another thread.
    unsafe { rustix::thread::unshare_unsafe(own) }.expect("we are root");
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("root");
    rustix::mount::mount("tmpfs", "/dev/shm", "tmpfs", MountFlags::empty(), c"").expect("root");
    assert_eq!(done(&["ls"]).lines().count(), 1, "nothing but the headings");
    assert_eq!(done(&["gc", "--dead"]), "");

    let (leftover, name) = (left_by_a_creator(), Name::new());
    let (used, _ring, _producer) = prepared();
    drop(mpmc::Ring::<u64>::create(&name, &Options::new()).expect("new"));
    let mut child = Child::start("attach", &[name.as_str()]);
    child.expect("ready");
    let made = json(&["ls", "--json"])["temporaries"][0].take();
    let keys = ["allocated", "creator", "leftover", "name", "unproven"];
    assert!(made.as_object().is_some_and(|made| made.keys().eq(keys)) && made["leftover"] == true, "{made}");
    let removals = json(&["gc", "--dead", "--json"]);
    let keys = ["allocated", "error", "messages", "name", "removed", "what"];
    assert!(removals[0].as_object().is_some_and(|removal| removal.keys().eq(keys)), "{removals}");
    assert_eq!((&removals[0]["name"], &removals[0]["removed"]), (&leftover.as_str().into(), &true.into()));
    assert!(removals[1].is_null() && name.exists() && !path_of(&leftover).exists());
    child.kill();
    wait_until("it is dead", || !done(&["gc", "--dead", "--dry-run"]).is_empty());
    assert_eq!(done(&["gc"]), "");
    let other_build = Name::of(&format!(".ringway-{}-00c0ffee00c0fff2", child.pid()));
    fs::write(other_build.path(), "").expect("ours");
    assert!(done(&["ls"]).contains("see `ringway gc --unproven`"));
    let removed = done(&["gc", "--dead"]);
    assert!(other_build.exists(), "nobody knows whether its creator is alive");
    assert!(done(&["gc", "--unproven"]).starts_with(&format!("removed: {}", other_build.as_str())));
    assert!(
        removed.starts_with(&format!("removed: {}  ", name.as_str())) && removed.contains("messages in it"),
        "{removed}"
    );
    assert!(!name.exists() && used.exists());

    let (left, dead) = (SystemV::new(), SystemV::new());
    let raw = system_v::Raw::create(&left, 20_000);
    system_v::begin(&raw, true, system_v::somebody_alive());
    assert_eq!(done(&["gc"]), "", "somebody is making it");
    system_v::begin(&raw, true, system_v::somebody_dead());
    assert!(done(&["gc"]).starts_with(&format!("removed: {}  ", left.source())));
    drop(mpmc::Ring::<u64>::create(dead.source(), &Options::new()).expect("a new key"));
    let mut child = Child::start("attach", &[&dead.source().to_string()]);
    child.expect("ready");
    assert_eq!(done(&["gc", "--dead"]), "", "it is in use");
    child.kill();
    let removed = json(&["gc", "--dead", "--json"]);
    assert_eq!(
        (&removed[0]["what"], removed[0]["name"].as_str()),
        (&"dead-ring".into(), Some(&*dead.source().to_string()))
    );
    assert!(left.id().is_none() && dead.id().is_none() && used.exists());
    say("done");
}

#[test]
fn gc_removes_what_nobody_holds() {
    match rustix::process::geteuid().is_root() {
        true => Child::start("collect", &[]).expect("done"),
        false => eprintln!("not checked: only root can mount file systems"),
    }
}

#[test]
fn the_doctor_says_what_is_to_be_done() {
    let findings = json(&["doctor", "--json"]);
    let subjects: Vec<&str> =
        findings.as_array().expect("a list").iter().filter_map(|f| f["subject"].as_str()).collect();
    for subject in ["a ring", "/dev/shm", "permissions", "membarrier", "futex_waitv", "huge pages", "RLIMIT_MEMLOCK"] {
        assert!(subjects.contains(&subject), "{subjects:?}");
    }
    for finding in findings.as_array().expect("a list") {
        assert_ne!(finding["verdict"], "bad", "rings work here, as other tests show: {finding}");
        assert_eq!(finding["advice"].is_null(), finding["verdict"] == "good", "{finding}");
    }
    assert_eq!(done(&["doctor"]).lines().filter(|line| !line.starts_with(' ')).count(), subjects.len());
}

#[test]
fn completions_and_the_manual_page_are_generated() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = done(&["completions", shell]);
        assert!(VERBS.iter().all(|verb| script.contains(verb)), "{shell}");
    }
    assert!(fails(2, &["completions", "tcsh"]).contains("tcsh"));
    let page = done(&["man"]);
    assert!(page.starts_with(".ie") && page.contains(".TH ringway 1") && page.contains("Exit codes"));
    assert!(VERBS.iter().all(|verb| page.contains(&format!(".SH \"{}\"", verb.to_uppercase()))), "{page}");
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_ringway"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    // Closed before anything is read, so that the first write fails.
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

#[test]
fn wrong_usage_is_told_from_other_failures() {
    fails(2, &[]);
    fails(2, &["no-such-verb"]);
    fails(2, &["peek", "x", "--count", "many"]);
    fails(2, &["ls", "--json", "-o", "name"]);
    assert!(done(&["--version"]).starts_with("ringway "));
}

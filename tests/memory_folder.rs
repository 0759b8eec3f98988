//! Rings in a folder of the user's own: which folders are trusted, and that nothing happens in the others.

mod support;

use ringway::{CreateError, FolderError, InvalidName, OpenError, Options, Source, UnlinkError, spsc};
use rustix::mount::{MountFlags, MountPropagationFlags};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use support::memory::{InFolder, Memory};
use support::{Child, Name, be_the_other_process, not_checked, say};

type Ring = spsc::Ring<u64>;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        not_checked("only root can mount file systems and give folders away");
    }
    root
}

/// Every operation refuses the folder for that reason, and leaves it as it is.
#[track_caller]
fn is_refused(source: &Source, path: &Path, is_right: impl Fn(&FolderError) -> bool) {
    let before = fs::read_dir(path).map(|entries| entries.count()).ok();
    let (created, opened, either, unlinked) = (
        Ring::create(source, &Options::new()).expect_err("refused"),
        Ring::open(source).expect_err("refused"),
        Ring::open_or_create(source, &Options::new()).expect_err("refused"),
        Ring::unlink(source).expect_err("refused"),
    );
    for text in [created.to_string(), opened.to_string(), either.to_string(), unlinked.to_string()] {
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
    let CreateError::Folder { error, .. } = created else { panic!("{created}") };
    assert!(is_right(&error), "{error}");
    let OpenError::Folder { error, .. } = opened else { panic!("{opened}") };
    assert!(is_right(&error), "{error}");
    let UnlinkError::Folder { error, .. } = unlinked else { panic!("{unlinked}") };
    assert!(is_right(&error), "{error}");
    assert_eq!(fs::read_dir(path).map(|entries| entries.count()).ok(), before);
}

#[test]
fn a_ring_in_a_folder_is_one_file_there_with_the_mode_that_was_asked_for() {
    let memory = InFolder::new();
    let ring = Ring::create(memory.source(), &Options::new().mode(0o640)).expect("a new name");
    assert_eq!(memory.files(), [memory.0.join("ring").display().to_string()]);
    assert_eq!(memory.0.join("ring").metadata().expect("it is there").mode() & 0o7777, 0o640);
    assert_eq!(ring.name(), memory.0.join("ring").display().to_string());
    let relative = pathdiff(&memory.0);
    Ring::open(Source::posix("ring").dir(relative)).expect("the same folder");
    assert!(!Path::new("/dev/shm/ring").exists());
}

/// The path from the current folder.
fn pathdiff(path: &Path) -> String {
    let here = std::env::current_dir().expect("there is one");
    "../".repeat(here.components().count() - 1) + path.strip_prefix("/").expect("absolute").to_str().expect("text")
}

#[test]
fn a_folder_in_which_others_may_write_is_refused_unless_it_is_sticky() {
    let memory = InFolder::new();
    Ring::create(memory.source(), &Options::new()).expect("a folder of our own");
    for mode in [0o720, 0o702, 0o777, 0o770] {
        chmod(&memory.0, mode);
        let is_right = |error: &FolderError| matches!(error, FolderError::Writable { found, .. } if *found == mode);
        is_refused(&memory.source(), &memory.0, is_right);
    }
    for mode in [0o1777, 0o1770, 0o755, 0o700] {
        chmod(&memory.0, mode);
        Ring::open(memory.source()).expect("nobody else may replace it");
    }
}

#[test]
fn a_folder_that_is_not_there_or_no_folder_is_refused() {
    let name = Name::new();
    let source = Source::posix("ring").dir(name.path());
    let error = Ring::create(&source, &Options::new()).expect_err("no folder");
    assert!(matches!(&error, CreateError::Folder { error: FolderError::Unusable { .. }, .. }), "{error}");
    assert!(error.to_string().contains(name.as_str()), "{error}");
    // What is in no folder may come with it.
    assert!(matches!(Ring::open(&source), Err(OpenError::NotFound { .. })));
    assert!(!name.exists());

    let is_right = |error: &FolderError| matches!(error, FolderError::Unusable { .. });
    fs::write(name.path(), "a letter").expect("made");
    is_refused(&source, &name.path(), is_right);
    fs::remove_file(name.path()).expect("made");
    let memory = InFolder::new();
    symlink(&memory.0, name.path()).expect("made");
    is_refused(&source, &name.path(), is_right);
    assert_eq!(memory.files(), Vec::<String>::new());
}

#[test]
fn a_folder_of_another_user_is_refused_unless_that_user_is_trusted() {
    if !is_root() {
        return;
    }
    let memory = InFolder::new();
    drop(Ring::create(memory.source(), &Options::new()).expect("a folder of our own"));
    std::os::unix::fs::chown(&memory.0, Some(12_345), None).expect("root");
    let is_right = |error: &FolderError| matches!(error, FolderError::Owner { found: 12_345, expected: 0, .. });
    is_refused(&memory.source(), &memory.0, is_right);
    std::os::unix::fs::chown(memory.0.join("ring"), Some(12_345), None).expect("root");
    let options = Options::new().owner(12_345);
    Ring::open_with(memory.source(), &options).expect("it is said that 12345 is trusted");
}

#[test]
fn a_name_may_be_used_in_each_folder_and_means_another_ring() {
    let (one, other) = (InFolder::new(), InFolder::new());
    let rings = [&one, &other].map(|memory| Ring::create(memory.source(), &Options::new()).expect("a new name"));
    rings[0].producer().expect("free").try_push(1).expect("room");
    assert_eq!((rings[0].len(), rings[1].len()), (1, 0));
    Ring::unlink(one.source()).expect("it is there");
    assert_eq!((one.files().len(), other.files().len()), (0, 1));
}

#[test]
fn only_a_name_is_in_a_folder() {
    let error = Ring::create(Source::memfd("x").dir("/tmp"), &Options::new()).expect_err("no name");
    let CreateError::Name(InvalidName::NoFolder { found }) = &error else { panic!("{error}") };
    assert_eq!(found, "memfd:x");
    let error = Ring::open(Source::posix("x").dir("")).expect_err("no path");
    assert!(matches!(error, OpenError::Name(InvalidName::Folder { .. })), "{error}");
    let error = Ring::open(Source::posix("a/b").dir("/tmp")).expect_err("no name");
    assert!(matches!(error, OpenError::Name(InvalidName::NotAComponent { .. })), "{error}");
}

#[test]
fn a_full_folder_is_an_error_that_names_it_and_leaves_nothing() {
    if is_root() {
        let memory = InFolder::new();
        let path = memory.0.to_str().expect("text");
        assert_eq!(Child::start("full", &[path]).finish(), ["done"]);
    }
}

fn full(arguments: &[String]) {
    let folder = arguments[0].as_str();
    // SAFETY: a new mount namespace; no descriptors or file system state are shared with another thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.expect("root");
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).expect("root");
    rustix::mount::mount("tmpfs", folder, "tmpfs", MountFlags::empty(), c"size=1m,mode=700").expect("root");
    let source = Source::posix("ring").dir(folder);
    let error = Ring::create(&source, &Options::new().capacity(1 << 20)).expect_err("8 MiB into 1 MiB");
    let CreateError::NoSpace { place, available, .. } = &error else { panic!("{error}") };
    assert_eq!((place.as_str(), *available), (folder, 1 << 20));
    assert_eq!(fs::read_dir(folder).expect("ours").count(), 0);
    Ring::create(&source, &Options::new().capacity(1000)).expect("it fits");
    say("done");
}

#[test]
#[ignore = "not a test: the other process of the tests in this file"]
fn the_other_process() {
    be_the_other_process(&[("full", full)]);
}

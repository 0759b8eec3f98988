//! The rules of the house that a compiler does not check: layers, the places of `unsafe` and of loom, the length of files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, from the bottom up. A module names lower rows only: never a sibling, never upward.
const ROWS: [&[&str]; 6] = [
    &["error", "sync", "message"],
    &["layout", "sys"],
    &["segment", "ring", "wait", "registry"],
    &["recover"],
    &["inspect"],
    &["queue"],
];

/// The files that may contain `unsafe`, beside the models. Each has a reason to: mapped memory, system calls, or what the
/// ring's protocol allows.
const UNSAFE: [&str; 14] = [
    "layout/parts.rs",
    "message.rs",
    "ring/erased.rs",
    "ring/memory.rs",
    "ring/mpmc/consumer.rs",
    "ring/mpmc/producer.rs",
    "ring/spsc/consumer.rs",
    "ring/spsc/producer.rs",
    "segment/mod.rs",
    "sys/fork.rs",
    "sys/lock.rs",
    "sys/mapping.rs",
    "sys/pages.rs",
    "sys/shm.rs",
];

/// More than this is two files.
const LONGEST: usize = 450;

struct Source {
    /// Below `src`, with forward slashes.
    name: String,
    text: String,
}

impl Source {
    /// The first component: the module that the file belongs to.
    fn module(&self) -> &str {
        self.name.split('/').next().unwrap().trim_end_matches(".rs")
    }

    /// The lines of code: no comments, no doc tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap())).filter(|(_, code)| !code.is_empty())
    }

    fn is_model(&self) -> bool {
        self.name.contains("models")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(files.len() > 20, "the source was not found below {root:?}");
    let name = |path: &Path| path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
    files.iter().map(|path| Source { name: name(path), text: fs::read_to_string(path).unwrap() }).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            // What `benches/rivals` builds is no source of ours.
            true if path.ends_with("target") => {}
            true => files.extend(rust_files(&path)),
            false => files.extend((path.extension() == Some("rs".as_ref())).then_some(path)),
        }
    }
    files
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// What a line of code names of this crate: `a` of `crate::a::b`. Of `crate::{` it names nothing that is in a layer.
fn named_modules(code: &str) -> Vec<&str> {
    let after_crate = code.split("crate::").skip(1);
    after_crate.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()).collect()
}

fn violations<'s>(check: impl Fn(&'s Source) -> Vec<String>, sources: &'s [Source]) -> Vec<String> {
    sources.iter().flat_map(check).collect()
}

#[test]
fn a_module_names_lower_layers_only() {
    let sources = sources();
    let found = violations(
        |source| {
            // A model may name all that it needs to check a promise of one module to another.
            // The programs are crates of their own, above all of it: they see what is public.
            if source.name == "lib.rs" || source.is_model() || source.module() == "bin" {
                return Vec::new();
            }
            let own = source.module();
            let own_row = row(own).unwrap_or_else(|| panic!("{} is in no layer: add it to ROWS", source.name));
            let mut bad = Vec::new();
            for (line, code) in source.code() {
                for named in named_modules(code).into_iter().filter(|&named| named != own) {
                    match row(named) {
                        Some(named_row) if named_row < own_row => {}
                        Some(_) => bad.push(format!("src/{}:{line}: `{own}` may not name `{named}`", source.name)),
                        None => bad.push(format!(
                            "src/{}:{line}: `{named}` is in no layer; name one module a line",
                            source.name
                        )),
                    }
                }
            }
            bad
        },
        &sources,
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn unsafe_stands_only_where_it_has_a_reason_to() {
    let sources = sources();
    let is_unsafe = |source: &Source| {
        let words = |code: &str| code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
        source.code().any(|(_, code)| words(code))
    };
    let found: BTreeSet<&str> = sources.iter().filter(|s| is_unsafe(s)).map(|s| s.name.as_str()).collect();
    let allowed = BTreeSet::from(UNSAFE);
    let more: Vec<_> = found.difference(&allowed).filter(|name| !name.contains("models")).collect();
    assert!(more.is_empty(), "`unsafe` in {more:?}: move it to where it belongs, or give the file a reason in UNSAFE");
    let gone: Vec<_> = allowed.difference(&found).collect();
    assert!(gone.is_empty(), "{gone:?} are without `unsafe` by now: strike them from UNSAFE");
}

#[test]
fn only_sync_and_the_models_know_of_loom() {
    let sources = sources();
    let found = violations(
        |source| {
            if source.name == "sync.rs" || source.name.starts_with("sync/") || source.is_model() {
                return Vec::new();
            }
            // A `mod models;` and a unit test that loom cannot run say so with the cfg; nothing else may.
            let allowed = ["#[cfg(all(test, ringway_loom))]", "#[cfg(all(test, not(ringway_loom)))]"];
            let knows = |code: &str| code.contains("loom") && !allowed.contains(&code.trim());
            let lines = source.code().filter(|(_, code)| knows(code));
            lines.map(|(line, code)| format!("src/{}:{line}: {}", source.name, code.trim())).collect()
        },
        &sources,
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn atomics_of_algorithms_come_from_sync() {
    // `ring` and the roles run under loom. What they share must be loom's there.
    let sources = sources();
    let of_algorithms = |source: &&Source| {
        (["ring/spsc/", "ring/mpmc/", "ring/latest/", "wait/"].iter().any(|ring| source.name.starts_with(ring))
            || source.name == "registry/role.rs")
            && !source.is_model()
    };
    let algorithms: Vec<&Source> = sources.iter().filter(of_algorithms).collect();
    assert!(algorithms.len() >= 4, "the algorithms were not found");
    for source in algorithms {
        for (line, code) in source.code() {
            assert!(
                !code.contains("core::sync") && !code.contains("std::sync::atomic"),
                "src/{}:{line}: take it from `crate::sync`",
                source.name
            );
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "tests", "benches", "examples"].map(|folder| root.join(folder));
    let files = folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| rust_files(folder));
    let length = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<String> = files
        .filter(|path| length(path) > LONGEST)
        .map(|path| format!("{} has {} lines", path.display(), length(&path)))
        .collect();
    assert!(long.is_empty(), "split these, at most {LONGEST} lines a file:\n{}", long.join("\n"));
}

#[test]
fn the_top_level_is_as_it_was_agreed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known = ["src", "benches", "tests", "examples", "target"];
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_known = name.starts_with('.') || known.contains(&name.as_str());
        assert!(is_known || !entry.path().is_dir(), "a folder `{name}` at the top: put it into one of {known:?}");
    }
}

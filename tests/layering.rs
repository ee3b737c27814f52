//! Holds the house to its floors: a file may name only modules that stand on a lower floor, the pure
//! folders touch nothing of the world, guests (dependencies) stay in the folder that may import them,
//! no file is a god file, and no two files of a folder need each other.
#![cfg(test)]
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Ground floor first. Modules that share a row may not name each other.
const FLOORS: &[&[&str]] = &[
    &["matching", "causes"],
    &["wire", "sql", "freeze", "config", "trust"],
    &["session", "fleet", "check", "tls", "auth"],
    &["observe"],
    &["net"],
    &["monitor"],
    &["control"],
    &["console"],
    &["connection", "cli"],
    &["listener"],
    &["app"],
    &["main", "lib"],
];
/// These decide; they never touch the world.
const PURE: &[&str] =
    &["matching", "causes", "wire", "sql", "freeze", "config", "session", "check", "trust", "auth"];
const WORLD: &[&str] = &[
    "tokio",
    "std::net",
    "std::fs",
    "std::env",
    "std::process",
    "Instant::now",
    "SystemTime",
    "async fn",
    "tracing::",
    "println!",
    "eprintln!",
];
/// Which folders may import which guest. A guest that is not named here may be used nowhere.
const GUESTS: &[(&str, &[&str])] = &[
    ("async_trait", &["console"]),
    ("axum", &["control"]),
    ("base64", &["auth"]),
    ("bytes", &["net", "console"]),
    ("clap", &["control", "console", "cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("futures", &["console"]),
    ("http_body_util", &["cli"]),
    ("hmac", &["auth"]),
    ("hyper", &["cli"]),
    ("hyper_util", &["cli"]),
    (
        "jiff",
        &[
            "matching", "freeze", "config", "session", "check", "fleet", "observe", "control", "console",
            "cli", "app",
        ],
    ),
    // The name that md_5 goes by in code.
    ("md5", &["auth"]),
    ("md_5", &["auth"]),
    ("mimalloc", &["main"]),
    ("pbkdf2", &["auth"]),
    ("pgwire", &["console"]),
    ("prometheus", &["observe"]),
    ("rustix", &["fleet", "net", "control", "cli", "listener", "app"]),
    ("rustls", &["tls", "net"]),
    ("rustls_native_certs", &["tls"]),
    ("rustls_pki_types", &["trust"]),
    ("rustls_webpki", &["trust"]),
    ("serde", &["matching", "config", "freeze", "check", "fleet", "observe", "control", "console", "cli"]),
    ("serde_json", &["fleet", "observe", "monitor", "control", "console", "connection", "cli", "app"]),
    ("sha2", &["trust", "auth"]),
    ("sqlparser", &["sql"]),
    ("stringprep", &["auth"]),
    ("subtle", &["auth"]),
    (
        "thiserror",
        &[
            "matching",
            "wire",
            "sql",
            "freeze",
            "config",
            "session",
            "fleet",
            "trust",
            "tls",
            "auth",
            "observe",
            "net",
            "monitor",
            "control",
            "console",
            "connection",
            "cli",
            "listener",
            "app",
        ],
    ),
    (
        "tokio",
        &[
            "fleet",
            "observe",
            "net",
            "monitor",
            "control",
            "console",
            "connection",
            "cli",
            "listener",
            "app",
            "main",
        ],
    ),
    ("tokio_postgres", &["monitor", "cli"]),
    ("tokio_rustls", &["net"]),
    ("tokio_util", &["console"]),
    ("toml", &["config"]),
    (
        "tracing",
        &["fleet", "tls", "observe", "net", "monitor", "control", "console", "connection", "listener", "app"],
    ),
    ("tracing_subscriber", &["app"]),
    // The name that rustls_webpki goes by in code.
    ("webpki", &["trust"]),
    ("x509_cert", &["trust"]),
];
/// Lines of a file, its inline tests left out. Above this a file is more than one thing.
const FILE_LINES: usize = 400;

struct Source {
    /// Path below `src`, without the ending: `wire/frame`, `freeze`, `sql/mod`.
    name: String,
    /// The floor's word: the first part of the path.
    home: String,
    /// The text before the inline tests, comments left out.
    body: String,
    lines: usize,
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(std::env::var("LAYER_SRC").unwrap_or("src".into()))
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let (src, mut paths) = (src(), Vec::new());
    collect(&src, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let inside = path.strip_prefix(&src).unwrap().with_extension("");
        let name = inside.to_str().unwrap().to_owned();
        let home = inside.iter().next().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let before_tests = text.split("#[cfg(test)]").next().unwrap();
        let body = before_tests.lines().map(|l| l.split("//").next().unwrap()).collect::<Vec<_>>().join("\n");
        Source { name, home, body, lines: before_tests.lines().count() }
    };
    // Files that hold nothing but tests are judged by nobody.
    paths.into_iter().filter(|p| !p.ends_with("tests.rs")).map(read).collect()
}

fn floor(module: &str) -> usize {
    FLOORS
        .iter()
        .position(|row| row.contains(&module))
        .unwrap_or_else(|| panic!("module `{module}` stands on no floor: give it one in FLOORS"))
}

/// The modules that a text names behind each `prefix`, be it one or a list in braces.
fn named_after(text: &str, prefix: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, hit) in text.match_indices(prefix) {
        let rest = &text[at + hit.len()..];
        match rest.strip_prefix('{') {
            Some(list) => named.extend(first_words(list)),
            None => named.push(word(rest)),
        }
    }
    named
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first word of each entry of a list, up to the brace that closes it.
fn first_words(list: &str) -> Vec<String> {
    let (mut words, mut depth, mut begins) = (vec![word(list)], 0, false);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                words.push(word(&list[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    words
}

#[test]
fn no_file_names_a_module_on_its_own_floor_or_above() {
    let mut faults = Vec::new();
    for Source { name, home, body, .. } in sources() {
        if home == "lib" || home == "main" {
            continue;
        }
        for named in named_after(&body, "crate::") {
            if named.is_empty() {
                faults.push(format!("{name}: names no module behind `crate::`"));
            } else if named != home && floor(&named) >= floor(&home) {
                faults.push(format!(
                    "{name} (floor {}) names {named} (floor {})",
                    floor(&home),
                    floor(&named)
                ));
            }
        }
        if body.contains("super::super::") {
            faults.push(format!("{name}: `super::super` hides an arrow; say `crate::…`"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_pure_file_never_touches_the_world() {
    let mut faults = Vec::new();
    for Source { name, home, body, .. } in sources() {
        if PURE.contains(&home.as_str()) {
            faults.extend(
                WORLD
                    .iter()
                    .filter(|w| body.contains(*w))
                    .map(|w| format!("{name}: a pure file names `{w}`")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_guest_is_imported_only_where_it_is_invited() {
    let mut faults = Vec::new();
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let declared: Vec<String> = section
        .lines()
        .filter_map(|l| l.split_once('=').map(|(n, _)| n.trim().replace('-', "_")))
        .filter(|n| !n.starts_with('#') && !n.is_empty())
        .collect();
    for guest in &declared {
        if !GUESTS.iter().any(|(g, _)| g == guest) {
            faults.push(format!("{guest} is in Cargo.toml and in no folder's guest list"));
        }
    }
    for Source { name, home, body, .. } in sources() {
        for (guest, hosts) in GUESTS {
            let used = body
                .match_indices(&format!("{guest}::"))
                .any(|(at, _)| !body[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
            if used && !hosts.contains(&home.as_str()) {
                faults.push(format!("{name} imports {guest}, which only {hosts:?} may"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_file_has_grown_into_a_god_file() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|s| s.lines > FILE_LINES)
        .map(|s| format!("{} has {} lines, the limit is {FILE_LINES}", s.name, s.lines))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_two_files_of_a_folder_need_each_other() {
    let sources = sources();
    let mut needs: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for s in &sources {
        let (folder, stem) = s.name.rsplit_once('/').unwrap_or(("", &s.name));
        if stem == "mod" || folder.is_empty() {
            continue; // a folder's front names its files, which must not name it back
        }
        let path = format!("crate::{}::", folder.replace('/', "::"));
        let siblings = [named_after(&s.body, "super::"), named_after(&s.body, &path)].concat();
        needs.insert(
            &s.name,
            siblings.into_iter().filter(|n| n != stem).map(|n| format!("{folder}/{n}")).collect(),
        );
    }
    let mut faults = Vec::new();
    for start in needs.keys() {
        let (mut seen, mut stack) = (BTreeSet::new(), vec![(*start).to_owned()]);
        while let Some(at) = stack.pop() {
            for next in needs.get(at.as_str()).into_iter().flatten() {
                if next == start {
                    faults.push(format!("{start} needs {at}, which leads back to it"));
                }
                if seen.insert(next.clone()) {
                    stack.push(next.clone());
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

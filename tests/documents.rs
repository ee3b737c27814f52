//! Holds the documents to the code: every key and flag is explained and no other, the example file says the
//! defaults, and every command that a document shows is one that can be typed.
#![cfg(test)]

use clap::{CommandFactory as _, Parser as _};
use frostgate::{
    cli::Cli,
    config::{Address, Config, RawConfig},
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The keys that the code knows there, in its own words: a key that does not exist is answered with a list.
fn keys_beside(table: &str) -> Vec<String> {
    let text =
        if table.is_empty() { "no_such_key = 1".into() } else { format!("[{table}]\nno_such_key = 1") };
    let error = RawConfig::parse(&text).unwrap_err().to_string();
    let (_, list) = error.split_once("expected one of ").or_else(|| error.split_once("expected ")).unwrap();
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every key by its full name; a table is one whose value can't be a number.
fn keys() -> BTreeSet<String> {
    let is_table = |key: &str| RawConfig::parse(&format!("[{key}]")).is_ok();
    let mut found = BTreeSet::new();
    for key in keys_beside("") {
        if is_table(&key) {
            found.extend(keys_beside(&key).into_iter().map(|inner| format!("{key}.{inner}")));
        } else {
            found.insert(key);
        }
    }
    assert!(found.len() > 15 && found.contains("limits.max_connections"), "{found:?}");
    found
}

/// The rows of the table of keys: its cells, without backquotes.
fn rows(document: &str) -> Vec<Vec<String>> {
    let table = document.split("| key | flag |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('|').skip(1).map(|cell| cell.trim().replace('`', "")).collect()).collect()
}

#[test]
fn every_key_is_explained_in_the_configuration_page_and_no_other_is() {
    let explained: BTreeSet<String> =
        rows(&read("docs/CONFIGURATION.md")).iter().map(|cells| cells[0].clone()).collect();
    assert_eq!(explained, keys());
}

#[test]
fn every_flag_of_serve_is_explained_with_its_variable() {
    let document = read("docs/CONFIGURATION.md");
    let rows = rows(&document);
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve").unwrap();
    for arg in serve.get_arguments() {
        let (id, flag) = (arg.get_id().as_str(), format!("--{}", arg.get_long().unwrap()));
        let variable = arg.get_env().map(|name| name.to_str().unwrap().to_owned()).unwrap_or_default();
        let row = rows.iter().find(|cells| cells[0] == id);
        match row {
            Some(cells) => assert_eq!((&cells[1], &cells[2]), (&flag, &variable), "{id}"),
            None => {
                assert!(document.contains(&format!("`{flag}`")) && document.contains(&variable), "{flag}");
            }
        }
    }
    let flags = rows.iter().filter(|cells| !cells[1].is_empty()).count();
    assert!(flags > 5 && flags <= serve.get_arguments().count(), "a row names a flag that is no more");
}

#[test]
fn the_example_file_holds_every_key_and_says_the_defaults() {
    let text = read("deploy/frostgate.example.toml");
    let (mut table, mut held) = (String::new(), BTreeSet::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = format!("{name}.");
        } else if let Some((key, _)) = line.split_once(" = ") {
            held.insert(format!("{table}{key}"));
        }
    }
    assert_eq!(held, keys());
    let config = |text: &str| {
        Config::check(RawConfig::parse(text).unwrap(), PathBuf::from("/var/lib/frostgate")).unwrap()
    };
    let example = config(&text);
    let monitor = "host=127.0.0.1 port=5432 user=frostgate_monitor dbname=postgres";
    let mut expected = config(&format!("upstream = 'host=127.0.0.1 port=5432'\nmonitor = '{monitor}'"));
    // What has no default, or another one on each machine.
    expected.maintenance_listen = Some(Address::Unix("/run/frostgate/maintenance/.s.PGSQL.5432".into()));
    expected.threads = Some(2);
    expected.expect.clone_from(&example.expect);
    assert_eq!(example.expect.len(), 1);
    expected.refusal.hint.clone_from(&example.refusal.hint);
    expected.auth = example.auth.clone();
    expected.window.smoke.clone_from(&example.window.smoke);
    assert!(example.window.smoke.as_ref().is_some_and(|smoke| !smoke.is_required));
    assert_eq!(expected.auth.rules, []);
    assert!(example.refusal.hint.is_some());
    assert_eq!(example, expected);
}

/// Commands in the code blocks of a document: `frostgate …`, up to a comment or a file to write to.
fn commands(document: &str) -> Vec<String> {
    let blocks = document.split("```").skip(1).step_by(2);
    let lines = blocks
        .filter(|block| block.starts_with("sh\n"))
        .flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>());
    let first = |line: String| {
        let line = line.split(" # ").next().unwrap_or_default();
        line.split(" > ").next().unwrap_or_default().trim().to_owned()
    };
    lines.map(first).filter(|line| line.starts_with("frostgate ")).collect()
}

/// Words as a shell makes them, as far as the documents need it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') if word.is_empty() => {}
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty() && word != "&");
    words
}

#[test]
fn every_command_that_a_document_shows_can_be_typed() {
    let mut seen = 0;
    for file in ["README.md", "CONTRIBUTING.md", "docs/CONFIGURATION.md", "docs/METRICS.md", "docs/STATUS.md"]
    {
        for line in commands(&read(file)) {
            seen += 1;
            if let Err(error) = Cli::try_parse_from(words(&line)) {
                assert!(!error.use_stderr(), "{file}: {line}\n{error}");
            }
        }
    }
    assert!(seen > 5, "{seen}");
}

/// Every flag of a verb and of those below it, with the verb.
fn flags(of: &clap::Command, path: &str) -> Vec<(String, String)> {
    let own = of.get_arguments().filter_map(|arg| arg.get_long());
    let own = own.filter(|long| !["help", "version"].contains(long));
    let own = own.map(|long| (path.to_owned(), format!("--{long}")));
    let below = of.get_subcommands().flat_map(|verb| flags(verb, &format!("{path} {}", verb.get_name())));
    own.chain(below).collect()
}

#[test]
fn every_flag_of_every_verb_is_explained_somewhere() {
    let pages: String = ["README.md", "docs/CONFIGURATION.md", "docs/STATUS.md"].map(read).concat();
    let words: BTreeSet<&str> = pages
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|w| w.starts_with("--"))
        .collect();
    let all = flags(&Cli::command(), "frostgate");
    let missing: Vec<_> = all.iter().filter(|(_, flag)| !words.contains(flag.as_str())).collect();
    assert!(all.len() > 50, "{}", all.len());
    assert_eq!(missing, Vec::<&(String, String)>::new());
}

#[test]
fn every_dependency_is_named_among_the_guests() {
    let (manifest, map) = (read("Cargo.toml"), read("ARCHITECTURE.md"));
    let list = manifest.split("[dependencies]\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = list.lines().filter_map(|line| line.split(" = ").next()).collect();
    let table = map.split("## Guests").nth(1).unwrap();
    let cells = table.lines().filter(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1));
    let guests: BTreeSet<&str> = cells.flat_map(|cell| cell.split([',', ' '])).collect();
    let missing: Vec<_> = names.iter().filter(|name| !guests.contains(*name)).collect();
    assert!(names.len() > 30, "{names:?}");
    assert_eq!(missing, Vec::<&&str>::new());
}

#[test]
fn every_file_that_a_document_links_to_is_there() {
    let pages = ["docs/CONFIGURATION.md", "docs/METRICS.md", "docs/STATUS.md"];
    for file in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].into_iter().chain(pages) {
        let text = read(file);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let path = link.split('#').next().unwrap();
            if !path.is_empty() && !path.contains("://") {
                let target = root().join(file).parent().unwrap().join(path);
                assert!(target.exists(), "{file} links to {link}");
            }
        }
    }
}

#[test]
fn what_the_clients_page_shows_is_what_the_drivers_try() {
    let document = read("docs/CLIENTS.md");
    let shown: Vec<&str> = document
        .split("\n```")
        .skip(1)
        .step_by(2)
        .filter_map(|block| block.split_once('\n').map(|(_, body)| body))
        .collect();
    let tried = [
        "django_frostgate.py",
        "rails_frostgate.rb",
        "laravel_frostgate.php",
        "FrostgateAdvice.java",
        "express_frostgate.js",
    ];
    let files = tried.map(|name| read(&format!("tests/drivers/frameworks/{name}")));
    assert_eq!(shown, files.each_ref().map(|text| text.trim_end()));
}

#[test]
fn the_compose_file_has_each_version_with_a_proxy_in_front_of_it() {
    let text = read("docker-compose.test.yml");
    for version in 13..=18 {
        let server = format!("  postgres{version}:\n    <<: *server\n    image: postgres:{version}\n");
        let upstream = format!("FROSTGATE_UPSTREAM: host=postgres{version} port=5432\n");
        let ports = ["54", "64"].map(|front| format!("[\"127.0.0.1:{front}{version}:"));
        let wanted = [server, upstream, format!("  proxy{version}:\n    <<: *proxy\n")];
        for part in wanted.iter().chain(&ports) {
            assert_eq!(text.matches(part.as_str()).count(), 1, "{part}");
        }
    }
    let words = "host=postgres18 port=5432";
    RawConfig::parse(&format!("upstream = '{words}'")).unwrap();
}

#[test]
fn the_image_is_built_with_the_version_that_the_project_asks_for_and_sets_only_known_variables() {
    let image = read("deploy/Dockerfile");
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap();
    assert!(image.contains(&format!("FROM rust:{}-slim", version.trim_matches('"'))), "{version}");
    let known = read("docs/CONFIGURATION.md");
    let variables: BTreeSet<&str> = image
        .split(|letter: char| !letter.is_ascii_uppercase() && letter != '_')
        .filter(|word| word.starts_with("FROSTGATE_"))
        .collect();
    assert_eq!(variables.len(), 4, "{variables:?}");
    for variable in variables {
        assert!(known.contains(&format!("`{variable}`")), "{variable}");
    }
}

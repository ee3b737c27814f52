//! Man pages and completions, as man and the shells themselves read them.

use crate::support::{Ran, binary, tool};
use clap::{Command as Verb, CommandFactory as _};
use frostgate::cli::Cli;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

fn run(command: &mut Command) -> Ran {
    Ran::of(&command.stdin(Stdio::null()).output().unwrap())
}

/// Every command with the words that lead to it: `frostgate`, `frostgate except`, `frostgate except add` …
fn verbs() -> Vec<(Vec<String>, Verb)> {
    fn walk(path: &[String], verb: &Verb, found: &mut Vec<(Vec<String>, Verb)>) {
        found.push((path.to_vec(), verb.clone()));
        for inner in verb.get_subcommands() {
            walk(&[path, &[inner.get_name().to_owned()]].concat(), inner, found);
        }
    }
    let mut found = Vec::new();
    walk(&["frostgate".into()], &Cli::command(), &mut found);
    assert!(found.len() > 20, "{}", found.len());
    found
}

fn flags(verb: &Verb) -> Vec<String> {
    verb.get_arguments().filter_map(|argument| argument.get_long()).map(|long| format!("--{long}")).collect()
}

fn completions(shell: &str, folder: &Path) -> (std::path::PathBuf, String) {
    let ran = run(Command::new(binary()).args(["completions", shell]));
    assert_eq!(ran.code, 0, "{ran:?}");
    let file = folder.join(shell);
    fs::write(&file, &ran.out).unwrap();
    (file, ran.out)
}

#[test]
fn every_verb_has_a_man_page_that_man_shows_with_each_of_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(Command::new(binary()).arg("man").arg(folder.path()));
    assert_eq!(ran.code, 0, "{ran:?}");
    let man = tool("man");
    for (path, verb) in verbs() {
        let page = folder.path().join(format!("{}.1", path.join("-")));
        let text = fs::read_to_string(&page).unwrap().replace("\\-", "-");
        for flag in flags(&verb) {
            assert!(text.contains(&flag), "{path:?} has {flag}:\n{text}");
        }
        for inner in verb.get_subcommands() {
            assert!(
                text.contains(&format!("{}-{}(1)", path.join("-"), inner.get_name())),
                "{path:?}:\n{text}"
            );
        }
        let Some(man) = &man else { continue };
        let shown = run(Command::new(man).args(["--warnings", "-l"]).arg(&page).env("MANWIDTH", "100"));
        assert!(shown.code == 0 && shown.err.is_empty(), "{page:?}: {shown:?}");
        assert!(shown.out.contains("NAME") && shown.out.contains("SYNOPSIS"), "{}", shown.out);
    }
    assert_eq!(run(Command::new(binary()).args(["man", "/nowhere"])).code, 1);
}

#[test]
fn the_completions_of_each_shell_hold_every_verb_and_every_flag_and_the_shell_can_read_them() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let (file, script) = completions(shell, folder.path());
        for (path, verb) in verbs() {
            assert!(script.contains(path.last().unwrap()), "{shell}: {path:?}");
            for flag in flags(&verb) {
                // fish says a flag without its dashes.
                let flag = if shell == "fish" { flag.replacen("--", "-l ", 1) } else { flag };
                assert!(script.contains(&flag), "{shell}: {path:?} {flag}");
            }
        }
        let Some(shell) = tool(shell) else { continue };
        let ran = run(Command::new(shell).arg(check).arg(&file));
        assert!(ran.code == 0 && ran.err.is_empty(), "{ran:?}");
    }
}

#[test]
fn bash_completes_what_is_typed() {
    let Some(bash) = tool("bash") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (file, _) = completions("bash", folder.path());
    for (typed, wanted) in [
        ("frostgate fre", "freeze"),
        ("frostgate except a", "add"),
        ("frostgate freeze --stragglers r", "rollback"),
        ("frostgate freeze --rea", "--reason"),
    ] {
        let words: Vec<String> = typed.split(' ').map(|word| format!("'{word}'")).collect();
        let before = words.len() - 1;
        let script = format!(
            "source '{}'; COMP_WORDS=({}); COMP_CWORD={before}; _frostgate frostgate \"${{COMP_WORDS[{before}]}}\" \
             \"${{COMP_WORDS[{}]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            words.join(" "),
            before - 1
        );
        let ran = run(Command::new(&bash).args(["--norc", "-c", &script]));
        assert!(ran.out.lines().any(|line| line == wanted), "{typed}: {ran:?}");
    }
}

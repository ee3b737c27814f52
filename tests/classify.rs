//! The classifier against known truth: our own fixtures, PostgreSQL's own statements, and the acceptance attacks.
//!
//! `FROSTGATE_CORPUS` names a gzip file of JSON lines with `sql`, `class`, `standard_conforming_strings`;
//! `FROSTGATE_ACCEPTANCE` names a folder with `attacks/cases.jsonl`. Without them those tests say that they are skipped.
#![cfg(test)]
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use frostgate::sql::{
    Classification, ClientEncoding, Effects, FunctionArgument, NamedOperation, ReplicationKind, SqlName,
    StatementClass, Verdict, Why, classify, classify_function_call, classify_replication, named_operations,
};
use serde_json::Value;

fn of(text: &str) -> Classification {
    classify(text.as_bytes(), ClientEncoding::Safe)
}

/// Why a refusal is ours to decide: it is no matter of the statement's kind.
fn policy(found: &Classification) -> Option<String> {
    match found.why {
        Why::Function(function) => Some(format!("function {}", function.name)),
        Why::SetConfigName => Some("function set_config".into()),
        Why::LargeObjectMode => Some("function lo_open".into()),
        Why::ReadWrite => Some("read-write".into()),
        Why::ResetsBeforeMore(_) => Some("reset before more".into()),
        Why::Command(_) if found.command.as_str() == "LOAD" => Some("LOAD".into()),
        Why::Harmless
        | Why::Command(_)
        | Why::Empty
        | Why::DataModifyingWith
        | Why::SelectInto
        | Why::RowLock
        | Why::ExplainAnalyze
        | Why::Loophole
        | Why::UnknownFunction
        | Why::ServerFile
        | Why::Unreadable(_)
        | Why::UnknownStatement
        | Why::UnknownForm(_) => None,
    }
}

/// A fixture: what its head says, and its text. The head is the first lines that begin with `-- word:`; the first word
/// is `why`, the others are `class`, `command`, `encoding` and `effects`.
struct Fixture {
    path: PathBuf,
    head: BTreeMap<String, String>,
    text: Vec<u8>,
}

fn fixtures(folder: &str) -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sql").join(folder);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        let mut text = bytes.strip_suffix(b"\n").unwrap();
        let mut head = BTreeMap::new();
        while let Some((key, value, rest)) = head_line(text) {
            assert!(!head.is_empty() || key == "why", "{path:?} does not begin with its why");
            head.insert(key, value);
            text = rest;
        }
        Fixture { head, text: text.to_vec(), path }
    };
    paths.map(read).collect()
}

fn head_line(text: &[u8]) -> Option<(String, String, &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let line = str::from_utf8(&text[..end]).ok()?.strip_prefix("-- ")?;
    let (key, value) = line.split_once(": ")?;
    let known = ["why", "class", "command", "encoding", "effects"].contains(&key);
    known.then(|| (key.to_owned(), value.to_owned(), &text[end + 1..]))
}

/// What a fixture's name for an effect stands for.
fn effect(name: &str) -> Effects {
    match name {
        "MAY_WRITE" => Effects::MAY_WRITE,
        "BEGINS" => Effects::BEGINS,
        "ENDS" => Effects::ENDS,
        "LEAVES_OPEN" => Effects::LEAVES_OPEN,
        "LEAVES_CLOSED" => Effects::LEAVES_CLOSED,
        "CHAINS" => Effects::CHAINS,
        "SAVEPOINT" => Effects::SAVEPOINT,
        "ENDS_SUBTRANSACTION" => Effects::ENDS_SUBTRANSACTION,
        "READ_ONLY_BLOCK" => Effects::READ_ONLY_BLOCK,
        "TOUCHES_READ_ONLY" => Effects::TOUCHES_READ_ONLY,
        "RESETS_ALL" => Effects::RESETS_ALL,
        "TOUCHES_ENCODING" => Effects::TOUCHES_ENCODING,
        "NAMES" => Effects::NAMES,
        "COPIES_IN" => Effects::COPIES_IN,
        "CALLS_UNKNOWN_FUNCTION" => Effects::CALLS_UNKNOWN_FUNCTION,
        _ => panic!("{name}"),
    }
}

fn check(folder: &str, holds: impl Fn(&Classification) -> bool) {
    let mut faults = Vec::new();
    for Fixture { path, head, text } in fixtures(folder) {
        let encoding = head
            .get("encoding")
            .map_or(ClientEncoding::Safe, |name| ClientEncoding::from_name(name.as_bytes()));
        let found = classify(&text, encoding);
        let mut effects = head.get("effects").map_or("", String::as_str).split_whitespace().map(effect);
        let agrees = holds(&found)
            && head.get("class").is_none_or(|class| *class == found.class.as_str())
            && head.get("command").is_none_or(|command| *command == found.command.as_str())
            && effects.all(|effect| found.effects.contains(effect));
        if !agrees {
            faults.push(format!("{}: {found:?}: {}", path.display(), found.why));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn fixtures_that_read_pass() {
    check("read", |found| found.verdict == Verdict::Pass && found.class == StatementClass::Read);
}

#[test]
fn fixtures_that_write_are_refused() {
    check("write", |found| found.verdict == Verdict::Refuse && found.class != StatementClass::Unknown);
}

#[test]
fn fixtures_of_the_session_pass() {
    let classes = [StatementClass::Read, StatementClass::Session, StatementClass::Transaction];
    check("session", |found| found.verdict == Verdict::Pass && classes.contains(&found.class));
}

#[test]
fn fixtures_that_cannot_be_read_are_unknown_and_refused() {
    check("unknown", |found| found.verdict == Verdict::Refuse && found.class == StatementClass::Unknown);
}

#[test]
fn postgresqls_own_statements_are_judged_right() {
    let Some(path) = env::var_os("FROSTGATE_CORPUS").map(PathBuf::from) else {
        println!("SKIPPED: FROSTGATE_CORPUS names no corpus");
        return;
    };
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(fs::File::open(&path).unwrap())).lines();
    let (mut seen, mut reads, mut passed_writes, mut refused_reads) = (0, 0, Vec::new(), Vec::new());
    let mut policies: BTreeMap<String, usize> = BTreeMap::new();
    let mut invalid = [0; 2];
    for line in lines {
        let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let text = case["sql"].as_str().unwrap();
        let found = of(text);
        seen += 1;
        let refused = found.verdict == Verdict::Refuse;
        match case["class"].as_str().unwrap() {
            "write" if !refused => passed_writes.push(text.to_owned()),
            "read" | "session" | "tx" | "execute" | "empty" => {
                reads += 1;
                if refused {
                    match policy(&found) {
                        Some(policy) => *policies.entry(policy).or_default() += 1,
                        None => refused_reads.push(format!("{}: {text}", found.why)),
                    }
                }
            }
            "invalid" => invalid[usize::from(refused)] += 1,
            _ => {}
        }
    }
    println!(
        "{seen} statements, {reads} of them harmless; false passes {}, false refusals {}",
        passed_writes.len(),
        refused_reads.len()
    );
    println!("invalid: {} passed, {} refused; refused by policy: {policies:?}", invalid[0], invalid[1]);
    for text in &passed_writes {
        println!("PASSED  {text}");
    }
    for text in &refused_reads {
        println!("REFUSED {text}");
    }
    assert!(seen > 1000);
    assert!(passed_writes.is_empty());
    assert!(refused_reads.len() * 10_000 <= reads);
}

/// What a client's steps come to, as far as a classifier alone can tell.
struct Client {
    encoding: ClientEncoding,
    prepared: BTreeMap<String, Classification>,
    refused: Vec<String>,
}

impl Client {
    fn text(&mut self, text: &[u8]) {
        let found = classify(text, self.encoding);
        if found.verdict == Verdict::Refuse {
            self.refused.push(format!("{} ({})", found.why, found.class.as_str()));
        }
        named_operations(text, self.encoding, |operation| match operation {
            NamedOperation::Prepare { name, classification } => {
                self.prepared.insert(format!("{name:?}"), classification);
            }
            NamedOperation::Execute { name } => {
                let known = self.prepared.get(&format!("{name:?}"));
                if known.is_none_or(|known| known.verdict == Verdict::Refuse) {
                    self.refused.push("EXECUTE of a prepared write".into());
                }
            }
            NamedOperation::Deallocate { .. }
            | NamedOperation::DeallocateAll
            | NamedOperation::DiscardAll
            | NamedOperation::Declare { .. }
            | NamedOperation::Fetch { .. }
            | NamedOperation::Close { .. }
            | NamedOperation::CloseAll => {}
        });
        if found.effects.contains(Effects::TOUCHES_ENCODING) {
            let name =
                text.rsplit(|byte| b"= '".contains(byte)).find(|word| !word.is_empty()).unwrap_or_default();
            self.encoding = ClientEncoding::from_name(name);
        }
    }

    fn step(&mut self, step: &Value) {
        if let Some(text) = step.as_str() {
            return self.text(text.as_bytes());
        }
        if let Some(name) = step["bind"].as_str()
            && self
                .prepared
                .get(&format!("{:?}", SqlName::Known(name.into())))
                .is_some_and(|known| known.verdict == Verdict::Refuse)
        {
            self.refused.push("Bind of a prepared write".into());
        }
        for key in ["q", "x", "parse"] {
            if let Some(text) = step[key].as_str() {
                let replication = step["conn"] == "r";
                if replication {
                    let kind = ReplicationKind::Physical;
                    let found = classify_replication(text.as_bytes(), self.encoding, kind);
                    if found.verdict == Verdict::Refuse {
                        self.refused.push(found.why.to_string());
                    }
                } else {
                    self.text(text.as_bytes());
                }
            }
        }
        for text in step["pipe"].as_array().into_iter().flatten() {
            self.text(text.as_str().unwrap().as_bytes());
        }
        if let Some(hex) = step["hex"].as_str() {
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            self.text(&bytes);
        }
        if let Some(call) = step["fp"].as_array() {
            let name = call[0].as_str().unwrap();
            let oid = match name {
                "lo_get(oid)" => 3458,
                "loread(int4,int4)" => 954,
                "lo_close(int4)" => 953,
                "lo_open(oid,int4)" => 952,
                _ => 1,
            };
            let arguments = call[1].as_array().unwrap().iter();
            let arguments = arguments.map(|argument| FunctionArgument {
                binary: false,
                value: argument.as_str().map(str::as_bytes),
            });
            let found = classify_function_call(oid, arguments);
            if found.verdict == Verdict::Refuse {
                self.refused.push(found.why.to_string());
            }
        }
    }
}

#[test]
fn the_attacks_that_can_be_seen_are_refused_and_the_reads_pass() {
    let Some(folder) = env::var_os("FROSTGATE_ACCEPTANCE").map(PathBuf::from) else {
        println!("SKIPPED: FROSTGATE_ACCEPTANCE names no folder");
        return;
    };
    let (mut refused, mut passed, mut soft) = (0, 0, 0);
    let (mut faults, mut fenced) = (Vec::new(), BTreeMap::<String, Vec<String>>::new());
    for line in fs::read_to_string(folder.join("attacks/cases.jsonl")).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let mut client =
            Client { encoding: ClientEncoding::Safe, prepared: BTreeMap::new(), refused: Vec::new() };
        for step in case["sql"].as_array().unwrap().iter().filter(|step| step["admin"].is_null()) {
            client.step(step);
        }
        let id = case["id"].as_str().unwrap();
        let told = format!("{id} {} {:?}", case["sql"], client.refused);
        match (case["kind"].as_str().unwrap(), client.refused.is_empty()) {
            ("read", true) => passed += 1,
            ("read", false) if case["soft"] == true => soft += 1,
            ("read", false) => faults.push(told),
            (_, false) => refused += 1,
            (_, true) => {
                fenced.entry(case["class"].as_str().unwrap_or("session").into()).or_default().push(told);
            }
        }
    }
    println!("{refused} writes refused, {passed} reads passed, {soft} soft reads refused");
    for (class, cases) in &fenced {
        println!("left to the session, the fence or the check: {class}: {}", cases.len());
        if class != "function" {
            for case in cases {
                println!("    {case}");
            }
        }
    }
    for fault in &faults {
        println!("REFUSED {fault}");
    }
    assert!(faults.is_empty());
    // What only a function does is left to the fence, under whatever class it is filed.
    let seen = ["insert ", "update ", "delete ", "merge ", "into ", "copy "];
    let classes = [
        "data",
        "ddl",
        "ddl-global",
        "maintenance",
        "temp",
        "2pc",
        "sequence",
        "lo",
        "lexical",
        "replication",
    ];
    for (class, cases) in fenced.iter().filter(|(class, _)| classes.contains(&class.as_str())) {
        let only_functions = |case: &String| !seen.iter().any(|word| case.to_lowercase().contains(word));
        assert!(cases.iter().all(only_functions), "{class}: {cases:?}");
    }
}

//! The classifier against known truth: our own fixtures, PostgreSQL's own statements, and the acceptance attacks.
//!
//! `FROSTGATE_CORPUS` names a gzip file of JSON lines with `sql`, `class`, `standard_conforming_strings`;
//! `FROSTGATE_ACCEPTANCE` names a folder with `attacks/cases.jsonl`. Without them those tests say that they are skipped.
#![cfg(test)]
use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader},
    path::PathBuf,
};

use frostgate::sql::{Classification, ClientEncoding, Verdict, Why, classify};
use serde_json::Value;

fn of(text: &str) -> Classification {
    classify(text.as_bytes(), ClientEncoding::Safe)
}

/// Why a refusal is ours to decide: it is no matter of the statement's kind.
fn policy(found: &Classification) -> Option<String> {
    match found.why {
        Why::Function(name, _) => Some(format!("function {name}")),
        Why::SetConfigName => Some("function set_config".into()),
        Why::LargeObjectMode => Some("function lo_open".into()),
        Why::ReadWrite => Some("read-write".into()),
        Why::ResetsBeforeMore(_) => Some("reset before more".into()),
        _ if found.command.as_str() == "LOAD" => Some("LOAD".into()),
        _ => None,
    }
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

//! `explain`: what the classifier says, without a server.

use super::{args::ExplainArgs, error::CliError, show::out};
use crate::sql::{
    Classification, ClientEncoding, Verdict, classify, classify_statements, describe, fingerprint,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, BufRead as _, Read as _};

/// A line of `--jsonl`.
#[derive(Debug, Deserialize)]
struct Asked {
    id: Value,
    sql: String,
}

/// Explains what is asked.
///
/// # Errors
/// Standard input or output failed, or a line is not what was expected.
pub fn explain(args: &ExplainArgs) -> Result<(), CliError> {
    if args.jsonl {
        return explain_lines();
    }
    let mut sql = args.sql.clone().unwrap_or_default();
    if sql == "-" {
        sql.clear();
        io::stdin().read_to_string(&mut sql)?;
    }
    if args.json { out(&whole(&sql).to_string()) } else { explain_for_people(&sql) }
}

fn explain_lines() -> Result<(), CliError> {
    for (number, line) in io::stdin().lock().lines().enumerate() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let asked: Asked = serde_json::from_str(&line).map_err(|error| CliError::Usage {
            what: "--jsonl",
            problem: format!("line {}: expected {{\"id\":…,\"sql\":…}}: {error}", number.saturating_add(1)),
        })?;
        let found = classify(asked.sql.as_bytes(), ClientEncoding::Safe);
        let answer = json!({
            "id": asked.id,
            "class": found.class.as_str(),
            "verdict": verdict(found),
            "why": found.why.to_string(),
        });
        out(&answer.to_string())?;
    }
    Ok(())
}

fn verdict(found: Classification) -> &'static str {
    match found.verdict {
        Verdict::Pass => "pass",
        Verdict::Refuse => "refuse",
    }
}

/// All that is known of a text.
fn whole(sql: &str) -> Value {
    let found = classify(sql.as_bytes(), ClientEncoding::Safe);
    let mut statements = Vec::new();
    classify_statements(sql.as_bytes(), ClientEncoding::Safe, |range, found| {
        statements.push(json!({
            "sql": sql.get(range).unwrap_or_default().trim(),
            "class": found.class.as_str(),
            "verdict": verdict(found),
            "command": found.command.as_str(),
            "why": found.why.to_string(),
        }));
    });
    let shape = fingerprint(sql.as_bytes());
    json!({
        "class": found.class.as_str(),
        "verdict": verdict(found),
        "command": found.command.as_str(),
        "why": found.why.to_string(),
        "tables": if found.verdict == Verdict::Refuse { describe(sql.as_bytes()).tables } else { Vec::new() },
        "fingerprint": format!("{:016x}", shape.hash),
        "normalized": shape.normalized,
        "statements": statements,
    })
}

fn explain_for_people(sql: &str) -> Result<(), CliError> {
    let mut lines = Vec::new();
    classify_statements(sql.as_bytes(), ClientEncoding::Safe, |range, found| {
        let what = match found.verdict {
            Verdict::Pass => "passes",
            Verdict::Refuse => "is refused",
        };
        lines.push(format!("{what} while frozen ({}): {}", found.class.as_str(), found.why));
        lines.push(format!("    {}", sql.get(range).unwrap_or_default().trim()));
    });
    let found = classify(sql.as_bytes(), ClientEncoding::Safe);
    if found.verdict == Verdict::Refuse {
        let tables = describe(sql.as_bytes()).tables;
        if !tables.is_empty() {
            lines.push(format!("writes to: {}", tables.join(", ")));
        }
        let command = found.command.as_str();
        lines.push(format!(
            "the client reads: ERROR 25006: cannot execute {command} in a read-only transaction"
        ));
    }
    out(&lines.join("\n"))
}

//! What people read.

use super::error::CliError;
use crate::{
    check::Quiet,
    control::{Status, UpstreamTold, holding_up, instant},
    freeze::Phase,
};
use jiff::Timestamp;
use serde_json::Value;
use std::io::{self, IsTerminal as _, Write as _};

/// Writes a text and a line's end to standard output.
///
/// # Errors
/// Nobody takes it.
pub(super) fn out(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Writes a line of progress to standard error, if a person reads there.
pub(super) fn progress(text: &str) {
    if io::stderr().is_terminal() {
        say(text);
    }
}

/// Writes a line to standard error.
pub(super) fn say(text: &str) {
    let mut err = io::stderr().lock();
    // Who has closed it does not want to hear.
    drop(err.write_all(text.as_bytes()).and_then(|()| err.write_all(b"\n")));
}

/// The status, in some lines.
pub(super) fn status(status: &Status) -> String {
    let mut lines = Vec::new();
    let mut line = |label: &str, value: String| lines.push(format!("{label:<16}{value}"));
    line("state", headline(status));
    if let Some(reason) = &status.reason {
        line("reason", reason.clone());
    }
    if let Some(by) = &status.by {
        line("by", by.clone());
    }
    if let Some(since) = status.since {
        line("since", instant(since));
    }
    if let Some(until) = status.until {
        line("until", instant(until));
    }
    if let Some(fault) = &status.start_fault {
        line("started frozen", fault.clone());
    }
    for of in &status.scope {
        line("reaches", of.to_string());
    }
    for of in &status.thawed {
        line("thawed", of.to_string());
    }
    let sessions = [
        (status.sessions, "in all"),
        (status.writing_transactions, "writing"),
        (status.unproven, "unproven"),
        (status.exempt_sessions, "exempt"),
        (status.spared_sessions, "out of its scope"),
        (status.readonly_leftovers, "read-only leftovers"),
    ];
    let told: Vec<String> = sessions
        .iter()
        .enumerate()
        .filter(|(at, (count, _))| *at == 0 || *count > 0)
        .map(|(_, (count, what))| format!("{count} {what}"))
        .collect();
    line("sessions", told.join(", "));
    for told in orphans(status) {
        line("orphans", told);
    }
    line("refused", format!("{} statements since the start", status.refused_total));
    line("fence", status.fence.clone());
    for (label, told) in servers(status) {
        line(label, told);
    }
    if !status.state_durable {
        line("durable", "no: the state directory is on a volatile file system".into());
    }
    for who in status.holding_up.iter().filter(|_| status.state != Phase::Open) {
        line("holding up", holding_up(who));
    }
    lines.join("\n")
}

/// What a process before this one left behind.
fn orphans(status: &Status) -> Vec<String> {
    let mut told = Vec::new();
    if status.orphans > 0 {
        told.push(format!(
            "{} server session(s) of a frostgate process that did not stop well may still write; whoever is logged in \
             next asks for them",
            status.orphans
        ));
    }
    let found = status.upstreams.iter().map(|told| told.orphans).sum();
    match status.orphans.saturating_sub(found) {
        0 => {}
        lost => told.push(format!(
            "{lost} of them on a server that is not configured any more: the log tells what to do"
        )),
    }
    told
}

/// The server, or each of several, in lines.
fn servers(status: &Status) -> Vec<(&'static str, String)> {
    if let [_, _, ..] = status.upstreams.as_slice() {
        let each = status.upstreams.iter().map(|told| ("server", server_of_many(told)));
        return [("servers", quiet(status))].into_iter().chain(each).collect();
    }
    let identity = identity(status.upstreams.first()).map(|told| ("identity", told));
    [("server", server(status))].into_iter().chain(identity).collect()
}

fn headline(status: &Status) -> String {
    let state = status.state.as_str();
    match (status.frozen_at, status.drain_timed_out) {
        (Some(at), _) => {
            format!("{state} (epoch {}, quiet through the proxy since {})", status.epoch, instant(at))
        }
        (None, true) => format!("{state} (epoch {}; the drain time is over)", status.epoch),
        (None, false) => format!("{state} (epoch {})", status.epoch),
    }
}

fn server(status: &Status) -> String {
    let checked = quiet(status);
    match status.upstream_up {
        Some(true) => format!("{} is up; {checked}", status.upstream),
        Some(false) => format!("{} CAN'T BE REACHED; {checked}", status.upstream),
        None => format!("{}; {checked}", status.upstream),
    }
}

fn quiet(status: &Status) -> String {
    let Some(check) = &status.check else { return "what goes round the proxy was not looked at".into() };
    match (status.quiet, &check.problem, &check.report) {
        (Quiet::Violated, _, Some(report)) => {
            let count = report.violations().count();
            format!("NOT QUIET: {count} thing(s) write or may write; frostgate verify tells which")
        }
        (Quiet::Verified, None, Some(report)) => format!("quiet: verified at {}", instant(report.checked_at)),
        (_, Some(problem), _) => format!("quiet: not checked, {problem}"),
        (_, None, Some(_)) => "quiet: not checked; frostgate verify tells why".into(),
        (_, None, None) if status.state == Phase::Frozen => {
            "quiet: not checked yet; frostgate verify looks".into()
        }
        (_, None, None) => format!("quiet: not checked while {}", status.state.as_str()),
    }
}

/// Who the server is, as far as it is known, and whether it is another one than was frozen.
fn identity(of: Option<&UpstreamTold>) -> Option<String> {
    let told = of?;
    let now = told.server.as_ref()?;
    if let Some(before) = &told.server_at_freeze {
        return Some(format!(
            "ANOTHER ONE than was frozen: {now}, it was {before}; thaw needs --accept-new-server"
        ));
    }
    let version = told.server_version.map_or_else(String::new, |version| format!("PostgreSQL {version}, "));
    Some(format!("{version}system identifier {now}"))
}

/// One of several servers, in one line.
fn server_of_many(told: &UpstreamTold) -> String {
    let up = match told.is_up {
        Some(true) => "is up",
        Some(false) => "CAN'T BE REACHED",
        None => "has not been tried",
    };
    let quiet = if told.is_monitored { told.quiet.as_str() } else { "not_checked, as it has no monitor" };
    let fence = if told.fence == "none" { ", NO FENCE" } else { "" };
    let identity = identity(Some(told)).map_or_else(String::new, |identity| format!("; {identity}"));
    let UpstreamTold { name, place, sessions, .. } = told;
    format!("{name} ({place}) {up}, {sessions} session(s), quiet: {quiet}{fence}{identity}")
}

/// What was refused, the most frequent first.
pub(super) fn refused(reply: &Value, now: Timestamp) -> String {
    let entries = reply.get("refused").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if entries.is_empty() {
        return "nothing has been refused since the start".into();
    }
    let field = |entry: &Value, name: &str| match entry.get(name) {
        Some(Value::String(text)) => shorten(text, now),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let columns =
        ["count", "user", "database", "application", "client", "command", "tables", "first", "last"];
    let mut rows = vec![columns.map(str::to_uppercase).to_vec()];
    rows.extend(entries.iter().map(|entry| columns.map(|name| clip(field(entry, name))).to_vec()));
    table(&rows)
}

/// An instant to the second, and today's without the day.
fn shorten(text: &str, now: Timestamp) -> String {
    let Ok(at) = text.parse::<Timestamp>() else { return text.to_owned() };
    let (at, today) = (instant(at), instant(now));
    match (at.split_once('T'), today.split_once('T')) {
        (Some((day, hour)), Some((today, _))) if day == today => hour.to_owned(),
        _ => at,
    }
}

/// Nothing wider than a column should be.
fn clip(text: String) -> String {
    if text.chars().count() > 40 { format!("{}…", text.chars().take(39).collect::<String>()) } else { text }
}

fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|at| width(at).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_of_the_refused_fits_a_terminal_and_tells_todays_hours_only() {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let entry = json!({"count": 84, "user": "shop", "database": "shop", "application": "shop-app",
            "client": "127.0.0.1", "command": "INSERT", "tables": ["orders", "jobs"],
            "first": "2026-11-19T23:59:59.5Z", "last": "2026-11-20T11:59:59.123456789Z"});
        let text = refused(&json!({ "refused": [entry] }), now);
        let cells = "84     shop  shop      shop-app     127.0.0.1  INSERT   orders,jobs  2026-11-19T23:59:59Z  11:59:59Z";
        assert_eq!(text.lines().nth(1), Some(cells));
    }
}

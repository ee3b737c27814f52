//! `writers`: who writes, for people.

use super::{
    args::WritersArgs,
    client::Caller,
    error::{CliError, Exit},
    show::out,
};
use crate::{
    control::{instant, since},
    observe::{WriterEntry, WritersReply},
};
use serde_json::json;

/// Shapes of one writer that people are told.
const SHAPES_TOLD: usize = 5;

/// `writers`.
///
/// # Errors
/// The proxy can't be reached, or something typed is wrong.
pub async fn writers(args: WritersArgs, caller: &Caller) -> Result<Exit, CliError> {
    let from = args.since.as_deref().map(|text| since(text, &caller.now)).transpose();
    let from = from.map_err(|problem| CliError::Usage { what: "--since", problem })?;
    let query = from.map_or_else(String::new, |at| format!("?since={at}"));
    let reply: WritersReply = caller.client(&args.reach).get(&format!("/v1/writers{query}")).await?;
    out(&if args.reach.json { json!(reply).to_string() } else { show(&reply) })?;
    Ok(Exit::Done)
}

fn show(reply: &WritersReply) -> String {
    if reply.writers.is_empty() {
        return format!("nobody has written since {}", instant(reply.started));
    }
    let mut lines: Vec<String> = reply.writers.iter().flat_map(writer).collect();
    lines.push(format!("{} writer(s); counted since {}", reply.writers.len(), instant(reply.started)));
    if reply.lost > 0 {
        lines.push(format!("{} more write(s) found no room to be told apart", reply.lost));
    }
    lines.push("what functions write, called by a SELECT, is not seen here: the fence stops it".into());
    lines.join("\n")
}

/// Who it is, in one line.
pub(super) fn who(entry: &WriterEntry) -> String {
    let WriterEntry { application, user, database, network, .. } = entry;
    let by = if entry.is_maintenance { ", by the maintenance listener" } else { "" };
    format!("application {application:?}, user {user}, database {database}, from {network}{by}")
}

fn writer(entry: &WriterEntry) -> Vec<String> {
    let rate = entry.count.div_ceil(entry.minutes.max(1));
    let mut lines = vec![
        who(entry),
        format!(
            "  {} write(s), {rate} a minute, first {}, last {}",
            entry.count,
            instant(entry.first),
            instant(entry.last)
        ),
    ];
    for shape in entry.shapes.iter().take(SHAPES_TOLD) {
        let tables =
            if shape.tables.is_empty() { String::new() } else { format!(" {}", shape.tables.join(", ")) };
        let shown = shape.fingerprint.as_deref().unwrap_or("without its text");
        let text = shape.statement.as_deref().map_or_else(String::new, |text| format!(": {text}"));
        lines.push(format!("  {:>8} {}{tables} ({shown}){text}", shape.count, shape.command));
    }
    let hidden = entry.shapes.len().saturating_sub(SHAPES_TOLD);
    if hidden > 0 {
        lines.push(format!("           and {hidden} more shape(s): --json tells all"));
    }
    lines
}

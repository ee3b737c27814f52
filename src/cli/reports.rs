//! `history` and `report`: past windows.

use super::{
    args::{PlainArgs, ReportArgs},
    client::Caller,
    error::{CliError, Exit},
    show::out,
};
use crate::control::{WindowLine, instant};
use serde_json::{Value, json};

/// `history`.
///
/// # Errors
/// The proxy can't be reached.
pub async fn history(args: PlainArgs, caller: &Caller) -> Result<Exit, CliError> {
    let lines: Vec<WindowLine> = caller.client(&args.reach).get("/v1/history").await?;
    let text = if lines.is_empty() { "no window has been yet".into() } else { table(&lines) };
    out(&if args.reach.json { json!(lines).to_string() } else { text })?;
    Ok(Exit::Done)
}

fn table(lines: &[WindowLine]) -> String {
    let line = |window: &WindowLine| {
        let end = window.ended_at.map_or_else(|| "not over".into(), |at| format!("over {}", instant(at)));
        let WindowLine { number, reason, by, since, refused, .. } = window;
        format!("{number:>6}  {}  {end}  {refused} refused  {by}: {reason}", instant(*since))
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `report`.
///
/// # Errors
/// The proxy can't be reached, or there is no such window.
pub async fn report(args: ReportArgs, caller: &Caller) -> Result<Exit, CliError> {
    let query = args.number.map_or_else(String::new, |number| format!("?number={number}"));
    let report: Value = caller.client(&args.reach).get(&format!("/v1/report{query}")).await?;
    let field = |name| report.get(name).cloned().unwrap_or_default();
    let markdown = field("markdown").as_str().unwrap_or_default().trim_end().to_owned();
    out(&if args.reach.json { field("record").to_string() } else { markdown })?;
    Ok(Exit::Done)
}

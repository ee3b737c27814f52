//! `rehearse`: a freeze that refuses nothing. What would be refused is what all sessions but the maintenance
//! listener's write, and that is counted while open; here the counts of a stretch of time are held against the
//! exceptions, and against the hours of the window to come.

use super::{
    args::RehearseArgs,
    client::{Caller, Client},
    error::{CliError, Exit},
    show::{out, progress},
    writers::who,
};
use crate::{
    config::parse_duration,
    control::{ExceptionsReply, RuleTold},
    matching::{RuleKind, Who},
    observe::{WriterEntry, WritersReply},
};
use jiff::{civil::Time, tz::TimeZone};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// Counts reach the proxy's book so much after they were made.
const SETTLING: Duration = Duration::from_millis(2_500);

/// A writer, in a rehearsal.
#[derive(Debug, Serialize)]
struct Rehearsed {
    #[serde(flatten)]
    writer: WriterEntry,
    /// What would have been refused during the rehearsal.
    would_be_refused: u64,
    /// The exception that would have let it write.
    excepted_by: Option<String>,
    /// The denial that would have ended its sessions.
    denied_by: Option<String>,
    /// Writes by the hour of the day, of all that is known of it.
    hours: [u64; 24],
    /// Writes in the hours of the planned window, on all days that are known.
    in_window: Option<u64>,
}

/// `rehearse`.
///
/// # Errors
/// The proxy can't be reached, or something typed is wrong.
pub async fn rehearse(args: RehearseArgs, caller: &Caller) -> Result<Exit, CliError> {
    let usage = |what| move |problem| CliError::Usage { what, problem };
    let length = parse_duration(&args.length).map_err(usage("--for"))?;
    let window = args.window.as_deref().map(hours).transpose().map_err(usage("--window"))?;
    let client = caller.client(&args.reach);
    let before: WritersReply = client.get("/v1/writers").await?;
    progress(&format!("rehearsing for {}: nothing is refused", args.length));
    // What is interrupted is the rehearsal: what it has seen so far is told.
    let exit = tokio::select! {
        () = sleep(length) => Exit::Done,
        _ = tokio::signal::ctrl_c() => Exit::Interrupted,
    };
    sleep(SETTLING).await;
    let all = rehearsed(&client, &before, caller.now.time_zone(), window).await?;
    if args.reach.json {
        out(&json!({ "from": before.now, "for": args.length, "writers": all }).to_string())?;
    } else {
        out(&show(&all, &args))?;
    }
    Ok(exit)
}

async fn rehearsed(
    client: &Client,
    before: &WritersReply,
    zone: &TimeZone,
    window: Option<(Time, Time)>,
) -> Result<Vec<Rehearsed>, CliError> {
    let after: WritersReply = client.get("/v1/writers").await?;
    let rules: ExceptionsReply = client.get("/v1/exceptions").await?;
    let mut all: Vec<Rehearsed> = Vec::new();
    for writer in after.writers.into_iter().filter(|writer| !writer.is_maintenance) {
        let same = |other: &&WriterEntry| who(other) == who(&writer);
        let counted = before.writers.iter().find(same).map_or(0, |other| other.count);
        let by = |kind| rule_for(&rules.exceptions, kind, &writer);
        let (excepted_by, denied_by) = (by(RuleKind::Exempt), by(RuleKind::Deny));
        let is_let = excepted_by.is_some() && denied_by.is_none();
        let would_be_refused = if is_let { 0 } else { writer.count.saturating_sub(counted) };
        let mut hours = [0_u64; 24];
        let mut in_window = window.map(|_| 0_u64);
        for (at, count) in &writer.quarters {
            let time = at.to_zoned(zone.clone()).time();
            let hour = usize::try_from(time.hour()).ok().and_then(|hour| hours.get_mut(hour));
            if let Some(hour) = hour {
                *hour = hour.saturating_add(*count);
            }
            if let (Some(sum), Some((from, to))) = (&mut in_window, window)
                && (if from <= to { from <= time && time < to } else { from <= time || time < to })
            {
                *sum = sum.saturating_add(*count);
            }
        }
        all.push(Rehearsed { writer, would_be_refused, excepted_by, denied_by, hours, in_window });
    }
    all.sort_by_key(|rehearsed| std::cmp::Reverse(rehearsed.would_be_refused));
    Ok(all)
}

/// The first rule of that kind that means the writer; of its network one address stands for all.
fn rule_for(rules: &[RuleTold], kind: RuleKind, writer: &WriterEntry) -> Option<String> {
    let client = writer.network.split('/').next().and_then(|address| address.parse().ok());
    let who =
        Who { user: &writer.user, database: &writer.database, application: &writer.application, client };
    let found = rules.iter().find(|told| told.rule.kind == kind && told.rule.who.means(&who));
    found.map(|told| told.rule.name.clone())
}

/// `02:00-04:00`; the end may lie behind midnight.
fn hours(text: &str) -> Result<(Time, Time), String> {
    let wrong = || format!("expected hours such as 02:00-04:00, got {text:?}");
    let (from, to) = text.split_once('-').ok_or_else(wrong)?;
    let time = |text: &str| Time::strptime("%H:%M", text.trim()).ok().ok_or_else(wrong);
    Ok((time(from)?, time(to)?))
}

fn show(all: &[Rehearsed], args: &RehearseArgs) -> String {
    let mut lines = Vec::new();
    for of in all.iter().filter(|of| of.would_be_refused > 0) {
        lines.push(format!("{:>8} would be refused: {}", of.would_be_refused, who(&of.writer)));
        for shape in of.writer.shapes.iter().take(3) {
            lines.push(format!("           {} {}", shape.command, shape.tables.join(", ")));
        }
    }
    if lines.is_empty() {
        lines.push("nothing would have been refused".into());
    }
    let excepted = all.iter().filter_map(|of| Some((of, of.excepted_by.as_ref()?)));
    lines.extend(excepted.map(|(of, rule)| format!("excepted by {rule}: {}", who(&of.writer))));
    let denied = all.iter().filter_map(|of| Some((of, of.denied_by.as_ref()?)));
    lines.extend(denied.map(|(of, rule)| format!("denied by {rule}, its sessions end: {}", who(&of.writer))));
    lines.push("by the hour of the day, as far back as a week:".into());
    for of in all {
        let hours = of.hours.iter().enumerate().filter(|(_, count)| **count > 0);
        let told: Vec<String> = hours.map(|(hour, count)| format!("{hour:02}h {count}")).collect();
        lines.push(format!("  {}: {}", of.writer.application, told.join(", ")));
    }
    if let Some(window) = &args.window {
        for of in all.iter().filter(|of| of.in_window.is_some_and(|count| count > 0)) {
            let count = of.in_window.unwrap_or(0);
            lines.push(format!("WRITES in the hours {window}: {count} by {}", who(&of.writer)));
        }
    }
    let draft: Vec<String> =
        all.iter().filter(|of| of.would_be_refused > 0).enumerate().map(|(at, of)| draft(at, of)).collect();
    if !draft.is_empty() {
        lines.push("exceptions for those who must write, a draft for the configuration:".into());
        lines.extend(draft);
    }
    lines.join("\n")
}

/// An exception for a writer, as TOML. Its reason is for people to say.
fn draft(at: usize, of: &Rehearsed) -> String {
    let WriterEntry { application, user, database, network, .. } = &of.writer;
    let quoted = |text: &str| json!(text).to_string();
    let number = at.saturating_add(1);
    format!(
        "[[exceptions]]\nname = \"writer-{number}\"\nuser = {}\ndatabase = {}\napplication = {}\nnetwork = {}\n\
         reason = \"\" # say why",
        quoted(user),
        quoted(database),
        quoted(application),
        quoted(network)
    )
}

//! `verify`, and what people read of it: also after a `freeze`, and in the status.

use super::{
    args::VerifyArgs,
    client::{Caller, Client},
    error::{CliError, Exit},
    show::out,
};
use crate::{
    check::{CheckReport, Finding, Kind, Proof, Quiet, Weight, Who},
    config::parse_duration,
    control::{Status, VerifyCall, WATCH_AFTER_FREEZE, headline},
    freeze::Phase,
};
use serde_json::json;
use std::time::Duration;

/// `verify`.
///
/// # Errors
/// The time can't be read or is too long, or the proxy can't be reached, has no monitor, or its monitor could not look.
pub async fn verify(args: VerifyArgs, caller: &Caller) -> Result<Exit, CliError> {
    let client = caller.client(&args.reach);
    let length = parse_duration(&args.length);
    let length = length.map_err(|problem| CliError::Usage { what: "--for", problem })?;
    // What is interrupted is the watching: nothing has been changed.
    let report = tokio::select! {
        report = watch(&client, length) => report?,
        _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
    };
    let status: Status = client.get("/v1/status").await?;
    out(&if args.reach.json { json!(report).to_string() } else { told(&report) })?;
    Ok(exit(&report, status.state))
}

/// What the monitor says of a freeze that has just come to its end.
///
/// # Errors
/// There is no monitor, or it could not look.
pub(super) async fn after_freeze(client: &Client) -> Result<CheckReport, CliError> {
    watch(client, WATCH_AFTER_FREEZE).await
}

async fn watch(client: &Client, length: Duration) -> Result<CheckReport, CliError> {
    client.post("/v1/verify", &VerifyCall::of(length)?).await
}

/// A drain that has not come to its end is no bypasser.
pub(super) fn exit(report: &CheckReport, state: Phase) -> Exit {
    let only_drains = || {
        report
            .violations()
            .all(|finding| matches!(finding.kind, Kind::OwnWriter | Kind::Orphan | Kind::TransactionIds))
    };
    match report.quiet {
        Quiet::Verified => Exit::Done,
        Quiet::Violated if state == Phase::Draining && only_drains() => Exit::NotInTime,
        Quiet::Violated => Exit::NotQuiet,
        Quiet::NotChecked => Exit::Failure,
    }
}

/// The report, in some lines.
pub(super) fn told(report: &CheckReport) -> String {
    let mut lines = vec![headline(report)];
    lines.push(format!("log position {}, {}", report.wal_to, proof(report)));
    if report.expected > 0 {
        lines.push(format!("{} session(s) were expected", report.expected));
    }
    lines.extend(report.findings.iter().map(finding));
    lines.join("\n")
}

fn proof(report: &CheckReport) -> String {
    let seconds = Duration::from_millis(report.interval_ms).as_secs_f64();
    let ids = report.transaction_ids;
    match report.proof {
        Proof::Unchanged => format!("no transaction id was used for {seconds:.1} s"),
        Proof::Explained => format!("{ids} transaction id(s) were used in {seconds:.1} s, and are explained"),
        Proof::Moved => format!("{ids} transaction id(s) were used in {seconds:.1} s"),
        Proof::OneLook => "looked at once".into(),
    }
}

fn finding(finding: &Finding) -> String {
    let weight = match finding.weight {
        Weight::Violation => "VIOLATION",
        Weight::Warning => "warning",
        Weight::Note => "note",
    };
    let who = finding.who.as_ref().map_or_else(String::new, who);
    let stop =
        finding.stop_with.as_deref().map_or_else(String::new, |sql| format!("\n    stop it with: {sql}"));
    format!("{weight}: {}{who}{stop}", finding.what)
}

fn who(who: &Who) -> String {
    let named = |what: &str, value: Option<&String>| value.map(|value| format!("{what} {value}"));
    let parts = [
        Some(format!("pid {}", who.pid)),
        named("user", who.user.as_ref()),
        named("database", who.database.as_ref()),
        who.application.as_ref().map(|name| format!("application {name:?}")),
        named("from", who.address.as_ref()),
        named("state", who.state.as_ref()),
        who.has_transaction_id.then(|| "holds a transaction id".to_owned()),
        who.transaction_age_s.map(|age| format!("in a transaction for {age} s")),
    ];
    format!("\n    {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

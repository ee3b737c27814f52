//! `preflight` and `smoke`: what would be met, and whether the application could work.

use super::{
    args::PlainArgs,
    client::{Caller, Client},
    error::{CliError, Exit},
    show::out,
};
use crate::control::{PreflightReply, SmokeTold};
use serde_json::json;

/// `preflight`.
///
/// # Errors
/// The proxy can't be reached, or there is nobody who could look.
pub async fn preflight(args: PlainArgs, caller: &Caller) -> Result<Exit, CliError> {
    let reply = look(&caller.client(&args.reach)).await?;
    out(&if args.reach.json { json!(reply).to_string() } else { findings(&reply) })?;
    Ok(if reply.may_begin { Exit::Done } else { Exit::Guarded })
}

pub(super) async fn look(client: &Client) -> Result<PreflightReply, CliError> {
    client.post("/v1/preflight", &json!({})).await
}

pub(super) fn findings(reply: &PreflightReply) -> String {
    let lines = reply
        .findings
        .iter()
        .map(|found| format!("{:<4}  {:<12}  {}", found.weight, found.topic, found.text));
    let verdict =
        if reply.may_begin { "nothing keeps a window from beginning" } else { "a window should not begin" };
    lines.chain([verdict.to_owned()]).collect::<Vec<_>>().join("\n")
}

/// `smoke`.
///
/// # Errors
/// The proxy can't be reached, or has no smoke test.
pub async fn smoke(args: PlainArgs, caller: &Caller) -> Result<Exit, CliError> {
    let told = try_it(&caller.client(&args.reach)).await?;
    out(&if args.reach.json { json!(told).to_string() } else { passed(&told) })?;
    Ok(if told.problem.is_none() { Exit::Done } else { Exit::Failure })
}

pub(super) async fn try_it(client: &Client) -> Result<SmokeTold, CliError> {
    client.post("/v1/smoke", &json!({})).await
}

pub(super) fn passed(told: &SmokeTold) -> String {
    match &told.problem {
        None => format!("the smoke test passed in {} ms", told.took_ms),
        Some(problem) => format!("the smoke test FAILED at {problem}"),
    }
}

//! `reopen`: thawing step by step, and how far it has come.

use super::{
    args::ReopenArgs,
    client::{Caller, Client},
    error::{CliError, Exit},
    show::{out, say},
};
use crate::control::{ReopenCall, ReopenPhase, ReopenTold};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// How often it is asked how far it has come.
const LOOK: Duration = Duration::from_millis(200);

/// `reopen`.
///
/// # Errors
/// The proxy can't be reached or said no.
pub async fn reopen(args: ReopenArgs, caller: &Caller) -> Result<Exit, CliError> {
    let client = caller.client(&args.reach);
    let ReopenArgs { reason, by, accept_new_server, skip_smoke, no_wait, reach } = args;
    let by = by.unwrap_or_else(|| caller.name.clone());
    let call = ReopenCall { reason, by, accept_new_server, skip_smoke, after: None };
    let begun: ReopenTold = client.post("/v1/reopen", &call).await?;
    // What is interrupted is the waiting; the reopening goes on.
    let told = tokio::select! {
        told = wait(&client, begun, no_wait) => told?,
        _ = tokio::signal::ctrl_c() => {
            let told: Option<ReopenTold> = client.get("/v1/reopen").await?;
            let told = told.map_or_else(String::new, |told| format!(": {}", text(&told)));
            say(&format!(
                "interrupted; the reopening goes on{told}; frostgate freeze ends it, frostgate thaw opens for everybody"
            ));
            return Ok(Exit::Interrupted);
        }
    };
    out(&if reach.json { json!(told).to_string() } else { text(&told) })?;
    Ok(match told.phase {
        ReopenPhase::Done => Exit::Done,
        ReopenPhase::Running if no_wait => Exit::Done,
        ReopenPhase::Running | ReopenPhase::Failed | ReopenPhase::Overtaken => Exit::Failure,
    })
}

pub(super) async fn wait(client: &Client, begun: ReopenTold, no_wait: bool) -> Result<ReopenTold, CliError> {
    let mut told = begun;
    say(&format!("stage {} is open, and watched", told.stage));
    while told.phase == ReopenPhase::Running && !no_wait {
        sleep(LOOK).await;
        let before = std::mem::take(&mut told.stage);
        told = client.get::<Option<ReopenTold>>("/v1/reopen").await?.unwrap_or(told);
        if told.phase == ReopenPhase::Running && told.stage != before {
            say(&format!("stage {} is open, and watched", told.stage));
        }
    }
    Ok(told)
}

pub(super) fn text(told: &ReopenTold) -> String {
    let ReopenTold { phase, stage, passed, stages, problem } = told;
    let why = problem.as_deref().unwrap_or_default();
    match phase {
        ReopenPhase::Done => format!("open: all {stages} stages passed"),
        ReopenPhase::Running => format!("stage {stage} of {stages} is open; {passed} passed"),
        ReopenPhase::Failed => format!("frozen again: {why}"),
        ReopenPhase::Overtaken => format!("overtaken at stage {stage} by another verb; {passed} passed"),
    }
}

//! `window`: look, freeze, run the child against the maintenance listener, try, thaw. What fails leaves the freeze as
//! it is, and says how to go on and how to go back.

use super::{
    args::WindowArgs,
    client::{Caller, Client},
    error::{CliError, Exit},
    guards, reopen,
    show::{out, say},
    verbs,
    way::{ASTRAY, way},
};
use crate::control::{ReopenCall, ThawCall, VerbReply, WindowPlan};
use std::collections::BTreeMap;
use tokio::process::Command;

/// `window`. `environment` is the caller's.
///
/// # Errors
/// The proxy can't be reached or said no, or the child can't be started.
pub async fn window(
    args: WindowArgs,
    caller: &Caller,
    environment: BTreeMap<String, String>,
) -> Result<Exit, CliError> {
    if args.freeze.options.no_wait {
        let problem = "a window's command runs when the state is frozen: the drain is waited for".into();
        return Err(CliError::Usage { what: "--no-wait", problem });
    }
    let client = caller.client(&args.freeze.reach);
    let plan: WindowPlan = client.get("/v1/window").await?;
    let way = way(&plan, &environment)?;
    if args.reopen && plan.stages.is_empty() {
        let problem = "no stages are configured: [[reopen]] in the proxy's file".into();
        return Err(CliError::Usage { what: "--reopen", problem });
    }
    if !look(&client, args.force).await? {
        say("not frozen: nothing has been changed; --force begins all the same");
        return Ok(Exit::Guarded);
    }
    let WindowArgs { freeze, reopen, command, .. } = args;
    let reason = freeze.options.reason.clone();
    let frozen = verbs::freeze_if(freeze, caller, true).await?;
    if frozen != Exit::Done {
        advise("the command was not run");
        return Ok(frozen);
    }
    let code = run(&command, &way).await?;
    if code != 0 {
        advise(&format!("the command ended with {code}"));
        return Ok(Exit::Child(code));
    }
    if plan.has_smoke {
        let told = guards::try_it(&client).await?;
        out(&guards::passed(&told))?;
        if told.problem.is_some() {
            advise("the command was done");
            return Ok(Exit::Guarded);
        }
    }
    let opened =
        open(&client, caller, &reason, reopen).await.inspect_err(|_| advise("the command was done"))?;
    if opened {
        out("the report: frostgate report")?;
        return Ok(Exit::Child(code));
    }
    Ok(Exit::Failure)
}

/// Whether the window may begin.
async fn look(client: &Client, is_forced: bool) -> Result<bool, CliError> {
    match guards::look(client).await {
        Ok(reply) => {
            out(&guards::findings(&reply))?;
            Ok(reply.may_begin || is_forced)
        }
        // Without anybody who could look, the window is as blind as a freeze is.
        Err(CliError::Refused { text, exit: Exit::Usage }) => {
            say(&format!("not looked beforehand: {text}"));
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

async fn open(client: &Client, caller: &Caller, reason: &str, by_stages: bool) -> Result<bool, CliError> {
    let (by, reason) = (caller.name.clone(), Some(format!("{reason}: done")));
    if by_stages {
        let call = ReopenCall { reason, by, ..ReopenCall::default() };
        let begun = client.post("/v1/reopen", &call).await?;
        let told = reopen::wait(client, begun, false).await?;
        out(&reopen::text(&told))?;
        return Ok(told.phase == crate::control::ReopenPhase::Done);
    }
    let call = ThawCall { reason, by, ..ThawCall::default() };
    let reply: VerbReply = client.post("/v1/thaw", &call).await?;
    out(&format!("open: writes pass again (epoch {})", reply.epoch))?;
    Ok(true)
}

fn advise(what: &str) {
    say(&format!(
        "{what}, and the proxy stays as it is: see frostgate status. To go on, run the command again through the \
         maintenance listener, then frostgate thaw; to go back, undo it there, then frostgate thaw"
    ));
}

/// Runs the child to its end. A signal takes it as it would have without us.
async fn run(command: &[String], way: &[(&'static str, String)]) -> Result<u8, CliError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(0) };
    let mut child = Command::new(program);
    child.args(arguments).envs(way.iter().map(|(name, value)| (*name, value)));
    for name in ASTRAY {
        child.env_remove(name);
    }
    let status = child.status().await.map_err(|source| CliError::File { path: program.into(), source })?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

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
use crate::control::{ReopenCall, Status, ThawCall, VerbReply, WindowPlan};
use std::collections::BTreeMap;
use tokio::{
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
};

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
    let (frozen, verbs) = verbs::freeze_if(freeze, caller, true).await?;
    if frozen != Exit::Done {
        advise("the command was not run");
        return Ok(frozen);
    }
    // From here on an interrupt is ours: the freeze must not be left without a word.
    let mut interrupts = signal(SignalKind::interrupt())?;
    let ended = run(&command, &way, &mut interrupts).await;
    let ended = ended.inspect_err(|_| advise("the command could not be started"))?;
    match ended {
        Ended::Code(0) => {}
        Ended::Code(code) => {
            advise(&format!("the command ended with {code}"));
            return Ok(Exit::Child(code));
        }
        Ended::Interrupted(what) => return interrupted(&client, what).await,
    }
    // What is interrupted is the waiting: what the proxy has begun goes on there.
    tokio::select! {
        biased;
        _ = interrupts.recv() => {
            let status: Status = client.get("/v1/status").await?;
            say(&format!(
                "interrupted: the command was done, and the proxy is {}; a reopening that has begun goes on there: see \
                 frostgate status; frostgate thaw opens for everybody",
                status.state.as_str()
            ));
            Ok(Exit::Interrupted)
        }
        exit = finish(&client, (caller, &reason), verbs, (plan.has_smoke, reopen)) => exit,
    }
}

/// Tries, if there is something to try, and opens again, unless a verb has come since that many.
async fn finish(
    client: &Client,
    (caller, reason): (&Caller, &str),
    verbs: u64,
    (has_smoke, by_stages): (bool, bool),
) -> Result<Exit, CliError> {
    if has_smoke {
        let told = guards::try_it(client).await?;
        out(&guards::passed(&told))?;
        if told.problem.is_some() {
            advise("the command was done");
            return Ok(Exit::Guarded);
        }
    }
    let (by, reason) = (caller.name.clone(), Some(format!("{reason}: done")));
    let call = ThawCall { reason, by, after: Some(verbs), ..ThawCall::default() };
    let opened = open(client, call, by_stages).await.inspect_err(|_| advise("the command was done"))?;
    if opened {
        out("the report: frostgate report")?;
        return Ok(Exit::Done);
    }
    Ok(Exit::Failure)
}

/// Tells how it stands after an interrupt.
async fn interrupted(client: &Client, what: &str) -> Result<Exit, CliError> {
    let status: Status = client.get("/v1/status").await?;
    advise(&format!("interrupted: the proxy is {}; {what}", status.state.as_str()));
    Ok(Exit::Interrupted)
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

async fn open(client: &Client, call: ThawCall, by_stages: bool) -> Result<bool, CliError> {
    if by_stages {
        let ThawCall { reason, by, after, .. } = call;
        let call = ReopenCall { reason, by, after, ..ReopenCall::default() };
        let begun = client.post("/v1/reopen", &call).await?;
        let told = reopen::wait(client, begun, false).await?;
        out(&reopen::text(&told))?;
        return Ok(told.phase == crate::control::ReopenPhase::Done);
    }
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

/// How the command ended.
enum Ended {
    Code(u8),
    /// Interrupted; what became of the command.
    Interrupted(&'static str),
}

/// Runs the command to its end. At a terminal an interrupt reaches it too: it is waited for, so that nothing writes on
/// unseen, until there is a second one.
async fn run(
    command: &[String],
    way: &[(&'static str, String)],
    interrupts: &mut Signal,
) -> Result<Ended, CliError> {
    let Some((program, arguments)) = command.split_first() else { return Ok(Ended::Code(0)) };
    let failed = |source| CliError::Command { program: program.clone(), source };
    let mut child = Command::new(program);
    child.args(arguments).envs(way.iter().map(|(name, value)| (*name, value)));
    for name in ASTRAY {
        child.env_remove(name);
    }
    let mut child = child.spawn().map_err(failed)?;
    // An interrupt that came with the command's end counts: who interrupts does not want a thaw.
    tokio::select! {
        biased;
        _ = interrupts.recv() => {}
        status = child.wait() => {
            let code = status.map_err(failed)?.code().and_then(|code| u8::try_from(code).ok());
            return Ok(Ended::Code(code.unwrap_or(1)));
        }
    }
    say("interrupted: the command is waited for; interrupt again to leave it alone");
    tokio::select! {
        _ = interrupts.recv() => Ok(Ended::Interrupted("the command may still run")),
        _ = child.wait() => Ok(Ended::Interrupted("the command has ended")),
    }
}

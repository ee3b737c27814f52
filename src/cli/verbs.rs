//! The verbs that speak to a running proxy.

use super::{
    args::{FreezeArgs, PlainArgs, StatusArgs, ThawArgs},
    client::{Caller, Client},
    error::{CliError, Exit},
    show::{out, progress, refused as show_refused, say, status as show_status},
    verify::{after_freeze, exit as exit_of, told},
};
use crate::{
    check::{CheckReport, Quiet},
    control::{
        self, FreezeCall, FreezeEnd, FreezeWait, Status, VerbReply, headline, holding_up, shut, thawed,
    },
    freeze::Phase,
};
use serde_json::{Value, json};

/// How long one question waits for a change.
const WATCH_MS: u64 = 1_000;

/// `freeze`.
///
/// # Errors
/// The proxy can't be reached or said no, or something typed is wrong.
pub async fn freeze(args: FreezeArgs, caller: &Caller) -> Result<Exit, CliError> {
    Ok(freeze_if(args, caller, false).await?.0)
}

/// As [`freeze`], and if it is so said, only what is open. Beside the code it tells how many verbs there had been.
pub(super) async fn freeze_if(
    args: FreezeArgs,
    caller: &Caller,
    must_be_open: bool,
) -> Result<(Exit, u64), CliError> {
    let client = caller.client(&args.reach);
    let (no_wait, requires_quiet) = (args.options.no_wait, args.options.require_quiet);
    let by = args.by.unwrap_or_else(|| caller.name.clone());
    let call = FreezeCall { must_be_open, ..args.options.call(by, &caller.now)? };
    let reply: VerbReply = client.post("/v1/freeze", &call).await?;
    if !reply.state_durable {
        say(
            "warning: the state directory is on a volatile file system; the freeze would not survive a restart of the machine",
        );
    }
    if no_wait {
        out(&if args.reach.json { json!(reply).to_string() } else { shut(&reply) })?;
        return Ok((Exit::Done, reply.verbs));
    }
    // What is interrupted is the waiting; the gate stays as it is.
    let exit = tokio::select! {
        ended = wait_and_check(&client, FreezeWait::new(&reply, call.drain)) => {
            let ended = ended?;
            tell_freeze(&ended, args.reach.json)?;
            ended.exit(requires_quiet)?
        }
        _ = tokio::signal::ctrl_c() => {
            let status: Status = client.get("/v1/status").await?;
            say(&format!("interrupted: the proxy is {}; `frostgate thaw` opens it", status.state.as_str()));
            Exit::Interrupted
        }
    };
    Ok((exit, reply.verbs))
}

/// How a freeze came to its end, and what the monitor, if there is one, said then.
struct Ended {
    end: FreezeEnd,
    wait: FreezeWait,
    status: Status,
    checked: Option<Result<CheckReport, CliError>>,
}

impl Ended {
    /// What the monitor said matters to the code only if it was asked for.
    fn exit(self, requires_quiet: bool) -> Result<Exit, CliError> {
        match self.checked {
            Some(Ok(report)) if requires_quiet => return Ok(exit_of(&report, self.status.state)),
            Some(Err(error)) if requires_quiet => return Err(error),
            Some(_) | None => {}
        }
        Ok(match self.end {
            FreezeEnd::Frozen => Exit::Done,
            FreezeEnd::NotInTime | FreezeEnd::Thawed => Exit::NotInTime,
            FreezeEnd::Overtaken => Exit::Failure,
        })
    }
}

async fn wait_and_check(client: &Client, mut wait: FreezeWait) -> Result<Ended, CliError> {
    let next = async |seen: Option<u64>| {
        let watching = seen.map_or_else(String::new, |seen| format!("?seen={seen}&wait_ms={WATCH_MS}"));
        client.get(&format!("/v1/status{watching}")).await
    };
    let (end, status) = wait.until_ended(next, tell_progress).await?;
    if end != FreezeEnd::Frozen || status.check.is_none() {
        return Ok(Ended { end, wait, status, checked: None });
    }
    let checked = Some(after_freeze(client).await);
    // The status tells of it too.
    Ok(Ended { end, wait, status: client.get("/v1/status").await?, checked })
}

fn tell_progress(status: &Status) {
    progress(&control::progress(status));
    for who in status.holding_up.iter().filter(|who| who.is_drained_for()) {
        progress(&format!("  {}", holding_up(who)));
    }
}

fn tell_freeze(ended: &Ended, as_json: bool) -> Result<(), CliError> {
    let Ended { end, wait, status, checked } = ended;
    if as_json {
        return out(&json!(status).to_string());
    }
    out(&wait.told(*end, status))?;
    match end {
        FreezeEnd::Frozen => {
            out("no write passes, and nothing that could still write is running")?;
            out(&match checked {
                None => "the server itself was not checked: what goes round the proxy is not seen".into(),
                Some(Err(error)) => format!("the server itself was not checked: {error}"),
                Some(Ok(report)) if report.quiet == Quiet::Verified => {
                    format!("{}; log position {}", headline(report), report.wal_to)
                }
                Some(Ok(report)) => told(report),
            })
        }
        FreezeEnd::NotInTime => {
            let mut stragglers = status.holding_up.iter().filter(|who| who.is_drained_for());
            stragglers.try_for_each(|who| out(&format!("  {}", holding_up(who))))
        }
        FreezeEnd::Thawed | FreezeEnd::Overtaken => Ok(()),
    }
}

/// `thaw`.
///
/// # Errors
/// The proxy can't be reached or said no.
pub async fn thaw(args: ThawArgs, caller: &Caller) -> Result<Exit, CliError> {
    let client = caller.client(&args.reach);
    let by = args.by.unwrap_or_else(|| caller.name.clone());
    let call = args.options.call(by)?;
    let reply: VerbReply = client.post("/v1/thaw", &call).await?;
    out(&if args.reach.json { json!(reply).to_string() } else { thawed(&reply) })?;
    Ok(Exit::Done)
}

/// `status`.
///
/// # Errors
/// The proxy can't be reached.
pub async fn status(args: StatusArgs, caller: &Caller) -> Result<Exit, CliError> {
    let client = caller.client(&args.reach);
    let mut status: Status = client.get("/v1/status").await?;
    if let Some(wanted) = args.is {
        return Ok(if status.state == Phase::from(wanted) { Exit::Done } else { Exit::Failure });
    }
    loop {
        out(&if args.reach.json { json!(status).to_string() } else { show_status(&status) })?;
        if !args.watch {
            return Ok(Exit::Done);
        }
        let next =
            async { client.get(&format!("/v1/status?seen={}&wait_ms={WATCH_MS}", status.revision)).await };
        // What is interrupted is the watching.
        status = tokio::select! {
            next = next => next?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        };
        if !args.reach.json {
            out("")?;
        }
    }
}

/// `refused`.
///
/// # Errors
/// The proxy can't be reached.
pub async fn refused(args: PlainArgs, caller: &Caller) -> Result<Exit, CliError> {
    let reply: Value = caller.client(&args.reach).get("/v1/refused").await?;
    out(&if args.reach.json { reply.to_string() } else { show_refused(&reply, caller.now.timestamp()) })?;
    Ok(Exit::Done)
}

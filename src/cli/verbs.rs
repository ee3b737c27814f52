//! The verbs that speak to a running proxy.

use super::{
    args::{FreezeArgs, RefusedArgs, StatusArgs, ThawArgs},
    client::{Caller, Client},
    error::{CliError, Exit},
    exceptions::whom,
    show::{holding_up, instant, out, progress, refused as show_refused, say, status as show_status},
    verify::{after_freeze, exit as exit_of, headline, told},
    when::until,
};
use crate::{
    check::{CheckReport, Quiet},
    config::parse_duration,
    control::{DrainOptions, FreezeCall, OnTimeout, RunningReads, Status, Stragglers, ThawCall, VerbReply},
    freeze::Phase,
};
use serde_json::{Value, json};

/// How long one question waits for a change.
const WATCH_MS: u64 = 1_000;
/// When stragglers are rolled back or reads cancelled, so many more questions are asked before it is given up.
const PATIENCE: usize = 30;

/// `freeze`.
///
/// # Errors
/// The proxy can't be reached or said no, or something typed is wrong.
pub async fn freeze(args: FreezeArgs, caller: &Caller) -> Result<Exit, CliError> {
    let client = caller.client(&args.reach);
    let usage = |what| move |problem| CliError::Usage { what, problem };
    let drain = DrainOptions {
        timeout_ms: parse_duration(&args.drain_timeout)
            .map_err(usage("--drain-timeout"))
            .map(|length| u64::try_from(length.as_millis()).unwrap_or(u64::MAX))?,
        stragglers: args.stragglers.into(),
        running_reads: args.running_reads.into(),
        on_timeout: args.on_timeout.into(),
    };
    let end = args.until.as_deref().map(|text| until(text, &caller.now)).transpose();
    let call = FreezeCall {
        reason: args.reason,
        by: args.by.unwrap_or_else(|| caller.name.clone()),
        until: end.map_err(usage("--until"))?,
        drain,
        allow_unfenced: args.allow_unfenced,
        require_quiet: args.require_quiet,
        scope: whom(&args.whom)?.into_iter().collect(),
        skip_hooks: args.skip_hooks,
    };
    let reply: VerbReply = client.post("/v1/freeze", &call).await?;
    if !reply.state_durable {
        say(
            "warning: the state directory is on a volatile file system; the freeze would not survive a restart of the machine",
        );
    }
    if args.no_wait {
        let text = format!("the gate is shut (epoch {}); draining", reply.epoch);
        out(&if args.reach.json { json!(reply).to_string() } else { text })?;
        return Ok(Exit::Done);
    }
    // What is interrupted is the waiting; the gate stays as it is.
    tokio::select! {
        ended = wait_and_check(&client, &reply, drain) => {
            let ended = ended?;
            tell_freeze(&ended, reply.epoch, args.reach.json)?;
            ended.exit(args.require_quiet)
        }
        _ = tokio::signal::ctrl_c() => {
            let status: Status = client.get("/v1/status").await?;
            say(&format!("interrupted: the proxy is {}; `frostgate thaw` opens it", status.state.as_str()));
            Ok(Exit::Interrupted)
        }
    }
}

/// How a freeze came to its end, and what the monitor, if there is one, said then.
struct Ended {
    exit: Exit,
    status: Status,
    checked: Option<Result<CheckReport, CliError>>,
}

impl Ended {
    /// What the monitor said matters to the code only if it was asked for.
    fn exit(self, requires_quiet: bool) -> Result<Exit, CliError> {
        match self.checked {
            Some(Ok(report)) if requires_quiet => Ok(exit_of(&report, self.status.state)),
            Some(Err(error)) if requires_quiet => Err(error),
            Some(_) | None => Ok(self.exit),
        }
    }
}

async fn wait_and_check(client: &Client, reply: &VerbReply, drain: DrainOptions) -> Result<Ended, CliError> {
    let (exit, status) = wait(client, reply, drain).await?;
    if exit != Exit::Done || status.check.is_none() {
        return Ok(Ended { exit, status, checked: None });
    }
    let checked = Some(after_freeze(client).await);
    // The status tells of it too.
    Ok(Ended { exit, status: client.get("/v1/status").await?, checked })
}

/// Waits until the freeze has come to its end: frozen, not in time, or overtaken.
async fn wait(client: &Client, reply: &VerbReply, drain: DrainOptions) -> Result<(Exit, Status), CliError> {
    let acts = drain.stragglers == Stragglers::Rollback || drain.running_reads == RunningReads::Cancel;
    let (mut seen, mut patience) = (None::<u64>, PATIENCE);
    loop {
        let watching = seen.map_or_else(String::new, |seen| format!("?seen={seen}&wait_ms={WATCH_MS}"));
        let status: Status = client.get(&format!("/v1/status{watching}")).await?;
        if status.epoch != reply.epoch {
            let thawed = drain.on_timeout == OnTimeout::Thaw && status.state == Phase::Open;
            return Ok((if thawed { Exit::NotInTime } else { Exit::Failure }, status));
        }
        match status.state {
            Phase::Frozen => return Ok((Exit::Done, status)),
            Phase::Open => return Ok((Exit::Failure, status)),
            Phase::Draining if status.drain_timed_out && (!acts || patience == 0) => {
                return Ok((Exit::NotInTime, status));
            }
            Phase::Draining if status.drain_timed_out => patience = patience.saturating_sub(1),
            Phase::Draining => {}
        }
        if seen.is_some() {
            tell_progress(&status);
        }
        seen = Some(status.revision);
    }
}

fn tell_progress(status: &Status) {
    let Status { writing_transactions, unproven, settling, .. } = status;
    progress(&format!("draining: {writing_transactions} writing, {unproven} unproven, {settling} settling"));
    for who in &status.holding_up {
        progress(&format!("  {}", holding_up(who)));
    }
}

fn tell_freeze(ended: &Ended, epoch: u64, as_json: bool) -> Result<(), CliError> {
    let Ended { exit, status, checked } = ended;
    let exit = *exit;
    if as_json {
        return out(&json!(status).to_string());
    }
    if exit == Exit::Done {
        let at = status.frozen_at.map_or_else(String::new, |at| format!(" since {}", instant(at)));
        out(&format!("frozen (epoch {epoch}){at}"))?;
        out("no write passes, and nothing that could still write is running")?;
        return out(&match checked {
            None => "the server itself was not checked: what goes round the proxy is not seen".into(),
            Some(Err(error)) => format!("the server itself was not checked: {error}"),
            Some(Ok(report)) if report.quiet == Quiet::Verified => {
                format!("{}; log position {}", headline(report), report.wal_to)
            }
            Some(Ok(report)) => told(report),
        });
    }
    if exit == Exit::NotInTime && status.state == Phase::Draining {
        out(&format!(
            "NOT frozen: the drain time is over, and {} session(s) have not ended; the gate stays shut",
            status.stragglers
        ))?;
        for who in &status.holding_up {
            out(&format!("  {}", holding_up(who)))?;
        }
        return Ok(());
    }
    if exit == Exit::NotInTime {
        return out("NOT frozen: the drain time is over, and the gate was opened again");
    }
    out(&format!(
        "overtaken: the proxy is {} (epoch {}) by another hand",
        status.state.as_str(),
        status.epoch
    ))
}

/// `thaw`.
///
/// # Errors
/// The proxy can't be reached or said no.
pub async fn thaw(args: ThawArgs, caller: &Caller) -> Result<Exit, CliError> {
    let client = caller.client(&args.reach);
    let by = args.by.unwrap_or_else(|| caller.name.clone());
    let call = ThawCall {
        reason: args.reason,
        by,
        accept_new_server: args.accept_new_server,
        whom: whom(&args.whom)?,
        skip_smoke: args.skip_smoke,
    };
    let reply: VerbReply = client.post("/v1/thaw", &call).await?;
    let told = match (reply.state, reply.changed) {
        (Phase::Open, true) => "open: writes pass again",
        (Phase::Open, false) => "open already",
        (Phase::Draining | Phase::Frozen, true) => "open for whom it was said; the rest stays frozen",
        (Phase::Draining | Phase::Frozen, false) => "open for whom it was said already",
    };
    out(&if args.reach.json { json!(reply).to_string() } else { format!("{told} (epoch {})", reply.epoch) })?;
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
pub async fn refused(args: RefusedArgs, caller: &Caller) -> Result<Exit, CliError> {
    let reply: Value = caller.client(&args.reach).get("/v1/refused").await?;
    out(&if args.reach.json { reply.to_string() } else { show_refused(&reply, caller.now.timestamp()) })?;
    Ok(Exit::Done)
}

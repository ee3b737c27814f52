//! The commands that change something: done by `control`, waited for and told here.

use super::{
    error::ConsoleError,
    tables::Row,
    visit::{Notice, Notices, Visit},
};
use crate::{
    check::Quiet,
    control::{
        FreezeEnd, FreezeOptions, FreezeWait, Status, ThawOptions, VerbReply, WATCH_AFTER_FREEZE, headline,
        holding_up, progress, shut, thawed,
    },
};
use std::{pin::pin, time::Duration};

/// How long one look at a drain waits for a change.
const LOOK: Duration = Duration::from_secs(1);
/// Looks after which a drain is told of though nothing has changed: a client that has vanished is found so.
const LOOKS_UNTOLD: u32 = 10;
/// Sessions that one notice or error names.
const NAMED_LIMIT: usize = 20;

impl Visit {
    /// Shuts the gate, and waits until it is frozen. A cancel request ends the waiting.
    pub(super) async fn freeze(
        &self,
        options: &FreezeOptions,
        notices: &Notices,
    ) -> Result<Vec<Row>, ConsoleError> {
        let (console, no_wait) = (&self.guest.console, options.no_wait);
        let operator = &console.operator;
        let call = options.clone().call(self.guest.user.clone(), &(console.clock)())?;
        let (drain, requires_quiet) = (call.drain, call.require_quiet);
        let mut cancelled = pin!(self.guest.cancelled.notified());
        // From here on a cancel request is heard.
        cancelled.as_mut().enable();
        let reply = operator.freeze(call).await?;
        if !reply.state_durable {
            let text = "the state directory is on a volatile file system; the freeze would not survive a restart of \
                        the machine";
            tell(notices, Notice { warns: true, text: text.into(), detail: None });
        }
        if no_wait {
            return Ok(vec![[row(&reply, shut(&reply)), vec![None]].concat()]);
        }
        let waiting = self.wait(FreezeWait::new(&reply, drain), requires_quiet, notices);
        // Each arm only waits: what is not chosen has changed nothing.
        tokio::select! {
            ended = waiting => {
                let (told, quiet) = ended?;
                let reply = VerbReply { state: operator.phase(), ..reply };
                Ok(vec![[row(&reply, told), vec![Some(quiet)]].concat()])
            }
            () = cancelled => Err(ConsoleError::Cancelled { state: operator.phase().as_str() }),
        }
    }

    /// How it ended, and what the monitor, if there is one, said then.
    async fn wait(
        &self,
        mut wait: FreezeWait,
        requires_quiet: bool,
        notices: &Notices,
    ) -> Result<(String, String), ConsoleError> {
        let operator = &self.guest.console.operator;
        let next = async |seen: Option<u64>| Ok::<_, ConsoleError>(operator.status_after(seen, LOOK).await);
        let (mut last, mut untold) = (String::new(), 0_u32);
        let tell_progress = |status: &Status| {
            let text = progress(status);
            untold = untold.saturating_add(1);
            if text != last || untold >= LOOKS_UNTOLD {
                tell(notices, Notice { warns: false, text: text.clone(), detail: named(status) });
                (last, untold) = (text, 0);
            }
        };
        let (end, status) = wait.until_ended(next, tell_progress).await?;
        let told = wait.told(end, &status);
        match end {
            FreezeEnd::Frozen => {}
            FreezeEnd::NotInTime => {
                return Err(ConsoleError::NotReached { told, detail: named(&status).unwrap_or_default() });
            }
            FreezeEnd::Thawed | FreezeEnd::Overtaken => {
                return Err(ConsoleError::NotReached { told, detail: String::new() });
            }
        }
        if status.check.is_none() {
            let quiet = "the server itself was not checked: what goes round the proxy is not seen";
            return Ok((told, quiet.into()));
        }
        match operator.verify(WATCH_AFTER_FREEZE).await {
            Ok(report) if report.quiet == Quiet::Verified || !requires_quiet => Ok((told, headline(&report))),
            Ok(report) => {
                let found: Vec<&str> =
                    report.violations().take(NAMED_LIMIT).map(|finding| finding.what.as_str()).collect();
                let told = format!("{told}, but {}", headline(&report));
                Err(ConsoleError::NotReached { told, detail: found.join("\n") })
            }
            Err(error) if requires_quiet => Err(error.into()),
            Err(error) => Ok((told, format!("the server itself was not checked: {error}"))),
        }
    }

    pub(super) async fn thaw(&self, options: &ThawOptions) -> Result<Vec<Row>, ConsoleError> {
        let call = options.clone().call(self.guest.user.clone())?;
        let reply = self.guest.console.operator.thaw(call).await?;
        let told = thawed(&reply);
        Ok(vec![row(&reply, told)])
    }

    pub(super) async fn reload(&self) -> Vec<Row> {
        let console = &self.guest.console;
        let reloaded = console.operator.reload(&console.shared, Some(console.reload())).await;
        reloaded.into_iter().map(|told| vec![Some(told.what), told.problem]).collect()
    }
}

/// State, epoch and what is told.
fn row(reply: &VerbReply, told: String) -> Row {
    vec![Some(reply.state.as_str().to_owned()), Some(reply.epoch.to_string()), Some(told)]
}

/// Whom a drain waits for.
fn named(status: &Status) -> Option<String> {
    let drained_for = status.holding_up.iter().filter(|who| who.is_drained_for());
    let lines: Vec<String> = drained_for.take(NAMED_LIMIT).map(holding_up).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn tell(notices: &Notices, notice: Notice) {
    // A client that takes nothing any more is found when it is written to.
    drop(notices.try_send(notice));
}

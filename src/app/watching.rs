//! The tasks that look on: what relays tell becomes audit lines, and an absent server is noticed.

use super::clock::now;
use crate::{
    control::{Operator, Watched},
    fleet::Switch,
    freeze::Phase,
    net::{Server, Shared},
    observe::{Book, Key, Seen, Tried, What},
};
use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// How often damped audit lines are looked for.
const TICK: Duration = Duration::from_secs(1);
/// How often an unused server is looked for.
const LOOK: Duration = Duration::from_secs(10);

/// Starts them all.
pub(super) fn spawn_watchers(
    tasks: &mut JoinSet<()>,
    operator: &Arc<Operator>,
    shared: &Shared,
    seen: mpsc::Receiver<Seen>,
) {
    drop(tasks.spawn(watch_relays(Arc::clone(operator), seen)));
    for watched in operator.watched() {
        let (server, watched) = (Arc::clone(&watched.server), Arc::clone(watched));
        drop(tasks.spawn(look_at_upstream(Arc::clone(&shared.switch), server)));
        let between = shared.config.limits.monitor_interval;
        drop(tasks.spawn(look_at_server(Arc::clone(operator), watched, between)));
    }
}

/// Takes what relays tell, and writes the audit.
async fn watch_relays(operator: Arc<Operator>, mut seen: mpsc::Receiver<Seen>) {
    let mut tick = interval(TICK);
    loop {
        // Each arm only waits: what is not chosen has lost nothing.
        tokio::select! {
            next = seen.recv() => match next {
                None => return,
                Some(seen) => note(&operator, seen),
            },
            _ = tick.tick() => {
                let lines = operator.audit().due(now());
                operator.write_audit(lines);
                operator.settle_writers();
                operator.save_refusals();
                operator.end_exceptions().await;
            }
        }
    }
}

fn note(operator: &Operator, seen: Seen) {
    let who = &seen.who.identity;
    let tried = match seen.what {
        What::Refused(refusal) => {
            let what = refusal.classification;
            let (class, command) = (what.class.as_str(), what.command.as_str().to_owned());
            Tried { class, command, why: what.why.to_string(), text: refusal.text }
        }
        What::Rejected { command } => Tried {
            class: "rejected",
            command: String::from_utf8_lossy(&command).into_owned(),
            why: "the server rejected it: the fence holds".into(),
            text: Box::default(),
        },
        What::FenceLost | What::PoolerFound | What::LoopholesUnknown | What::FenceFailed { .. } => {
            let event = format!("{:?}", seen.what);
            tracing::warn!(session = who.id, user = who.user, database = who.database, event, "fence");
            return;
        }
    };
    let key = Key {
        user: (&*who.user).into(),
        database: (&*who.database).into(),
        application: seen.application,
        client: who.client.map(|address| address.ip()),
        fingerprint: Book::shape(&tried),
    };
    let line = operator.audit().note(key, &tried, now());
    operator.write_audit(line);
}

/// While nobody is logged in there, looks whether the server can be reached.
async fn look_at_upstream(switch: Arc<Switch>, server: Arc<Server>) {
    let mut tick = interval(LOOK);
    loop {
        tick.tick().await;
        let is_used = switch.roster().anybody_on(&server.name).is_some();
        server.note_up(is_used || server.upstream.connect().await.is_ok());
    }
}

/// Looks at the server from outside, if there is a monitor: when the proxy starts, which tells who the server is, and
/// while the gate is shut again and again.
async fn look_at_server(operator: Arc<Operator>, watched: Arc<Watched>, between: Duration) {
    let mut tick = interval(between);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_first = true;
    loop {
        tick.tick().await;
        operator.note_frozen_server().await;
        if std::mem::take(&mut is_first) || operator.phase() != Phase::Open {
            operator.look_again(&watched).await;
        }
    }
}

/// The audit goes to standard output, a line each.
pub(super) fn write_line(line: &str) {
    let mut out = io::stdout().lock();
    // A reader that has gone away is no reason to stop relaying.
    drop(out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()));
}

//! What the service manager is told, by the protocol of `sd_notify(3)`: that clients may come, how the gate stands, that
//! files are being read again, that the process stops, and for its watchdog that all who relay are alive. Where no
//! service manager has started us, nothing is told.

use crate::{control::Operator, fleet::Switch, freeze::FreezeState, freeze::Phase, observe::WorkerCounters};
use std::{
    ffi::OsString,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram as StdUnixDatagram},
        },
    },
    process,
    sync::Arc,
    time::Duration,
};
use tokio::{
    net::UnixDatagram,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

/// A service manager that takes no datagram for so long is not waited for.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// The status is looked at again after this even if nothing stirred.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Within its time the watchdog is given so many chances of a sign of life.
const SIGNS: u32 = 4;
/// Texts longer than this are cut, in characters: `systemctl status` shows one line.
const STATUS_LIMIT: usize = 200;

/// Looks up a variable of the environment.
pub type Environment = fn(&str) -> Option<OsString>;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct ServiceManager {
    socket: Option<UnixDatagram>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that has started us, if any.
    pub(super) fn find(environment: Environment) -> Self {
        let Some(name) = environment("NOTIFY_SOCKET") else { return Self::default() };
        let socket = match connect(name.as_bytes()) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, socket = %name.display(), "the service manager can't be told anything");
                None
            }
        };
        let number = |name| environment(name).and_then(|text| text.to_str()?.parse::<u64>().ok());
        let is_for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|length| *length > 0 && is_for_us);
        Self { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    /// Clients may come; also said when what was begun by [`Self::reloading`] is over.
    pub(super) async fn ready(&self) {
        self.tell("READY=1").await;
    }

    /// Files are read again from now on, until [`Self::ready`].
    pub(super) async fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let microseconds =
            now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec.checked_div(1_000).unwrap_or(0));
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}")).await;
    }

    /// The end has begun.
    pub(super) async fn stopping(&self) {
        self.tell("STOPPING=1").await;
    }

    async fn tell(&self, text: &str) {
        let Some(socket) = &self.socket else { return };
        let sent = timeout(SEND_LIMIT, socket.send(text.as_bytes())).await;
        if !matches!(sent, Ok(Ok(_))) {
            tracing::warn!(?sent, "the service manager was not told");
        }
    }
}

/// A path, or behind an `@` a name of the abstract kind.
fn connect(name: &[u8]) -> io::Result<UnixDatagram> {
    let address = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "expected a path, or a name behind @")),
    };
    let socket = StdUnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    socket.set_nonblocking(true)?;
    UnixDatagram::from_std(socket)
}

/// From now on it is told how the gate stands, and that all who relay are alive.
pub(super) fn spawn_tellers(
    tasks: &mut JoinSet<()>,
    manager: &Arc<ServiceManager>,
    (operator, switch): (&Arc<Operator>, &Arc<Switch>),
    workers: Vec<Arc<WorkerCounters>>,
) {
    drop(tasks.spawn(tell_state(Arc::clone(manager), Arc::clone(operator), Arc::clone(switch))));
    drop(tasks.spawn(feed_watchdog(Arc::clone(manager), workers)));
}

/// Tells how the gate stands whenever it stands otherwise.
async fn tell_state(manager: Arc<ServiceManager>, operator: Arc<Operator>, switch: Arc<Switch>) {
    let mut before = String::new();
    loop {
        let stirred = switch.stirred();
        let status = status(operator.phase(), &switch.state());
        if status != before {
            manager.tell(&format!("STATUS={status}")).await;
            before = status;
        }
        // Whether something stirred or the time is over, what is told is how things stand.
        drop(timeout(LOOK_AGAIN, stirred).await);
    }
}

fn status(phase: Phase, state: &FreezeState) -> String {
    let Some(freeze) = &state.freeze else { return phase.as_str().to_owned() };
    let until = freeze.until.map_or_else(String::new, |until| format!(", until {until:.0}"));
    let text =
        format!("{} since {:.0} by {}{until}: {}", phase.as_str(), freeze.since, freeze.by, freeze.reason);
    // A line break would begin another variable.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(STATUS_LIMIT).collect()
}

/// Feeds the watchdog, as long as this thread and every worker live.
async fn feed_watchdog(manager: Arc<ServiceManager>, workers: Vec<Arc<WorkerCounters>>) {
    let Some(length) = manager.watchdog else { return };
    let mut tick = interval(length.checked_div(SIGNS).unwrap_or(length).max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pulse = Pulse::default();
    loop {
        tick.tick().await;
        if pulse.is_felt(workers.iter().map(|worker| worker.beats()).collect()) {
            manager.tell("WATCHDOG=1").await;
        }
    }
}

/// How often each worker had beaten when all were last felt.
#[derive(Debug, Default)]
struct Pulse(Vec<u64>);

impl Pulse {
    /// Whether every single worker has beaten since this was last so.
    fn is_felt(&mut self, beats: Vec<u64>) -> bool {
        let before = self.0.iter().copied().chain(std::iter::repeat(0));
        let all = beats.iter().zip(before).all(|(now, before)| *now != before);
        if all {
            self.0 = beats;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freeze::FreezeRequest;
    use jiff::Timestamp;

    #[test]
    fn one_worker_that_hangs_is_enough_for_silence() {
        let mut pulse = Pulse::default();
        assert!(!pulse.is_felt(vec![1, 0]), "the second has not begun");
        assert!(pulse.is_felt(vec![2, 1]));
        assert!(!pulse.is_felt(vec![3, 1]) && !pulse.is_felt(vec![900, 1]));
        assert!(pulse.is_felt(vec![901, 2]));
    }

    #[test]
    fn the_status_is_one_line_whatever_the_reason_is() {
        let request = FreezeRequest {
            reason: format!("move\nWATCHDOG=trigger {}", "x".repeat(500)),
            by: "ann".into(),
            until: Some(Timestamp::from_second(60).unwrap()),
            scope: Vec::new(),
        };
        let (state, _) = FreezeState::default().freeze(request, Timestamp::UNIX_EPOCH);
        let text = status(Phase::Draining, &state);
        let front =
            "draining since 1970-01-01T00:00:00Z by ann, until 1970-01-01T00:01:00Z: move WATCHDOG=trigger x";
        assert!(text.starts_with(front), "{text}");
        assert_eq!(text.len(), STATUS_LIMIT);
        assert_eq!(status(Phase::Open, &FreezeState::default()), "open");
    }

    #[test]
    fn a_socket_that_is_neither_a_path_nor_abstract_is_told_of() {
        assert_eq!(connect(b"vsock:2:1").unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
}

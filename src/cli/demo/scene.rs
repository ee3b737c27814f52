//! Where the acts play: the stage, the running server and proxy, the clients, and ways to wait for a fact.

use super::{
    cast::{Cast, Counts},
    error::DemoError,
    evidence::Observer,
    proxy::Proxy,
    server::Server,
    stage::Stage,
    tally::Count,
    ways::Ways,
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// How often a fact that is waited for is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A fact that has not come by then does not come.
const WAITING: Duration = Duration::from_secs(20);
/// One line of the live table.
const BEAT: Duration = Duration::from_secs(1);
/// Lines of the live table at most.
const LONGEST: u32 = 20;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) stage: &'a mut Stage,
    pub(super) server: &'a Server,
    pub(super) proxy: &'a Proxy,
    pub(super) ways: Arc<Ways>,
    pub(super) cast: Cast,
    /// Looks at the shop from outside the proxy.
    pub(super) observer: Observer,
}

impl Scene<'_> {
    /// Shows what everybody does, a line a second, for so many seconds and until each has done what `has` asks
    /// for: a busy machine takes longer. Gives what they did in all.
    pub(super) async fn watch(&self, seconds: u32, has: impl Fn(Count) -> bool) -> Result<Counts, DemoError> {
        self.stage.tell(LIVE_HEADING)?;
        let before = self.cast.counts();
        let mut last = before;
        for second in 1..=LONGEST {
            sleep(BEAT).await;
            let now = self.cast.counts();
            self.stage.tell(&live_line(second, now.since(last)))?;
            last = now;
            if second >= seconds && now.since(before).each().into_iter().all(|(_, count)| has(count)) {
                break;
            }
        }
        Ok(last.since(before))
    }

    /// Waits until each has been refused, or has written, since `before`: their loops do one thing after the
    /// other, so what they did before that has been counted.
    pub(super) async fn until_each(
        &self,
        before: Counts,
        what: &str,
        has: impl Fn(Count) -> bool,
    ) -> Result<Counts, DemoError> {
        let all_have = async || {
            let now = self.cast.counts();
            Ok(now.since(before).each().into_iter().all(|(_, count)| has(count)).then_some(now))
        };
        until(what, all_have).await
    }
}

/// Waits until there is an answer.
pub(super) async fn until<T, F: Future<Output = Result<Option<T>, DemoError>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> Result<T, DemoError> {
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            sleep(LOOK_AGAIN).await;
        }
    };
    let found = timeout(WAITING, looking).await;
    found.map_err(|_elapsed| DemoError::TooLate { what: what.into(), limit: WAITING })?
}

const LIVE_HEADING: &str = "
in that      shop-app                    queue-worker        nightly-report
second        reads  writes  refused      writes  refused     reads  writes  refused";

fn live_line(second: u32, Counts { app, worker, cron }: Counts) -> String {
    format!(
        "{second:>4}        {:>7} {:>7} {:>8}     {:>7} {:>8}   {:>7} {:>7} {:>8}",
        app.reads,
        app.writes,
        app.refused,
        worker.writes,
        worker.refused,
        cron.reads,
        cron.writes,
        cron.refused
    )
}

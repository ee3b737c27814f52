//! Those who use the database: an application, a queue worker and a cron job, each a loop that goes on whatever
//! it is told, and counts it.

use super::{
    error::DemoError,
    programs::{self, SOON, said},
    tally::{Count, Outcome, Tally},
    ways::Ways,
};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_postgres::{Client, Statement};

/// The database that they use.
pub(super) const DATABASE: &str = "shop";
/// The application, by the name that it gives itself.
pub(super) const APP: &str = "shop-app";
/// The queue worker.
pub(super) const WORKER: &str = "queue-worker";
/// The cron job.
pub(super) const CRON: &str = "nightly-report";

/// Between two orders, and two jobs.
const BEAT: Duration = Duration::from_millis(50);
/// Between two runs of the cron job.
const CRON_BEAT: Duration = Duration::from_millis(700);

const READ_ORDERS: &str = "SELECT count(*), sum(amount) FROM orders WHERE customer = $1";
const ADD_ORDER: &str = "INSERT INTO orders (customer, amount) VALUES ($1, 42) RETURNING id";
const ADD_JOB: &str = "INSERT INTO jobs (order_id) VALUES ($1)";
const TAKE_JOB: &str = "WITH next AS (SELECT id FROM jobs WHERE done_at IS NULL ORDER BY id LIMIT 1 \
                        FOR UPDATE SKIP LOCKED) UPDATE jobs SET done_at = now() FROM next \
                        WHERE jobs.id = next.id";
const READ_TOTAL: &str = "SELECT sum(amount) FROM orders";
const ADD_REPORT: &str = "INSERT INTO reports SELECT now(), count(*), sum(amount) FROM orders";

/// All of them, at work.
#[derive(Debug)]
pub(super) struct Cast {
    app: Arc<Tally>,
    worker: Arc<Tally>,
    cron: Arc<Tally>,
    stop: watch::Sender<bool>,
    loops: JoinSet<()>,
}

/// A count for each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) app: Count,
    pub(super) worker: Count,
    pub(super) cron: Count,
}

impl Counts {
    /// What came after `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            app: self.app.since(before.app),
            worker: self.worker.since(before.worker),
            cron: self.cron.since(before.cron),
        }
    }

    pub(super) fn each(self) -> [(&'static str, Count); 3] {
        [(APP, self.app), (WORKER, self.worker), (CRON, self.cron)]
    }
}

impl Cast {
    /// They connect and begin.
    pub(super) fn enter(ways: &Arc<Ways>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (app, worker, cron) = (Arc::default(), Arc::default(), Arc::default());
        let mut loops = JoinSet::new();
        let begin = || (Arc::clone(ways), stopped.clone());
        spawn(&mut loops, &app, begin(), run_app);
        spawn(&mut loops, &worker, begin(), run_worker);
        spawn(&mut loops, &cron, begin(), run_cron);
        Self { app, worker, cron, stop, loops }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { app: self.app.count(), worker: self.worker.count(), cron: self.cron.count() }
    }

    /// What each of them was told last when something failed.
    pub(super) fn faults(&self) -> String {
        let told = [(APP, &self.app), (WORKER, &self.worker), (CRON, &self.cron)];
        let told = told.map(|(name, tally)| (name, tally.words().fault));
        let told = told.into_iter().filter(|(_, fault)| !fault.is_empty());
        told.map(|(name, fault)| format!("{name}: {fault}")).collect::<Vec<_>>().join("; ")
    }

    /// What the application was told when it was refused last.
    pub(super) fn refusal(&self) -> String {
        self.app.words().refusal
    }

    /// Each ends what it has begun, and goes.
    pub(super) async fn leave(&mut self) -> Result<(), DemoError> {
        self.stop.send_replace(true);
        let gone = async { while self.loops.join_next().await.is_some() {} };
        let gone = timeout(SOON, gone).await;
        gone.map_err(|_elapsed| DemoError::TooLate { what: "the clients to go".into(), limit: SOON })
    }
}

type Begin = (Arc<Ways>, watch::Receiver<bool>);

fn spawn<F: Future<Output = Result<(), DemoError>> + Send + 'static>(
    loops: &mut JoinSet<()>,
    tally: &Arc<Tally>,
    (ways, stopped): Begin,
    run: impl FnOnce(Arc<Ways>, watch::Receiver<bool>, Arc<Tally>) -> F,
) {
    let tally = Arc::clone(tally);
    let running = run(ways, stopped, Arc::clone(&tally));
    // The handle is not needed: the set ends them all.
    drop(loops.spawn(async move { tally.note_end(running.await) }));
}

/// Waits for the next beat; false when it is time to go.
async fn beat(ticks: &mut tokio::time::Interval, stopped: &watch::Receiver<bool>) -> bool {
    ticks.tick().await;
    !*stopped.borrow()
}

fn beats(length: Duration) -> tokio::time::Interval {
    let mut ticks = interval(length);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn prepare(client: &Client, sql: &str) -> Result<Statement, DemoError> {
    let prepared = client.prepare(sql).await;
    prepared.map_err(|source| DemoError::Sql { what: format!("preparing {sql}"), source })
}

/// A driver that prepares its statements once, reads, and writes an order with its job in one transaction.
async fn run_app(
    ways: Arc<Ways>,
    stopped: watch::Receiver<bool>,
    tally: Arc<Tally>,
) -> Result<(), DemoError> {
    let mut client = ways.driver("shop", DATABASE, APP).await?;
    let read = prepare(&client, READ_ORDERS).await?;
    let add_order = prepare(&client, ADD_ORDER).await?;
    let add_job = prepare(&client, ADD_JOB).await?;
    let mut ticks = beats(BEAT);
    while beat(&mut ticks, &stopped).await {
        tally.note_read(client.query(&read, &[&"ann"]).await);
        tally.note_write(place_order(&mut client, &add_order, &add_job).await);
    }
    Ok(())
}

async fn place_order(
    client: &mut Client,
    add_order: &Statement,
    add_job: &Statement,
) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    // What is dropped without a commit is rolled back.
    let order: i64 = transaction.query_one(add_order, &[&"ann"]).await?.get(0);
    transaction.execute(add_job, &[&order]).await?;
    transaction.commit().await
}

/// Takes the oldest open job, as job queues in PostgreSQL do.
async fn run_worker(
    ways: Arc<Ways>,
    stopped: watch::Receiver<bool>,
    tally: Arc<Tally>,
) -> Result<(), DemoError> {
    let client = ways.driver("worker", DATABASE, WORKER).await?;
    let take = prepare(&client, TAKE_JOB).await?;
    let mut ticks = beats(BEAT);
    while beat(&mut ticks, &stopped).await {
        match client.execute(&take, &[]).await {
            // An empty queue is no write.
            Ok(0) => {}
            ended => tally.note_write(ended),
        }
    }
    Ok(())
}

/// psql each time anew: a read, then a write.
async fn run_cron(
    ways: Arc<Ways>,
    stopped: watch::Receiver<bool>,
    tally: Arc<Tally>,
) -> Result<(), DemoError> {
    let mut ticks = beats(CRON_BEAT);
    while beat(&mut ticks, &stopped).await {
        let mut psql = ways.psql("reports", DATABASE, CRON);
        psql.args(["-At", "-c", READ_TOTAL, "-c", ADD_REPORT]);
        let output = programs::finish(psql, SOON).await?;
        let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let has_read = output.stdout.first().is_some_and(u8::is_ascii_digit);
        tally.note_read(if has_read { Outcome::Done } else { Outcome::Failed(said(&output)) });
        if has_read {
            tally.note_write(match output.status.success() {
                true => Outcome::Done,
                false if error.starts_with("ERROR:  25006:") => Outcome::Refused(error),
                false => Outcome::Failed(error),
            });
        }
    }
    Ok(())
}

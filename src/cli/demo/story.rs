//! The acts, in order.

use super::{
    bypasser,
    cast::{APP, Counts, DATABASE},
    duel,
    error::DemoError,
    migration,
    proxy::shown,
    scene::{Scene, until},
    schema::{ORDERS_AT_FIRST, OWNER},
    tally::Count,
};
use crate::{cli::Exit, freeze::Phase};

/// Seconds that everybody is watched for in an act, at least.
const WATCHED: u32 = 4;
/// Who has a transaction open when the freeze comes.
const IMPORT: &str = "bulk-import";
const FREEZE: [&str; 7] = ["freeze", "--reason", "storage move", "--by", "ann", "--until", "45m"];

/// The whole story. A new act is a function here, or a file beside this one.
pub(super) async fn play(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    everybody_writes(scene).await?;
    the_freeze(scene).await?;
    frozen(scene).await?;
    who_tried(scene).await?;
    duel::act(scene).await?;
    bypasser::act(scene).await?;
    migration::act(scene).await?;
    the_thaw(scene).await?;
    the_accounts(scene).await
}

async fn everybody_writes(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("Everybody writes").await?;
    scene.stage.tell(
        "shop-app        a driver: prepared statements, an order and its job in one transaction\n\
         queue-worker    takes jobs with FOR UPDATE SKIP LOCKED\n\
         nightly-report  a cron job: psql, a new connection each time, reads and writes",
    )?;
    let began = Counts::default();
    scene.until_each(began, "everybody to write", |count| count.writes > 0).await?;
    let seen = scene.watch(WATCHED, |count| count.writes > 0).await?;
    scene.stage.line("")?;
    claim_all(scene, seen, "everybody wrote, nobody was refused", |count| {
        count.writes > 0 && count.refused == 0
    })
}

/// A claim about what each has counted; a fault of any kind ends the demo, too.
fn claim_all(
    scene: &mut Scene<'_>,
    seen: Counts,
    claim: &str,
    holds: impl Fn(Count) -> bool,
) -> Result<(), DemoError> {
    let is_so = seen.each().into_iter().all(|(_, count)| count.faults == 0 && holds(count));
    let faults = scene.cast.faults();
    scene.stage.claim(claim, is_so, "that of each of them, and no fault", format!("{seen:?} {faults}"))
}

async fn the_freeze(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("The freeze").await?;
    scene.stage.tell(&format!("{IMPORT} has a transaction open, and has written the first of two lines."))?;
    let import = scene.ways.driver(OWNER, DATABASE, IMPORT).await?;
    let failed = |source| DemoError::Sql { what: IMPORT.into(), source };
    import.batch_execute("BEGIN; INSERT INTO imports VALUES (1)").await.map_err(failed)?;
    let before = scene.cast.counts();
    scene.stage.command(&shown(&FREEZE))?;
    let meanwhile = async {
        let waiting = || async {
            let status = scene.proxy.status().await?;
            let waits = status.holding_up.iter().any(|who| who.application == IMPORT);
            Ok((status.state == Phase::Draining && waits).then_some(()))
        };
        until("the state to be draining, for the open transaction", waiting).await?;
        scene
            .stage
            .tell(&format!("(draining: {IMPORT} wrote before the freeze, so it may go on and end)"))?;
        scene.until_each(before, "everybody else to be refused", |count| count.refused > 0).await?;
        scene.stage.tell("(everybody else is refused already)")?;
        import.batch_execute("INSERT INTO imports VALUES (2); COMMIT").await.map_err(failed)?;
        scene.stage.tell(&format!("({IMPORT} has written its second line and committed)"))
    };
    let (answer, ended) = tokio::join!(scene.proxy.ask(&FREEZE), meanwhile);
    let answer = answer?;
    // If the freeze itself failed, its own words tell more than what was waited for in vain.
    scene.stage.tell(&answer.text)?;
    ended?;
    scene.stage.line("")?;
    let done = Some(i32::from(Exit::Done.code()));
    scene.stage.claim_same("freeze said `frozen` only after that, and ended with 0", &done, &answer.code)?;
    let state = scene.proxy.status().await?.state;
    scene.stage.claim_same("status says the same", &Phase::Frozen, &state)?;
    let lines = scene.observer.number("SELECT count(*) FROM imports").await?;
    scene.stage.claim_same("what had begun is whole: both lines are there", &2, &lines)
}

async fn frozen(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("Frozen: reads go on, every write is refused").await?;
    let began = scene.cast.counts();
    scene.until_each(began, "everybody to be refused", |count| count.refused > 0).await?;
    let next_before = scene.observer.next_transaction_id().await?;
    let seen = scene.watch(WATCHED, |count| count.refused > 0).await?;
    let next_after = scene.observer.next_transaction_id().await?;
    scene.stage.line("")?;
    let (reads, refused) = (
        seen.each().map(|(_, count)| count.reads).iter().sum::<u64>(),
        seen.each().map(|(_, count)| count.refused).iter().sum::<u64>(),
    );
    claim_all(scene, seen, &format!("{refused} writes were refused, none passed"), |count| {
        count.refused > 0 && count.writes == 0
    })?;
    scene.stage.claim(
        &format!("{reads} reads went on, none failed, no connection was lost"),
        seen.app.reads > 0 && seen.cron.reads > 0,
        "reads by shop-app and nightly-report",
        format!("{seen:?}"),
    )?;
    scene.stage.claim_same(
        &format!("the server has given out no transaction id meanwhile: the next one still is {next_after}"),
        &next_before,
        &next_after,
    )?;
    scene
        .stage
        .tell("\nWhat shop-app is told: PostgreSQL's own code and message, and the operator's words.")?;
    scene.cast.refusal().lines().try_for_each(|line| scene.stage.tell(&format!("  {line}")))
}

async fn who_tried(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("Who tried").await?;
    scene.proxy.typed(scene.stage, &["refused"]).await?;
    scene.stage.line("")?;
    for (name, _) in scene.cast.counts().each() {
        let counted = || scene.cast.counts().each().into_iter().find(|(who, _)| *who == name);
        let own = || counted().map_or(0, |(_, count)| count.refused);
        // The book is written behind the relay's back: it may be a moment late, and one client may have been
        // told what it has not counted yet.
        let agreed = || async {
            let before = own();
            let book = scene.proxy.refused(name).await?;
            Ok((before..=own().saturating_add(1)).contains(&book).then_some(book))
        };
        let book = until(&format!("the proxy's count for {name} to be the client's own"), agreed).await?;
        scene.stage.claim(
            &format!("{name}: {book} refused, as it has counted itself"),
            book > 0,
            "> 0",
            book,
        )?;
    }
    Ok(())
}

async fn the_thaw(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("The thaw").await?;
    let answer = scene.proxy.typed(scene.stage, &["thaw"]).await?;
    let thawed = scene.cast.counts();
    let done = Some(i32::from(Exit::Done.code()));
    scene.stage.claim_same("thaw ended with 0", &done, &answer.code)?;
    scene.until_each(thawed, "everybody to write again", |count| count.writes > 0).await?;
    let seen = scene.watch(WATCHED, |count| count.writes > 0).await?;
    scene.stage.line("")?;
    claim_all(scene, seen, "everybody writes again, on the connections that they had", |count| {
        count.writes > 0 && count.refused == 0
    })
}

async fn the_accounts(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("The accounts: what each was told, and what is in the tables").await?;
    scene.cast.leave().await?;
    let counts = scene.cast.counts();
    let told = |writes: u64| i64::try_from(writes).unwrap_or(i64::MAX);
    let orders = told(counts.app.writes).saturating_add(ORDERS_AT_FIRST);
    for (what, sql, expected) in [
        (format!("orders that {APP} was told are placed"), "SELECT count(*) FROM orders", orders),
        ("their jobs".into(), "SELECT count(*) FROM jobs", told(counts.app.writes)),
        (
            "jobs that queue-worker was told are done".into(),
            "SELECT count(*) FROM jobs WHERE done_at IS NOT NULL",
            told(counts.worker.writes),
        ),
        ("reports of nightly-report".into(), "SELECT count(*) FROM reports", told(counts.cron.writes)),
        ("rows of those who dressed up a write".into(), "SELECT count(*) FROM loot", 0),
    ] {
        let found = scene.observer.number(sql).await?;
        scene.stage.claim_same(&format!("{found:>5}  {what}"), &expected, &found)?;
    }
    claim_all(scene, counts, "nobody was told anything else from beginning to end", |_| true)
}

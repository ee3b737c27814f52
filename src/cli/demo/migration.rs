//! The migration: through the maintenance listener, while everybody else stays frozen.

use super::{
    cast::DATABASE,
    error::DemoError,
    evidence::Contents,
    programs::{self, SOON, said},
    scene::Scene,
    schema::OWNER,
};

const APPLICATION: &str = "migration";
/// Each one is something that a migration does: tables, an index, rows.
const STEPS: [&str; 3] = [
    "ALTER TABLE orders ADD COLUMN currency text NOT NULL DEFAULT 'EUR'",
    "CREATE INDEX orders_by_customer ON orders (customer)",
    "UPDATE orders SET currency = 'CHF' WHERE id <= 10",
];

pub(super) async fn act(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("A migration, while everybody else is frozen").await?;
    scene.stage.tell(
        "Who comes by the maintenance listener may write: a Unix socket that only its owner can open.",
    )?;
    let before = scene.observer.contents().await?;
    let counts = scene.cast.counts();
    let mut psql = scene.ways.maintenance_psql(OWNER, DATABASE, APPLICATION);
    psql.arg("--single-transaction");
    let typed = format!("psql -h {} -U {OWNER} -d {DATABASE} -1", scene.proxy.maintenance().display());
    let mut lines = vec![typed];
    for step in STEPS {
        psql.args(["-c", step]);
        lines.push(format!("      -c \"{step}\""));
    }
    scene.stage.command(&lines.join(" \\\n"))?;
    let output = programs::finish(psql, SOON).await?;
    scene.stage.tell(&said(&output))?;
    scene.stage.line("")?;
    scene.stage.claim_same("the migration ran", &Some(0), &output.status.code())?;
    let migrated = scene.observer.number("SELECT count(*) FROM orders WHERE currency = 'CHF'").await?;
    scene.stage.claim_same("its column and its rows are there", &10, &migrated)?;
    scene.until_each(counts, "everybody to be refused", |count| count.refused > 0).await?;
    let meanwhile = scene.cast.counts().since(counts);
    let wrote: u64 = meanwhile.each().iter().map(|(_, count)| count.writes).sum();
    scene.stage.claim_same("everybody else was refused meanwhile", &0, &wrote)?;
    let (all, after) = (scene.observer.contents().await?, scene.observer.again(&before).await?);
    scene.stage.claim_same("no table has come or gone", &names(&before), &names(&all))?;
    scene.stage.claim_same(
        "nothing else has changed, by checksum of what was there before",
        &before,
        &after,
    )?;
    for (name, table) in after.0.iter().filter(|(_, table)| table.rows > 1) {
        let checksum = table.checksum.get(..8).unwrap_or_default();
        scene.stage.tell(&format!("      {name:<10} {:>5} rows, md5 {checksum}…", table.rows))?;
    }
    Ok(())
}

fn names(contents: &Contents) -> Vec<&String> {
    contents.0.keys().collect()
}

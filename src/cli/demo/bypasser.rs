//! Who goes round the proxy: a worker that nobody thought of, on the server's own socket, and the verb that finds it.

use super::{
    cast::DATABASE,
    error::DemoError,
    proxy::Answer,
    scene::{Scene, until},
    schema::{OWNER, TWIN, prepared_in},
};
use crate::cli::Exit;

const FORGOTTEN: &str = "forgotten-worker";
const VERIFY: [&str; 3] = ["verify", "--for", "1s"];

pub(super) async fn act(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("Who goes round the proxy").await?;
    scene.stage.tell(&format!(
        "{FORGOTTEN} connects to the server itself, and writes. No proxy can stop that; the monitor, a role that \
         only looks,\nnames it, and whatever else could still write, each with the SQL that stops it."
    ))?;
    let failed = |source| DemoError::Sql { what: FORGOTTEN.into(), source };
    let worker = scene.server.connect_as(OWNER, DATABASE, FORGOTTEN).await?;
    worker.batch_execute("INSERT INTO imports VALUES (3)").await.map_err(failed)?;
    let found = scene.proxy.typed(scene.stage, &VERIFY).await?;
    scene.stage.line("")?;
    claim_code(scene, "verify ended with 7: the server is not quiet", Exit::NotQuiet, &found)?;
    scene.stage.claim(
        &format!("it names {FORGOTTEN}"),
        found.text.contains(FORGOTTEN),
        FORGOTTEN,
        &found.text,
    )?;
    let gid = prepared_in(DATABASE);
    scene.stage.claim(
        "and what was prepared before the freeze",
        found.text.contains(&gid),
        &gid,
        &found.text,
    )?;
    let stop = stop_sql(&found.text);
    scene.stage.command(&format!("psql -h THE-SERVER -c '{stop}' …"))?;
    for database in [DATABASE, TWIN] {
        let what = || format!("stopping what verify named in {database}");
        let dba = scene.server.connect(database).await?;
        let mut sql = format!("ROLLBACK PREPARED '{}'", prepared_in(database));
        if database == DATABASE {
            sql = stop.clone();
            let ended = dba.batch_execute(&format!("ROLLBACK PREPARED '{gid}'")).await;
            ended.map_err(|source| DemoError::Sql { what: what(), source })?;
        }
        dba.batch_execute(&sql).await.map_err(|source| DemoError::Sql { what: what(), source })?;
    }
    until("the forgotten worker to be gone", || async { Ok(worker.is_closed().then_some(())) }).await?;
    let quiet = scene.proxy.typed(scene.stage, &VERIFY).await?;
    scene.stage.line("")?;
    claim_code(scene, "verify ended with 0: the server is quiet", Exit::Done, &quiet)
}

fn claim_code(scene: &mut Scene<'_>, claim: &str, expected: Exit, answer: &Answer) -> Result<(), DemoError> {
    scene.stage.claim_same(claim, &Some(i32::from(expected.code())), &answer.code)
}

/// The SQL that ends the session that is named first.
fn stop_sql(text: &str) -> String {
    let sql = text.split("stop it with: ").nth(1).and_then(|rest| rest.lines().next());
    sql.unwrap_or_default().trim().to_owned()
}

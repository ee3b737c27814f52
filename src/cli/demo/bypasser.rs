//! Who goes round the proxy: a worker that nobody thought of, on the server's own socket, and the verb that finds it.

use super::{
    cast::DATABASE,
    error::DemoError,
    proxy::Answer,
    scene::{Scene, until},
    schema::OWNER,
};
use crate::cli::Exit;

const FORGOTTEN: &str = "forgotten-worker";
const VERIFY: [&str; 3] = ["verify", "--for", "1s"];

pub(super) async fn act(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("Who goes round the proxy").await?;
    scene.stage.tell(&format!(
        "{FORGOTTEN} connects to the server itself, and writes. No proxy can stop that; the monitor, a role that \
         only\nlooks, names it, with the SQL that stops it."
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
    let stop = stop_sql(&found.text);
    scene
        .stage
        .command(&format!("psql -h {} -d {DATABASE} -c '{stop}'", scene.server.sockets().display()))?;
    let dba = scene.server.connect(DATABASE).await?;
    let stopped = dba.batch_execute(&stop).await;
    stopped.map_err(|source| DemoError::Sql { what: format!("ending {FORGOTTEN}"), source })?;
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

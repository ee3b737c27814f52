//! The databases that the demo plays in: the shop behind Frostgate, and its twin that PostgreSQL's own setting
//! makes read-only.

use super::{
    cast::DATABASE,
    error::DemoError,
    evidence::Observer,
    server::{MONITOR, Server},
};

/// The twin.
pub(super) const TWIN: &str = "shop_readonly";
/// The owner of all tables.
pub(super) const OWNER: &str = "shop";

const TABLES: &str = "
    CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                         customer text NOT NULL, amount numeric NOT NULL);
    CREATE TABLE jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                       order_id bigint NOT NULL REFERENCES orders, done_at timestamptz);
    CREATE TABLE reports (at timestamptz NOT NULL, orders bigint NOT NULL, total numeric);
    CREATE TABLE imports (line integer NOT NULL);
    CREATE TABLE loot (how text NOT NULL);
    CREATE FUNCTION write_loot(how text) RETURNS void LANGUAGE sql AS 'INSERT INTO loot VALUES (how)';
    INSERT INTO orders (customer, amount) SELECT 'ann', n FROM generate_series(1, 1000) n;
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO worker, reports;
    GRANT UPDATE ON jobs TO worker;
    GRANT INSERT ON reports TO reports;";

/// Orders that are there before anybody comes.
pub(super) const ORDERS_AT_FIRST: i64 = 1000;

/// The name of a transaction that is prepared before the freeze, and could be committed after it.
pub(super) fn prepared_in(database: &str) -> String {
    format!("before_the_freeze_in_{database}")
}

/// Makes roles and databases.
pub(super) async fn make(server: &Server, password: &str) -> Result<(), DemoError> {
    let dba = Observer::new(server.connect("template1").await?);
    for role in [OWNER, "worker", "reports"] {
        dba.run(&format!("CREATE ROLE {role} LOGIN PASSWORD '{password}'")).await?;
    }
    dba.run(&format!("CREATE ROLE {MONITOR} LOGIN PASSWORD '{password}' IN ROLE pg_monitor")).await?;
    for database in [DATABASE, TWIN] {
        dba.run(&format!("CREATE DATABASE {database} OWNER {OWNER}")).await?;
        let owner = Observer::new(server.connect_as(OWNER, database, "schema").await?);
        owner.run(TABLES).await?;
        let gid = prepared_in(database);
        owner
            .run(&format!("BEGIN; INSERT INTO loot VALUES ('prepared'); PREPARE TRANSACTION '{gid}'"))
            .await?;
    }
    Ok(())
}

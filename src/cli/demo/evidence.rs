//! What is seen on the server itself, past the proxy: rows, checksums, transaction ids.

use super::error::DemoError;
use std::collections::BTreeMap;
use tokio_postgres::{Client, Row};

/// What a table holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// Its columns, as SQL.
    columns: String,
    pub(super) rows: i64,
    pub(super) checksum: String,
}

/// What a database holds: every table and sequence that is not PostgreSQL's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Contents(pub(super) BTreeMap<String, Table>);

/// Whoever looks.
#[derive(Debug)]
pub(super) struct Observer(Client);

const RELATIONS: &str = "
    SELECT c.oid::regclass::text,
           (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
      FROM pg_class c
     WHERE c.relkind IN ('r', 'm', 'S')
       AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)";

impl Observer {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    /// Everything in this database.
    pub(super) async fn contents(&self) -> Result<Contents, DemoError> {
        let relations = self.0.query(RELATIONS, &[]).await.map_err(failed("listing the tables"))?;
        let mut found = BTreeMap::new();
        for relation in relations {
            let (name, columns): (String, String) = (cell(&relation, 0)?, cell(&relation, 1)?);
            let table = self.table(&name, columns).await?;
            found.insert(name, table);
        }
        Ok(Contents(found))
    }

    /// The same tables and columns as before, whatever has come beside them.
    pub(super) async fn again(&self, before: &Contents) -> Result<Contents, DemoError> {
        let mut found = BTreeMap::new();
        for (name, table) in &before.0 {
            found.insert(name.clone(), self.table(name, table.columns.clone()).await?);
        }
        Ok(Contents(found))
    }

    async fn table(&self, name: &str, columns: String) -> Result<Table, DemoError> {
        let sql = format!(
            "SELECT count(*), coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text)), '-') \
             FROM (SELECT {columns} FROM {name}) t"
        );
        let row = self.0.query_one(&sql, &[]).await.map_err(failed(&sql))?;
        Ok(Table { columns, rows: cell(&row, 0)?, checksum: cell(&row, 1)? })
    }

    /// A number.
    pub(super) async fn number(&self, sql: &str) -> Result<i64, DemoError> {
        cell(&self.0.query_one(sql, &[]).await.map_err(failed(sql))?, 0)
    }

    /// The next transaction id that the server will give out. It moves with every transaction that writes,
    /// also with those that are rolled back, in any database.
    pub(super) async fn next_transaction_id(&self) -> Result<String, DemoError> {
        let sql = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
        cell(&self.0.query_one(sql, &[]).await.map_err(failed(sql))?, 0)
    }

    /// Statements that return nothing.
    pub(super) async fn run(&self, sql: &str) -> Result<(), DemoError> {
        self.0.batch_execute(sql).await.map_err(failed(sql))
    }
}

fn failed(sql: &str) -> impl FnOnce(tokio_postgres::Error) -> DemoError {
    let what = sql.to_owned();
    move |source| DemoError::Sql { what, source }
}

fn cell<'a, T: tokio_postgres::types::FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, DemoError> {
    row.try_get(at).map_err(failed("reading an answer"))
}

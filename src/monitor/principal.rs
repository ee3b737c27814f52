//! Somebody who logs in, looks or tries, and goes: the smoke test's principal, and who looks before a freeze.

use super::{
    error::MonitorError,
    login::{Login, within},
};
use crate::{config::Conninfo, tls::TlsError};
use std::{fmt, time::Duration};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Rows of one answer that are read; what comes behind them is dropped.
pub const ROWS_LIMIT: usize = 200;

/// See the module's text.
pub struct Principal {
    login: Login,
    database: Option<String>,
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("upstream", &self.login.upstream.name()).finish_non_exhaustive()
    }
}

/// Where it logs in, for people.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.database.as_deref().unwrap_or("its default database");
        write!(f, "{database} at {}", self.login.upstream.name())
    }
}

/// A session of a principal. It ends when it is dropped.
#[derive(Debug)]
pub struct Sitting(Client);

impl Principal {
    /// At that place, as that role. Nothing is connected yet.
    ///
    /// # Errors
    /// A file that the connection string names is no good.
    pub fn new(info: Conninfo, name: &str, connect_timeout: Duration) -> Result<Self, TlsError> {
        let database = info.database.clone();
        Ok(Self { login: Login::new(info, name, connect_timeout)?, database })
    }

    /// Logs in.
    ///
    /// # Errors
    /// The server can't be reached, or would not let it in.
    pub async fn sit(&self) -> Result<Sitting, MonitorError> {
        self.login.log_in().await.map(Sitting)
    }
}

impl Sitting {
    /// The rows of an answer, as texts.
    ///
    /// # Errors
    /// The server failed it, or gave no answer in time.
    pub async fn ask(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, MonitorError> {
        let asking = async { self.0.simple_query(sql).await.map_err(MonitorError::Asking) };
        let rows = within(asking).await?.into_iter().filter_map(|message| {
            let SimpleQueryMessage::Row(row) = message else { return None };
            Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
        });
        Ok(rows.take(ROWS_LIMIT).collect())
    }
}

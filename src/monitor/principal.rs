//! Somebody who logs in, looks or tries, and goes: the smoke test's principal, and who looks before a freeze.

use super::{error::MonitorError, look::within};
use crate::{
    config::Conninfo,
    net::{Stream, Upstream},
    tls::TlsError,
};
use std::{fmt, time::Duration};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Rows of one answer that are read; what comes behind them is dropped.
pub const ROWS_LIMIT: usize = 200;

/// See the module's text.
pub struct Principal {
    upstream: Upstream,
    database: Option<String>,
    login: tokio_postgres::Config,
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal").field("upstream", &self.upstream.name()).finish_non_exhaustive()
    }
}

/// Where it logs in, for people.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.database.as_deref().unwrap_or("its default database");
        write!(f, "{database} at {}", self.upstream.name())
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
        let mut login = tokio_postgres::Config::new();
        if let Some(user) = &info.user {
            login.user(user);
        }
        if let Some(password) = &info.password {
            login.password(password);
        }
        if let Some(database) = &info.database {
            login.dbname(database);
        }
        login.application_name(info.application_name.as_deref().unwrap_or(name));
        login.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let database = info.database.clone();
        let upstream = Upstream::new(info, connect_timeout, None)?;
        Ok(Self { upstream, database, login })
    }

    /// Logs in.
    ///
    /// # Errors
    /// The server can't be reached, or would not let it in.
    pub async fn sit(&self) -> Result<Sitting, MonitorError> {
        let (stream, place) = self.upstream.connect().await.map_err(MonitorError::Unreachable)?;
        match within(self.log_in(stream)).await {
            Err(MonitorError::Login(error)) => match self.upstream.connect_otherwise(&place).await {
                Some((stream, _place)) => within(self.log_in(stream)).await,
                None => Err(MonitorError::Login(error)),
            },
            done => done,
        }
    }

    async fn log_in(&self, stream: Stream) -> Result<Sitting, MonitorError> {
        let (client, connection) =
            self.login.connect_raw(stream, NoTls).await.map_err(MonitorError::Login)?;
        // It ends when the client is dropped, or the server closes it.
        drop(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::info!(%error, "a principal's connection ended");
            }
        }));
        Ok(Sitting(client))
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

//! One look at the server. A connection that broke is made anew by the next look; a question that takes too long
//! ends the connection, so that no late answer is taken for another question's.

use super::{
    error::MonitorError,
    queries,
    wal::{self, Used},
};
use crate::{
    check::{Facts, WalRead},
    config::Conninfo,
    net::{Stream, Upstream},
    tls::TlsError,
};
use std::{fmt, time::Duration};
use tokio::{sync::Mutex, time::timeout};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// For reaching the server, logging in and one answer each. The server's own limit is below it.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// See the module's text.
pub struct Monitor {
    upstream: Upstream,
    login: tokio_postgres::Config,
    client: Mutex<Option<Client>>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("upstream", &self.upstream.name()).finish_non_exhaustive()
    }
}

impl Monitor {
    /// A monitor of the server at that place, as that role. Nothing is connected yet.
    ///
    /// # Errors
    /// A file that the connection string names is no good.
    pub fn new(info: Conninfo, connect_timeout: Duration) -> Result<Self, TlsError> {
        let mut login = tokio_postgres::Config::new();
        if let Some(user) = &info.user {
            login.user(user);
        }
        if let Some(password) = &info.password {
            login.password(password);
        }
        login.dbname(info.database.as_deref().unwrap_or("postgres"));
        login.application_name(info.application_name.as_deref().unwrap_or("frostgate"));
        // Whether the way is encrypted is the upstream's business: what comes from it is ready to be spoken on.
        login.ssl_mode(tokio_postgres::config::SslMode::Disable);
        let upstream = Upstream::new(info, connect_timeout, None)?;
        Ok(Self { upstream, login, client: Mutex::new(None) })
    }

    /// Reads the files of its connection string again.
    ///
    /// # Errors
    /// One is no good; what was there before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.upstream.reload()
    }

    /// Where it looks, for people.
    pub fn name(&self) -> String {
        self.upstream.name()
    }

    /// Looks. Idle sessions with those process ids are of no interest.
    ///
    /// # Errors
    /// The server can't be reached, would not let the monitor in, or gave no answer in time.
    pub async fn look(&self, own: &[u32]) -> Result<Facts, MonitorError> {
        let mut held = self.client.lock().await;
        let kept = held.take().filter(|client| !client.is_closed());
        let was_kept = kept.is_some();
        let client = match kept {
            Some(client) => client,
            None => self.connect().await?,
        };
        match look(&client, own).await {
            Ok(facts) => {
                *held = Some(client);
                Ok(facts)
            }
            // The server may have gone and come back since the last look: that is no reason to give up.
            Err(MonitorError::Asking(error)) if was_kept && error.is_closed() => {
                let client = self.connect().await?;
                let facts = look(&client, own).await?;
                *held = Some(client);
                Ok(facts)
            }
            Err(error) => Err(error),
        }
    }

    /// What the write-ahead log says of those transaction ids; none where it can't be read: no `pg_walinspect` in the
    /// monitor's database, no right to use it, or too much to read.
    ///
    /// # Errors
    /// There is no connection any more, or no answer in time.
    pub async fn read_wal(&self, used: Used<'_>) -> Result<Option<WalRead>, MonitorError> {
        let mut held = self.client.lock().await;
        let Some(client) = held.take() else { return Ok(None) };
        let read = read_wal(&client, used).await?;
        *held = Some(client);
        Ok(read)
    }

    async fn connect(&self) -> Result<Client, MonitorError> {
        let (stream, place) = self.upstream.connect().await.map_err(MonitorError::Unreachable)?;
        match within(self.log_in(stream)).await {
            // `sslmode` may leave another way, which pg_hba.conf may ask for.
            Err(MonitorError::Login(error)) => match self.upstream.connect_otherwise(&place).await {
                Some((stream, _place)) => within(self.log_in(stream)).await,
                None => Err(MonitorError::Login(error)),
            },
            done => done,
        }
    }

    async fn log_in(&self, stream: Stream) -> Result<Client, MonitorError> {
        let (client, connection) =
            self.login.connect_raw(stream, NoTls).await.map_err(MonitorError::Login)?;
        // It ends when the client is dropped, or the server closes it.
        drop(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::info!(%error, "the monitor's connection ended");
            }
        }));
        client.batch_execute(queries::SET_UP).await.map_err(MonitorError::Asking)?;
        Ok(client)
    }
}

async fn look(client: &Client, own: &[u32]) -> Result<Facts, MonitorError> {
    let answer = ask(client, &queries::look(own)).await?.ok_or(MonitorError::NoAnswer)?;
    let mut facts: Facts = serde_json::from_str(&answer).map_err(MonitorError::Answer)?;
    // What the role may not ask stays unknown; a connection that broke is told by the next look.
    facts.identifier = permitted(ask(client, queries::IDENTIFIER).await)?;
    if permitted(ask(client, queries::HAS_CRON).await)?.is_some()
        && let Some(jobs) = permitted(ask(client, queries::CRON_JOBS).await)?
    {
        facts.cron_jobs = Some(serde_json::from_str(&jobs).map_err(MonitorError::Answer)?);
    }
    Ok(facts)
}

async fn read_wal(client: &Client, used: Used<'_>) -> Result<Option<WalRead>, MonitorError> {
    let Some(schema) = permitted(ask(client, wal::SCHEMA).await)? else { return Ok(None) };
    let Some(question) = wal::question(&schema, used) else { return Ok(None) };
    let answer = permitted(ask(client, &question).await)?;
    answer.map(|answer| serde_json::from_str(&answer).map_err(MonitorError::Answer)).transpose()
}

/// The first value of the answer.
async fn ask(client: &Client, sql: &str) -> Result<Option<String>, MonitorError> {
    let asking = async { client.simple_query(sql).await.map_err(MonitorError::Asking) };
    let rows = within(asking).await?;
    Ok(rows.into_iter().find_map(|message| {
        if let SimpleQueryMessage::Row(row) = message { row.get(0).map(str::to_owned) } else { None }
    }))
}

/// What the server would not answer (permission denied, no such view) is not known; all else is an error.
fn permitted(answer: Result<Option<String>, MonitorError>) -> Result<Option<String>, MonitorError> {
    match answer {
        Err(MonitorError::Asking(error)) if error.as_db_error().is_some() => Ok(None),
        answer => answer,
    }
}

pub(super) async fn within<T>(
    work: impl Future<Output = Result<T, MonitorError>>,
) -> Result<T, MonitorError> {
    let limit = ANSWER_LIMIT;
    timeout(limit, work).await.unwrap_or(Err(MonitorError::TooSlow { limit }))
}

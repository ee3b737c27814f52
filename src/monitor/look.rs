//! One look at the server. A connection that broke is made anew by the next look; a question that takes too long
//! ends the connection, so that no late answer is taken for another question's.

use super::{
    error::MonitorError,
    login::{Login, within},
    queries,
    wal::{self, Used},
};
use crate::{
    check::{Facts, WalRead},
    config::Conninfo,
    tls::TlsError,
};
use std::{fmt, time::Duration};
use tokio::{sync::Mutex, time::sleep};
use tokio_postgres::{Client, SimpleQueryMessage};

/// A commit that nobody waits for is on disk after three rounds of the server's writer. Source: manual,
/// `wal_writer_delay`, 200 ms.
const FLUSH: Duration = Duration::from_millis(200);
const FLUSH_ATTEMPTS: u32 = 5;

/// See the module's text.
pub struct Monitor {
    login: Login,
    client: Mutex<Option<Client>>,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("upstream", &self.login.upstream.name()).finish_non_exhaustive()
    }
}

impl Monitor {
    /// A monitor of the server at that place, as that role. Nothing is connected yet.
    ///
    /// # Errors
    /// A file that the connection string names is no good.
    pub fn new(mut info: Conninfo, connect_timeout: Duration) -> Result<Self, TlsError> {
        info.database.get_or_insert_with(|| "postgres".into());
        Ok(Self { login: Login::new(info, "frostgate", connect_timeout)?, client: Mutex::new(None) })
    }

    /// Reads the files of its connection string again.
    ///
    /// # Errors
    /// One is no good; what was there before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.login.upstream.reload()
    }

    /// Where it looks, for people.
    pub fn name(&self) -> String {
        self.login.upstream.name()
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
        let client = self.login.log_in().await?;
        within(async { client.batch_execute(queries::SET_UP).await.map_err(MonitorError::Asking) }).await?;
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
    for _attempt in 0..FLUSH_ATTEMPTS {
        let Some(answer) = permitted(ask(client, &question).await)? else { return Ok(None) };
        let read: WalRead = serde_json::from_str(&answer).map_err(MonitorError::Answer)?;
        if read.is_whole {
            return Ok(Some(read));
        }
        sleep(FLUSH).await;
    }
    Ok(None)
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

//! Logging in as a role of our own: by the upstream's ways to the server, and with a limit on the wait.

use super::error::MonitorError;
use crate::{
    config::Conninfo,
    net::{Stream, Upstream},
    tls::TlsError,
};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

/// For logging in, and for one answer each. The server's own limit is below it.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Where to log in, and as whom.
pub(super) struct Login {
    pub(super) upstream: Upstream,
    config: tokio_postgres::Config,
}

impl Login {
    /// At that place; `name` is what it is called where the connection string says nothing.
    pub(super) fn new(info: Conninfo, name: &str, connect_timeout: Duration) -> Result<Self, TlsError> {
        let mut config = tokio_postgres::Config::new();
        if let Some(user) = &info.user {
            config.user(user);
        }
        if let Some(password) = &info.password {
            config.password(password);
        }
        if let Some(database) = &info.database {
            config.dbname(database);
        }
        config.application_name(info.application_name.as_deref().unwrap_or(name));
        // Whether the way is encrypted is the upstream's business: what comes from it is ready to be spoken on.
        config.ssl_mode(tokio_postgres::config::SslMode::Disable);
        Ok(Self { upstream: Upstream::new(info, connect_timeout, None)?, config })
    }

    pub(super) async fn log_in(&self) -> Result<Client, MonitorError> {
        let (stream, place) = self.upstream.connect().await.map_err(MonitorError::Unreachable)?;
        match within(self.log_in_on(stream)).await {
            // `sslmode` may leave another way, which pg_hba.conf may ask for.
            Err(MonitorError::Login(error)) => match self.upstream.connect_otherwise(&place).await {
                Some((stream, _place)) => within(self.log_in_on(stream)).await,
                None => Err(MonitorError::Login(error)),
            },
            done => done,
        }
    }

    async fn log_in_on(&self, stream: Stream) -> Result<Client, MonitorError> {
        let (client, connection) =
            self.config.connect_raw(stream, NoTls).await.map_err(MonitorError::Login)?;
        // It ends when the client is dropped, or the server closes it.
        drop(tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::info!(%error, "a connection of our own to the server ended");
            }
        }));
        Ok(client)
    }
}

pub(super) async fn within<T>(
    work: impl Future<Output = Result<T, MonitorError>>,
) -> Result<T, MonitorError> {
    let limit = ANSWER_LIMIT;
    timeout(limit, work).await.unwrap_or(Err(MonitorError::TooSlow { limit }))
}

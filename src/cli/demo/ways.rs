//! The ways in: through the proxy by a driver or by psql, and through its maintenance listener.

use super::{
    error::DemoError,
    folder::Folder,
    postgres::Postgres,
    programs,
    proxy::Proxy,
    server::{SOCKET_PORT, connect},
};
use std::path::PathBuf;
use tokio::process::Command;
use tokio_postgres::{Client, Config};

/// What somebody needs to know to come in.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    psql: PathBuf,
    host: String,
    port: u16,
    maintenance: PathBuf,
    password: String,
    password_file: PathBuf,
}

impl Ways {
    pub(super) fn new(
        folder: &Folder,
        postgres: &Postgres,
        proxy: &Proxy,
        password: &str,
    ) -> Result<Self, DemoError> {
        Ok(Self {
            psql: postgres.psql().into(),
            host: proxy.addresses().host.clone(),
            port: proxy.addresses().port,
            maintenance: proxy.maintenance().into(),
            password: password.into(),
            // Source: manual, "The Password File".
            password_file: folder.secret("pgpass", &format!("*:*:*:*:{password}\n"), None)?,
        })
    }

    pub(super) fn password_file(&self) -> &PathBuf {
        &self.password_file
    }

    /// A driver's connection through the proxy.
    pub(super) async fn driver(
        &self,
        user: &str,
        database: &str,
        application: &str,
    ) -> Result<Client, DemoError> {
        let mut config = Config::new();
        config.host(&self.host).port(self.port);
        config.user(user).password(&self.password).dbname(database).application_name(application);
        connect(&config).await
    }

    /// psql through the proxy.
    pub(super) fn psql(&self, user: &str, database: &str, application: &str) -> Command {
        let mut psql = self.any_psql(user, database, application);
        psql.args(["-h", &self.host, "-p", &self.port.to_string()]);
        psql
    }

    /// psql through the maintenance listener.
    pub(super) fn maintenance_psql(&self, user: &str, database: &str, application: &str) -> Command {
        let mut psql = self.any_psql(user, database, application);
        psql.arg("-h").arg(&self.maintenance).args(["-p", &SOCKET_PORT.to_string()]);
        psql
    }

    fn any_psql(&self, user: &str, database: &str, application: &str) -> Command {
        let mut psql = programs::command(&self.psql);
        psql.env("PGPASSFILE", &self.password_file).env("PGAPPNAME", application);
        psql.args(["--no-psqlrc", "--no-password", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
        psql.args(["-U", user, "-d", database]);
        psql
    }
}

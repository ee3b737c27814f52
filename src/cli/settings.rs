//! From what was typed, the environment and the file to a configuration.

use super::{args::ServeArgs, error::CliError};
use crate::{
    config::{Config, Overrides, RawConfig},
    net::Keeper,
    tls::{Doorway, ServerTls},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The configuration that `serve` runs on.
///
/// # Errors
/// The file can't be read, or something in it, or typed, is wrong: all faults at once.
pub fn serve_config(args: ServeArgs, default_state_dir: PathBuf) -> Result<Config, CliError> {
    let raw = match &args.config {
        Some(path) => read(path)?,
        None => RawConfig::default(),
    };
    let said = Overrides {
        listen: args.listen,
        maintenance_listen: args.maintenance_listen,
        upstream: args.upstream,
        state_dir: args.state_dir,
        control: args.control,
        http: args.http,
        threads: args.threads,
        monitor: args.monitor,
        expect: args.expect,
    };
    Ok(Config::check(raw.overridden_by(said), default_state_dir)?)
}

/// What a file says of clients' logins; where the server is, is said elsewhere.
pub(super) fn doctor_config(path: Option<&Path>, default_state_dir: PathBuf) -> Result<Config, CliError> {
    let raw = path.map(read).transpose()?.unwrap_or_default();
    let said = Overrides { upstream: Some("host=localhost".into()), ..Overrides::default() };
    Ok(Config::check(raw.overridden_by(said), default_state_dir)?)
}

/// Looks at a file, and at the certificates that it names.
///
/// # Errors
/// It can't be read, or something in it is wrong: all faults at once.
pub fn check_config(path: &Path, default_state_dir: PathBuf) -> Result<Config, CliError> {
    let config = Config::check(read(path)?, default_state_dir)?;
    for upstream in config.upstreams.all() {
        drop(ServerTls::new(&upstream.conninfo)?);
        drop(upstream.monitor.as_ref().map(ServerTls::new).transpose()?);
    }
    drop(Keeper::new(config.auth.clone())?);
    drop(config.console.clone().map(|console| Keeper::new(console.auth)).transpose()?);
    drop(config.tls.clone().map(Doorway::new).transpose()?);
    Ok(config)
}

fn read(path: &Path) -> Result<RawConfig, CliError> {
    let text = fs::read_to_string(path).map_err(|source| CliError::File { path: path.into(), source })?;
    Ok(RawConfig::parse(&text)?)
}

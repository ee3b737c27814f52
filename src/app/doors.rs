//! Everything that listens, opened before any other thread is there: a socket's mode is set by a mask of the
//! process.

use super::error::AppError;
use crate::{
    config::{Address, Config},
    control::{self, Operator},
    listener::{Door, bind_unix},
};
use std::{path::Path, sync::Arc};
use tokio::{net::UnixListener, task::JoinSet};

pub(super) struct Doors {
    pub(super) ordinary: Vec<Door>,
    pub(super) maintenance: Option<Door>,
    pub(super) http: Option<Door>,
}

pub(super) async fn open_doors(config: &Config) -> Result<Doors, AppError> {
    let open = async |key, address: &Address, mode| {
        let listen = |source| AppError::Listen { key, address: address.to_string(), source };
        Door::open(address, mode, config.limits.keepalive).await.map_err(listen)
    };
    let mut ordinary = Vec::new();
    for address in &config.listen {
        // As PostgreSQL's own socket: whoever reaches it is asked who he is by the server.
        ordinary.push(open("listen", address, 0o777).await?);
    }
    let maintenance = match &config.maintenance_listen {
        Some(address) => Some(open("maintenance_listen", address, 0o600).await?),
        None => None,
    };
    let http = match &config.http {
        Some(address) => Some(open("http", address, 0o666).await?),
        None => None,
    };
    Ok(Doors { ordinary, maintenance, http })
}

pub(super) fn bind_control(path: &Path) -> Result<UnixListener, AppError> {
    let listen = |source| AppError::Listen { key: "control", address: path.display().to_string(), source };
    bind_unix(path, 0o600).map_err(listen)
}

pub(super) fn spawn_control(
    tasks: &mut JoinSet<()>,
    operator: &Arc<Operator>,
    control: UnixListener,
    http: Option<Door>,
) {
    let log = |served: Result<(), control::ControlError>| {
        if let Err(error) = served {
            tracing::error!(%error, "a listener of Frostgate's own failed");
        }
    };
    let routes = control::control_routes(Arc::clone(operator));
    drop(tasks.spawn(async move { log(control::serve_unix(control, routes).await) }));
    let routes = control::public_routes(Arc::clone(operator));
    match http {
        Some(Door::Tcp(http)) => {
            drop(tasks.spawn(async move { log(control::serve_tcp(http, routes).await) }));
        }
        Some(Door::Unix(http)) => {
            drop(tasks.spawn(async move { log(control::serve_unix(http, routes).await) }));
        }
        None => {}
    }
}

//! The way to the server: its places are tried in their order, a name's addresses one after the other.

use super::{error::NetError, stream::Stream};
use crate::{
    config::{Conninfo, Host},
    fleet::Place,
};
use std::{io, time::Duration};
use tokio::{
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};

/// Addresses of one name that are tried.
const ADDRESSES_LIMIT: usize = 16;

/// Where a server is.
#[derive(Debug, Clone)]
pub struct Upstream {
    info: Conninfo,
    connect_timeout: Duration,
}

impl Upstream {
    /// A server's place by its connection string; `connect_timeout` holds for each address unless the string
    /// says otherwise.
    pub fn new(info: Conninfo, connect_timeout: Duration) -> Self {
        let connect_timeout = info.connect_timeout.unwrap_or(connect_timeout);
        Self { info, connect_timeout }
    }

    /// Its name, for people.
    pub fn name(&self) -> String {
        self.info.to_string()
    }

    /// A new connection.
    ///
    /// # Errors
    /// None of its places could be reached in time.
    pub async fn connect(&self) -> Result<(Stream, Place), NetError> {
        let mut problems = Vec::new();
        for host in &self.info.hosts {
            match self.connect_host(host).await {
                Ok(connected) => return Ok(connected),
                Err(problem) => problems.push(format!("{host}: {problem}")),
            }
        }
        Err(NetError::Unreachable { upstream: self.name(), problem: problems.join("; ") })
    }

    /// A new connection to the place where another one went.
    ///
    /// # Errors
    /// It could not be reached in time.
    pub async fn connect_place(&self, place: &Place) -> io::Result<Stream> {
        let connecting = async {
            Ok(match place {
                Place::Tcp(address) => Stream::Tcp(tuned(TcpStream::connect(address).await?)?),
                Place::Unix(path) => Stream::Unix(UnixStream::connect(path).await?),
            })
        };
        timeout(self.connect_timeout, connecting).await.unwrap_or_else(|_| Err(self.too_slow()))
    }

    async fn connect_host(&self, host: &Host) -> io::Result<(Stream, Place)> {
        let (name, address, port) = match host {
            Host::Unix { folder, port } => {
                let place = Place::Unix(folder.join(format!(".s.PGSQL.{port}")));
                return Ok((self.connect_place(&place).await?, place));
            }
            Host::Tcp { name, address, port } => (name, address, *port),
        };
        let target = address.as_deref().unwrap_or(name);
        let resolving = timeout(self.connect_timeout, lookup_host((target, port)));
        let addresses = resolving.await.unwrap_or_else(|_| Err(self.too_slow()))?;
        let mut last = io::Error::other("the name has no address");
        for address in addresses.take(ADDRESSES_LIMIT) {
            let place = Place::Tcp(address);
            match self.connect_place(&place).await {
                Ok(stream) => return Ok((stream, place)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn too_slow(&self) -> io::Error {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no answer within {} ms", self.connect_timeout.as_millis()),
        )
    }
}

/// Small messages must not wait for each other.
fn tuned(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

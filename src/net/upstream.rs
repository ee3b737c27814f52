//! The way to the server: its places are tried in their order, a name's addresses one after the other, encrypted
//! as `sslmode` says. Source: manual, "Protocol Flow", "SSL Session Encryption"; `PQconnectPoll` in `fe-connect.c`.

use super::{error::NetError, stream::Stream};
use crate::{
    config::{Conninfo, Host, SslMode},
    fleet::{Place, Way},
    tls::{ServerTls, TlsError, explain},
    wire::startup::SSL_REQUEST,
};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};

/// Addresses of one name that are tried.
const ADDRESSES_LIMIT: usize = 16;

/// Where a server is.
#[derive(Debug)]
pub struct Upstream {
    info: Conninfo,
    connect_timeout: Duration,
    keepalive: Option<Duration>,
    tls: Mutex<Arc<ServerTls>>,
}

/// Whether one connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    No,
    /// If the server can.
    IfOffered,
    Yes,
}

impl Encryption {
    /// What is tried first.
    fn first(mode: SslMode) -> Self {
        match mode {
            SslMode::Disable | SslMode::Allow => Self::No,
            SslMode::Prefer => Self::IfOffered,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Self::Yes,
        }
    }

    /// What is tried when the server would not have a login come so.
    fn second(mode: SslMode, first_was_encrypted: bool) -> Option<Self> {
        match (mode, first_was_encrypted) {
            (SslMode::Allow, false) => Some(Self::Yes),
            (SslMode::Prefer, true) => Some(Self::No),
            _ => None,
        }
    }
}

impl Upstream {
    /// A server's place by its connection string; `connect_timeout` holds for each address unless the string
    /// says otherwise.
    ///
    /// # Errors
    /// A file that the string names is no good.
    pub fn new(
        info: Conninfo,
        connect_timeout: Duration,
        keepalive: Option<Duration>,
    ) -> Result<Self, TlsError> {
        let connect_timeout = info.connect_timeout.unwrap_or(connect_timeout);
        let tls = Mutex::new(Arc::new(ServerTls::new(&info)?));
        Ok(Self { info, connect_timeout, keepalive, tls })
    }

    /// Reads the files of the connection string again, for connections to come.
    ///
    /// # Errors
    /// One is no good; what was there before stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let tls = Arc::new(ServerTls::new(&self.info)?);
        // It is swapped whole.
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = tls;
        Ok(())
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
        let encryption = Encryption::first(self.info.ssl_mode);
        let mut problems = Vec::new();
        for (number, host) in self.info.hosts.iter().enumerate() {
            match self.connect_host(number, host, encryption).await {
                Ok(connected) => return Ok(connected),
                Err(problem) => problems.push(format!("{host}: {problem}")),
            }
        }
        Err(NetError::Unreachable { upstream: self.name(), problem: problems.join("; ") })
    }

    /// A connection of the other kind to the same place, where `sslmode` leaves the choice and the server would
    /// have no login come by the first. None: there is no choice, or it came to nothing.
    pub async fn connect_otherwise(&self, place: &Place) -> Option<(Stream, Place)> {
        let Way::Tcp(_) = place.way else { return None };
        let encryption = Encryption::second(self.info.ssl_mode, place.is_encrypted)?;
        self.connect_way(place.way.clone(), place.host, encryption).await.ok()
    }

    /// A new connection to the place where another one went, encrypted if that one was.
    ///
    /// # Errors
    /// It could not be reached in time.
    pub async fn connect_place(&self, place: &Place) -> io::Result<Stream> {
        let encryption = if place.is_encrypted { Encryption::Yes } else { Encryption::No };
        self.connect_way(place.way.clone(), place.host, encryption).await.map(|(stream, _)| stream)
    }

    async fn connect_way(
        &self,
        way: Way,
        host: usize,
        encryption: Encryption,
    ) -> io::Result<(Stream, Place)> {
        let connecting = async {
            let address = match &way {
                Way::Unix(path) => return Ok(Stream::Unix(UnixStream::connect(path).await?)),
                Way::Tcp(address) => *address,
            };
            match encryption {
                Encryption::No => Ok(Stream::Tcp(self.tcp(address).await?)),
                Encryption::Yes => self.encrypted(address, host, true).await,
                // Where TLS fails, plain text is as good as where it is not offered.
                Encryption::IfOffered => match self.encrypted(address, host, false).await {
                    Ok(stream) => Ok(stream),
                    Err(_) => Ok(Stream::Tcp(self.tcp(address).await?)),
                },
            }
        };
        let connected: io::Result<Stream> =
            timeout(self.connect_timeout, connecting).await.unwrap_or_else(|_| Err(self.too_slow()));
        connected.map(|stream| {
            let is_encrypted = stream.is_encrypted();
            (stream, Place { way, host, is_encrypted })
        })
    }

    async fn tcp(&self, address: std::net::SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        super::stream::tune(&stream, self.keepalive)?;
        Ok(stream)
    }

    /// Asks for TLS, and speaks it; where it is not offered and not needed, the socket as it is.
    async fn encrypted(
        &self,
        address: std::net::SocketAddr,
        host: usize,
        is_needed: bool,
    ) -> io::Result<Stream> {
        let mut socket = self.tcp(address).await?;
        if !self.info.ssl_direct {
            socket.write_all(&SSL_REQUEST).await?;
            // One byte and no more: what else came in plain text would be taken for the server's own words later.
            match socket.read_u8().await? {
                b'S' => {}
                b'N' if is_needed => return Err(io::Error::other("the server does not support TLS")),
                b'N' => return Ok(Stream::Tcp(socket)),
                b'E' => {
                    return Err(io::Error::other("the server answered the request for TLS with an error"));
                }
                other => {
                    return Err(io::Error::other(format!(
                        "the server answered the request for TLS with {:?}: is this PostgreSQL?",
                        char::from(other)
                    )));
                }
            }
        }
        let tls = Arc::clone(&self.tls.lock().unwrap_or_else(PoisonError::into_inner));
        let wrapping = tls.wrapping(host).ok_or(io::ErrorKind::NotFound)?;
        let connected = Stream::connect_tls(socket, wrapping).await;
        connected.map_err(|error| io::Error::new(error.kind(), explain(&error)))
    }

    async fn connect_host(
        &self,
        number: usize,
        host: &Host,
        encryption: Encryption,
    ) -> io::Result<(Stream, Place)> {
        let (name, address, port) = match host {
            Host::Unix { folder, port } => {
                let way = Way::Unix(folder.join(format!(".s.PGSQL.{port}")));
                return self.connect_way(way, number, Encryption::No).await;
            }
            Host::Tcp { name, address, port } => (name, address, *port),
        };
        let target = address.as_deref().unwrap_or(name);
        let resolving = timeout(self.connect_timeout, lookup_host((target, port)));
        let addresses = resolving.await.unwrap_or_else(|_| Err(self.too_slow()))?;
        let mut last = io::Error::other("the name has no address");
        for address in addresses.take(ADDRESSES_LIMIT) {
            match self.connect_way(Way::Tcp(address), number, encryption).await {
                Ok(connected) => return Ok(connected),
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

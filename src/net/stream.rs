//! A connection of either kind, as one type.

use crate::trust::Certificate;
use rustix::net::sockopt;
use rustls::pki_types::{CertificateDer, ServerName};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// See the module's text.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
    /// TLS over TCP. PostgreSQL and libpq speak no TLS over a Unix socket.
    Tls(Box<TlsStream<TcpStream>>),
    /// What stands in a stream's place while its socket is being wrapped.
    Gone,
}

impl Stream {
    /// Whether what it carries is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The hash of the peer's certificate that `tls-server-end-point` binds a login to, if it has one.
    pub(super) fn peer_end_point(&self) -> Option<Vec<u8>> {
        Certificate::read(self.peer_certificate()?).ok()?.end_point()
    }

    /// The certificate that the peer has shown.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        let Self::Tls(stream) = self else { return None };
        stream.get_ref().1.peer_certificates()?.first()
    }

    /// Speaks TLS to a server.
    pub(super) async fn connect_tls(
        socket: TcpStream,
        (config, name): (Arc<rustls::ClientConfig>, ServerName<'static>),
    ) -> io::Result<Self> {
        let stream = TlsConnector::from(config).connect(name, socket).await?;
        Ok(Self::Tls(Box::new(TlsStream::Client(stream))))
    }

    /// Speaks TLS to a client. `is_direct`: it began without asking, and so must have named the protocol.
    pub(super) async fn accept_tls(
        socket: TcpStream,
        config: Arc<rustls::ServerConfig>,
        is_direct: bool,
    ) -> io::Result<Self> {
        let stream = TlsAcceptor::from(config).accept(socket).await?;
        if is_direct && stream.get_ref().1.alpn_protocol().is_none() {
            return Err(io::Error::other(
                "received direct SSL connection request without ALPN protocol negotiation extension",
            ));
        }
        Ok(Self::Tls(Box::new(TlsStream::Server(stream))))
    }
}

/// Signs of life that are missed before a silent connection is given up.
const PROBES: u32 = 6;
/// Between two of them.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);

/// Small messages must not wait for each other, and a peer that has vanished shall be noticed.
///
/// # Errors
/// The system would not.
pub fn tune(stream: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(idle) = keepalive {
        let idle = idle.max(Duration::from_secs(1));
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, idle)?;
        sockopt::set_tcp_keepintvl(stream, PROBE_INTERVAL.min(idle))?;
        sockopt::set_tcp_keepcnt(stream, PROBES)?;
    }
    Ok(())
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::ErrorKind::NotConnected.into()))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Gone => gone(),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Gone => gone(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => gone(),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => gone(),
        }
    }
}

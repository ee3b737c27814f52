//! A connection of either kind, as one type.

use crate::trust::Certificate;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send, sockopt},
};
use rustls::pki_types::{CertificateDer, ServerName};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
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

/// What a relay has read in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes; there may be more.
    Part(usize),
    /// So many, and nothing more is there yet. It may be none, where the session was woken for nothing.
    All(usize),
    /// The peer sends no more.
    Ended,
    /// Nothing has come since it was last seen to be empty.
    Nothing,
}

impl Stream {
    /// Reads what is there, for a session that has been woken or goes on. Unlike `poll_read` it asks the runtime
    /// for nothing: see [`Stream::poll_watch`].
    pub(super) fn read_now(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> io::Result<Read> {
        let room = buffer.len();
        let mut read = Ok(Read::Nothing);
        // A read that does not fill the buffer has emptied the socket: told so, the runtime spares the next call,
        // as its own `poll_read` does (epoll(7), edge-triggered).
        let mut receive = |socket: BorrowedFd<'_>| {
            read = match recv(socket, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => Ok(Read::Ended),
                Ok((length, _)) if length == room => Ok(Read::Part(length)),
                Ok((length, _)) => Ok(Read::All(length)),
                Err(Errno::WOULDBLOCK) => Ok(Read::All(0)),
                Err(errno) => Err(errno),
            };
            if matches!(read, Ok(Read::All(_))) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        match self {
            Self::Tcp(socket) => drop(socket.try_io(Interest::READABLE, || receive(socket.as_fd()))),
            Self::Unix(socket) => drop(socket.try_io(Interest::READABLE, || receive(socket.as_fd()))),
            Self::Tls(stream) => {
                let mut into = ReadBuf::new(buffer);
                return match Pin::new(stream).poll_read(cx, &mut into) {
                    Poll::Pending => Ok(Read::Nothing),
                    Poll::Ready(Ok(())) if into.filled().is_empty() => Ok(Read::Ended),
                    Poll::Ready(read) => read.map(|()| Read::Part(into.filled().len())),
                };
            }
            Self::Gone => return Err(io::ErrorKind::NotConnected.into()),
        }
        read.map_err(io::Error::from)
    }

    /// Has the session woken when there is something to read; ready: there is. Good until [`Stream::read_now`]
    /// tells anything but [`Read::Nothing`].
    pub(super) fn poll_watch(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Unix(socket) => socket.poll_read_ready(cx),
            // Its `poll_read` has asked for it.
            Self::Tls(_) => Poll::Pending,
            Self::Gone => gone(),
        }
    }

    /// Writes what the peer takes now; pending: the session is woken when it takes more.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let send = |socket: BorrowedFd<'_>| Ok(send(socket, bytes, SendFlags::NOSIGNAL)?);
        loop {
            let tried = match self {
                Self::Tcp(socket) => socket.try_io(Interest::WRITABLE, || send(socket.as_fd())),
                Self::Unix(socket) => socket.try_io(Interest::WRITABLE, || send(socket.as_fd())),
                Self::Tls(stream) => return Pin::new(stream).poll_write(cx, bytes),
                Self::Gone => return gone(),
            };
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => return Poll::Ready(taken),
            }
            ready!(match self {
                Self::Tcp(socket) => socket.poll_write_ready(cx),
                Self::Unix(socket) => socket.poll_write_ready(cx),
                Self::Tls(_) | Self::Gone => gone(),
            })?;
        }
    }

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
pub fn tune(socket: impl AsFd, keepalive: Option<Duration>) -> io::Result<()> {
    let stream = socket.as_fd();
    sockopt::set_tcp_nodelay(stream, true)?;
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

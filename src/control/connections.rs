//! How many connections each of Frostgate's own listeners holds at a time, and for how long one may be silent: whoever
//! opens many must not take the descriptors that sessions need.

use axum::serve::Listener;
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Sleep, sleep},
};

/// Connections that a listener holds at a time; more wait in the kernel's queue.
const CONNECTIONS_LIMIT: usize = 64;
/// So long a connection may be silent before its first request, and between two of them.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// A listener that accepts no more than it may hold.
pub(super) struct Bounded<L> {
    listener: L,
    free: Arc<Semaphore>,
    silence: Duration,
}

impl<L> Bounded<L> {
    pub(super) fn new(listener: L) -> Self {
        Self { listener, free: Arc::new(Semaphore::new(CONNECTIONS_LIMIT)), silence: SILENCE_LIMIT }
    }
}

impl<L: Listener> Listener for Bounded<L> {
    type Io = Held<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // Nobody closes the semaphore; if somebody did, there would be no limit, and still a listener.
        let place = Arc::clone(&self.free).acquire_owned().await.ok();
        let (io, address) = self.listener.accept().await;
        let patience = Some(Box::pin(sleep(self.silence)));
        (Held { io, silence: self.silence, patience, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A connection; its place is free again when it is dropped.
pub(super) struct Held<S> {
    io: S,
    silence: Duration,
    /// While a request is expected; a request that has come may be answered as late as it takes.
    patience: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(context, buffer) {
            self.patience = None;
            return Poll::Ready(read);
        }
        match &mut self.patience {
            None => Poll::Pending,
            Some(patience) => {
                ready!(patience.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(context, bytes));
        // It may be the end of the answer: then the next request is expected.
        self.patience = Some(Box::pin(sleep(self.silence)));
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, DuplexStream, duplex},
        time::timeout,
    };

    /// Whoever accepts is given one end of a pipe, and the other is kept.
    struct Pipes(Vec<DuplexStream>);

    impl Listener for Pipes {
        type Io = DuplexStream;
        type Addr = ();

        async fn accept(&mut self) -> (DuplexStream, ()) {
            let (near, far) = duplex(64);
            self.0.push(far);
            (near, ())
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn so_many_connections_are_held_and_a_silent_one_makes_room_in_the_end() {
        let silence = Duration::from_millis(100);
        let mut listener = Bounded { silence, ..Bounded::new(Pipes(Vec::new())) };
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS_LIMIT {
            held.push(listener.accept().await.0);
        }
        assert!(timeout(silence, listener.accept()).await.is_err(), "there is no room");
        let mut silent = held.pop().unwrap();
        assert_eq!(silent.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(silent);
        assert!(timeout(SILENCE_LIMIT, listener.accept()).await.is_ok());
    }
}

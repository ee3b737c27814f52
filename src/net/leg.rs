//! One direction of a relay: bytes that could not be judged yet, the rest of a message that passes unseen, and
//! bytes that the receiver has not taken yet.

use super::stream::{Read, Stream};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{io::AsyncWrite as _, task::coop::has_budget_remaining};

/// Memory that is kept for the next time when a buffer has run empty; more is given back.
const KEPT: usize = 64;

/// Bytes on their way to a receiver.
#[derive(Debug, Default)]
pub(super) struct Outbound {
    bytes: Vec<u8>,
    sent: usize,
    /// The stream has taken all, but holds some of it back: TLS makes records of what it takes.
    is_held_back: bool,
}

impl Outbound {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.is_held_back
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.sent)
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Sends `last` behind what waits, without copying it if nothing does. What the receiver does not take now
    /// waits.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, to: &mut Stream, last: &[u8]) -> io::Result<()> {
        if !self.is_empty() {
            self.push(last);
            return self.flush(cx, to);
        }
        let mut rest = last;
        while !rest.is_empty() {
            match to.poll_send(cx, rest) {
                Poll::Ready(taken) => rest = rest.get(taken?..).unwrap_or_default(),
                Poll::Pending => {
                    self.push(rest);
                    break;
                }
            }
        }
        if last.is_empty() { Ok(()) } else { self.hand_out(cx, to) }
    }

    /// Sends what waits, as far as the receiver takes it.
    #[inline]
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> io::Result<()> {
        if self.is_empty() { Ok(()) } else { self.flush_what_waits(cx, to) }
    }

    #[inline(never)]
    fn flush_what_waits(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> io::Result<()> {
        while let Some(rest) = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match to.poll_send(cx, rest) {
                Poll::Ready(taken) => self.sent = self.sent.saturating_add(taken?),
                Poll::Pending => return Ok(()),
            }
        }
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.sent = 0;
        self.hand_out(cx, to)
    }

    /// Sees to it that the stream holds nothing back. A plain socket never does.
    fn hand_out(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> io::Result<()> {
        if to.is_encrypted() {
            match Pin::new(to).poll_flush(cx) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.is_held_back = false;
                }
                Poll::Pending => self.is_held_back = true,
            }
        }
        Ok(())
    }
}

/// What has come from a sender and has not been dealt with.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// The front of a message that is not whole yet, or one that waits.
    carry: Vec<u8>,
    /// Bytes still to come of a message whose fate is known.
    pub(super) passing: usize,
    pub(super) passes: Passing,
    /// The sender will send no more.
    pub(super) is_ended: bool,
    /// The session is woken when the sender sends.
    is_watched: bool,
}

/// What becomes of the rest of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Passing {
    #[default]
    On,
    Nowhere,
}

impl Inbound {
    pub(super) fn with(mut carry: Vec<u8>) -> Self {
        carry.shrink_to_fit();
        Self { carry, ..Self::default() }
    }

    /// Reads from the sender. If nothing is there, or nothing more, the session is woken when it comes: that is asked
    /// for once, and not each time that the session is woken for something else.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        buffer: &mut [u8],
    ) -> io::Result<Read> {
        loop {
            let read = from.read_now(cx, buffer)?;
            match read {
                Read::Nothing if self.is_watched => return Ok(Read::Nothing),
                Read::Part(_) | Read::Ended => {
                    self.is_watched = false;
                    return Ok(read);
                }
                // Whatever woke the session has used up what it was woken by, be there anything to read or not.
                Read::All(_) | Read::Nothing => self.is_watched = false,
            }
            if from.poll_watch(cx)?.is_pending() {
                // Where the poll's budget is spent, the runtime wakes the session anew and watches nothing.
                self.is_watched = has_budget_remaining();
                return Ok(if read == Read::All(0) { Read::Nothing } else { read });
            }
            // More has come meanwhile.
            if let Read::All(length @ 1..) = read {
                return Ok(Read::Part(length));
            }
        }
    }

    /// So many of the next bytes belong to the message that passes.
    pub(super) fn pass(&mut self, here: usize) -> usize {
        let passed = self.passing.min(here);
        self.passing = self.passing.saturating_sub(passed);
        passed
    }

    pub(super) fn has_carry(&self) -> bool {
        !self.carry.is_empty()
    }

    /// Puts what has just come behind what is carried; gives it all.
    pub(super) fn take_with(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.carry);
        all.extend_from_slice(chunk);
        all
    }

    /// Keeps what was not dealt with of what [`Inbound::take_with`] gave.
    pub(super) fn put_back(&mut self, mut all: Vec<u8>, dealt_with: usize) {
        all.drain(..dealt_with.min(all.len()));
        if all.is_empty() {
            all.shrink_to(0);
        }
        self.carry = all;
    }

    /// Keeps the end of a chunk.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.carry.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{RecvFlags, recv};
    use std::{future::poll_fn, time::Duration};
    use tokio::{
        io::AsyncWriteExt as _, net::UnixStream, runtime::LocalRuntime, task::spawn_local, time::timeout,
    };

    /// What is there now.
    async fn look(from: &mut Stream, inbound: &mut Inbound) -> Read {
        poll_fn(|cx| Poll::Ready(inbound.read(cx, from, &mut [0; 16]).unwrap())).await
    }

    #[test]
    fn a_session_that_is_woken_for_nothing_is_woken_again() {
        LocalRuntime::new().unwrap().block_on(async {
            let (near, mut far) = UnixStream::pair().unwrap();
            let (mut near, mut inbound) = (Stream::Unix(near), Inbound::default());
            assert_eq!(look(&mut near, &mut inbound).await, Read::Nothing);
            far.write_all(b"x").await.unwrap();
            let Stream::Unix(socket) = &near else { panic!("it is a socket") };
            socket.readable().await.unwrap();
            // Gone before the session looks.
            recv(socket, &mut [0; 16], RecvFlags::empty()).unwrap();
            let session = spawn_local(async move {
                poll_fn(|cx| match inbound.read(cx, &mut near, &mut [0; 16]).unwrap() {
                    Read::Nothing => Poll::Pending,
                    read @ (Read::Part(_) | Read::All(_) | Read::Ended) => Poll::Ready(read),
                })
                .await
            });
            tokio::task::yield_now().await;
            far.write_all(b"yz").await.unwrap();
            let read = timeout(Duration::from_secs(20), session).await.expect("it is woken").unwrap();
            assert_eq!(read, Read::All(2));
        });
    }
}

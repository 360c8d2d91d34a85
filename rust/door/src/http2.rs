//! HTTP/2 through `h2`: one task per connection, one per stream.

use bytes::Buf;
use h2::server::{Connection, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use http::Request;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::abi::Peer;
use crate::call::{Call, End, Next};
use crate::deadline::Deadline;
use crate::io::{Activity, Io};
use crate::listener::{Graceful, Shared};
use crate::message::Message;

/// The first bytes of every HTTP/2 connection (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// HTTP/2's own first window of a connection; a larger one is granted when it was used, see `grow`.
const FIRST_WINDOW: usize = 65_535;
/// How much of an answer may lie in h2's buffers, per stream.
const SEND_BUFFER: usize = 1 << 20;

/// What a connection and its streams tell each other.
#[derive(Default)]
struct Traffic {
    streams: AtomicUsize,
    /// Body bytes given to the C++ side; stops counting when the window was grown.
    delivered: AtomicUsize,
    grow: AtomicBool,
    /// Streams that the peer gave up; taken out by the connection.
    given_up: AtomicUsize,
    /// Set while the connection waits for its last stream, to begin to be idle.
    idle_waker: Mutex<Option<Waker>>,
}

impl Traffic {
    fn idle_waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.idle_waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream_ended(&self) {
        if self.streams.fetch_sub(1, Ordering::AcqRel) == 1 {
            if let Some(waker) = self.idle_waker().take() {
                waker.wake();
            }
        }
    }
}

/// Counts streams opened and given up as a bucket that leaks: a burst of `reset_streams_max`, and ten times as many per
/// second. A client that hedges stays far below; one that only opens and resets, which costs it nothing and us a call
/// each, loses its connection. h2's own counters see only resets that come before we looked at the stream.
struct GivenUp {
    level: f64,
    at: Instant,
}

impl GivenUp {
    const REFILL_PER_SECOND: f64 = 10.0;

    /// True: too many.
    fn add(&mut self, streams: usize, burst_max: usize, now: Instant) -> bool {
        let leaked = now.duration_since(self.at).as_secs_f64() * Self::REFILL_PER_SECOND * burst_max as f64;
        self.level = (self.level - leaked).max(0.0) + streams as f64;
        self.at = now;
        self.level > burst_max as f64
    }
}

pub(crate) struct Http2<T> {
    connection: Connection<Io<T>, Message>,
    pings: Option<PingPong>,
    activity: Arc<Activity>,
    seen: usize,
    keepalive_due: Option<Instant>,
    keepalive: Deadline,
    ping_sent: bool,
    idle_since: Option<Instant>,
    idle: Deadline,
    closing: bool,
    window_granted: usize,
    given_up: GivenUp,
    traffic: Arc<Traffic>,
    peer: Arc<Peer>,
    shared: Arc<Shared>,
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Http2<T> {
    /// Exchanges the prefaces.
    pub async fn handshake(io: Io<T>, peer: Peer, shared: Arc<Shared>) -> Result<Http2<T>, h2::Error> {
        let limits = &shared.limits;
        let activity = io.activity();
        let mut connection: Connection<_, Message> = h2::server::Builder::new()
            .initial_window_size(limits.stream_window)
            .max_concurrent_streams(limits.streams_max)
            .max_header_list_size(limits.header_list_max)
            .max_frame_size(limits.frame_max)
            .max_pending_accept_reset_streams(limits.reset_streams_max)
            .max_local_error_reset_streams(Some(limits.reset_streams_max))
            .max_concurrent_reset_streams(limits.reset_streams_max)
            .max_send_buffer_size(SEND_BUFFER)
            .handshake(io)
            .await?;
        let now = Instant::now();
        Ok(Http2 {
            pings: connection.ping_pong(),
            connection,
            activity,
            seen: 0,
            keepalive_due: limits.keepalive.and_then(|time| now.checked_add(time)),
            keepalive: Deadline::default(),
            ping_sent: false,
            idle_since: Some(now),
            idle: Deadline::default(),
            closing: false,
            window_granted: 0,
            given_up: GivenUp { level: 0.0, at: now },
            traffic: Arc::default(),
            peer: Arc::new(peer),
            shared,
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Http2<T> {
    /// A connection starts with 64 KiB. One whose bytes are being consumed gets the full window if all windows together
    /// stay below their limit: a stranger cannot make us hold more by opening many connections.
    fn grow(&mut self) {
        if !self.traffic.grow.swap(false, Ordering::AcqRel) || self.window_granted > 0 {
            return;
        }
        let target = self.shared.limits.connection_window as usize;
        let more = target.saturating_sub(FIRST_WINDOW);
        if more == 0 {
            return;
        }
        if self.shared.windows.fetch_add(more, Ordering::AcqRel) + more > self.shared.limits.windows_max {
            self.shared.windows.fetch_sub(more, Ordering::AcqRel);
            // Asked again after the next 64 KiB.
            self.traffic.delivered.store(0, Ordering::Release);
            return;
        }
        self.window_granted = more;
        self.connection.set_target_window_size(target as u32);
    }

    fn accept(&self, request: Request<RecvStream>, respond: SendResponse<Message>) {
        let (head, body) = request.into_parts();
        let call = self.shared.service.begin(&self.peer, &Request::from_parts(head, ()));
        self.traffic.streams.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(Stream {
            call,
            body: Some(body),
            answer: Answer::Head(respond),
            timer: Deadline::default(),
            complete: false,
            traffic: self.traffic.clone(),
        });
    }

    /// True: the peer is gone.
    fn ping(&mut self, cx: &mut Context<'_>) -> bool {
        let (Some(pings), Some(time)) = (&mut self.pings, self.shared.limits.keepalive) else { return false };
        if self.ping_sent {
            match pings.poll_pong(cx) {
                Poll::Ready(Ok(_)) => {
                    self.ping_sent = false;
                    self.keepalive_due = Instant::now().checked_add(time);
                }
                Poll::Ready(Err(_)) => return true,
                Poll::Pending => {}
            }
        }
        if !self.keepalive.passed(self.keepalive_due, cx) {
            return false;
        }
        // Any byte that came is as good as an answer; a peer in the middle of a large frame cannot send one.
        let heard = std::mem::replace(&mut self.seen, self.activity.bytes_read()) != self.activity.bytes_read();
        if heard {
            self.keepalive_due = Instant::now().checked_add(time);
        } else if self.ping_sent || pings.send_ping(Ping::opaque()).is_err() {
            return true;
        } else {
            self.ping_sent = true;
            self.keepalive_due = Instant::now().checked_add(self.shared.limits.stall_timeout);
        }
        // Registers the timer for the new moment, and the waker for the pong.
        cx.waker().wake_by_ref();
        false
    }

    /// Says goodbye to a connection that is idle for too long. True: it did not answer that either.
    fn close_if_idle(&mut self, cx: &mut Context<'_>) -> bool {
        let limits = &self.shared.limits;
        let Some(time) = (if self.closing { Some(limits.stall_timeout) } else { limits.idle_timeout }) else {
            return false;
        };
        if self.traffic.streams.load(Ordering::Acquire) > 0 {
            self.idle_since = None;
            *self.traffic.idle_waker() = Some(cx.waker().clone());
            return false;
        }
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        if !self.idle.passed(since.checked_add(time), cx) {
            return false;
        }
        if self.closing {
            return true;
        }
        self.graceful_shutdown();
        cx.waker().wake_by_ref();
        false
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Graceful for Http2<T> {
    fn graceful_shutdown(&mut self) {
        self.closing = true;
        self.idle_since = None;
        self.connection.graceful_shutdown();
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Future for Http2<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        me.grow();
        let given_up = me.traffic.given_up.swap(0, Ordering::AcqRel);
        if given_up > 0 && me.given_up.add(given_up, me.shared.limits.reset_streams_max, Instant::now()) {
            me.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        }
        loop {
            match me.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => me.accept(request, respond),
                Poll::Ready(Some(Err(_))) | Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        if me.ping(cx) || me.close_if_idle(cx) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<T> Drop for Http2<T> {
    fn drop(&mut self) {
        self.shared.windows.fetch_sub(self.window_granted, Ordering::AcqRel);
    }
}

enum Answer {
    Head(SendResponse<Message>),
    Body(SendStream<Message>),
}

/// One call on an HTTP/2 connection. Looked at whenever the peer, the C++ side or the clock did something.
struct Stream {
    call: Arc<Call>,
    /// None after the peer's last byte.
    body: Option<RecvStream>,
    answer: Answer,
    timer: Deadline,
    complete: bool,
    traffic: Arc<Traffic>,
}

/// Why a stream's task ends.
enum Over {
    Answered,
    /// Reset by the peer.
    GivenUp,
    /// Cut off by us, or the connection is lost.
    Gone,
}

impl From<h2::Error> for Over {
    fn from(error: h2::Error) -> Over {
        if error.is_reset() && error.is_remote() {
            Over::GivenUp
        } else {
            Over::Gone
        }
    }
}

impl Stream {
    fn reset(&mut self, reason: Reason) {
        match &mut self.answer {
            Answer::Head(respond) => respond.send_reset(reason),
            Answer::Body(stream) => stream.send_reset(reason),
        }
    }

    /// Sends what can be sent now. Returns if it has to wait or nothing is left.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        loop {
            match (self.call.next(), &mut self.answer) {
                (Next::Nothing, _) => return Ok(()),
                (Next::Broken, _) => {
                    self.reset(Reason::CANCEL);
                    return Err(Over::Gone);
                }
                (Next::Head { head, last }, Answer::Head(respond)) => {
                    let stream = respond.send_response(head, last)?;
                    if last {
                        return Err(Over::Answered);
                    }
                    self.answer = Answer::Body(stream);
                }
                (Next::Data { size }, Answer::Body(stream)) => {
                    // Bytes are handed over only as far as the peer's window reaches. What waits stays with the call,
                    // where a deadline can drop it.
                    stream.reserve_capacity(size.min(SEND_BUFFER));
                    let room = match stream.capacity() {
                        0 if size > 0 => match stream.poll_capacity(cx) {
                            Poll::Pending => return Ok(()),
                            Poll::Ready(None) => return Err(Over::GivenUp),
                            Poll::Ready(Some(room)) => room?,
                        },
                        room => room,
                    };
                    if room == 0 && size > 0 {
                        continue;
                    }
                    if let Some((bytes, last)) = self.call.take(room) {
                        if bytes.has_remaining() || last {
                            stream.send_data(bytes, last)?;
                        }
                        if last {
                            return Err(Over::Answered);
                        }
                    }
                }
                (Next::End(End::Trailers(trailers)), Answer::Body(stream)) => {
                    stream.send_trailers(trailers)?;
                    return Err(Over::Answered);
                }
                (Next::End(End::Plain), Answer::Body(stream)) => {
                    // The end came after the last message had been taken: an empty DATA frame carries it.
                    stream.send_data(Message::empty(), true)?;
                    return Err(Over::Answered);
                }
                // Wrong order: a second head, or bytes or an end without one.
                (Next::Head { .. }, Answer::Body(_)) | (Next::Data { .. } | Next::End(_), Answer::Head(_)) => {
                    self.reset(Reason::INTERNAL_ERROR);
                    return Err(Over::Gone);
                }
            }
        }
    }

    /// Gives the C++ side the bytes it asked for.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        let (body, traffic) = (&mut self.body, &self.traffic);
        let poll = || -> Poll<Option<Result<bytes::Bytes, h2::Error>>> {
            let Some(stream) = body else { return Poll::Ready(None) };
            loop {
                match stream.poll_data(cx) {
                    Poll::Ready(Some(Ok(bytes))) => {
                        if traffic.delivered.fetch_add(bytes.len(), Ordering::AcqRel) + bytes.len() >= FIRST_WINDOW {
                            traffic.delivered.store(0, Ordering::Release);
                            traffic.grow.store(true, Ordering::Release);
                        }
                        stream.flow_control().release_capacity(bytes.len())?;
                        if !bytes.is_empty() {
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                    }
                    Poll::Ready(None) => {
                        *body = None;
                        return Poll::Ready(None);
                    }
                    other => return other,
                }
            }
        };
        match self.call.feed(poll) {
            Poll::Ready(Err(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), Over> {
        self.call.check_deadline(&mut self.timer, cx);
        self.receive(cx)?;
        self.send(cx)?;
        let reset = match &mut self.answer {
            Answer::Head(respond) => respond.poll_reset(cx),
            Answer::Body(stream) => stream.poll_reset(cx),
        };
        match reset {
            Poll::Ready(Ok(_)) => Err(Over::GivenUp),
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Future for Stream {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        me.call.begin();
        loop {
            if let Err(over) = me.turn(cx) {
                me.complete = matches!(over, Over::Answered);
                if matches!(over, Over::GivenUp) {
                    me.traffic.given_up.fetch_add(1, Ordering::AcqRel);
                }
                return Poll::Ready(());
            }
            if me.call.sleep(cx) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.traffic.stream_ended();
        self.call.close(self.complete);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bursts_are_cut_and_a_steady_rate_is_not() {
        let start = Instant::now();
        let mut flood = GivenUp { level: 0.0, at: start };
        assert!(!flood.add(100, 100, start));
        assert!(flood.add(1, 100, start));
        let mut steady = GivenUp { level: 0.0, at: start };
        for millisecond in 0..10_000 {
            assert!(!steady.add(1, 100, start + Duration::from_millis(millisecond)));
        }
    }
}

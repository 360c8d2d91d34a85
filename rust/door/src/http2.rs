//! A connection of HTTP/2, through `h2`: accepts its streams and watches over it. Each stream is a task of its own.

use h2::server::{Connection, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::Request;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::abi::Peer;
use crate::deadline::Deadline;
use crate::given_up::GivenUp;
use crate::http2_stream::{Stream, Traffic};
use crate::io::{Activity, Io};
use crate::listener::{Graceful, Shared};
use crate::message::Message;

/// The first bytes of every HTTP/2 connection (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// HTTP/2's own first window of a connection; a larger one is granted when it was used, see `grow`.
pub(crate) const FIRST_WINDOW: usize = 65_535;
/// How much of an answer may lie in h2's buffers, per stream.
pub(crate) const SEND_BUFFER: usize = 1 << 20;
/// What small DATA frames may cost, in h2's terms (256 bytes less their size, each), until a stream's task has run. One
/// pass over the socket brings at most some 8000 frames, see `io`; more than this can only be a bug of ours.
const SMALL_FRAME_BUDGET: usize = 4 << 20;

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
            .data_frame_budget(SMALL_FRAME_BUDGET)
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
            given_up: GivenUp::new(now),
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
            return; // and asked again after the next 64 KiB
        }
        self.window_granted = more;
        self.connection.set_target_window_size(target as u32);
    }

    fn accept(&self, request: Request<RecvStream>, respond: SendResponse<Message>) {
        let (head, body) = request.into_parts();
        let call = self.shared.service.begin(&self.peer, &Request::from_parts(head, ()));
        self.traffic.streams.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(Stream::new(call, body, respond, self.traffic.clone()));
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

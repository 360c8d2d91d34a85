//! A connection's bytes, with the timers that neither `h2` nor `hyper` have: a peer that owes us bytes, or does not take
//! ours, gets a limited time.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{ready, Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::frame_watch::FrameWatch;
use crate::http1::Exchange;
use crate::limits::Limits;

/// How much came from the peer; wraps around.
#[derive(Default)]
pub(crate) struct Activity(AtomicUsize);

impl Activity {
    pub fn bytes_read(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Knows what the peer owes us.
pub(crate) enum Watch {
    Http1(Arc<Exchange>),
    Http2(FrameWatch),
}

pub(crate) struct Io<T> {
    /// Bytes read while finding out the protocol, to be read again.
    prefix: Vec<u8>,
    prefix_read: usize,
    io: T,
    watch: Watch,
    activity: Arc<Activity>,
    header_timeout: Duration,
    stall_timeout: Duration,
    read_timer: Deadline,
    write_timer: Deadline,
    write_blocked: Option<Instant>,
    /// Frames that may be read before the streams' tasks get their turn.
    frames_left: usize,
}

/// A connection reads until the socket is empty, which a fast sender of small frames can make last. After so many frames
/// the streams' tasks come first and take them.
const FRAMES_PER_TURN: usize = 1000;
/// And one read brings no more than this, unless it is all of one frame: 6500 of the smallest frames.
const READ_MAX: usize = 64 << 10;

impl<T> Io<T> {
    /// `prefix`: the preface of HTTP/2, or the first bytes of an HTTP/1.1 head.
    pub fn new(io: T, prefix: Vec<u8>, watch: Watch, limits: &Limits) -> Io<T> {
        if let Watch::Http1(exchange) = &watch {
            exchange.feed(&prefix, Instant::now());
        }
        Io {
            prefix,
            prefix_read: 0,
            io,
            watch,
            activity: Arc::default(),
            header_timeout: limits.header_timeout,
            stall_timeout: limits.stall_timeout,
            read_timer: Deadline::default(),
            write_timer: Deadline::default(),
            write_blocked: None,
            frames_left: FRAMES_PER_TURN,
        }
    }

    pub fn activity(&self) -> Arc<Activity> {
        self.activity.clone()
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.activity.0.fetch_add(bytes.len(), Ordering::Relaxed);
        match &mut self.watch {
            Watch::Http1(exchange) => exchange.feed(bytes, Instant::now()),
            Watch::Http2(frames) => {
                frames.feed(bytes, Instant::now());
                self.frames_left = self.frames_left.saturating_sub(frames.take_frames());
            }
        }
    }

    /// How many bytes to read at once.
    fn read_max(&self) -> usize {
        match &self.watch {
            Watch::Http1(_) => usize::MAX,
            Watch::Http2(frames) => frames.payload_left() + READ_MAX,
        }
    }

    /// Until when the peer has to send something.
    fn read_due(&self) -> Option<Instant> {
        match &self.watch {
            // Its connection watches the clock itself: hyper reads only now and then.
            Watch::Http1(_) => None,
            Watch::Http2(frames) => {
                let headers = frames.headers_since().and_then(|since| since.checked_add(self.header_timeout));
                let rest = frames.stalled_since().and_then(|since| since.checked_add(self.stall_timeout));
                [headers, rest].into_iter().flatten().min()
            }
        }
    }

    /// Watches over a write of some bytes: `sent` is what the socket said.
    fn written(&mut self, cx: &mut Context<'_>, sent: Poll<Result<usize>>) -> Poll<Result<usize>> {
        if let (Watch::Http1(exchange), Poll::Ready(Ok(_))) = (&self.watch, &sent) {
            exchange.sent();
        }
        self.taken(cx, sent)
    }

    /// Watches over what needs the peer to take bytes.
    fn taken<R>(&mut self, cx: &mut Context<'_>, sent: Poll<Result<R>>) -> Poll<Result<R>> {
        if sent.is_ready() {
            self.write_blocked = None;
            return sent;
        }
        let since = *self.write_blocked.get_or_insert_with(Instant::now);
        if self.write_timer.passed(since.checked_add(self.stall_timeout), cx) {
            return Poll::Ready(Err(timed_out()));
        }
        Poll::Pending
    }
}

fn timed_out() -> Error {
    ErrorKind::TimedOut.into()
}

impl<T: AsyncRead + Unpin> Io<T> {
    /// Reads at most `read_max` bytes and shows them to the watch.
    fn read_some(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let (before, most) = (buffer.filled().len(), self.read_max());
        if most < buffer.remaining() {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
            let size = part.filled().len();
            buffer.advance(size);
        } else {
            ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        }
        self.feed(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Io<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let me = &mut *self;
        if me.prefix_read < me.prefix.len() {
            let size = buffer.remaining().min(me.prefix.len() - me.prefix_read);
            buffer.put_slice(&me.prefix[me.prefix_read..me.prefix_read + size]);
            me.prefix_read += size;
            return Poll::Ready(Ok(()));
        }
        if me.frames_left == 0 {
            me.frames_left = FRAMES_PER_TURN;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match me.read_some(cx, buffer) {
            Poll::Pending => {
                me.frames_left = FRAMES_PER_TURN;
                let due = me.read_due();
                if me.read_timer.passed(due, cx) {
                    return Poll::Ready(Err(timed_out()));
                }
                Poll::Pending
            }
            ready => ready,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Io<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let sent = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.written(cx, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let sent = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.written(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let sent = Pin::new(&mut self.io).poll_flush(cx);
        self.taken(cx, sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let sent = Pin::new(&mut self.io).poll_shutdown(cx);
        self.taken(cx, sent)
    }
}

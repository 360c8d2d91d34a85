//! HTTP/1.1 through `hyper`: one task per connection, one call at a time.

use bytes::{Buf, Bytes};
use http::header::{HeaderValue, CONNECTION, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::abi::Peer;
use crate::call::{Call, Next};
use crate::deadline::Deadline;
use crate::head_scan::HeadScan;
use crate::io::Io;
use crate::limits::Limits;
use crate::listener::{Graceful, Shared};
use crate::message::Message;

/// How much of an answer goes to hyper at once. What waits behind it can still be dropped by a deadline.
const PART: usize = 256 << 10;

enum Phase {
    /// Between requests.
    Idle,
    /// A part of a request head came.
    Head,
    Call {
        body_wanted: bool,
    },
}

struct State {
    phase: Phase,
    /// Idle: since the last byte of the last answer. Head: since its first byte. Call: since the last byte, or since bytes are wanted.
    since: Instant,
    scan: HeadScan,
    call: Option<Arc<Call>>,
}

/// Where a connection stands in its request-answer cycle; shared by the socket, the service and the connection.
pub(crate) struct Exchange {
    state: Mutex<State>,
    header_timeout: Duration,
    idle_timeout: Option<Duration>,
    stall_timeout: Duration,
}

impl Exchange {
    pub fn new(limits: &Limits) -> Exchange {
        let state = State { phase: Phase::Idle, since: Instant::now(), scan: HeadScan::default(), call: None };
        Exchange {
            state: Mutex::new(state),
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            stall_timeout: limits.stall_timeout,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn feed(&self, bytes: &[u8], now: Instant) {
        let mut state = self.state();
        match state.phase {
            _ if bytes.is_empty() => return,
            Phase::Idle => (state.phase, state.since) = (Phase::Head, now),
            Phase::Head => {}
            Phase::Call { .. } => {
                state.since = now;
                return;
            }
        }
        state.scan.feed(bytes);
    }

    /// An answer that is still being written is not idleness.
    pub fn sent(&self) {
        let mut state = self.state();
        if let Phase::Idle = state.phase {
            state.since = Instant::now();
        }
    }

    /// Until when the peer has to send something.
    fn read_due(&self) -> Option<Instant> {
        let state = self.state();
        let time = match state.phase {
            Phase::Idle => self.idle_timeout,
            Phase::Head => Some(self.header_timeout),
            Phase::Call { body_wanted: true } => Some(self.stall_timeout),
            Phase::Call { body_wanted: false } => None,
        };
        time.and_then(|time| state.since.checked_add(time))
    }

    fn begin(&self, call: Arc<Call>) {
        let mut state = self.state();
        state.phase = Phase::Call { body_wanted: false };
        state.call = Some(call);
    }

    fn want_body(&self, wanted: bool) {
        let mut state = self.state();
        if let Phase::Call { body_wanted } = &mut state.phase {
            if wanted && !*body_wanted {
                *body_wanted = wanted;
                state.since = Instant::now();
            } else {
                *body_wanted = wanted;
            }
        }
    }

    fn end(&self) {
        let mut state = self.state();
        (state.phase, state.since, state.scan, state.call) = (Phase::Idle, Instant::now(), HeadScan::default(), None);
    }

    fn call(&self) -> Option<Arc<Call>> {
        self.state().call.clone()
    }
}

/// A connection. Looks after the running call itself, because hyper does not while the peer takes no bytes.
pub(crate) struct Http1<T: AsyncRead + AsyncWrite + Unpin> {
    connection: Pin<Box<http1::Connection<TokioIo<Io<T>>, Service>>>,
    exchange: Arc<Exchange>,
    call_timer: Deadline,
    read_timer: Deadline,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Http1<T> {
    pub fn new(io: Io<T>, exchange: Arc<Exchange>, peer: Peer, shared: Arc<Shared>) -> Http1<T> {
        let buffer = (shared.limits.header_list_max as usize).max(8192);
        let service = Service { shared, peer: Arc::new(peer), exchange: exchange.clone() };
        let connection = http1::Builder::new()
            .half_close(false)
            .header_read_timeout(None)
            .max_buf_size(buffer)
            .serve_connection(TokioIo::new(io), service);
        Http1 {
            connection: Box::pin(connection),
            exchange,
            call_timer: Deadline::default(),
            read_timer: Deadline::default(),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Graceful for Http1<T> {
    fn graceful_shutdown(&mut self) {
        self.connection.as_mut().graceful_shutdown();
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Future for Http1<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = &mut *self;
        loop {
            if let Some(call) = me.exchange.call() {
                call.begin();
                call.check_deadline(&mut me.call_timer, cx);
                if call.is_broken() {
                    return Poll::Ready(());
                }
            }
            if me.connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if me.read_timer.passed(me.exchange.read_due(), cx) {
                return Poll::Ready(());
            }
            match me.exchange.call() {
                Some(call) if call.is_broken() => return Poll::Ready(()),
                Some(call) if !call.sleep(cx) => {}
                _ => return Poll::Pending,
            }
        }
    }
}

struct Service {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    exchange: Arc<Exchange>,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<AnswerBody>;
    type Error = Error;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        if self.exchange.state().scan.is_ambiguous() {
            return Answer::Refused;
        }
        let call = self.shared.service.begin(&self.peer, &request);
        self.exchange.begin(call.clone());
        Answer::Running(Some(Running {
            call,
            head_only: request.method() == Method::HEAD,
            // What hides behind such a body is not read as a request: see head_scan.
            close_after: request.headers().contains_key(TRANSFER_ENCODING),
            body: Some(request.into_body()),
            exchange: self.exchange.clone(),
            done: false,
        }))
    }
}

/// One call on an HTTP/1.1 connection, until the last byte of its answer was taken.
pub(crate) struct Running {
    call: Arc<Call>,
    body: Option<Incoming>,
    exchange: Arc<Exchange>,
    head_only: bool,
    close_after: bool,
    done: bool,
}

impl Running {
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let body = &mut self.body;
        let poll = || -> Poll<Option<Result<Bytes, Error>>> {
            loop {
                let Some(incoming) = body else { return Poll::Ready(None) };
                match Pin::new(incoming).poll_frame(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Error::other(error)))),
                    Poll::Ready(None) => *body = None,
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(bytes) if !bytes.is_empty() => return Poll::Ready(Some(Ok(bytes))),
                        _ => {}
                    },
                }
            }
        };
        let fed = self.call.feed(poll);
        self.exchange.want_body(fed.is_pending());
        match fed {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // hyper asks for no body where none belongs, and not past the length that the head named.
        let complete = self.done || self.call.only_plain_end_left() || (self.head_only && !self.call.is_broken());
        self.exchange.end();
        self.call.close(complete);
    }
}

/// The answer's head, once there is one.
pub(crate) enum Answer {
    Refused,
    Running(Option<Running>),
}

fn wrong_order() -> Error {
    Error::other("body before head")
}

impl Future for Answer {
    type Output = Result<Response<AnswerBody>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let running = match &mut *self {
            Answer::Running(running) => running,
            Answer::Refused => {
                let mut response = Response::new(AnswerBody(None));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                return Poll::Ready(Ok(response));
            }
        };
        let Some(run) = running else { return Poll::Ready(Err(wrong_order())) };
        run.receive(cx)?;
        match run.call.next() {
            Next::Nothing => Poll::Pending,
            Next::Head { mut head, last } => {
                run.done = last;
                if run.close_after {
                    head.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Poll::Ready(Ok(head.map(|()| AnswerBody(running.take()))))
            }
            Next::Broken => Poll::Ready(Err(ErrorKind::ConnectionAborted.into())),
            Next::Data { .. } | Next::End(_) => Poll::Ready(Err(wrong_order())),
        }
    }
}

pub(crate) struct AnswerBody(Option<Running>);

impl Body for AnswerBody {
    type Data = Message;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Message>, Error>>> {
        let Some(run) = &mut self.0 else { return Poll::Ready(None) };
        if run.done {
            return Poll::Ready(None);
        }
        if let Err(error) = run.receive(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            match run.call.next() {
                Next::Nothing => return Poll::Pending,
                Next::Data { size } => match run.call.take(size.min(PART)) {
                    Some((bytes, last)) => {
                        run.done = last;
                        if bytes.has_remaining() {
                            return Poll::Ready(Some(Ok(Frame::data(bytes))));
                        }
                        if last {
                            return Poll::Ready(None);
                        }
                    }
                    None => return Poll::Ready(Some(Err(ErrorKind::ConnectionAborted.into()))),
                },
                Next::End(_) => {
                    run.done = true;
                    return Poll::Ready(None);
                }
                Next::Broken => return Poll::Ready(Some(Err(ErrorKind::ConnectionAborted.into()))),
                Next::Head { .. } => return Poll::Ready(Some(Err(wrong_order()))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|run| run.done || run.call.only_plain_end_left())
    }
}

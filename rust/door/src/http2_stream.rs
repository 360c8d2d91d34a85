//! One call on an HTTP/2 connection.

use bytes::Buf;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::call::{Call, End, Next};
use crate::deadline::Deadline;
use crate::http2::{FIRST_WINDOW, SEND_BUFFER};
use crate::message::Message;
use crate::received_body::ReceivedBody;

/// What a connection and its streams tell each other.
#[derive(Default)]
pub(crate) struct Traffic {
    pub streams: AtomicUsize,
    /// Body bytes given to the C++ side since `grow` was set last.
    delivered: AtomicUsize,
    /// The first window was used up and consumed: a larger one is worth its memory.
    pub grow: AtomicBool,
    /// Streams that the peer gave up; taken out by the connection.
    pub given_up: AtomicUsize,
    /// Set while the connection waits for its last stream, to begin to be idle.
    idle_waker: Mutex<Option<Waker>>,
}

impl Traffic {
    pub fn idle_waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.idle_waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delivered(&self, bytes: usize) {
        if self.delivered.fetch_add(bytes, Ordering::AcqRel) + bytes >= FIRST_WINDOW {
            self.delivered.store(0, Ordering::Release);
            self.grow.store(true, Ordering::Release);
        }
    }

    fn stream_ended(&self) {
        if self.streams.fetch_sub(1, Ordering::AcqRel) == 1 {
            if let Some(waker) = self.idle_waker().take() {
                waker.wake();
            }
        }
    }
}

enum Answer {
    Head(SendResponse<Message>),
    Body(SendStream<Message>),
}

/// One call on an HTTP/2 connection. Looked at whenever the peer, the C++ side or the clock did something.
pub(crate) struct Stream {
    call: Arc<Call>,
    body: ReceivedBody,
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
    pub fn new(call: Arc<Call>, body: RecvStream, respond: SendResponse<Message>, traffic: Arc<Traffic>) -> Stream {
        let (body, answer) = (ReceivedBody::new(body), Answer::Head(respond));
        Stream { call, body, answer, timer: Deadline::default(), complete: false, traffic }
    }

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
        let poll = || {
            let next = body.poll_next(cx);
            if let Poll::Ready(Some(Ok(bytes))) = &next {
                traffic.delivered(bytes.len());
            }
            next
        };
        match self.call.feed(poll) {
            Poll::Pending => Ok(()),
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(())) => Ok(self.body.collect(cx)?),
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

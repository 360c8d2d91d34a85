//! The bytes of an HTTP/2 request, taken from `h2` at once and shown to the C++ side when it asks.

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use std::collections::VecDeque;
use std::task::{ready, Context, Poll};

/// Frames below this size are put together.
const SMALL: usize = 1 << 10;
const COLLECTED_MAX: usize = 16 << 10;

/// `h2` keeps a record per frame, so that a frame of one byte costs more than a hundred, and it closes a connection that
/// makes it keep many. A client may send such frames all the same, and a handler need not read at once. So what waits
/// is taken out and put together here: it then costs its size, which the peer's window limits, because the window is
/// given back only for what was shown.
pub(crate) struct ReceivedBody {
    /// None after the last byte.
    stream: Option<RecvStream>,
    waiting: VecDeque<Bytes>,
    /// The small frames behind `waiting`.
    small: BytesMut,
    /// Window to give back for what `waiting` and `small` hold.
    owed: usize,
}

impl ReceivedBody {
    pub fn new(stream: RecvStream) -> ReceivedBody {
        ReceivedBody { stream: Some(stream), waiting: VecDeque::new(), small: BytesMut::new(), owed: 0 }
    }

    /// The next bytes, or `None` after the last.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        if self.owed > 0 {
            let bytes = self.waiting.pop_front().unwrap_or_else(|| self.small.split().freeze());
            self.owed -= bytes.len();
            return Poll::Ready(Some(self.give_back(bytes.len()).map(|()| bytes)));
        }
        let bytes = match ready!(self.poll_frame(cx)) {
            Some(Ok(bytes)) => bytes,
            end => return Poll::Ready(end),
        };
        Poll::Ready(Some(self.give_back(bytes.len()).map(|()| bytes)))
    }

    /// Takes what has come although nobody asked for it. An error: the stream was reset.
    pub fn collect(&mut self, cx: &mut Context<'_>) -> Result<(), h2::Error> {
        while let Poll::Ready(Some(bytes)) = self.poll_frame(cx) {
            let bytes = bytes?;
            self.owed += bytes.len();
            if bytes.len() < SMALL {
                self.small.extend_from_slice(&bytes);
            }
            if bytes.len() >= SMALL || self.small.len() >= COLLECTED_MAX {
                self.finish_small();
            }
            if bytes.len() >= SMALL {
                self.waiting.push_back(bytes);
            }
        }
        Ok(())
    }

    fn finish_small(&mut self) {
        if !self.small.is_empty() {
            self.waiting.push_back(self.small.split().freeze());
        }
    }

    /// The next frame that is not empty.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
        loop {
            match ready!(stream.poll_data(cx)) {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                None => {
                    self.stream = None;
                    return Poll::Ready(None);
                }
                frame => return Poll::Ready(frame),
            }
        }
    }

    fn give_back(&mut self, bytes: usize) -> Result<(), h2::Error> {
        match &mut self.stream {
            Some(stream) => stream.flow_control().release_capacity(bytes),
            None => Ok(()),
        }
    }
}

//! Follows HTTP/2 frame borders in received bytes, only to know since when a peer owes the rest of something.
//! `h2` parses the frames; it has no timers of its own.

use tokio::time::Instant;

const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

#[derive(Default)]
pub(crate) struct FrameWatch {
    head: [u8; FRAME_HEAD],
    head_size: usize,
    payload_left: usize,
    headers_open: bool,
    headers_since: Option<Instant>,
    last_byte: Option<Instant>,
    frames: usize,
}

impl FrameWatch {
    /// Bytes as they come from the peer, after the connection preface.
    pub fn feed(&mut self, mut bytes: &[u8], now: Instant) {
        self.last_byte = Some(now);
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let skip = self.payload_left.min(bytes.len());
                self.payload_left -= skip;
                bytes = &bytes[skip..];
                continue;
            }
            let part = (FRAME_HEAD - self.head_size).min(bytes.len());
            self.head[self.head_size..self.head_size + part].copy_from_slice(&bytes[..part]);
            self.head_size += part;
            bytes = &bytes[part..];
            if self.head_size == FRAME_HEAD {
                self.head_size = 0;
                self.begin_frame();
            }
        }
        let in_headers = self.headers_open || (self.payload_left > 0 && matches!(self.head[3], HEADERS | CONTINUATION));
        match (in_headers, self.headers_since) {
            (true, None) => self.headers_since = Some(now),
            (false, Some(_)) => self.headers_since = None,
            _ => {}
        }
    }

    fn begin_frame(&mut self) {
        self.frames += 1;
        self.payload_left =
            usize::from(self.head[0]) << 16 | usize::from(self.head[1]) << 8 | usize::from(self.head[2]);
        if matches!(self.head[3], HEADERS | CONTINUATION) {
            self.headers_open = self.head[4] & END_HEADERS == 0;
        }
    }

    /// Frames begun since this was asked last.
    pub fn take_frames(&mut self) -> usize {
        std::mem::take(&mut self.frames)
    }

    /// How much of the current frame is still to come.
    pub fn payload_left(&self) -> usize {
        self.payload_left
    }

    /// Since when a header block is unfinished.
    pub fn headers_since(&self) -> Option<Instant> {
        self.headers_since
    }

    /// Since when no byte came, if a frame is unfinished.
    pub fn stalled_since(&self) -> Option<Instant> {
        if self.payload_left > 0 || self.head_size > 0 {
            self.last_byte
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let size = payload.len() as u32;
        let mut bytes = size.to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn any_split_gives_the_same_answer() {
        let now = Instant::now();
        let mut bytes = frame(4, 0, b"");
        bytes.extend(frame(HEADERS, END_HEADERS, b"abcd"));
        bytes.extend(frame(0, 0, &[7; 300]));
        for step in 1..40 {
            let mut watch = FrameWatch::default();
            bytes.chunks(step).for_each(|part| watch.feed(part, now));
            assert_eq!((watch.headers_since(), watch.stalled_since()), (None, None), "in steps of {step}");
        }
    }

    #[test]
    fn an_open_header_block_keeps_its_first_moment() {
        let (first, later) = (Instant::now(), Instant::now() + std::time::Duration::from_secs(1));
        let mut watch = FrameWatch::default();
        watch.feed(&frame(HEADERS, 0, b"abcd"), first);
        assert_eq!((watch.headers_since(), watch.stalled_since()), (Some(first), None));
        watch.feed(&frame(CONTINUATION, 0, b"ef"), later);
        assert_eq!(watch.headers_since(), Some(first));
        watch.feed(&frame(CONTINUATION, END_HEADERS, b""), later);
        assert_eq!(watch.headers_since(), None);
    }

    #[test]
    fn half_a_frame_is_a_stall() {
        let now = Instant::now();
        let mut watch = FrameWatch::default();
        watch.feed(&frame(0, 0, b"abcd")[..11], now);
        assert_eq!((watch.headers_since(), watch.stalled_since()), (None, Some(now)));
        watch.feed(b"cd", now);
        assert_eq!(watch.stalled_since(), None);
    }
}

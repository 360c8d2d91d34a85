//! Outgoing bytes that stay where the caller has them: pieces of foreign memory, released when sent or dropped.

use bytes::Buf;
use std::ffi::c_void;
use std::io::IoSlice;
use std::sync::Arc;

use crate::abi::Slice;

/// The caller's memory. Dropping it gives it back.
struct Foreign {
    pieces: Box<[Slice]>,
    owner: *mut c_void,
    release: extern "C" fn(*mut c_void),
}

// SAFETY: the contract of door_message says that the pieces are immutable until `release`, and that any thread may read
// them and call `release`.
unsafe impl Send for Foreign {}
// SAFETY: as above; all access through a shared reference is reading.
unsafe impl Sync for Foreign {}

impl Drop for Foreign {
    fn drop(&mut self) {
        (self.release)(self.owner);
    }
}

/// A message or a part of one, as a cursor over shared pieces. Splitting copies nothing.
#[derive(Clone)]
pub(crate) struct Message {
    foreign: Arc<Foreign>,
    piece: usize,
    offset: usize,
    remaining: usize,
}

impl Message {
    pub fn new(pieces: Box<[Slice]>, owner: *mut c_void, release: extern "C" fn(*mut c_void)) -> Message {
        let remaining = pieces.iter().map(|piece| piece.size).sum();
        Message { foreign: Arc::new(Foreign { pieces, owner, release }), piece: 0, offset: 0, remaining }
    }

    /// No bytes: what carries a bare end of stream.
    pub fn empty() -> Message {
        extern "C" fn nothing_to_release(_: *mut c_void) {}
        Message::new(Box::new([]), std::ptr::null_mut(), nothing_to_release)
    }

    /// The first `size` bytes; the rest stays in `self`.
    pub fn split_to(&mut self, size: usize) -> Message {
        let mut front = self.clone();
        front.remaining = size.min(self.remaining);
        self.advance(front.remaining);
        front
    }

    /// The unread bytes of the piece at `index`, `offset` bytes into it, at most `most`.
    fn bytes(&self, index: usize, offset: usize, most: usize) -> &[u8] {
        match self.foreign.pieces.get(index) {
            // SAFETY: the pieces are valid until `release`, which runs when the last Message on them is gone.
            Some(piece) => unsafe { piece.as_bytes() }.get(offset..).map_or(&[], |rest| &rest[..rest.len().min(most)]),
            None => &[],
        }
    }
}

impl Buf for Message {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        let (mut piece, mut offset) = (self.piece, self.offset);
        // Empty pieces must not look like the end.
        while self.remaining > 0 && self.foreign.pieces.get(piece).is_some_and(|p| p.size == offset) {
            (piece, offset) = (piece + 1, 0);
        }
        self.bytes(piece, offset, self.remaining)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut filled, mut offset, mut left) = (0, self.offset, self.remaining);
        for piece in self.piece..self.foreign.pieces.len() {
            if filled == slices.len() || left == 0 {
                break;
            }
            let bytes = self.bytes(piece, offset, left);
            if !bytes.is_empty() {
                slices[filled] = IoSlice::new(bytes);
                left -= bytes.len();
                filled += 1;
            }
            offset = 0;
        }
        filled
    }

    fn advance(&mut self, mut size: usize) {
        assert!(size <= self.remaining, "advance past the end of a message");
        self.remaining -= size;
        while size > 0 {
            let left = self.foreign.pieces[self.piece].size - self.offset;
            if size < left {
                self.offset += size;
                return;
            }
            size -= left;
            self.piece += 1;
            self.offset = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    extern "C" fn count(owner: *mut c_void) {
        // SAFETY: the tests pass a static counter.
        unsafe { &*(owner as *const AtomicUsize) }.fetch_add(1, Ordering::Relaxed);
    }

    fn message(parts: &[&'static str], released: &'static AtomicUsize) -> Message {
        let pieces = parts.iter().map(|part| Slice::of(part.as_bytes())).collect();
        Message::new(pieces, released as *const AtomicUsize as *mut c_void, count)
    }

    #[test]
    fn reads_across_pieces_and_skips_empty_ones() {
        static RELEASED: AtomicUsize = AtomicUsize::new(0);
        let mut whole = message(&["", "ab", "", "cdef", "g"], &RELEASED);
        let mut front = whole.split_to(3);
        assert_eq!((front.remaining(), whole.remaining()), (3, 4));
        assert_eq!(&front.copy_to_bytes(3)[..], b"abc");
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(whole.chunks_vectored(&mut slices), 2);
        assert_eq!((&*slices[0], &*slices[1]), (&b"def"[..], &b"g"[..]));
        assert_eq!(&whole.copy_to_bytes(4)[..], b"defg");
    }

    #[test]
    fn a_part_never_shows_bytes_behind_it() {
        static RELEASED: AtomicUsize = AtomicUsize::new(0);
        let front = message(&["abcdef"], &RELEASED).split_to(2);
        let mut slices = [IoSlice::new(&[]); 2];
        assert_eq!(front.chunks_vectored(&mut slices), 1);
        assert_eq!((&*slices[0], front.chunk()), (&b"ab"[..], &b"ab"[..]));
    }

    #[test]
    fn releases_once_when_the_last_part_is_gone() {
        static RELEASED: AtomicUsize = AtomicUsize::new(0);
        let mut whole = message(&["abc", "def"], &RELEASED);
        let front = whole.split_to(4);
        drop(whole);
        assert_eq!(RELEASED.load(Ordering::Relaxed), 0);
        drop(front);
        assert_eq!(RELEASED.load(Ordering::Relaxed), 1);
    }
}

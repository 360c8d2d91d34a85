//! Looks for a request head that names both Content-Length and Transfer-Encoding. `hyper` parses the head and lets
//! Transfer-Encoding win, which is allowed (RFC 9112, section 6.3), but it hides the other one; behind a proxy that
//! reads it the other way the next request could be smuggled in, so we refuse such a head.

const NAME_MAX: usize = 17; // "transfer-encoding"

#[derive(Default)]
pub(crate) struct HeadScan {
    name: Vec<u8>,
    /// Past the colon, or a name too long to matter.
    in_value: bool,
    content_length: bool,
    transfer_encoding: bool,
    ended: bool,
}

impl HeadScan {
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.ended {
                return;
            }
            match byte {
                b'\n' => {
                    self.ended = self.name.is_empty() && !self.in_value;
                    self.name.clear();
                    self.in_value = false;
                }
                b'\r' => {}
                _ if self.in_value => {}
                b':' => {
                    self.content_length |= self.name == b"content-length";
                    self.transfer_encoding |= self.name == b"transfer-encoding";
                    self.in_value = true;
                }
                _ if self.name.len() == NAME_MAX => self.in_value = true,
                _ => self.name.push(byte.to_ascii_lowercase()),
            }
        }
    }

    pub fn is_ambiguous(&self) -> bool {
        self.content_length && self.transfer_encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambiguous(head: &str) -> bool {
        let (mut whole, mut dribbled) = (HeadScan::default(), HeadScan::default());
        whole.feed(head.as_bytes());
        head.as_bytes().iter().for_each(|byte| dribbled.feed(&[*byte]));
        assert_eq!(whole.is_ambiguous(), dribbled.is_ambiguous());
        whole.is_ambiguous()
    }

    #[test]
    fn both_in_any_order_and_case() {
        assert!(ambiguous("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(ambiguous("POST / HTTP/1.1\r\ntransfer-encodinG: chunked\r\nx: y\r\ncontent-LENGTH:5\r\n\r\n"));
    }

    #[test]
    fn one_of_them_or_a_body_that_looks_like_a_head() {
        assert!(!ambiguous("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(!ambiguous("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nx-content-length: 5\r\n\r\n"));
        assert!(!ambiguous("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nx: content-length: 5\r\n\r\n"));
    }
}

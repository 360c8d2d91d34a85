//! A listener for HTTP/1.1 and HTTP/2, plain or over TLS, behind a C ABI (`src/net/door.h` is its contract).
//! It carries heads, body bytes and trailers, and knows nothing of gRPC.
//!
//! Every worker thread runs a single-threaded runtime; a connection stays on its worker. HTTP/2 goes to the `h2` crate
//! directly, because each stream must be looked at even while it waits for the peer's window: otherwise deadlines would
//! not end it. HTTP/1.1 goes through `hyper`.
//!
//! Panics: one inside a connection's task ends that connection (its calls get `on_close`); one inside an ABI function
//! aborts the process, as `extern "C"` does. None unwinds into C++. `unsafe` stands in `abi` and `message` only.

mod abi;
mod call;
mod deadline;
mod frame_watch;
mod given_up;
mod head_scan;
mod http1;
mod http2;
mod http2_stream;
mod io;
mod limits;
mod listener;
mod message;
mod received_body;
mod tls;

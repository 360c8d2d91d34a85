//! The options of a listener, in Rust's types.

use std::time::Duration;

pub(crate) struct Limits {
    pub stream_window: u32,
    pub connection_window: u32,
    pub windows_max: usize,
    pub streams_max: u32,
    pub header_list_max: u32,
    pub frame_max: u32,
    pub connections_max: usize,
    pub reset_streams_max: usize,
    pub header_timeout: Duration,
    pub idle_timeout: Option<Duration>,
    pub keepalive: Option<Duration>,
    /// For the answer to a ping, and for any byte that a connection waits for.
    pub stall_timeout: Duration,
}

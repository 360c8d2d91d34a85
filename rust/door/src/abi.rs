//! The C ABI: the types and functions of `src/net/door.h`, which is their contract. Keep both in step.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use std::ffi::{c_char, c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use crate::call::{Call, End};
use crate::limits::Limits;
use crate::listener::{Door, StartError};
use crate::message::Message;
use crate::tls::Identity;

pub(crate) const COMPLETE: c_int = 0;
pub(crate) const CANCELLED: c_int = 1;
pub(crate) const SATISFIED: c_int = 1;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    pub(crate) data: *const u8,
    pub(crate) size: usize,
}

impl Slice {
    pub(crate) fn of(bytes: &[u8]) -> Slice {
        Slice { data: bytes.as_ptr(), size: bytes.len() }
    }

    /// # Safety
    /// `data` must be valid for `size` bytes as long as the result is used; an empty slice may have a null pointer.
    pub(crate) unsafe fn as_bytes<'a>(&self) -> &'a [u8] {
        if self.size == 0 {
            return &[];
        }
        // SAFETY: as promised by the caller.
        unsafe { std::slice::from_raw_parts(self.data, self.size) }
    }
}

#[repr(C)]
pub struct Header {
    name: Slice,
    value: Slice,
}

#[repr(C)]
pub struct Request {
    method: Slice,
    path: Slice,
    authority: Slice,
    peer: Slice,
    peer_cert: Slice,
    http2: c_int,
    tls: c_int,
    headers: *const Header,
    header_count: usize,
}

#[repr(C)]
pub struct Head {
    status: u16,
    headers: *const Header,
    header_count: usize,
}

#[repr(C)]
pub struct ForeignMessage {
    pieces: *const Slice,
    piece_count: usize,
    owner: *mut c_void,
    release: extern "C" fn(*mut c_void),
}

#[repr(C)]
pub struct ForeignEnd {
    trailers: *const Header,
    trailer_count: usize,
}

#[repr(C)]
pub struct Options {
    listen: Slice,
    cert: Slice,
    key: Slice,
    client_ca: Slice,
    threads: u32,
    stream_window_bytes: u32,
    connection_window_bytes: u32,
    windows_max_bytes: u64,
    streams_max: u32,
    header_list_max_bytes: u32,
    frame_max_bytes: u32,
    connections_max: u32,
    reset_streams_max: u32,
    header_timeout_ms: u32,
    idle_timeout_ms: u32,
    keepalive_ms: u64,
    keepalive_timeout_ms: u32,
}

/// The callbacks are safe to call from the task that owns the call: what they are shown is valid until they return.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Callbacks {
    on_call: extern "C" fn(*mut c_void, *const Call, *const Request) -> *mut c_void,
    pub(crate) on_read: extern "C" fn(*mut c_void) -> c_int,
    pub(crate) on_data: extern "C" fn(*mut c_void, *const u8, usize, *const Bytes) -> c_int,
    pub(crate) on_end: extern "C" fn(*mut c_void),
    pub(crate) on_drain: extern "C" fn(*mut c_void),
    pub(crate) on_deadline: extern "C" fn(*mut c_void),
    pub(crate) on_close: extern "C" fn(*mut c_void, c_int),
}

/// Who sent a request.
pub(crate) struct Peer {
    pub address: String,
    pub certificate: Vec<u8>,
    pub tls: bool,
    pub http2: bool,
}

/// The C++ side's factory: its callbacks and their context.
pub(crate) struct Service {
    callbacks: Callbacks,
    context: *mut c_void,
}

// SAFETY: the contract of door_start says that the callbacks and the context may be used from the door's threads.
unsafe impl Send for Service {}
// SAFETY: as above, from several at once.
unsafe impl Sync for Service {}

impl Service {
    /// Shows a request to the C++ side.
    pub fn begin<T>(&self, peer: &Peer, request: &http::Request<T>) -> Arc<Call> {
        let call = Arc::new(Call::new(self.callbacks));
        let text = |text: &str| Slice::of(text.as_bytes());
        let headers: Vec<Header> = request
            .headers()
            .iter()
            .map(|(name, value)| Header { name: text(name.as_str()), value: Slice::of(value.as_bytes()) })
            .collect();
        let uri = request.uri();
        let shown = Request {
            method: text(request.method().as_str()),
            path: text(uri.path_and_query().map_or("", |path| path.as_str())),
            authority: text(uri.authority().map_or("", |authority| authority.as_str())),
            peer: text(&peer.address),
            peer_cert: Slice::of(&peer.certificate),
            http2: c_int::from(peer.http2),
            tls: c_int::from(peer.tls),
            headers: headers.as_ptr(),
            header_count: headers.len(),
        };
        let user = (self.callbacks.on_call)(self.context, Arc::into_raw(call.clone()), &shown);
        call.set_user(user);
        call
    }
}

fn millis(ms: impl Into<u64>) -> Duration {
    Duration::from_millis(ms.into())
}

fn some_millis(ms: impl Into<u64>) -> Option<Duration> {
    let ms = ms.into();
    (ms > 0).then(|| millis(ms))
}

/// # Safety
/// `options`, `callbacks` and the slices in them are valid during the call; `error` has room for `error_size` bytes.
#[no_mangle]
pub unsafe extern "C" fn door_start(
    options: *const Options,
    callbacks: *const Callbacks,
    context: *mut c_void,
    error_kind: *mut c_int,
    error: *mut c_char,
    error_size: usize,
) -> *mut Door {
    // SAFETY: valid by contract, and not changed during the call.
    let (options, callbacks) = unsafe { (&*options, *callbacks) };
    // SAFETY: the slices live as long as the options.
    let (listen, identity) = unsafe {
        let identity = identity(&options.cert, &options.key, &options.client_ca);
        (String::from_utf8_lossy(options.listen.as_bytes()), identity)
    };
    let limits = Limits {
        stream_window: options.stream_window_bytes,
        connection_window: options.connection_window_bytes,
        windows_max: options.windows_max_bytes as usize,
        streams_max: options.streams_max,
        header_list_max: options.header_list_max_bytes,
        frame_max: options.frame_max_bytes,
        connections_max: options.connections_max as usize,
        reset_streams_max: options.reset_streams_max as usize,
        header_timeout: millis(options.header_timeout_ms),
        idle_timeout: some_millis(options.idle_timeout_ms),
        keepalive: some_millis(options.keepalive_ms),
        stall_timeout: millis(options.keepalive_timeout_ms),
    };
    match Door::start(&listen, &identity, options.threads as usize, limits, Service { callbacks, context }) {
        Ok(door) => Box::into_raw(Box::new(door)),
        Err(reason) => {
            let (kind, text) = match reason {
                StartError::CannotListen(text) => (1, text),
                StartError::BadTls(text) => (2, text),
            };
            // SAFETY: both are valid by contract.
            unsafe {
                *error_kind = kind;
                tell(&text, error, error_size);
            }
            std::ptr::null_mut()
        }
    }
}

/// # Safety
/// The slices are valid as long as the result is used.
unsafe fn identity<'a>(cert: &Slice, key: &Slice, client_ca: &Slice) -> Identity<'a> {
    // SAFETY: by contract.
    unsafe { Identity { cert: cert.as_bytes(), key: key.as_bytes(), client_ca: client_ca.as_bytes() } }
}

/// # Safety
/// `error` has room for `error_size` bytes.
unsafe fn tell(text: &str, error: *mut c_char, error_size: usize) {
    let size = text.len().min(error_size.saturating_sub(1));
    if error_size > 0 {
        // SAFETY: `size` + 1 bytes fit into `error`.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), error, size);
            *error.add(size) = 0;
        }
    }
}

/// # Safety
/// `door` comes from door_start and was not freed; the slices are valid during the call, and `error` has room for
/// `error_size` bytes.
#[no_mangle]
pub unsafe extern "C" fn door_replace_identity(
    door: *const Door,
    cert: Slice,
    key: Slice,
    client_ca: Slice,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    // SAFETY: by contract.
    let (door, identity) = unsafe { (&*door, identity(&cert, &key, &client_ca)) };
    match door.replace_identity(&identity) {
        Ok(()) => 1,
        Err(text) => {
            // SAFETY: by contract.
            unsafe { tell(&text, error, error_size) };
            0
        }
    }
}

/// # Safety
/// `door` comes from door_start and was not freed.
#[no_mangle]
pub unsafe extern "C" fn door_port(door: *const Door) -> u16 {
    // SAFETY: by contract.
    unsafe { &*door }.port()
}

/// # Safety
/// `door` comes from door_start and was not freed.
#[no_mangle]
pub unsafe extern "C" fn door_connections(door: *const Door) -> usize {
    // SAFETY: by contract.
    unsafe { &*door }.connections()
}

/// # Safety
/// `door` comes from door_start and was not freed. Not on one of its own threads.
#[no_mangle]
pub unsafe extern "C" fn door_stop(door: *const Door, grace_ms: u64) {
    // SAFETY: by contract.
    unsafe { &*door }.stop(millis(grace_ms));
}

/// # Safety
/// `door` comes from door_start; not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn door_free(door: *mut Door) {
    // SAFETY: by contract the pointer came from Box::into_raw, and this is its only return.
    drop(unsafe { Box::from_raw(door) });
}

/// # Safety
/// `call` comes from on_call and was not freed. The same holds for every door_call_* function.
#[no_mangle]
pub unsafe extern "C" fn door_call_read(call: *const Call) {
    // SAFETY: by contract.
    unsafe { &*call }.read();
}

/// # Safety
/// See door_call_read.
#[no_mangle]
pub unsafe extern "C" fn door_call_deadline(call: *const Call, ms: u64) {
    // SAFETY: by contract.
    unsafe { &*call }.set_deadline(millis(ms));
}

/// # Safety
/// `headers` points to `count` headers with valid slices.
unsafe fn header_map(headers: *const Header, count: usize) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(count);
    for index in 0..count {
        // SAFETY: by contract.
        let (name, value) = unsafe {
            let header = &*headers.add(index);
            (header.name.as_bytes(), header.value.as_bytes())
        };
        // What cannot travel as a header is left out: a wrong byte in a message text must not cost the answer.
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    map
}

/// # Safety
/// See door_call_read. `head`, `message` and `end` are null or valid during the call; the pieces until `release`.
#[no_mangle]
pub unsafe extern "C" fn door_call_send(
    call: *const Call,
    head: *const Head,
    message: *const ForeignMessage,
    end: *const ForeignEnd,
) -> usize {
    // SAFETY: by contract.
    let (call, head, message, end) = unsafe { (&*call, head.as_ref(), message.as_ref(), end.as_ref()) };
    let head = head.map(|head| {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // SAFETY: by contract.
        *response.headers_mut() = unsafe { header_map(head.headers, head.header_count) };
        response
    });
    let message = message.map(|message| {
        let pieces: Box<[Slice]> = match message.piece_count {
            0 => Box::new([]),
            // SAFETY: by contract; the pieces themselves are copied, not what they point to.
            count => unsafe { std::slice::from_raw_parts(message.pieces, count) }.into(),
        };
        Message::new(pieces, message.owner, message.release)
    });
    let end = end.map(|end| match end.trailer_count {
        0 => End::Plain,
        // SAFETY: by contract.
        count => End::Trailers(unsafe { header_map(end.trailers, count) }),
    });
    call.send(head, message, end)
}

/// # Safety
/// See door_call_read.
#[no_mangle]
pub unsafe extern "C" fn door_call_discard(call: *const Call) {
    // SAFETY: by contract.
    unsafe { &*call }.discard();
}

/// # Safety
/// See door_call_read.
#[no_mangle]
pub unsafe extern "C" fn door_call_waiting(call: *const Call) -> usize {
    // SAFETY: by contract.
    unsafe { &*call }.waiting()
}

/// # Safety
/// See door_call_read; not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn door_call_free(call: *const Call) {
    // SAFETY: the pointer came from Arc::into_raw in `Service::begin`, and this is its only return.
    drop(unsafe { Arc::from_raw(call) });
}

/// # Safety
/// `bytes` is what on_data shows, during on_data.
#[no_mangle]
pub unsafe extern "C" fn door_bytes_keep(bytes: *const Bytes) -> *mut Bytes {
    // SAFETY: by contract.
    Box::into_raw(Box::new(unsafe { &*bytes }.clone()))
}

/// # Safety
/// `bytes` comes from door_bytes_keep; not used afterwards.
#[no_mangle]
pub unsafe extern "C" fn door_bytes_free(bytes: *mut Bytes) {
    // SAFETY: by contract, and this is its only return.
    drop(unsafe { Box::from_raw(bytes) });
}

//! The listening socket, the worker threads, and how they stop.

use std::future::Future;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout, Instant};
use tokio_rustls::TlsAcceptor;

use crate::abi::{Peer, Service};
use crate::frame_watch::FrameWatch;
use crate::http1::{Exchange, Http1};
use crate::http2::{Http2, PREFACE};
use crate::io::{Io, Watch};
use crate::limits::Limits;
use crate::tls::{acceptor, Identity};

/// What all connections of a port share.
pub(crate) struct Shared {
    pub limits: Limits,
    pub service: Service,
    /// Connection windows granted beyond the first 64 KiB, in bytes.
    pub windows: AtomicUsize,
    /// Of the connections to come; those that stand keep what they began with.
    tls: RwLock<Option<TlsAcceptor>>,
    connections: AtomicUsize,
}

/// A connection that can be told to take no more calls.
pub(crate) trait Graceful {
    fn graceful_shutdown(&mut self);
}

pub(crate) enum StartError {
    CannotListen(String),
    BadTls(String),
}

/// None while running, then the moment when what still runs is cut off.
type StopAt = watch::Receiver<Option<Instant>>;

/// A listening port. The C++ side's `door`.
pub struct Door {
    port: u16,
    shared: Arc<Shared>,
    stop: watch::Sender<Option<Instant>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Door {
    pub(crate) fn start(
        listen: &str,
        identity: &Identity,
        threads: usize,
        limits: Limits,
        service: Service,
    ) -> Result<Door, StartError> {
        let tls = acceptor(identity).map_err(StartError::BadTls)?;
        let cannot = |error: Error| StartError::CannotListen(error.to_string());
        let socket = std::net::TcpListener::bind(listen).map_err(cannot)?;
        socket.set_nonblocking(true).map_err(cannot)?;
        let port = socket.local_addr().map_err(cannot)?.port();
        let (connections, windows) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let shared = Arc::new(Shared { limits, service, windows, tls: RwLock::new(tls), connections });
        let (stop, stop_at) = watch::channel(None);
        let (workers, queues): (Vec<_>, Vec<_>) = (0..threads.max(1)).map(|_| Worker::new()).unzip();
        let door = Door { port, shared, stop, threads: Mutex::default() };
        let mut listener = Some((socket, workers));
        for (index, queue) in queues.into_iter().enumerate() {
            let (shared, stop_at, listener) = (door.shared.clone(), stop_at.clone(), listener.take());
            let run = move || run_worker(shared, listener, queue, stop_at);
            let thread = std::thread::Builder::new().name(format!("net-{index}")).spawn(run).map_err(cannot)?;
            door.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(door)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// Certificates of the connections to come. After an error the old ones stay.
    pub(crate) fn replace_identity(&self, identity: &Identity) -> Result<(), String> {
        let Some(tls) = acceptor(identity)? else { return Err("certificate: empty".into()) };
        let mut current = self.shared.tls.write().unwrap_or_else(PoisonError::into_inner);
        if current.is_none() {
            return Err("this port was started without TLS".into());
        }
        *current = Some(tls);
        Ok(())
    }

    pub(crate) fn stop(&self, grace: Duration) {
        self.stop.send_replace(Some(Instant::now() + grace));
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker that panicked has nothing left to wait for.
            let _ = thread.join();
        }
    }
}

/// Where the accepting task sends a worker's connections.
struct Worker {
    queue: mpsc::UnboundedSender<Arrival>,
    connections: Arc<AtomicUsize>,
}

/// An accepted connection; counts until it is dropped.
struct Arrival {
    socket: std::net::TcpStream,
    address: SocketAddr,
    counted: Counted,
}

struct Counted {
    shared: Arc<Shared>,
    worker: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.worker.fetch_sub(1, Ordering::AcqRel);
        self.shared.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Worker {
    fn new() -> (Worker, mpsc::UnboundedReceiver<Arrival>) {
        let (queue, arrivals) = mpsc::unbounded_channel();
        (Worker { queue, connections: Arc::default() }, arrivals)
    }
}

type Listener = (std::net::TcpListener, Vec<Worker>);

fn run_worker(
    shared: Arc<Shared>,
    listener: Option<Listener>,
    mut queue: mpsc::UnboundedReceiver<Arrival>,
    stop_at: StopAt,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("cannot make a network thread: {error}"),
    };
    runtime.block_on(async {
        if let Some(listener) = listener {
            tokio::spawn(accept(shared.clone(), listener, stop_at.clone()));
        }
        let mut connections = tokio::task::JoinSet::new();
        let mut stopping = stop_at.clone();
        loop {
            tokio::select! {
                biased;
                _ = stopping.wait_for(Option::is_some) => break,
                arrival = queue.recv() => match arrival {
                    Some(arrival) => { connections.spawn(serve(shared.clone(), arrival, stop_at.clone())); }
                    None => break,
                },
                _ = connections.join_next(), if !connections.is_empty() => {}
            }
        }
        drop(queue);
        let until = stop_at.borrow().unwrap_or_else(Instant::now);
        let all_ended = async { while connections.join_next().await.is_some() {} };
        // What is left is dropped with the runtime: its calls get on_close.
        let _ = tokio::time::timeout_at(until, all_ended).await;
    });
}

/// Gives each connection to the worker that has the fewest.
async fn accept(shared: Arc<Shared>, (socket, workers): Listener, mut stop_at: StopAt) {
    let Ok(socket) = TcpListener::from_std(socket) else { return };
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop_at.wait_for(Option::is_some) => return,
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, address)) = accepted else {
            // Out of file descriptors, most likely: the next try may find one.
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        if shared.connections() >= shared.limits.connections_max {
            continue;
        }
        let Some(worker) = workers.iter().min_by_key(|worker| worker.connections.load(Ordering::Acquire)) else {
            return;
        };
        let Ok(socket) = stream.into_std() else { continue };
        shared.connections.fetch_add(1, Ordering::AcqRel);
        worker.connections.fetch_add(1, Ordering::AcqRel);
        let counted = Counted { shared: shared.clone(), worker: worker.connections.clone() };
        // Fails only when the worker has stopped; the connection is then dropped.
        let _ = worker.queue.send(Arrival { socket, address, counted });
    }
}

impl Shared {
    fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    fn tls(&self) -> Option<TlsAcceptor> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(shared: Arc<Shared>, arrival: Arrival, stop_at: StopAt) {
    let Arrival { socket, address, counted: _counted } = arrival;
    let Ok(stream) = TcpStream::from_std(socket) else { return };
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let mut peer = Peer { address: address.to_string(), certificate: Vec::new(), tls: false, http2: false };
    let Some(acceptor) = shared.tls() else { return serve_http(shared, stream, peer, stop_at).await };
    let Ok(Ok(stream)) = timeout(shared.limits.header_timeout, acceptor.accept(stream)).await else { return };
    peer.tls = true;
    if let Some([first, ..]) = stream.get_ref().1.peer_certificates() {
        peer.certificate = first.to_vec();
    }
    serve_http(shared, stream, peer, stop_at).await;
}

/// Reads until it is clear whether this is HTTP/2: at most its preface.
async fn first_bytes<T: AsyncRead + Unpin>(io: &mut T) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(PREFACE.len());
    while bytes.len() < PREFACE.len() && PREFACE.starts_with(&bytes) {
        let left = (PREFACE.len() - bytes.len()) as u64;
        if (&mut *io).take(left).read_buf(&mut bytes).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(bytes)
}

async fn serve_http<T>(shared: Arc<Shared>, mut io: T, mut peer: Peer, stop_at: StopAt)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let wait = shared.limits.header_timeout;
    let mut stopping = stop_at.clone();
    let first = tokio::select! {
        first = timeout(wait, first_bytes(&mut io)) => first,
        _ = stopping.wait_for(Option::is_some) => return,
    };
    let Ok(Ok(prefix)) = first else { return };
    peer.http2 = prefix == PREFACE;
    if peer.http2 {
        let io = Io::new(io, prefix, Watch::Http2(FrameWatch::default()), &shared.limits);
        if let Ok(Ok(connection)) = timeout(wait, Http2::handshake(io, peer, shared)).await {
            drive(connection, stop_at).await;
        }
    } else {
        let exchange = Arc::new(Exchange::new(&shared.limits));
        let io = Io::new(io, prefix, Watch::Http1(exchange.clone()), &shared.limits);
        drive(Http1::new(io, exchange, peer, shared), stop_at).await;
    }
}

/// Runs a connection to its end; from the stop signal on it takes no more calls.
async fn drive<C: Future<Output = ()> + Graceful + Unpin>(connection: C, mut stop_at: StopAt) {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        () = connection.as_mut() => return,
        _ = stop_at.wait_for(Option::is_some) => {}
    }
    connection.as_mut().get_mut().graceful_shutdown();
    connection.await;
}

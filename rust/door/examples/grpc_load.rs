//! A gRPC client that asks the same questions over one stream as fast as they are answered, for benchmarks: what it
//! costs itself is little, so that the server's share can be seen.
//!
//! `grpc_load HOST:PORT /package.Service/Method REQUESTS IN_FLIGHT SECONDS`
//! REQUESTS: a file of messages, each behind its length as a little-endian u32. Prints one line of JSON: answers, seconds,
//! CPU seconds of this process, and the 50th and 99th percentile in microseconds from a request to the next answer.

use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};

type Failure = Box<dyn Error + Send + Sync>;

/// gRPC frames: a zero byte, the length, the message.
fn read_frames(path: &str) -> Result<Vec<Bytes>, Failure> {
    let mut file = Bytes::from(std::fs::read(path)?);
    let mut frames = Vec::new();
    while file.len() >= 4 {
        let size = file.get_u32_le();
        let message = file.split_to(size as usize);
        let mut frame = BytesMut::with_capacity(5 + message.len());
        frame.extend_from_slice(&[0]);
        frame.extend_from_slice(&size.to_be_bytes());
        frame.extend_from_slice(&message);
        frames.push(frame.freeze());
    }
    if frames.is_empty() {
        return Err("no requests in the file".into());
    }
    Ok(frames)
}

fn cpu_seconds() -> Result<f64, Failure> {
    let nanoseconds = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(nanoseconds.split(' ').next().ok_or("schedstat")?.parse::<f64>()? / 1e9)
}

/// Hands `frame` on as the server's window allows.
async fn send(stream: &mut h2::SendStream<Bytes>, mut frame: Bytes) -> Result<(), Failure> {
    while frame.has_remaining() {
        stream.reserve_capacity(frame.len());
        while stream.capacity() == 0 {
            std::future::poll_fn(|context| stream.poll_capacity(context)).await.ok_or("the stream is closed")??;
        }
        let part = frame.split_to(stream.capacity().min(frame.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}

/// How many messages ended in what has come so far.
fn take_messages(received: &mut BytesMut) -> usize {
    let mut messages = 0;
    while received.len() >= 5 {
        let size = u32::from_be_bytes([received[1], received[2], received[3], received[4]]) as usize;
        if received.len() < 5 + size {
            break;
        }
        received.advance(5 + size);
        messages += 1;
    }
    messages
}

async fn run(arguments: &[String]) -> Result<(), Failure> {
    let [address, path, file, in_flight, seconds] = arguments else {
        return Err("usage: grpc_load HOST:PORT /package.Service/Method REQUESTS IN_FLIGHT SECONDS".into());
    };
    let frames = read_frames(file)?;
    let in_flight: usize = in_flight.parse()?;
    let time = Duration::from_secs_f64(seconds.parse()?);

    let socket = tokio::net::TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (client, connection) = h2::client::Builder::new()
        .initial_window_size(4 << 20)
        .initial_connection_window_size(16 << 20)
        .handshake::<_, Bytes>(socket)
        .await?;
    tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (response, mut requests) = client.ready().await?.send_request(request, false)?;

    let started = Instant::now();
    let cpu_before = cpu_seconds()?;
    let mut asked = VecDeque::new();
    let mut latencies = Vec::new();
    let mut received = BytesMut::new();
    for number in 0..in_flight {
        asked.push_back(Instant::now());
        send(&mut requests, frames[number % frames.len()].clone()).await?;
    }
    let mut next = in_flight;
    let mut body = response.await?.into_body();
    while !asked.is_empty() {
        let data = body.data().await.ok_or("the server ended the stream")??;
        body.flow_control().release_capacity(data.len())?;
        received.extend_from_slice(&data);
        for _ in 0..take_messages(&mut received) {
            latencies.push(asked.pop_front().ok_or("more answers than requests")?.elapsed());
            if started.elapsed() < time {
                asked.push_back(Instant::now());
                send(&mut requests, frames[next % frames.len()].clone()).await?;
                next += 1;
            }
        }
    }
    let took = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds()? - cpu_before;
    requests.send_data(Bytes::new(), true)?;
    let trailers = body.trailers().await?.ok_or("no trailers")?;
    if trailers.get("grpc-status").is_none_or(|status| status != "0") {
        return Err(format!("the call failed: {trailers:?}").into());
    }
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    println!(
        "{{\"answers\":{},\"seconds\":{took:.4},\"cpu_seconds\":{cpu:.4},\"p50_us\":{:.1},\"p99_us\":{:.1}}}",
        latencies.len(),
        at(0.5),
        at(0.99)
    );
    Ok(())
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&arguments))
}

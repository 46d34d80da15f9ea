//! One request after another over connections that stay open.

use std::io::{Read as _, Write as _};
use std::net::TcpStream as BlockingStream;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection, driven by tokio.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a whole request; status and body of the answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the connection was closed before the answer's end");
            if let Some((status, body)) = complete(&self.buffer)? {
                return Ok((status, &self.buffer[body..]));
            }
        }
    }
}

/// A connection on the calling thread: nothing between the caller and the socket.
#[derive(Debug)]
pub(crate) struct Blocking {
    stream: BlockingStream,
    buffer: Vec<u8>,
}

impl Blocking {
    pub(crate) fn open(address: &str) -> anyhow::Result<Self> {
        let stream = BlockingStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream, buffer: vec![0; 64 * 1024] })
    }

    /// Sends a whole request; how long the answer took, its status and body.
    pub(crate) fn exchange(&mut self, request: &[u8]) -> anyhow::Result<(Duration, u16, Bytes)> {
        let begun = Instant::now();
        self.stream.write_all(request)?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..])?;
            ensure!(read > 0, "the connection was closed before the answer's end");
            filled += read;
            if let Some((status, body)) = complete(&self.buffer[..filled])? {
                return Ok((begun.elapsed(), status, Bytes::copy_from_slice(&self.buffer[body..filled])));
            }
        }
    }
}

/// Status of an answer that has arrived as a whole, and where its body begins.
fn complete(answer: &[u8]) -> anyhow::Result<Option<(u16, usize)>> {
    let Some(end) = memmem::find(answer, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?;
    let status = head.get(9..12).and_then(|it| it.parse().ok()).context("an answer without a status")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let body = end + 4;
    Ok((answer.len() >= body + length.context("an answer without a length")?).then_some((status, body)))
}

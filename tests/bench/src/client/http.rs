//! A bulk upload over one connection: the body goes out while the answer comes in.

use anyhow::{Context, bail, ensure};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use uuid::Uuid;

/// Uploads `body` and returns the whole answer as it came, head included.
pub(crate) async fn upload(address: &str, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (reading, writing) = connect(address).await?.into_split();
    exchange(reading, writing, body).await
}

/// The same over TLS, to a server that shows a certificate for 127.0.0.1.
pub(crate) async fn upload_secured(
    address: &str,
    tls: &TlsConnector,
    body: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let name = ServerName::try_from("127.0.0.1")?;
    let stream = tls.connect(name, connect(address).await?).await.context("the TLS handshake")?;
    let (reading, writing) = tokio::io::split(stream);
    exchange(reading, writing, body).await
}

async fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn exchange(
    mut reading: impl AsyncRead + Unpin,
    mut writing: impl AsyncWrite + Unpin,
    body: &[u8],
) -> anyhow::Result<Vec<u8>> {
    let head = format!(
        "POST /v1/commands:bulk HTTP/1.1\r\nhost: folio\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let write = async {
        writing.write_all(head.as_bytes()).await?;
        writing.write_all(body).await?;
        // TLS keeps the last of it back until it is told.
        writing.flush().await?;
        anyhow::Ok(())
    };
    let read = async {
        let mut answer = Vec::with_capacity(body.len());
        // The last chunk of the answer is empty.
        while !answer.ends_with(b"\r\n0\r\n\r\n") {
            let read = reading.read_buf(&mut answer).await?;
            ensure!(read > 0, "the connection was closed before the answer's end");
        }
        Ok(answer)
    };
    let ((), answer) = tokio::try_join!(write, read)?;
    Ok(answer)
}

/// The events in an upload's answer.
///
/// # Errors
/// If one of the `lines` was not accepted.
pub(crate) fn events(answer: &[u8], lines: usize) -> anyhow::Result<Vec<Uuid>> {
    let text = unchunked(answer)?;
    let mut events = Vec::with_capacity(lines);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        events.push(event(line)?);
    }
    ensure!(events.len() == lines, "{} answers to {lines} lines", events.len());
    Ok(events)
}

/// The event in the body of an answer.
///
/// # Errors
/// If there is none: the command was not accepted.
pub(crate) fn event(body: &[u8]) -> anyhow::Result<Uuid> {
    const FIELD: &[u8] = br#""event_id":""#;
    let found = memmem::find(body, FIELD).and_then(|at| body.get(at + FIELD.len()..at + FIELD.len() + 36));
    match found {
        Some(id) => Ok(Uuid::try_parse_ascii(id)?),
        None => bail!("a command was answered {}", String::from_utf8_lossy(body)),
    }
}

/// The body of an answer in chunks.
fn unchunked(answer: &[u8]) -> anyhow::Result<Vec<u8>> {
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "answered {}", String::from_utf8_lossy(&answer[..40]));
    let mut at = memmem::find(answer, b"\r\n\r\n").context("an answer without a body")? + 4;
    let mut body = Vec::with_capacity(answer.len());
    loop {
        let digits = memmem::find(&answer[at..], b"\r\n").context("a chunk without a length")?;
        let length = usize::from_str_radix(std::str::from_utf8(&answer[at..at + digits])?, 16)?;
        if length == 0 {
            return Ok(body);
        }
        let begin = at + digits + 2;
        body.extend_from_slice(answer.get(begin..begin + length).context("a chunk that was cut off")?);
        at = begin + length + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_across_chunks() {
        let id = "0190163d-8694-739b-aea5-966c26f8ad90";
        let answer = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1a\r\n{{\"line\":1,\"event_id\":\"0190\r\n\
             23\r\n{}\"}}\n\r\n0\r\n\r\n",
            &id[4..]
        );
        assert_eq!(events(answer.as_bytes(), 1).unwrap(), [id.parse::<Uuid>().unwrap()]);
        assert!(events(answer.as_bytes(), 2).is_err());
        let refused = b"HTTP/1.1 200 OK\r\n\r\n12\r\n{\"event_id\":null}\n\r\n0\r\n\r\n";
        assert!(events(refused, 1).is_err());
    }
}

//! Asks a server the smallest question of its own protocol. Promises that `Ok` means it answered and can be used.

use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

/// For connecting, for sending and for each part of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);

fn connect(at: SocketAddrV4) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&at.into(), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn unexpected(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Kafka: is node `id` among the brokers that take requests? (Metadata v1 without topics; `ApiVersions` is answered by
/// brokers that the controller still fences.)
pub(super) fn kafka(at: SocketAddrV4, id: i32) -> io::Result<()> {
    const METADATA_V1: [u8; 18] = [
        0, 0, 0, 14, // size
        0, 3, 0, 1, // Metadata, version 1
        0, 0, 0, 7, // correlation id
        255, 255, // no client id
        0, 0, 0, 0, // no topics
    ];
    let mut stream = connect(at)?;
    stream.write_all(&METADATA_V1)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let mut answer = vec![0; u32::from_be_bytes(size).min(1 << 20) as usize];
    stream.read_exact(&mut answer)?;
    let brokers =
        broker_ids(&answer).ok_or_else(|| unexpected("an answer that is no metadata".to_owned()))?;
    if brokers.contains(&id) {
        return Ok(());
    }
    Err(unexpected(format!("broker {id} is not in the cluster yet, only {brokers:?}")))
}

/// The node ids in a Metadata v1 answer (correlation id, then an array of id, host, port, rack).
fn broker_ids(answer: &[u8]) -> Option<Vec<i32>> {
    let mut rest = answer.get(4..)?;
    let mut take = |count: usize| {
        let (head, tail) = rest.split_at_checked(count)?;
        rest = tail;
        Some(head)
    };
    let count = i32::from_be_bytes(take(4)?.try_into().ok()?);
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(i32::from_be_bytes(take(4)?.try_into().ok()?));
        let host = i16::from_be_bytes(take(2)?.try_into().ok()?);
        take(usize::try_from(host).ok()? + 4)?;
        let rack = i16::from_be_bytes(take(2)?.try_into().ok()?);
        take(usize::try_from(rack).unwrap_or(0))?;
    }
    Some(ids)
}

/// CQL: OPTIONS must be answered with SUPPORTED (protocol version 4).
pub(super) fn cql(at: SocketAddrV4) -> io::Result<()> {
    const OPTIONS: [u8; 9] = [4, 0, 0, 0, 5, 0, 0, 0, 0];
    const SUPPORTED: u8 = 6;
    let mut stream = connect(at)?;
    stream.write_all(&OPTIONS)?;
    let mut header = [0; 9];
    stream.read_exact(&mut header)?;
    if header[0] == 0x84 && header[4] == SUPPORTED {
        return Ok(());
    }
    Err(unexpected(format!("a CQL frame {header:?} in answer to OPTIONS")))
}

/// HTTP: `GET path` must be answered with 200; returns the body.
pub(super) fn http(at: SocketAddrV4, path: &str) -> io::Result<String> {
    let mut stream = connect(at)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(1 << 20).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        return Ok(body.to_owned());
    }
    Err(unexpected(format!("{:?} in answer to GET {path}", head.lines().next().unwrap_or_default())))
}

/// Elasticsearch: healthy means that every primary shard is there (a node that has just restarted is red for a while).
pub(super) fn elasticsearch(at: SocketAddrV4) -> io::Result<()> {
    let health = http(at, "/_cluster/health")?;
    if health.contains(r#""status":"green""#) || health.contains(r#""status":"yellow""#) {
        return Ok(());
    }
    Err(unexpected(format!("cluster health {health}")))
}

/// The registry: the Confluent API must list its subjects.
pub(super) fn registry(at: SocketAddrV4) -> io::Result<()> {
    http(at, "/apis/ccompat/v7/subjects").map(|_| ())
}

//! Kafka's frames: a size, then a header of which the first fields are all that is needed here.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Frames larger than this are no frames: brokers refuse requests above 100 MiB.
const MAX_LEN: usize = 128 << 20;

/// Which request it is. The numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiKey(pub i16);

impl ApiKey {
    pub const PRODUCE: Self = Self(0);
    pub const FETCH: Self = Self(1);
    pub const LIST_OFFSETS: Self = Self(2);
    pub const METADATA: Self = Self(3);
    pub const OFFSET_COMMIT: Self = Self(8);
    pub const API_VERSIONS: Self = Self(18);
    pub const INIT_PRODUCER_ID: Self = Self(22);
}

/// The beginning of a request's header, the same in all its versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestHeader {
    pub(super) api: ApiKey,
    pub(super) correlation_id: i32,
    /// Empty if the client has none.
    pub(super) client: String,
}

impl RequestHeader {
    /// Of a frame without its size; none if it is no request.
    pub(super) fn parse(frame: &[u8]) -> Option<Self> {
        let number = |at: usize| frame.get(at..at + 2).map(|it| i16::from_be_bytes([it[0], it[1]]));
        let api = ApiKey(number(0)?);
        let correlation_id = correlation_id(frame.get(4..)?)?;
        let length = usize::try_from(number(8)?).unwrap_or(0);
        let client = String::from_utf8(frame.get(10..10 + length)?.to_vec()).ok()?;
        Some(Self { api, correlation_id, client })
    }
}

/// What an answer begins with.
pub(super) fn correlation_id(answer: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(answer.get(..4)?.try_into().ok()?))
}

/// The next frame, without its size; none at the end of the stream.
///
/// # Errors
/// If the stream breaks, ends in the middle of a frame, or carries something else than Kafka's protocol.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut size = [0; 4];
    if stream.read(&mut size[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut size[1..]).await?;
    let size = usize::try_from(i32::from_be_bytes(size)).ok().filter(|size| *size <= MAX_LEN);
    let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no frame of Kafka's"))?;
    let mut frame = vec![0; size];
    stream.read_exact(&mut frame).await?;
    Ok(Some(frame))
}

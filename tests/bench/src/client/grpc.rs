//! `ExecuteBulk` with messages that are bytes already.

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BufMut, Bytes};
use contract::proto::catalog::v1::CommandResult;
use contract::proto::catalog::v1::command_result::Result as Told;
use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

/// Passes bytes through.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A connection of its own.
pub(crate) async fn connect(address: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let endpoint = endpoint.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
    endpoint.connect().await.with_context(|| format!("connecting to {address}"))
}

/// Streams all requests, for who has this token or key, and returns all results.
pub(crate) async fn stream(
    channel: Channel,
    requests: Vec<Bytes>,
    credential: Option<&str>,
) -> anyhow::Result<Vec<Bytes>> {
    let expected = requests.len();
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.context("the connection is not ready")?;
    let path = PathAndQuery::from_static("/catalog.v1.CommandService/ExecuteBulk");
    let mut requests = tonic::Request::new(futures::stream::iter(requests));
    if let Some(credential) = credential {
        requests.metadata_mut().insert("authorization", format!("Bearer {credential}").parse()?);
    }
    let mut results = grpc.streaming(requests, path, Raw).await?.into_inner();
    let mut told = Vec::with_capacity(expected);
    while let Some(result) = results.message().await? {
        told.push(result);
    }
    ensure!(told.len() == expected, "{} results for {expected} requests", told.len());
    Ok(told)
}

/// The event of a result.
///
/// # Errors
/// If the command was not accepted.
pub(crate) fn event(result: &Bytes) -> anyhow::Result<Uuid> {
    match CommandResult::decode(result.clone())?.result {
        Some(Told::Response(response)) => Ok(response.event_id.parse()?),
        Some(Told::Error(error)) => bail!("a command was answered {error:?}"),
        None => bail!("a result says nothing"),
    }
}

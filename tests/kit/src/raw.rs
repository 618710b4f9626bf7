//! Calls with encoded messages: for tests that send bytes no generated client would send, and for servers that know no
//! message type.

use std::time::Duration;

use prost::bytes::{Buf, BufMut, Bytes};
use tonic::{
    Request, Status,
    body::Body,
    client::{Grpc, GrpcService},
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// How long [`call_raw`] waits for the first message of a stream before it reports the stream as open.
const FIRST_MESSAGE_WAIT: Duration = Duration::from_millis(200);

/// Passes messages through as bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// Calls the method at `path` and returns its response. Of a server stream: its first message, or no bytes when the
/// stream of a `Watch` or `Subscribe` method stays open without one.
pub async fn call_raw<C>(channel: &C, path: &str, request: Request<Vec<u8>>) -> Result<Vec<u8>, Status>
where
    C: GrpcService<Body> + Clone,
    C::ResponseBody: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    <C::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError>,
    C::Error: std::fmt::Display,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path_of_method = path.parse().map_err(|_| Status::invalid_argument(format!("{path} is not a path")))?;
    let request = request.map(Bytes::from);
    let mut messages = grpc.server_streaming(request, path_of_method, RawCodec).await?.into_inner();
    let first = match tokio::time::timeout(FIRST_MESSAGE_WAIT, messages.message()).await {
        Err(_) if path.contains("/Watch") || path.contains("/Subscribe") => return Ok(Vec::new()),
        Err(_) => messages.message().await?,
        Ok(first) => first?,
    };
    Ok(first.unwrap_or_default().to_vec())
}

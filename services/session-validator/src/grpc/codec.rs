//! How messages travel: a question is read as it comes, an answer is already encoded.

use bytes::{BufMut, Bytes};
use envoy_types::ext_authz::v3::pb::CheckRequest;
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

/// Reads a `CheckRequest`, and writes a `CheckResponse` that somebody has encoded before.
#[derive(Debug, Clone, Copy)]
pub struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = CheckRequest;
    type Encoder = Self;
    type Decoder = ProstDecoder<CheckRequest>;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::default()
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, answer: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(answer);
        Ok(())
    }
}

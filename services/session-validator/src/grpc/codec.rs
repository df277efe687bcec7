//! How messages travel: a question is read as it comes, an answer is already encoded.

use bytes::{BufMut, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

use super::question::Question;

/// How much is set aside for one message: most are shorter. It grows.
const MESSAGE_BYTES: usize = 2 * 1024;

/// Reads a [`Question`], and writes a `CheckResponse` that somebody has encoded before.
#[derive(Debug, Clone, Copy)]
pub struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = Question;
    type Encoder = Self;
    type Decoder = ProstDecoder<Question>;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(self.buffer_settings())
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, answer: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(answer);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(MESSAGE_BYTES, 16 * MESSAGE_BYTES)
    }
}

//! What is read of a `CheckRequest`: the parts that matter to a decision, where they are. Envoy's
//! whole message has every text copied out of it, most of them for nobody.
//!
//! The numbers are those of `envoy/service/auth/v3/attribute_context.proto` and
//! `envoy/config/core/v3/base.proto`.

use bytes::Bytes;
use prost::Message;

/// `CheckRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct Question {
    /// What it is about.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<Attributes>,
}

/// `AttributeContext`.
#[derive(Clone, PartialEq, Message)]
pub struct Attributes {
    /// The request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// What the gateway's configuration adds.
    #[prost(message, repeated, tag = "10")]
    pub context_extensions: Vec<Entry>,
}

/// `AttributeContext.Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// The request, where it is one over HTTP.
    #[prost(message, optional, tag = "2")]
    pub http: Option<Http>,
}

/// `AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct Http {
    /// Its method.
    #[prost(string, tag = "2")]
    pub method: String,
    /// Its fields, one text for each name.
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<Entry>,
    /// Its fields as they came.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<Fields>,
}

/// What a map is made of on the wire.
#[derive(Clone, PartialEq, Message)]
pub struct Entry {
    /// The name.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// What is there.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `HeaderMap`.
#[derive(Clone, PartialEq, Message)]
pub struct Fields {
    /// Each field.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<Field>,
}

/// `HeaderValue`.
#[derive(Clone, PartialEq, Message)]
pub struct Field {
    /// Its name.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// Its value, as text.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// Its value, where that isn't text.
    #[prost(bytes = "bytes", tag = "3")]
    pub raw_value: Bytes,
}

//! What gateways are told, over HTTP and gRPC alike: a validator in this process on real sockets,
//! and the authority it follows.

#[path = "../support/authority.rs"]
mod authority;
mod denials;
mod envoy;
mod library;
mod overload;
mod property;
mod warm;
mod wire;
mod world;

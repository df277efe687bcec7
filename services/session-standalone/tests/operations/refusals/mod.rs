//! What the API refuses, how it says so, and that a refused request has changed nothing. Each test
//! goes through every operation of the API document, and takes what may be wrong with a request
//! from what the document says of it, so that a new operation or field is tested by being there.

mod bodies;
mod bounds;
mod credentials;
mod headers;
mod paths;
mod queries;
mod raw;
mod refusal;
mod strangers;
mod world;

//! What every adapter of a port must do, as tests it runs against itself. An adapter crate's
//! tests call [`store::all`] and the like with a way to make a fresh adapter; the adapters that
//! ship to users are the only ones there are, so there are no fakes to drift from them.

pub mod bus;
pub mod sample;

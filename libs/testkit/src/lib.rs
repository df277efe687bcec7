//! Helpers for tests.
//!
//! [`sim`] runs the revocation protocol's own machines in a world of seeded misfortune; [`explore`]
//! goes through everything that can happen in a small one. [`servers`] starts what processes talk
//! to, [`deployment`] the processes themselves, and [`proxy`] hurts the links between them. `tests/`
//! holds the tests that use them, and those of the workspace itself: that its crates depend on each
//! other as `CONTRIBUTING.md` says.

pub mod deployment;
pub mod explore;
pub mod proxy;
pub mod servers;
pub mod sim;

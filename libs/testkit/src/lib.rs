//! Helpers for tests. `tests/` holds the tests of the workspace itself: that its crates depend on
//! each other as `CONTRIBUTING.md` says.

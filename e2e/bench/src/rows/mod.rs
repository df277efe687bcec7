//! What is measured, a file each.

mod decision;
mod grpc;
mod http;
mod join;
mod memory;
mod process;

use anyhow::Result;
use tokio::runtime::Runtime;

use crate::Effort;
use crate::report::Section;

/// Something that is measured.
pub struct Row {
    /// What it is asked for by.
    pub name: &'static str,
    /// Measures it.
    pub measure: fn(&Runtime, Effort) -> Result<Section>,
}

/// Everything there is to be measured.
pub const ALL: &[Row] = &[
    Row {
        name: "http",
        measure: http::measure,
    },
    Row {
        name: "grpc",
        measure: grpc::measure,
    },
    Row {
        name: "decision",
        measure: decision::measure,
    },
    Row {
        name: "memory",
        measure: memory::measure,
    },
    Row {
        name: "join",
        measure: join::measure,
    },
];

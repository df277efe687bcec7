//! Writes our own GeoIP databases, `city.mmdb` and `asn.mmdb`, into a folder: `make generate` does
//! it. They hold made-up places on addresses reserved for documentation, so `make run` and the
//! tests can show places without anybody's licence:
//!
//! ```text
//! SESSION_GEOIP__CITY=libs/device/tests/data/city.mmdb make run
//! ```

#[path = "../tests/support/fixtures.rs"]
mod fixtures;
#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("name a folder to write to"))?;
    fs::write(folder.join("city.mmdb"), fixtures::city().bytes())?;
    fs::write(folder.join("asn.mmdb"), fixtures::asn().bytes())
}

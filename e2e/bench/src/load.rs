//! Programs that ask as fast as they can. They run on the same processors as what they ask, so how
//! much of the time was theirs is told, too.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::machine;

/// How many connections ask over HTTP.
pub const CONNECTIONS: usize = 32;

/// How many connections ask over gRPC, and how many questions are under way on each.
pub const STREAMS: (usize, usize) = (8, 8);

/// What a run gave.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Answers in a second.
    pub rate: f64,
    /// The time within which 99 % were answered, in milliseconds, where the program says so.
    pub p99_millis: f64,
    /// How much of the processor time of both was the asker's, 0 to 1.
    pub share: f64,
}

/// Asks `GET path` with these header fields for `seconds`.
pub fn wrk(
    server: u32,
    address: SocketAddr,
    path: &str,
    fields: &[(&str, String)],
    seconds: u32,
) -> Result<Run> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency"]);
    command.args([format!("-c{CONNECTIONS}"), format!("-d{seconds}s")]);
    for (name, value) in fields {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    command.arg(format!("http://{address}{path}"));
    let (text, share) = run(command, server)?;
    ensure!(
        !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "not all were let through:\n{text}"
    );
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(str::trim)
    };
    let rate = of("Requests/sec:").and_then(|text| text.parse().ok());
    let p99 = of("99%").and_then(millis);
    Ok(Run {
        rate: rate.with_context(|| format!("wrk says no rate:\n{text}"))?,
        p99_millis: p99.with_context(|| format!("wrk says no latency:\n{text}"))?,
        share,
    })
}

/// Asks `POST path` over HTTP/2 with a gRPC message for `seconds`.
pub fn h2load(
    server: u32,
    address: SocketAddr,
    path: &str,
    message: &Path,
    seconds: u32,
) -> Result<Run> {
    let mut command = Command::new("h2load");
    let (connections, streams) = STREAMS;
    command.args(["-t1", "--warm-up-time=0"]);
    command.args([
        format!("-c{connections}"),
        format!("-m{streams}"),
        format!("-D{seconds}"),
    ]);
    command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
    command.arg("-d").arg(message);
    command.arg(format!("http://{address}{path}"));
    let (text, share) = run(command, server)?;
    ensure!(
        text.contains(" 0 failed, 0 errored"),
        "not all were answered:\n{text}"
    );
    let rate = text.lines().find_map(|line| {
        let (_, rest) = line.strip_prefix("finished in ")?.split_once(", ")?;
        rest.split(' ').next()?.parse().ok()
    });
    Ok(Run {
        rate: rate.with_context(|| format!("h2load says no rate:\n{text}"))?,
        p99_millis: f64::NAN,
        share,
    })
}

/// Runs to the end. Returns what was printed, and which share of the processor time was its own.
fn run(mut command: Command, server: u32) -> Result<(String, f64)> {
    let before = machine::ticks(server).context("the server is gone")?;
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let program = command.get_program().display().to_string();
    let child = child.with_context(|| format!("can't run {program}"))?;
    let (output, own) = watched(child)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{program} failed:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let after = machine::ticks(server).context("the server is gone")?;
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    let (own, others) = (own as f64, (after - before) as f64);
    Ok((text, own / (own + others)))
}

/// Waits for a process, looking now and then at how much processor time it has taken.
fn watched(child: Child) -> Result<(Output, u64)> {
    let pid = child.id();
    let (ended, waiting) = std::sync::mpsc::channel::<()>();
    let watching = std::thread::spawn(move || {
        let mut last = 0;
        while waiting.recv_timeout(Duration::from_millis(20))
            == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            last = machine::ticks(pid).unwrap_or(last).max(last);
        }
        last
    });
    let output = child.wait_with_output();
    drop(ended);
    let ticks = watching.join().unwrap_or_default();
    Ok((output?, ticks))
}

/// `wrk` writes `431.00us`, `1.23ms`, `2.01s`.
fn millis(text: &str) -> Option<f64> {
    let split = text.find(|char: char| char.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    match unit {
        "us" => Some(number / 1_000.0),
        "ms" => Some(number),
        "s" => Some(number * 1_000.0),
        "m" => Some(number * 60_000.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_read_in_their_units() {
        for (text, expected) in [("431.00us", 0.431), ("1.23ms", 1.23), ("2.01s", 2_010.0)] {
            assert!((millis(text).unwrap() - expected).abs() < 1e-9, "{text}");
        }
        assert_eq!(millis("12"), None);
        assert_eq!(millis("1.0h"), None);
    }
}

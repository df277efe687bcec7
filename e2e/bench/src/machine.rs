//! Which machine it was, and how busy.

use std::fs;
use std::process::Command;

fn line(text: &str, name: &str) -> Option<String> {
    let found = text.lines().find(|line| line.starts_with(name))?;
    let (_, value) = found.split_once(':')?;
    Some(value.trim().to_owned())
}

/// What a program prints first.
fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let Ok(output) = output else {
        return format!("{program}: not there");
    };
    // Some say their version on one stream, some on the other.
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// The machine and what was run on it, a line each.
pub fn describe() -> Vec<String> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpu = line(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = line(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    vec![
        format!("{cores} processors ({cpu}), {memory} of memory"),
        format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        first_line("rustc", &["--version"]),
        first_line("wrk", &["-v"]),
        first_line("h2load", &["--version"]),
        first_line("nats-server", &["--version"]),
    ]
}

/// The load average of the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().and_then(|first| first.parse().ok());
    first.unwrap_or(f64::NAN)
}

/// How much memory a process has of its own in use, in bytes.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let text = line(&status, "RssAnon")?;
    let kib: u64 = text.split(' ').next()?.parse().ok()?;
    Some(kib * 1_024)
}

/// How much processor time a process has taken, in clock ticks: of itself, not of the system's on
/// its behalf alone.
pub fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may have spaces.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

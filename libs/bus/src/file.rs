//! Domain events in a file, one JSON object a line, for whoever reads files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use session_domain::cloud_event::CloudEvent;
use session_domain::port::{EventPublisher, PortError};

/// How much of a file's end is read to find its last whole line; far longer than any line.
const TAIL: u64 = 1024 * 1024;

/// How large a file of events grows, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimits {
    /// A file that would grow beyond so many bytes makes room for a new one.
    pub bytes_max: u64,
    /// How many files there are at most, the current one included.
    pub files_max: u32,
}

/// Appends events to a file. What was published is on the disk. A full file is renamed, `.1` being
/// the newest of them, and the oldest is deleted.
#[derive(Debug, Clone)]
pub struct EventFile(Arc<Mutex<Current>>);

#[derive(Debug)]
struct Current {
    path: PathBuf,
    limits: FileLimits,
    file: File,
    size: u64,
}

impl EventFile {
    /// Opens the file at `path` to append to it, and makes it where there is none. A line that was
    /// being written when a process died is taken away: its event will be published again.
    ///
    /// # Errors
    /// Where the file can't be opened or made, or isn't one of lines.
    pub fn open(path: &Path, limits: FileLimits) -> io::Result<Self> {
        let (file, size) = open(path)?;
        let current = Current {
            path: path.to_owned(),
            limits,
            file,
            size,
        };
        Ok(Self(Arc::new(Mutex::new(current))))
    }
}

#[async_trait]
impl EventPublisher for EventFile {
    async fn publish(&self, events: &[CloudEvent]) -> Result<(), PortError> {
        const WHAT: &str = "write events to a file";
        let mut lines = Vec::new();
        for event in events {
            serde_json::to_writer(&mut lines, event)
                .map_err(|error| PortError::fatal("write an event as JSON", error))?;
            lines.push(b'\n');
        }
        if lines.is_empty() {
            return Ok(());
        }
        let current = Arc::clone(&self.0);
        let writing = tokio::task::spawn_blocking(move || {
            // Whoever panicked with it left the file as it was, or with a line too much at most.
            let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
            current.append(&lines)
        });
        let written = writing.await.map_err(|error| PortError::retry(WHAT, error));
        written?.map_err(|error| PortError::retry(WHAT, error))
    }
}

impl Current {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let length = lines.len() as u64;
        if self.size > 0 && self.size + length > self.limits.bytes_max {
            self.turn_over()?;
        }
        let written = self.file.write_all(lines);
        match written.and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.size += length;
                Ok(())
            }
            Err(error) => {
                // They will be written again, and not after half of themselves. Where even this
                // fails, a line is broken, and the next opening or reader passes over it.
                let _ = self.file.set_len(self.size);
                Err(error)
            }
        }
    }

    /// Renames the current file, and those before it, and starts a new one. Broken off anywhere,
    /// it leaves a number out and no event.
    fn turn_over(&mut self) -> io::Result<()> {
        for number in (1..self.limits.files_max).rev() {
            let from = match number {
                1 => self.path.clone(),
                _ => numbered(&self.path, number - 1),
            };
            rename_if_there(&from, &numbered(&self.path, number))?;
        }
        if self.limits.files_max <= 1 {
            fs::remove_file(&self.path)?;
        }
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The name of an earlier file.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Opens a file behind its last whole line; gives its size.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).append(true).read(true).open(path)?;
    let size = file.metadata()?.len();
    let whole = whole_lines(&mut file, size)?;
    if whole < size {
        tracing::warn!(
            path = %path.display(),
            bytes = size - whole,
            "took away an event that was written in part; it will come again"
        );
        file.set_len(whole)?;
        file.sync_all()?;
    }
    // A new file's name must be as durable as what is written to it.
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok((file, whole))
}

/// How many bytes of a file are whole lines.
fn whole_lines(file: &mut File, size: u64) -> io::Result<u64> {
    let from = size.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => Ok(from + last as u64 + 1),
        None if from == 0 => Ok(0),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it isn't a file of lines",
        )),
    }
}

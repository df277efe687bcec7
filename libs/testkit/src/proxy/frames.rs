//! The messages in a stream of NATS's client protocol.

use std::ops::Range;

/// A whole message, or a whole line of anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// As it came, its end included.
    pub bytes: Vec<u8>,
    /// Where it is a message: the subject it goes to.
    pub subject: Option<String>,
}

/// Takes a stream apart, in whatever pieces it arrives.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Up to where no end of a line was found.
    searched: usize,
}

impl Frames {
    /// More of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame that is there as a whole.
    pub fn take(&mut self) -> Option<Frame> {
        let line = self.line()?;
        let head = Head::of(&self.buffer[line.clone()]);
        let end = line.end + 2 + head.payload.map_or(0, |length| length + 2);
        if self.buffer.len() < end {
            return None;
        }
        let rest = self.buffer.split_off(end);
        self.searched = 0;
        Some(Frame {
            bytes: std::mem::replace(&mut self.buffer, rest),
            subject: head.subject,
        })
    }

    /// Where the first line is, without its end.
    fn line(&mut self) -> Option<Range<usize>> {
        let found = self.buffer[self.searched..]
            .windows(2)
            .position(|two| two == b"\r\n");
        if let Some(at) = found {
            // Its payload may not be there yet: looked at again, it is found at once.
            self.searched += at;
            Some(0..self.searched)
        } else {
            // The first half of an end may be the last there is.
            self.searched = self.buffer.len().saturating_sub(1);
            None
        }
    }
}

/// What a first line says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Head {
    subject: Option<String>,
    payload: Option<usize>,
}

impl Head {
    /// `PUB subject [reply] bytes`, `HPUB subject [reply] bytes bytes`,
    /// `MSG subject sid [reply] bytes`, `HMSG subject sid [reply] bytes bytes`: the subject comes
    /// first, and the length of all that follows last.
    fn of(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        let verb = words.next().unwrap_or_default().to_ascii_uppercase();
        if !matches!(verb.as_str(), "PUB" | "HPUB" | "MSG" | "HMSG") {
            return Self::default();
        }
        let subject = words.next().map(ToOwned::to_owned);
        let payload = words.next_back().and_then(|word| word.parse().ok());
        Self { subject, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"INFO {\"max_payload\":1048576}\r\nCONNECT {}\r\nSUB session.log 1\r\n\
        PUB session.ack 5\r\nhello\r\npub a.b reply.to 11\r\nline\r\nbreak\r\nHPUB h.s 12 17\r\nNATS/1.0\r\n\r\nworld\r\n\
        MSG session.log 1 4\r\n\r\n\r\n\r\nHMSG x.y 9 _INBOX.1 12 12\r\nNATS/1.0\r\n\r\n\r\nMSG e 1 0\r\n\r\nPING\r\n+OK\r\n";

    fn subjects() -> Vec<Option<&'static str>> {
        let lines = [None; 3].into_iter();
        let messages = ["session.ack", "a.b", "h.s", "session.log", "x.y", "e"].map(Some);
        lines.chain(messages).chain([None; 2]).collect()
    }

    fn taken(pieces: &[&[u8]]) -> Vec<Frame> {
        let mut frames = Frames::default();
        let mut taken = Vec::new();
        for piece in pieces {
            frames.push(piece);
            while let Some(frame) = frames.take() {
                taken.push(frame);
            }
        }
        assert!(frames.buffer.is_empty(), "{:?}", frames.buffer);
        taken
    }

    #[test]
    fn messages_are_told_from_all_else_and_nothing_is_changed() {
        let frames = taken(&[STREAM]);
        let found: Vec<_> = frames.iter().map(|one| one.subject.as_deref()).collect();
        assert_eq!(found, subjects());
        let whole: Vec<u8> = frames.iter().flat_map(|one| one.bytes.clone()).collect();
        assert_eq!(whole, STREAM);
    }

    #[test]
    fn however_a_stream_is_split_its_frames_are_the_same() {
        let whole = taken(&[STREAM]);
        for first in 0..STREAM.len() {
            for second in [first, (first + 1).min(STREAM.len()), STREAM.len() - 1] {
                let second = second.max(first);
                let pieces = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
                assert_eq!(taken(&pieces), whole, "split at {first} and {second}");
            }
        }
        let bytes: Vec<_> = STREAM.chunks(1).collect();
        assert_eq!(taken(&bytes), whole);
    }

    #[test]
    fn what_is_not_whole_waits() {
        let mut frames = Frames::default();
        frames.push(b"PUB a 5\r\nhell");
        assert_eq!(frames.take(), None);
        frames.push(b"o\r");
        assert_eq!(frames.take(), None);
        frames.push(b"\nPI");
        assert_eq!(frames.take().unwrap().bytes, b"PUB a 5\r\nhello\r\n");
        assert_eq!(frames.take(), None);
    }
}

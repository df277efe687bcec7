//! One way of one connection.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::link::{Flow, Link};
use super::{Frames, Messages, Way};

/// How many pieces may be on their way.
const PIECES: usize = 1_024;

/// Part of the stream, on its way.
struct Piece {
    bytes: Vec<u8>,
    due: Instant,
    /// Whether others may overtake it.
    loose: bool,
}

/// Forwards what comes from one side to the other until there is no more.
pub(super) async fn pipe(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    way: Way,
    watched: watch::Receiver<Link>,
    messages: Option<Arc<Messages>>,
) -> io::Result<()> {
    let (pieces, arriving) = mpsc::channel(PIECES);
    let taken = take(from, way, watched.clone(), messages, pieces);
    let (taken, delivered) = tokio::join!(taken, deliver(to, way, watched, arriving));
    taken.and(delivered)
}

/// Takes the stream in.
async fn take(
    mut from: ReadHalf<'_>,
    way: Way,
    watched: watch::Receiver<Link>,
    messages: Option<Arc<Messages>>,
    pieces: mpsc::Sender<Piece>,
) -> io::Result<()> {
    let mut frames = Frames::default();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let due = match watched.borrow().flow(way) {
            Flow::After(by) => Instant::now() + by,
            Flow::Free | Flow::Held => Instant::now(),
        };
        let read = &buffer[..length];
        let on_their_way = match &messages {
            None => vec![Piece {
                bytes: read.to_vec(),
                due,
                loose: false,
            }],
            Some(messages) => {
                frames.push(read);
                std::iter::from_fn(|| frames.take())
                    .flat_map(|frame| copies(messages, way, &frame, due))
                    .collect()
            }
        };
        for piece in on_their_way {
            if pieces.send(piece).await.is_err() {
                // Nobody takes it any more.
                return Ok(());
            }
        }
    }
}

/// What becomes of a frame.
fn copies(messages: &Messages, way: Way, frame: &super::Frame, due: Instant) -> Vec<Piece> {
    let copies = messages.copies(way, frame);
    copies
        .into_iter()
        .map(|late| Piece {
            bytes: frame.bytes.clone(),
            due: late.map_or(due, |late| due + late),
            loose: late.is_some(),
        })
        .collect()
}

/// Delivers what is due, in order but for what is loose.
async fn deliver(
    mut to: WriteHalf<'_>,
    way: Way,
    mut watched: watch::Receiver<Link>,
    mut arriving: mpsc::Receiver<Piece>,
) -> io::Result<()> {
    // By when it is due, and then by when it came.
    let mut loose: BTreeMap<(Instant, u64), Vec<u8>> = BTreeMap::new();
    let mut number = 0;
    loop {
        let next = loose.first_key_value().map(|(&key, _)| key);
        let bytes = tokio::select! {
            biased;
            () = sleep_until(next.map_or_else(Instant::now, |(due, _)| due)), if next.is_some() => {
                next.and_then(|key| loose.remove(&key)).unwrap_or_default()
            }
            piece = arriving.recv() => match piece {
                None => return Ok(()),
                Some(piece) if piece.loose => {
                    number += 1;
                    loose.insert((piece.due, number), piece.bytes);
                    continue;
                }
                Some(piece) => {
                    sleep_until(piece.due).await;
                    piece.bytes
                }
            },
        };
        let free = |link: &Link| link.flow(way) != Flow::Held;
        if watched.wait_for(free).await.is_err() {
            return Ok(());
        }
        to.write_all(&bytes).await?;
    }
}

//! The proxy does to a link what it says, and nothing else.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use session_testkit::proxy::{Mishap, Mishaps, Proxy, Way};

/// Longer than anything takes that arrives.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for what isn't held to arrive.
const A_WHILE: Duration = Duration::from_millis(200);

/// Somebody who sends everything back.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut back = stream.try_clone().unwrap();
                // Over when the connection is, however it ends.
                let _ = std::io::copy(&mut stream, &mut back);
            });
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn hears(stream: &mut TcpStream, text: &str) {
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), text);
}

fn hears_nothing(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(A_WHILE)).unwrap();
    let error = stream.read(&mut [0]).expect_err("nothing arrives");
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
}

#[test]
fn a_cut_resets_connections_old_and_new_until_it_is_healed() {
    let proxy = Proxy::of(echo());
    let mut stream = connect(&proxy);
    stream.write_all(b"hello").unwrap();
    hears(&mut stream, "hello");

    proxy.cut();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    // Whether the reset comes before connecting has returned or after is the system's to decide.
    let new = TcpStream::connect(proxy.address()).and_then(|mut new| {
        new.set_read_timeout(Some(PATIENCE))?;
        new.read(&mut [0])
    });
    assert_eq!(new.unwrap_err().kind(), ErrorKind::ConnectionReset);

    proxy.heal();
    let mut stream = connect(&proxy);
    stream.write_all(b"again").unwrap();
    hears(&mut stream, "again");
}

#[test]
fn what_is_frozen_arrives_when_it_is_healed() {
    for way in [Way::ToServer, Way::ToClient] {
        let proxy = Proxy::of(echo());
        let mut stream = connect(&proxy);
        stream.write_all(b"before ").unwrap();
        hears(&mut stream, "before ");
        proxy.freeze_way(way);
        stream.write_all(b"meanwhile").unwrap();
        hears_nothing(&mut stream);
        proxy.heal();
        hears(&mut stream, "meanwhile");
    }
}

#[test]
fn what_is_slowed_arrives_later() {
    let proxy = Proxy::of(echo());
    let mut stream = connect(&proxy);
    proxy.slow(A_WHILE * 2);
    stream.write_all(b"late").unwrap();
    hears_nothing(&mut stream);
    hears(&mut stream, "late");
}

/// A client that has subscribed to its own messages.
fn subscribed(proxy: &Proxy, subject: &str) -> TcpStream {
    let mut stream = connect(proxy);
    write!(
        stream,
        "CONNECT {{\"verbose\":false}}\r\nSUB {subject} 1\r\nPING\r\n"
    )
    .unwrap();
    let mut seen = String::new();
    while !seen.ends_with("PONG\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        seen.push(char::from(byte[0]));
    }
    stream
}

/// Sends so many numbered messages and an end, and gives what arrives up to the end and, at least,
/// this many of them.
fn run(stream: &mut TcpStream, subject: &str, sent: usize, at_least: usize) -> Vec<usize> {
    let mut said = String::new();
    for number in 0..sent {
        write!(said, "PUB {subject} 4\r\n{number:04}\r\n").unwrap();
    }
    said.push_str("PUB end 3\r\nend\r\n");
    stream.write_all(said.as_bytes()).unwrap();
    let mut seen = String::new();
    loop {
        let numbers: Vec<_> = seen.lines().filter_map(|line| line.parse().ok()).collect();
        if seen.contains("end\r\n") && seen.ends_with("\r\n") && numbers.len() >= at_least {
            return numbers;
        }
        let mut some = [0; 4_096];
        let length = stream.read(&mut some).unwrap();
        assert!(length > 0, "the server hung up");
        seen.push_str(std::str::from_utf8(&some[..length]).unwrap());
    }
}

#[test]
fn messages_are_lost_doubled_and_overtaken_and_only_where_it_was_said() {
    const SENT: usize = 500;
    let nats = session_testkit::servers::Nats::start();
    let proxy = Proxy::of_nats(nats.address(), 1);
    let mut stream = subscribed(&proxy, ">");
    let whole: Vec<_> = (0..SENT).collect();
    assert_eq!(run(&mut stream, "here.x", SENT, 0), whole);
    assert_eq!(proxy.mishaps(), Mishaps::default());

    proxy.meet(Mishap::to(Way::ToServer, "here").dropped(300));
    let left = run(&mut stream, "here.x", SENT, 0);
    assert_eq!((SENT - left.len()) as u64, proxy.mishaps().dropped);
    assert!((200..SENT).contains(&left.len()), "{}", left.len());
    assert!(left.is_sorted());
    assert_eq!(run(&mut stream, "elsewhere", SENT, 0), whole);
    proxy.mend();

    proxy.meet(Mishap::to(Way::ToClient, "here").doubled(1_000));
    let twice = run(&mut stream, "here.x", SENT, 0);
    let expected: Vec<_> = whole.iter().flat_map(|&number| [number; 2]).collect();
    assert_eq!(twice, expected);
    proxy.mend();

    let late = Mishap::to(Way::ToServer, "here").late(500, Duration::from_millis(50));
    proxy.meet(late);
    let mut shuffled = run(&mut stream, "here.x", SENT, SENT);
    assert!(!shuffled.is_sorted());
    shuffled.sort_unstable();
    assert_eq!(shuffled, whole, "late is not lost");
}

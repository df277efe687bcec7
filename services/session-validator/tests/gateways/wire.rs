//! What gateways speak: HTTP/1.0, connections kept, HTTP/2 without TLS, many header fields.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::World;

const PATH: &str = "/v1/authz/original/default";

/// Sixteen fields of 4 KiB, names and all.
fn fillers() -> impl Iterator<Item = (String, String)> {
    (0..16).map(|number| (format!("x-filler-{number:02}"), "f".repeat(4_096 - 11)))
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("a connection")
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    read.expect("the connection is closed").expect("text");
    answer
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    let mut stream = connect(world.http).await;
    let request = format!(
        "GET {PATH} HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n",
        token.expose()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.0 200 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("\r\ncontent-length: 0\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_connection_is_kept_whatever_the_answer() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    let token = token.expose();
    let mut stream = connect(world.http).await;
    let kept = [token, "x.y.z", token].map(|token| {
        format!("GET {PATH} HTTP/1.1\r\nHost: v\r\nAuthorization: Bearer {token}\r\n\r\n")
    });
    let last = format!("GET {PATH} HTTP/1.1\r\nHost: v\r\nConnection: close\r\n\r\n");
    let requests = kept.concat() + &last;
    stream.write_all(requests.as_bytes()).await.expect("sent");
    let answers = rest(&mut stream).await;
    let statuses: Vec<_> = answers
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|one| &one[..3])
        .collect();
    assert_eq!(statuses, ["200", "401", "200", "401"]);
}

#[tokio::test]
async fn a_body_is_neither_read_nor_waited_for() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    let mut stream = connect(world.http).await;
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: v\r\nAuthorization: Bearer {}\r\nContent-Length: 1000000\r\n\
         Upgrade: websocket\r\nConnection: close\r\n\r\nnot all of it",
        token.expose(),
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut start = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut start)).await;
    read.expect("at once").expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 200");
}

/// The status of a request with these fields besides the credential, over HTTP/1.1.
async fn status_with(world: &World, token: &str, fields: &str) -> String {
    let mut stream = connect(world.http).await;
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: v\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         {fields}\r\n"
    );
    // What is too much is answered before all of it has been sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut status = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_exact(&mut status)).await;
    read.expect("at once").expect("an answer");
    String::from_utf8_lossy(&status).into_owned()
}

#[tokio::test]
async fn more_fields_than_envoy_lets_through_are_too_many() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    // Three are there anyway.
    for (number, expected) in [(97, "HTTP/1.1 200"), (98, "HTTP/1.1 431")] {
        let fields = "x: y\r\n".repeat(number);
        let status = status_with(&world, token.expose(), &fields).await;
        assert_eq!(status, expected, "{number} and 3 fields");
    }
    let long = format!("x-long: {}\r\n", "y".repeat(200_000));
    let status = status_with(&world, token.expose(), &long).await;
    assert_eq!(status, "HTTP/1.1 431");
}

#[tokio::test]
async fn sixty_four_kilobytes_of_fields_are_read_over_http_1_and_2() {
    let world = World::ready().await;
    let (_, token) = world.authority.sign_in().await;
    let mut request = world.client.get(format!("http://{}{PATH}", world.http));
    for (name, value) in fillers() {
        request = request.header(name, value);
    }
    let answer = request
        .bearer_auth(token.expose())
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);

    let stream = TokioIo::new(connect(world.http).await);
    let handshake = http2::handshake(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = handshake.expect("HTTP/2");
    tokio::spawn(connection);
    for (token, expected) in [(token.expose(), 200), ("x.y.z", 401)] {
        let mut request = hyper::Request::get(format!("http://v{PATH}"));
        for (name, value) in fillers() {
            request = request.header(name, value);
        }
        let request = request
            .header("authorization", format!("Bearer {token}"))
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), expected);
    }
}

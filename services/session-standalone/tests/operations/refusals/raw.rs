//! Requests no HTTP client would send.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Instance;

/// The answer to these bytes: its status, its header and its body.
pub async fn exchange(instance: &Instance, request: &[u8]) -> (u16, HeaderMap, String) {
    let address = instance.api.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request).await.expect("sent");
    let mut bytes = Vec::new();
    // Whoever is refused early may find the connection reset after the answer.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name: HeaderName = name.parse().expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let status = status.and_then(|status| status.parse().ok());
    (status.expect("a status"), headers, body.to_owned())
}

/// The beginning of a request that asks for the connection to be closed after it.
pub fn head(instance: &Instance, line: &str, token: Option<&str>) -> Vec<u8> {
    let host = instance.api.trim_start_matches("http://");
    let mut head = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    if let Some(token) = token {
        head.push_str("Authorization: Bearer ");
        head.push_str(token);
        head.push_str("\r\n");
    }
    head.into_bytes()
}

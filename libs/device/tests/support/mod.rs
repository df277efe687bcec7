//! Makes databases in MaxMind's format: just as much of it as our own fixtures need, after the
//! format's specification (MaxMind DB 2.0). What it writes is read back by the real reader and
//! checked by its verifier.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::net::IpAddr;

/// Bytes between the search tree and the data.
const SEPARATOR: [u8; 16] = [0; 16];

/// What the metadata begins with.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// A value of a record.
#[derive(Debug, Clone)]
pub enum Value {
    Text(String),
    Double(f64),
    U16(u16),
    U32(u32),
    U64(u64),
    Map(Vec<(&'static str, Value)>),
    List(Vec<Value>),
}

/// A database of networks.
pub struct Database {
    /// What the metadata call it.
    pub kind: &'static str,
    /// When it claims to have been built, in seconds since 1970.
    pub build_epoch: u64,
    /// Networks, as address and prefix length, and what is known of them. Of two that hold an
    /// address, the narrower one counts.
    pub networks: Vec<(IpAddr, u8, Value)>,
}

/// Where a branch of the search tree leads.
#[derive(Clone, Copy)]
enum Branch {
    Nowhere,
    Node(usize),
    /// To the value at this place in the data.
    Data(usize),
}

impl Database {
    /// The file's bytes: the same for the same database, whenever they are made.
    pub fn bytes(&self) -> Vec<u8> {
        let mut networks: Vec<_> = self
            .networks
            .iter()
            .map(|(address, length, value)| {
                let (bits, length) = in_tree(*address, *length);
                (length, bits, value)
            })
            .collect();
        // Wide ones first, so that narrow ones go into what is there.
        networks.sort_by_key(|(length, bits, _)| (*length, *bits));
        let (mut nodes, mut data) = (vec![[Branch::Nowhere; 2]], Vec::new());
        for (length, bits, value) in networks {
            let at = data.len();
            value.write(&mut data);
            insert(&mut nodes, bits, length, at);
        }
        let mut bytes = Vec::new();
        for branch in nodes.iter().flatten() {
            let number = match *branch {
                Branch::Nowhere => nodes.len(),
                Branch::Node(node) => node,
                Branch::Data(at) => nodes.len() + SEPARATOR.len() + at,
            };
            let number = u32::try_from(number)
                .expect("a small database")
                .to_be_bytes();
            assert_eq!(number[0], 0, "too large for records of 24 bits");
            bytes.extend(&number[1..]);
        }
        bytes.extend(SEPARATOR);
        bytes.extend(data);
        bytes.extend(MARKER);
        self.metadata(nodes.len()).write(&mut bytes);
        bytes
    }

    fn metadata(&self, nodes: usize) -> Value {
        let description = "Made up, on addresses that are reserved for documentation";
        Value::Map(vec![
            ("binary_format_major_version", Value::U16(2)),
            ("binary_format_minor_version", Value::U16(0)),
            ("build_epoch", Value::U64(self.build_epoch)),
            ("database_type", text(self.kind)),
            ("description", Value::Map(vec![("en", text(description))])),
            ("ip_version", Value::U16(6)),
            ("languages", Value::List(vec![text("en")])),
            (
                "node_count",
                Value::U32(u32::try_from(nodes).expect("a small database")),
            ),
            ("record_size", Value::U16(24)),
        ])
    }
}

/// A text, as a value.
pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The network in a tree of IPv6 addresses: IPv4 is below `::/96` there.
fn in_tree(address: IpAddr, length: u8) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 96 + u32::from(length)),
        IpAddr::V6(address) => (address.to_bits(), u32::from(length)),
    }
}

fn insert(nodes: &mut Vec<[Branch; 2]>, bits: u128, length: u32, data: usize) {
    let side = |depth: u32| usize::from(bits >> (127 - depth) & 1 == 1);
    let mut node = 0;
    for depth in 0..length - 1 {
        node = match nodes[node][side(depth)] {
            Branch::Node(next) => next,
            // What the wider network says goes for both halves, until something narrower comes.
            wider @ (Branch::Nowhere | Branch::Data(_)) => {
                nodes.push([wider; 2]);
                let new = nodes.len() - 1;
                nodes[node][side(depth)] = Branch::Node(new);
                new
            }
        };
    }
    nodes[node][side(length - 1)] = Branch::Data(data);
}

impl Value {
    fn write(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                control(bytes, 2, text.len());
                bytes.extend(text.as_bytes());
            }
            Self::Double(number) => {
                control(bytes, 3, 8);
                bytes.extend(number.to_be_bytes());
            }
            Self::U16(number) => whole(bytes, 5, &number.to_be_bytes()),
            Self::U32(number) => whole(bytes, 6, &number.to_be_bytes()),
            Self::U64(number) => whole(bytes, 9, &number.to_be_bytes()),
            Self::Map(entries) => {
                control(bytes, 7, entries.len());
                for (key, value) in entries {
                    text(key).write(bytes);
                    value.write(bytes);
                }
            }
            Self::List(values) => {
                control(bytes, 11, values.len());
                for value in values {
                    value.write(bytes);
                }
            }
        }
    }
}

/// A whole number, without the zeros it begins with.
fn whole(bytes: &mut Vec<u8>, kind: u8, number: &[u8]) {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    control(bytes, kind, number.len() - zeros);
    bytes.extend(&number[zeros..]);
}

/// What a value begins with: its type and size.
fn control(bytes: &mut Vec<u8>, kind: u8, size: usize) {
    let (short, long) = match u8::try_from(size) {
        Ok(size) if size < 29 => (size, None),
        _ => {
            let rest = size
                .checked_sub(29)
                .and_then(|rest| u8::try_from(rest).ok());
            (29, Some(rest.expect("values of up to 284 bytes")))
        }
    };
    if kind < 8 {
        bytes.push(kind << 5 | short);
    } else {
        bytes.extend([short, kind - 7]);
    }
    bytes.extend(long);
}

use std::time::Duration;

use proptest::prelude::*;
use session_domain::ids::{InstanceId, LogEpoch, Serial};
use session_domain::port::BusRequest;
use session_domain::revocation::{
    CheckVerdict, Grant, ListBits, LogEntry, PUBLICATION_SERIALS_MAX, PublicKey, Snapshot,
};
use session_domain::secret::Secret256;
use session_domain::time::Timestamp;
use uuid::Uuid;

use super::*;

const HEAD: Head = Head {
    epoch: LogEpoch(u64::MAX),
    seq: Seq(NUMBER_MAX),
};

fn key() -> PublicKey {
    let members = [("kty", "OKP"), ("crv", "Ed25519"), ("x", "AAAA")];
    PublicKey {
        kid: "kid-1".parse().unwrap(),
        alg: "EdDSA".into(),
        jwk: members
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    }
}

/// The largest entry there is, with the longest numbers.
fn full_entry() -> LogEntry {
    let last = NUMBER_MAX - 1;
    let serials = (0..PUBLICATION_SERIALS_MAX as u64).map(|n| Serial(last - n));
    LogEntry::Ended(serials.collect())
}

fn answers() -> Vec<Answer> {
    vec![
        None,
        Some(BusReply::Unavailable),
        Some(BusReply::Released),
        Some(BusReply::Grant(GrantReply::Granted(Grant {
            counter: 7,
            head: HEAD,
            lease: Duration::from_millis(5_000),
            server_time: Timestamp(1_700_000_000_000_000),
            reaped_through: Timestamp(-1),
            secret: Secret256([9; 32]),
        }))),
        Some(BusReply::Grant(GrantReply::Rejoin { counter: 7 })),
        Some(BusReply::Snapshot(Snapshot {
            head: HEAD,
            keys: vec![key()],
            skipped: vec![],
            floors: vec![
                (None, Serial(3)),
                (Some("acme".parse().unwrap()), Serial(4)),
            ],
            lists: vec![0, 9],
            after: None,
            more: None,
        })),
        Some(BusReply::List(ListBits {
            head: HEAD,
            list: 2,
            bits: vec![0xa5; LIST_BYTES],
        })),
        Some(BusReply::Check(CheckVerdict::UnknownKey)),
    ]
}

#[test]
fn what_is_written_is_read() {
    for answer in answers() {
        let message = encode_answer(answer.clone()).unwrap();
        assert_eq!(decode::<Answer>(&message), Ok(answer));
    }
    let run = Publication {
        epoch: LogEpoch(1),
        after: Seq(4),
        entries: vec![
            LogEntry::KeyAdded(key()),
            LogEntry::KeyRetired("kid-1".parse().unwrap()),
            full_entry(),
        ],
    };
    assert_eq!(decode(&encode(&run).unwrap()), Ok(run));
}

#[test]
fn a_list_stays_about_as_long_as_its_bits() {
    let list = answers()
        .into_iter()
        .find(|answer| matches!(answer, Some(BusReply::List(_))));
    let message = encode_answer(list.unwrap()).unwrap();
    assert!((LIST_BYTES..LIST_BYTES + 64).contains(&message.len()));
}

#[test]
fn a_long_run_is_sent_in_parts_that_make_the_same_run() {
    let run = Publication {
        epoch: LogEpoch(1),
        after: Seq(10),
        entries: vec![full_entry(); 9],
    };
    let messages = encode_run(&run).unwrap();
    assert!(messages.len() > 1);
    let mut next = run.after;
    for message in messages {
        assert!(message.len() <= MESSAGE_BYTES_MAX);
        let part: Publication = decode(&message).unwrap();
        assert_eq!(part.after, next);
        next = part.last();
    }
    assert_eq!(next, run.last());

    let answer = encode_answer(Some(BusReply::Entries(run.clone()))).unwrap();
    let Some(BusReply::Entries(part)) = decode::<Answer>(&answer).unwrap() else {
        panic!("not entries");
    };
    assert!(!part.entries.is_empty() && part.last() < run.last() && part.after == run.after);
}

#[test]
fn what_is_too_long_is_refused_on_both_sides() {
    let lists = Some(BusReply::Snapshot(Snapshot {
        head: HEAD,
        keys: vec![],
        skipped: vec![],
        floors: vec![],
        lists: vec![NUMBER_MAX; 40_000],
        after: None,
        more: None,
    }));
    assert_eq!(encode_answer(lists), Err(Unusable::Oversized));
    let mut long = vec![VERSION; MESSAGE_BYTES_MAX];
    assert_eq!(decode::<Answer>(&long), Err(Unusable::Malformed));
    long.push(0);
    assert_eq!(decode::<Answer>(&long), Err(Unusable::Oversized));
}

#[test]
fn other_versions_trailing_bytes_and_numbers_beyond_counting_are_refused() {
    let good = encode(&BusRequest::Snapshot).unwrap();
    assert_eq!(decode::<BusRequest>(&good), Ok(BusRequest::Snapshot));
    let mut newer = good.to_vec();
    newer[0] += 1;
    assert_eq!(decode::<BusRequest>(&newer), Err(Unusable::UnknownVersion));
    let mut longer = good.to_vec();
    longer.push(0);
    assert_eq!(decode::<BusRequest>(&longer), Err(Unusable::Malformed));
    assert_eq!(decode::<BusRequest>(&[]), Err(Unusable::Malformed));
    let beyond = Publication {
        epoch: LogEpoch(1),
        after: Seq(u64::MAX),
        entries: vec![LogEntry::Ended(vec![])],
    };
    let message = encode(&beyond).unwrap();
    assert_eq!(decode::<Publication>(&message), Err(Unusable::Malformed));
}

/// Everything a decoder can be given without knowing the format, and everything close to it.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let noise = proptest::collection::vec(any::<u8>(), 0..200);
    let versioned = proptest::collection::vec(any::<u8>(), 0..200).prop_map(|mut bytes| {
        bytes.insert(0, VERSION);
        bytes
    });
    let bitten = (
        0..answers().len(),
        any::<prop::sample::Index>(),
        any::<u8>(),
    )
        .prop_map(|(which, place, byte)| {
            let mut message = encode(&answers()[which]).unwrap().to_vec();
            let place = place.index(message.len());
            message[place] = byte;
            message
        });
    let cut = (0..answers().len(), any::<prop::sample::Index>()).prop_map(|(which, place)| {
        let message = encode(&answers()[which]).unwrap();
        message[..place.index(message.len())].to_vec()
    });
    prop_oneof![noise, versioned, bitten, cut]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Reading never panics, and what is read can be computed with.
    #[test]
    fn no_message_does_harm(message in anything()) {
        if let Ok(run) = decode::<Publication>(&message) {
            prop_assert!(run.numbered().all(|(seq, _)| seq <= run.last()));
        }
        if let Ok(Some(BusReply::Entries(run))) = decode::<Answer>(&message) {
            prop_assert!(run.numbered().all(|(seq, _)| seq <= run.last()));
        }
        if let Ok(ack) = decode::<Acknowledgement>(&message) {
            prop_assert!(ack.applied.seq < ack.applied.seq.next());
        }
        if let Ok(request) = decode::<BusRequest>(&message) {
            // What is read can be written, and reads the same again.
            prop_assert_eq!(decode(&encode(&request).unwrap()), Ok(request));
        }
    }

    #[test]
    fn an_acknowledgement_arrives_as_it_was_sent(id in any::<u128>(), epoch in any::<u64>(), seq in 0..NUMBER_MAX) {
        let secret = Secret256([3; 32]);
        let applied = Head { epoch: LogEpoch(epoch), seq: Seq(seq) };
        let ack = Acknowledgement::new(InstanceId(Uuid::from_u128(id)), applied, &secret);
        let message = encode(&ack).unwrap();
        prop_assert!(message.len() < 80);
        let read: Acknowledgement = decode(&message).unwrap();
        prop_assert!(read.is_by(&secret));
        prop_assert_eq!(read, ack);
    }
}

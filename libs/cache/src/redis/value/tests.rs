use proptest::prelude::*;
use session_domain::contract::sample;
use session_domain::secret::Secret256;

use super::*;

const KEY: &str = "session:session:default:x";
const LIFETIME: Duration = Duration::from_secs(30);

fn seal() -> Seal {
    Seal::new(&Secret256([7; 32]))
}

fn written() -> Vec<u8> {
    encode(&seal(), KEY, &sample::session(), sample::START).expect("a session fits")
}

fn read_at(key: &str, value: &[u8], now: Timestamp) -> Result<Session, Unusable> {
    let session = sample::session();
    let wanted = (&session.tenant, session.id);
    decode(&seal(), key, value, wanted, (now, LIFETIME))
}

fn read(value: &[u8]) -> Result<Session, Unusable> {
    read_at(KEY, value, sample::START)
}

#[test]
fn what_was_written_is_read() {
    assert_eq!(read(&written()), Ok(sample::session()));
}

#[test]
fn a_reading_is_for_its_own_place_and_its_own_deployment() {
    let elsewhere = read_at("session:session:other:x", &written(), sample::START);
    assert_eq!(elsewhere, Err(Unusable::Corrupt));
    let stranger = Seal::new(&Secret256([8; 32]));
    let forged = encode(&stranger, KEY, &sample::session(), sample::START).unwrap();
    assert_eq!(read(&forged), Err(Unusable::Corrupt));
    // Ours, but of another session: as if a program had mixed up its keys.
    let session = Session {
        id: sample::session_id(2),
        ..sample::session()
    };
    let mixed_up = encode(&seal(), KEY, &session, sample::START).unwrap();
    assert_eq!(read(&mixed_up), Err(Unusable::Corrupt));
}

#[test]
fn a_reading_lives_for_its_time_on_either_side() {
    let at = |now| read_at(KEY, &written(), now).is_ok();
    let moment = Duration::from_micros(1);
    let (dies, too_early) = (sample::START.plus(LIFETIME), sample::START.minus(LIFETIME));
    assert!(at(dies.minus(moment)) && !at(dies));
    assert!(at(too_early.plus(moment)) && !at(too_early));
}

#[test]
fn an_unknown_format_is_told_from_damage() {
    let mut newer = written();
    newer[1] = FORMAT + 1;
    assert_eq!(read(&newer), Err(Unusable::UnknownFormat));
    assert_eq!(read(b"S"), Err(Unusable::Corrupt));
    assert_eq!(read(b""), Err(Unusable::Corrupt));
    assert_eq!(read(b"{\"id\":1}"), Err(Unusable::Corrupt));
}

#[test]
fn size_is_bounded_both_ways() {
    let mut session = sample::session();
    let long = "x".repeat(VALUE_MAX);
    session.metadata.insert("long".into(), long.into());
    let refused = encode(&seal(), KEY, &session, sample::START);
    assert_eq!(refused, Err(Unusable::Oversized));
    assert_eq!(read(&vec![MARK; VALUE_MAX + 1]), Err(Unusable::Oversized));
}

proptest! {
    #[test]
    fn no_bytes_are_taken_for_a_reading(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
        let mut marked = vec![MARK, FORMAT];
        marked.extend(bytes);
        prop_assert!(read(&marked).is_err());
    }

    #[test]
    fn a_reading_cut_short_or_changed_anywhere_is_none(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let whole = written();
        let place = place.index(whole.len());
        prop_assert!(read(&whole[..place]).is_err());
        let mut changed = whole;
        changed[place] ^= 1 << bit;
        prop_assert!(read(&changed).is_err());
    }
}

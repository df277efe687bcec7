//! Places in a list, as the API hands them out: opaque, and good only for the list they came from.

use data_encoding::HEXLOWER;
use session_domain::ids::{SessionId, TenantId, UserId};
use session_domain::port::PagePosition;
use session_domain::time::Timestamp;
use uuid::Uuid;

/// The cursor after `position` in the list of a user's sessions.
pub fn encode(position: PagePosition, tenant: &TenantId, user: &UserId) -> String {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend(position.created_at.0.to_be_bytes());
    bytes.extend(position.id.0.as_bytes());
    bytes.extend(owner(tenant, user));
    HEXLOWER.encode(&bytes)
}

/// The position a cursor stands for, if it is one of this user's list.
pub fn decode(text: &str, tenant: &TenantId, user: &UserId) -> Option<PagePosition> {
    let bytes: [u8; 32] = HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?;
    let (at, rest) = bytes.split_first_chunk::<8>()?;
    let (id, of) = rest.split_first_chunk::<16>()?;
    let position = PagePosition {
        created_at: Timestamp(i64::from_be_bytes(*at)),
        id: SessionId(Uuid::from_bytes(*id)),
    };
    (of == owner(tenant, user)).then_some(position)
}

/// Whose list it is, in eight bytes. Not a secret: the list is filtered by its user whatever the
/// cursor says; this only turns a mix-up into an error.
fn owner(tenant: &TenantId, user: &UserId) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("session-service 2026 cursor");
    hasher.update(tenant.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(user.as_str().as_bytes());
    let mut owner = [0; 8];
    owner.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    owner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let (tenant, alice) = (TenantId::default(), "alice".parse().unwrap());
        let id = SessionId(Uuid::from_u128(9));
        let position = PagePosition {
            created_at: Timestamp(-5),
            id,
        };
        let cursor = encode(position, &tenant, &alice);
        assert_eq!(decode(&cursor, &tenant, &alice), Some(position));
        assert_eq!(decode(&cursor, &tenant, &"bob".parse().unwrap()), None);
        assert_eq!(decode(&cursor, &"acme".parse().unwrap(), &alice), None);
        for bad in [
            "",
            "zz",
            &cursor[1..],
            &cursor.to_uppercase(),
            &"é".repeat(32),
        ] {
            assert_eq!(decode(bad, &tenant, &alice), None, "{bad}");
        }
    }
}

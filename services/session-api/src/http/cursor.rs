//! Places in a list, as the API hands them out: opaque, and good only for the list they came from.

use data_encoding::HEXLOWER;
use session_domain::ids::{TenantId, UserId};
use session_domain::time::Timestamp;
use uuid::Uuid;

use super::problem::Problem;

/// Which of a user's lists.
#[derive(Debug, Clone, Copy)]
pub enum List {
    /// Their sessions.
    Sessions,
    /// Their devices.
    Devices,
}

/// A place in a list that is ordered by time, newest first, and then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The last item's time.
    pub at: Timestamp,
    /// The last item's id.
    pub id: Uuid,
}

/// The cursor after `place` in a list of a user's.
pub fn encode(list: List, place: Place, tenant: &TenantId, user: &UserId) -> String {
    let mut bytes = Vec::with_capacity(32);
    bytes.extend(place.at.0.to_be_bytes());
    bytes.extend(place.id.as_bytes());
    bytes.extend(owner(list, tenant, user));
    HEXLOWER.encode(&bytes)
}

/// The place a cursor of that list stands for; none where there is no cursor.
pub fn decode(
    list: List,
    cursor: Option<&str>,
    tenant: &TenantId,
    user: &UserId,
) -> Result<Option<Place>, Problem> {
    let invalid = || Problem::invalid("cursor", "must be a next_cursor of this list");
    cursor
        .map(|text| read(list, text, tenant, user).ok_or_else(invalid))
        .transpose()
}

fn read(list: List, text: &str, tenant: &TenantId, user: &UserId) -> Option<Place> {
    let bytes: [u8; 32] = HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()?;
    let (at, rest) = bytes.split_first_chunk::<8>()?;
    let (id, of) = rest.split_first_chunk::<16>()?;
    let place = Place {
        at: Timestamp(i64::from_be_bytes(*at)),
        id: Uuid::from_bytes(*id),
    };
    (of == owner(list, tenant, user)).then_some(place)
}

/// Whose list it is, in eight bytes. Not a secret: the list is filtered by its user whatever the
/// cursor says; this only turns a mix-up into an error.
fn owner(list: List, tenant: &TenantId, user: &UserId) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("session-service 2026 cursor");
    hasher.update(&[match list {
        List::Sessions => 1,
        List::Devices => 2,
    }]);
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
        let place = Place {
            at: Timestamp(-5),
            id: Uuid::from_u128(9),
        };
        let cursor = encode(List::Sessions, place, &tenant, &alice);
        let read = |list, text: &str, tenant: &str, user: &str| {
            read(list, text, &tenant.parse().unwrap(), &user.parse().unwrap())
        };
        let sessions = List::Sessions;
        assert_eq!(read(sessions, &cursor, "default", "alice"), Some(place));
        assert_eq!(read(List::Devices, &cursor, "default", "alice"), None);
        assert_eq!(read(sessions, &cursor, "default", "bob"), None);
        assert_eq!(read(sessions, &cursor, "acme", "alice"), None);
        for bad in [
            "",
            "zz",
            &cursor[1..],
            &cursor.to_uppercase(),
            &"é".repeat(32),
        ] {
            assert_eq!(read(sessions, bad, "default", "alice"), None, "{bad}");
        }
    }
}

//! Ending many sessions at once: which ones, and how far it has come.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::device::DeviceKind;
use crate::event::Actor;
use crate::ids::{RevocationId, Seq, Serial, TenantId, UserId};
use crate::session::{EndReason, Session};
use crate::time::Timestamp;

/// Which sessions are meant: those for which everything that is said here holds. One that says
/// nothing means every session there is; [`Filter::is_said`] tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// Of this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Started from an address in this network. Those whose address isn't kept any more are not
    /// meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<IpNet>,
    /// Started from this country (ISO 3166-1 alpha-2, capital letters).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// On this kind of device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<DeviceKind>,
    /// Authenticated by this method among others (RFC 8176).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Started before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Timestamp>,
}

impl Filter {
    /// Whether it says anything at all.
    pub fn is_said(&self) -> bool {
        *self != Self::default()
    }

    /// Whether one entry of the log says it: every session of a tenant, or every session.
    pub fn is_floor(&self) -> bool {
        let tenant_alone = Self {
            tenant: self.tenant.clone(),
            ..Self::default()
        };
        *self == tenant_alone
    }

    /// Whether `session` is meant.
    pub fn matches(&self, session: &Session) -> bool {
        fn holds<T>(wanted: Option<&T>, found: impl FnOnce(&T) -> bool) -> bool {
            wanted.is_none_or(found)
        }
        let (network, methods) = (&session.network, &session.authentication.amr);
        holds(self.tenant.as_ref(), |wanted| *wanted == session.tenant)
            && holds(self.user.as_ref(), |wanted| *wanted == session.user)
            && holds(self.network.as_ref(), |wanted| {
                network.ip.is_some_and(|ip| contains(wanted, ip))
            })
            && holds(self.country.as_ref(), |wanted| {
                network.place.country.as_ref() == Some(wanted)
            })
            && holds(self.kind.as_ref(), |wanted| {
                *wanted == session.device.agent.kind
            })
            && holds(self.method.as_ref(), |wanted| methods.contains(wanted))
            && holds(self.created_before.as_ref(), |then| {
                session.created_at < *then
            })
    }
}

/// Whether a network has an address in it. An IPv4-mapped IPv6 network (`::ffff:192.0.2.0/120`)
/// is the IPv4 network it maps, like such an address; a wider one has IPv6 addresses only.
fn contains(network: &IpNet, ip: IpAddr) -> bool {
    canonical(*network).contains(&ip.to_canonical())
}

fn canonical(network: IpNet) -> IpNet {
    /// How many bits of an address say that it maps an IPv4 one.
    const MAPPED_BITS: u8 = 96;
    let mapped = |network: Ipv6Net| {
        let length = network.prefix_len().checked_sub(MAPPED_BITS)?;
        let address: Ipv6Addr = network.addr();
        Ipv4Net::new(address.to_ipv4_mapped()?, length).ok()
    };
    match network {
        IpNet::V6(six) => mapped(six).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}

/// The ending of many sessions, while it goes on and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its public handle.
    pub id: RevocationId,
    /// Which sessions.
    pub filter: Filter,
    /// Of those, the ones whose serial was drawn up to this one: those that there were.
    pub through: Serial,
    /// Why they end.
    pub reason: EndReason,
    /// What the caller said about it.
    pub note: Option<String>,
    /// Who asked.
    pub actor: Actor,
    /// When.
    pub created_at: Timestamp,
    /// How many there were, where that was known at once.
    pub expected: Option<u64>,
    /// How many it has ended so far: their rows, events and counters are written.
    pub ended: u64,
    /// When the last one was.
    pub finished_at: Option<Timestamp>,
    /// The log entry whose fence makes it true for everybody. Until it is [`Self::is_in_force`],
    /// where the log stood when it began.
    pub seq: Seq,
}

impl Revocation {
    /// Whether every session it means is dead once [`Self::seq`] is everywhere. A floor is in force
    /// with its own entry, and only its rows are written later.
    pub fn is_in_force(&self) -> bool {
        self.finished_at.is_some() || self.filter.is_floor()
    }

    /// Whether `session` is among those it ends.
    pub fn dooms(&self, session: &Session) -> bool {
        session.serial <= self.through && self.filter.matches(session)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::contract::sample;

    fn within(network: &str, ip: &str) -> bool {
        let filter = Filter {
            network: Some(network.parse().unwrap()),
            ..Filter::default()
        };
        let mut session = sample::session();
        session.network.ip = Some(ip.parse().unwrap());
        filter.matches(&session)
    }

    #[test]
    fn a_mapped_network_is_the_one_it_maps() {
        for ip in ["192.0.2.7", "::ffff:192.0.2.7"] {
            assert!(within("192.0.2.0/24", ip), "{ip}");
            assert!(within("::ffff:192.0.2.0/120", ip), "{ip}");
            assert!(within("::ffff:0:0/96", ip), "{ip}");
            assert!(!within("::ffff:192.0.2.8/126", ip), "{ip}");
            assert!(!within("::/0", ip), "no IPv6 address: {ip}");
        }
        assert!(within("2001:db8::/32", "2001:db8::1"));
        assert!(!within("0.0.0.0/0", "2001:db8::1"));
        assert!(!within("192.0.2.0/24", "198.51.100.1"));
    }

    #[test]
    fn a_forgotten_address_is_in_no_network() {
        let filter = Filter {
            network: Some("0.0.0.0/0".parse().unwrap()),
            ..Filter::default()
        };
        let mut session = sample::session();
        session.network.ip = None;
        assert!(!filter.matches(&session));
    }

    #[test]
    fn only_a_tenant_or_nothing_is_a_floor() {
        let tenant = || Some(sample::tenant("acme"));
        let of_tenant = Filter {
            tenant: tenant(),
            ..Filter::default()
        };
        assert!(Filter::default().is_floor() && of_tenant.is_floor());
        assert!(!Filter::default().is_said() && of_tenant.is_said());
        let narrower = [
            Filter {
                user: Some(sample::user("alice")),
                ..of_tenant.clone()
            },
            Filter {
                created_before: Some(Timestamp(1)),
                ..of_tenant
            },
        ];
        assert!(narrower.iter().all(|filter| !filter.is_floor()));
    }

    fn filters() -> impl Strategy<Value = Filter> {
        (any::<[bool; 7]>(), 0..2_i64).prop_map(|(said, other)| Filter {
            tenant: said[0].then(TenantId::default),
            user: said[1].then(|| sample::user(["alice", "bob"][usize::from(other == 1)])),
            network: said[2].then(|| "192.0.2.0/24".parse().unwrap()),
            country: said[3].then(|| "SE".to_owned()),
            kind: said[4].then_some(DeviceKind::Desktop),
            method: said[5].then(|| "pwd".to_owned()),
            created_before: said[6].then(|| Timestamp(sample::START.0 + other)),
        })
    }

    proptest! {
        /// Saying more never means more.
        #[test]
        fn each_condition_only_narrows(filter in filters(), country in any::<bool>()) {
            let mut session = sample::session();
            session.network.place.country = country.then(|| "SE".to_owned());
            let parts = [
                Filter { tenant: filter.tenant.clone(), ..Filter::default() },
                Filter { user: filter.user.clone(), ..Filter::default() },
                Filter { network: filter.network, ..Filter::default() },
                Filter { country: filter.country.clone(), ..Filter::default() },
                Filter { kind: filter.kind, ..Filter::default() },
                Filter { method: filter.method.clone(), ..Filter::default() },
                Filter { created_before: filter.created_before, ..Filter::default() },
            ];
            let each = parts.iter().all(|part| part.matches(&session));
            prop_assert_eq!(filter.matches(&session), each);
        }

        #[test]
        fn a_filter_survives_being_written_down(filter in filters()) {
            let text = serde_json::to_string(&filter).unwrap();
            prop_assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
        }
    }
}

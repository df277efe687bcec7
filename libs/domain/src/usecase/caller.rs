//! Who asks, and what they may do.

use crate::event::Actor;
use crate::ids::{SessionId, TenantId, UserId};
use crate::port::ServiceKey;
use crate::service_key::Scope;
use crate::session::{EndReason, Session};

/// An authenticated caller of the API.
#[derive(Debug, Clone)]
pub enum Caller {
    /// A user, through one of their sessions.
    User {
        /// Their tenant.
        tenant: TenantId,
        /// Who.
        user: UserId,
        /// The session whose token they presented.
        session: SessionId,
    },
    /// A service, by its key.
    Service(ServiceKey),
}

impl Caller {
    /// How the audit trail names this caller.
    pub fn actor(&self) -> Actor {
        match self {
            Self::User { session, .. } => Actor::User { session: *session },
            Self::Service(key) => Actor::Service { key: key.id },
        }
    }

    /// Whether this caller may do what `scope` stands for to `session`: its own user always may;
    /// a service by its scopes, within its tenant. A session that isn't theirs doesn't exist for
    /// them, so callers answer "not found".
    pub fn reaches(&self, session: &Session, scope: Scope) -> bool {
        match self {
            Self::User { tenant, user, .. } => *tenant == session.tenant && *user == session.user,
            Self::Service(key) => key.scopes.allow(scope) && covers(key, &session.tenant),
        }
    }

    /// Whether [`Self::reaches`] holds for every session of `tenant`, whichever it is.
    pub fn reaches_all_of(&self, tenant: &TenantId, scope: Scope) -> bool {
        match self {
            Self::User { .. } => false,
            Self::Service(key) => key.scopes.allow(scope) && covers(key, tenant),
        }
    }

    /// The tenant this caller acts in, where it names `asked`: a user's own, a service's own, or
    /// the one it names; `None` where it may not act there.
    pub fn tenant(&self, asked: Option<TenantId>) -> Option<TenantId> {
        let own = match self {
            Self::User { tenant, .. } => Some(tenant),
            Self::Service(key) => key.tenant.as_ref(),
        };
        match (own, asked) {
            (Some(own), Some(asked)) if *own != asked => None,
            (Some(own), _) => Some(own.clone()),
            (None, asked) => Some(asked.unwrap_or_default()),
        }
    }

    /// Whether this caller may see and change what belongs to the deployment as a whole: a service
    /// tied to one tenant may not, whatever its scopes.
    pub fn is_of_deployment(&self) -> bool {
        matches!(self, Self::Service(key) if key.tenant.is_none())
    }

    /// The session this caller acts through, if one.
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::User { session, .. } => Some(*session),
            Self::Service(_) => None,
        }
    }

    /// Why a session ends that this caller ends.
    pub fn end_reason(&self, target: SessionId) -> EndReason {
        match self {
            Self::User { session, .. } if *session == target => EndReason::Logout,
            Self::User { .. } => EndReason::RevokedByUser,
            Self::Service(key) if key.scopes.0.contains(&Scope::Admin) => EndReason::RevokedByAdmin,
            Self::Service(_) => EndReason::RevokedByService,
        }
    }
}

fn covers(key: &ServiceKey, tenant: &TenantId) -> bool {
    key.tenant.as_ref().is_none_or(|own| own == tenant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;
    use crate::ids::ServiceKeyId;
    use crate::service_key::{KeyHash, Scopes};
    use crate::time::Timestamp;

    fn user(name: &str) -> Caller {
        Caller::User {
            tenant: TenantId::default(),
            user: sample::user(name),
            session: sample::session_id(1),
        }
    }

    fn service(tenant: Option<&str>, scopes: &[Scope]) -> Caller {
        Caller::Service(ServiceKey {
            id: ServiceKeyId(uuid::Uuid::nil()),
            hash: KeyHash::of("ssk_x"),
            name: "login".into(),
            tenant: tenant.map(sample::tenant),
            scopes: Scopes(scopes.to_vec()),
            created_at: Timestamp(0),
        })
    }

    #[test]
    fn users_reach_their_own_sessions_and_services_those_of_their_tenant_and_scope() {
        let session = sample::session();
        assert!(user("alice").reaches(&session, Scope::Revoke));
        assert!(!user("bob").reaches(&session, Scope::Revoke));
        assert!(service(None, &[Scope::Revoke]).reaches(&session, Scope::Revoke));
        assert!(!service(None, &[Scope::Read]).reaches(&session, Scope::Revoke));
        assert!(!service(Some("acme"), &[Scope::Revoke]).reaches(&session, Scope::Revoke));
    }

    #[test]
    fn a_tied_caller_acts_nowhere_else() {
        let acme = || Some(sample::tenant("acme"));
        assert_eq!(service(Some("acme"), &[]).tenant(None), acme());
        assert_eq!(
            service(Some("acme"), &[]).tenant(Some(TenantId::default())),
            None
        );
        assert_eq!(service(None, &[]).tenant(acme()), acme());
        assert_eq!(service(None, &[]).tenant(None), Some(TenantId::default()));
        assert_eq!(user("alice").tenant(acme()), None);
    }
}

//! End every session that a filter means. When this returns "done", no validator anywhere accepts
//! any of them.

use std::time::Duration;

use futures::future::{Either, select};
use futures::pin_mut;
use uuid::Builder;

use crate::bulk::{Filter, Revocation};
use crate::ids::{RevocationId, SessionId, TenantId};
use crate::port::{
    BeginRevocation, Clock, ContinueRevocation, Entropy, Fence, PortError, SessionStore, Timer,
};
use crate::secret::Secret256;
use crate::time::BootInstant;
use crate::usecase::caller::Caller;
use crate::usecase::end::{Patience, settle};

/// How many sessions end in one transaction: as many as lock nobody else out for long.
const BATCH: u32 = 1_000;

/// What ending many needs from the world.
pub struct EndMatchingPorts<'a> {
    /// Where sessions are kept.
    pub store: &'a dyn SessionStore,
    /// The wait for every validator.
    pub fence: &'a dyn Fence,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Waiting.
    pub timer: &'a dyn Timer,
    /// Randomness.
    pub entropy: &'a dyn Entropy,
}

/// Which sessions a caller means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meant {
    /// What they have in common.
    pub filter: Filter,
    /// Every session there is. To be said, never to be meant by saying nothing.
    pub everything: bool,
}

/// Why nothing is ended.
#[derive(Debug, thiserror::Error)]
pub enum EndMatchingError {
    /// Nothing was said about which sessions are meant.
    #[error("no condition and not everything")]
    Empty,
    /// Everything was said, and then less.
    #[error("everything, but with conditions")]
    Contradiction,
    /// The caller acts for one tenant, and this is about others.
    #[error("not the caller's tenant")]
    TenantBound,
    /// Something needed didn't work. It may have begun; then it goes on by itself.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// How far it has come by the time of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// No validator anywhere accepts any of the sessions.
    Done(Revocation),
    /// It goes on, whatever becomes of this process.
    GoesOn(Revocation),
}

/// The filter that `meant` stands for, if `caller` may mean that. A caller that is tied to a tenant
/// means its own; who names a user but no tenant means the default one, as everywhere.
///
/// # Errors
/// See [`EndMatchingError`].
pub fn admit(caller: &Caller, meant: Meant) -> Result<Filter, EndMatchingError> {
    let Meant {
        mut filter,
        everything,
    } = meant;
    match (everything, filter.is_said()) {
        (false, false) => return Err(EndMatchingError::Empty),
        (true, true) => return Err(EndMatchingError::Contradiction),
        (true, false) | (false, true) => {}
    }
    let nobodys = filter.tenant.is_none() && filter.user.is_none();
    if !(caller.is_of_deployment() && nobodys) {
        if everything {
            return Err(EndMatchingError::TenantBound);
        }
        let tenant = caller.tenant(filter.tenant.take());
        filter.tenant = Some(tenant.ok_or(EndMatchingError::TenantBound)?);
    }
    Ok(filter)
}

/// Ends every session that `filter` means, of those there are when this is called, on behalf of
/// `caller`.
///
/// A floor is waited for until no validator accepts any of its sessions, or not at all, as
/// `patience` says. What takes more than one step is carried on for at most `within`, the wait for
/// validators included; after that, whoever reaps goes on with it.
///
/// # Errors
/// See [`EndMatchingError`].
pub async fn end_matching(
    ports: &EndMatchingPorts<'_>,
    caller: &Caller,
    filter: Filter,
    note: Option<String>,
    patience: Patience,
    within: Duration,
) -> Result<Progress, EndMatchingError> {
    let until = ports.clock.boot().plus(within);
    let change = beginning(ports, caller, filter, note);
    let begun = ports.store.apply(change).await?;
    let revocation = begun.revocation;
    if revocation.is_in_force() {
        settle(ports.fence, patience, revocation.seq, begun.fresh).await?;
        return Ok(match patience {
            Patience::UntilRefused => Progress::Done(revocation),
            Patience::UntilWritten => Progress::GoesOn(revocation),
        });
    }
    match patience {
        Patience::UntilRefused => carry_on(ports, revocation, until).await,
        Patience::UntilWritten => Ok(Progress::GoesOn(revocation)),
    }
}

fn beginning(
    ports: &EndMatchingPorts<'_>,
    caller: &Caller,
    filter: Filter,
    note: Option<String>,
) -> BeginRevocation {
    let at = ports.clock.wall();
    let Secret256(bits) = ports.entropy.secret();
    let mut random = [0; 10];
    random.copy_from_slice(&bits[..10]);
    let millis = u64::try_from(at.0 / 1_000).unwrap_or(0);
    BeginRevocation {
        id: RevocationId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid()),
        filter,
        // Of no session of the caller's own: a user can't ask for this.
        reason: caller.end_reason(SessionId(uuid::Uuid::nil())),
        note,
        at,
        actor: caller.actor(),
    }
}

async fn carry_on(
    ports: &EndMatchingPorts<'_>,
    mut revocation: Revocation,
    until: BootInstant,
) -> Result<Progress, EndMatchingError> {
    while !revocation.is_in_force() {
        if ports.clock.boot() >= until {
            return Ok(Progress::GoesOn(revocation));
        }
        let id = Some(revocation.id);
        match step(ports.store, ports.fence, ports.clock, id, BATCH).await {
            // Finished by somebody else since.
            Ok(None) => {
                let found = ports.store.revocation(revocation.id).await?;
                let gone = || PortError::fatal("end many sessions", "the revocation is gone");
                revocation = found.ok_or_else(gone)?;
            }
            Ok(Some(now)) => revocation = now,
            // It is written down that they end; the next step may well work.
            Err(error) if error.is_retry() => return Ok(Progress::GoesOn(revocation)),
            Err(error) => return Err(error.into()),
        }
    }
    let fenced = ports.fence.wait(revocation.seq, None);
    let late = ports.timer.sleep_until(until);
    pin_mut!(fenced);
    match select(fenced, late).await {
        Either::Left((fenced, _)) => {
            fenced?;
            Ok(Progress::Done(revocation))
        }
        Either::Right(((), _)) => Ok(Progress::GoesOn(revocation)),
    }
}

/// Carries a revocation on by one step and announces what it ended. Nobody is promised these ends
/// one by one, so nobody waits for them here.
async fn step(
    store: &dyn SessionStore,
    fence: &dyn Fence,
    clock: &dyn Clock,
    id: Option<RevocationId>,
    batch: u32,
) -> Result<Option<Revocation>, PortError> {
    let at = clock.wall();
    let change = ContinueRevocation { id, at, batch };
    let Some(done) = store.apply(change).await? else {
        return Ok(None);
    };
    if let Some(fresh) = done.fresh {
        fence.announce(fresh).await;
    }
    Ok(Some(done.revocation))
}

/// Carries on whichever revocation isn't finished and nobody works on, by one step: what the
/// processes that began them didn't get to, and the rows below floors. `None` where there is
/// nothing to do.
///
/// # Errors
/// Where the store doesn't answer; what wasn't done is still to be done next time.
pub async fn resume(
    store: &dyn SessionStore,
    fence: &dyn Fence,
    clock: &dyn Clock,
) -> Result<Option<Revocation>, PortError> {
    step(store, fence, clock, None, BATCH).await
}

/// How far a revocation has come, for whom it concerns: who is tied to a tenant sees those of that
/// tenant alone, and any other doesn't exist for them.
///
/// Who is shown that it is in force can rely on it: that answer, too, waits for every validator.
///
/// # Errors
/// Where the store doesn't answer, or the wait fails.
pub async fn find_revocation(
    store: &dyn SessionStore,
    fence: &dyn Fence,
    caller: &Caller,
    id: RevocationId,
) -> Result<Option<Revocation>, PortError> {
    let found = store.revocation(id).await?;
    let found = found.filter(|revocation| sees(caller, revocation.filter.tenant.as_ref()));
    if let Some(revocation) = &found
        && revocation.is_in_force()
    {
        fence.wait(revocation.seq, None).await?;
    }
    Ok(found)
}

fn sees(caller: &Caller, tenant: Option<&TenantId>) -> bool {
    caller.is_of_deployment() || tenant.is_some_and(|own| caller.tenant(None).as_ref() == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::sample;
    use crate::ids::ServiceKeyId;
    use crate::port::ServiceKey;
    use crate::service_key::{KeyHash, Scope, Scopes};
    use crate::time::Timestamp;

    fn admin(tenant: Option<&str>) -> Caller {
        Caller::Service(ServiceKey {
            id: ServiceKeyId(uuid::Uuid::nil()),
            hash: KeyHash::of("ssk_x"),
            name: "admin".into(),
            tenant: tenant.map(sample::tenant),
            scopes: Scopes(vec![Scope::Admin]),
            created_at: Timestamp(0),
        })
    }

    fn of(tenant: Option<&str>, user: Option<&str>, country: Option<&str>) -> Meant {
        Meant {
            filter: Filter {
                tenant: tenant.map(sample::tenant),
                user: user.map(sample::user),
                country: country.map(ToOwned::to_owned),
                ..Filter::default()
            },
            everything: false,
        }
    }

    #[test]
    fn saying_nothing_never_means_everything() {
        for caller in [admin(None), admin(Some("acme"))] {
            let nothing = admit(&caller, Meant::default());
            assert!(matches!(nothing, Err(EndMatchingError::Empty)));
        }
        let both = Meant {
            everything: true,
            ..of(Some("acme"), None, None)
        };
        let both = admit(&admin(None), both);
        assert!(matches!(both, Err(EndMatchingError::Contradiction)));
    }

    #[test]
    fn who_is_tied_to_a_tenant_ends_nothing_elsewhere() {
        let tied = admin(Some("acme"));
        let own = admit(&tied, of(None, None, Some("SE"))).unwrap();
        assert_eq!(own.tenant, Some(sample::tenant("acme")));
        let everything = Meant {
            everything: true,
            ..Meant::default()
        };
        for meant in [of(Some("other"), None, None), everything.clone()] {
            let refused = admit(&tied, meant);
            assert!(matches!(refused, Err(EndMatchingError::TenantBound)));
        }
        assert!(!admit(&admin(None), everything).unwrap().is_said());
    }

    #[test]
    fn a_user_is_one_of_the_default_tenant_where_nobody_says() {
        let meant = admit(&admin(None), of(None, Some("alice"), None)).unwrap();
        assert_eq!(meant.tenant, Some(TenantId::default()));
        let anywhere = admit(&admin(None), of(None, None, Some("SE"))).unwrap();
        assert_eq!(anywhere.tenant, None);
    }
}

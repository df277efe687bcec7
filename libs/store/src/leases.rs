//! Leases: granting, giving up, reading.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use session_domain::ids::Seq;
use session_domain::port::{Clock, Entropy, Heard, PortError};
use session_domain::revocation::{Grant, GrantReply, GrantRequest, Head};
use session_domain::time::Timestamp;
use uuid::Uuid;

use crate::dialect::{self, failed};
use crate::entity::lease::{ActiveModel, Column, Entity, Model};
use crate::entity::{signed, unsigned};
use crate::{epochs, log, rows, sessions};

/// A lease that is asked for, and for how long.
pub(crate) type Wish = (GrantRequest, Duration);

/// Grants or renews leases, all under one lock of the head, which stays until the transaction ends:
/// so no entry can slip in between what the grants say and when their rows are seen by whoever
/// waits for leases. What can be read before is, as everybody waits for the head meanwhile.
pub(crate) async fn grant<C: ConnectionTrait>(
    db: &C,
    wishes: &[Wish],
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Vec<Result<GrantReply, PortError>>, PortError> {
    // Read after the requests arrived, as the holders count from before they asked; and before
    // looking for what is due, so that nothing was due by then that the look has missed.
    let now = dialect::now(db, clock).await?;
    let due = sessions::first_due(db).await?;
    let head = log::lock_head(db).await?;
    let mut deciding = Deciding {
        head,
        now,
        reaped_through: due.map_or(now, |due| due.min(now)),
        entropy,
        known: known(db, wishes).await?,
        granted: BTreeMap::new(),
        longest: None,
    };
    let replies = wishes.iter().map(|wish| deciding.decide(wish)).collect();
    upsert(db, deciding.granted).await?;
    if let Some(longest) = deciding.longest {
        epochs::note_length(db, longest).await?;
    }
    Ok(replies)
}

/// Grants or renews one lease, as [`grant`].
pub(crate) async fn grant_one<C: ConnectionTrait>(
    db: &C,
    wish: Wish,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<GrantReply, PortError> {
    let replies = grant(db, &[wish], clock, entropy).await?;
    let reply = replies.into_iter().next();
    reply.ok_or_else(|| PortError::fatal("grant a lease", "no answer"))?
}

/// The leases of those who ask, as they are.
async fn known<C: ConnectionTrait>(
    db: &C,
    wishes: &[Wish],
) -> Result<HashMap<Uuid, Model>, PortError> {
    let holders = wishes.iter().map(|(request, _)| request.instance.0);
    let select = Entity::find().filter(dialect::among(db, Column::Instance, holders));
    let rows = select.all(db).await.map_err(failed("find leases"))?;
    Ok(rows.into_iter().map(|row| (row.instance, row)).collect())
}

/// What leases are decided by, and those that were granted.
struct Deciding<'a> {
    head: Head,
    now: Timestamp,
    reaped_through: Timestamp,
    entropy: &'a dyn Entropy,
    /// Each as it is, or as it is to be.
    known: HashMap<Uuid, Model>,
    granted: BTreeMap<Uuid, Model>,
    /// The longest that was granted.
    longest: Option<Duration>,
}

impl Deciding<'_> {
    fn decide(&mut self, (request, lease): &Wish) -> Result<GrantReply, PortError> {
        let (counter, head) = (request.counter, self.head);
        let known = self.known.get(&request.instance.0);
        let repeats = |known: &Model| signed(counter).is_ok_and(|counter| counter <= known.counter);
        if known.is_some_and(repeats) {
            return Err(PortError::fatal(
                "grant a lease",
                "the counter doesn't rise",
            ));
        }
        match standing(request, head, known)? {
            Standing::Stranger => return Ok(GrantReply::Rejoin { counter }),
            Standing::Behind => return Ok(GrantReply::Lagging { counter, head }),
            Standing::Good => {}
        }
        let applied = request.applied.map_or(Seq(0), |applied| applied.seq);
        let (known, now) = (known.cloned(), self.now);
        let row = renewed(request, applied, head, *lease, known, now, self.entropy)?;
        let secret = rows::secret(row.secret.clone())?;
        self.known.insert(row.instance, row.clone());
        self.granted.insert(row.instance, row);
        self.longest = self.longest.max(Some(*lease));
        Ok(GrantReply::Granted(Grant {
            counter,
            head,
            lease: *lease,
            server_time: now,
            reaped_through: self.reaped_through,
            secret,
        }))
    }
}

/// Whether the asker may have a lease.
enum Standing {
    /// It follows another epoch, or numbers that don't exist.
    Stranger,
    /// It hasn't applied what it was granted before.
    Behind,
    /// It may.
    Good,
}

fn standing(
    request: &GrantRequest,
    head: Head,
    known: Option<&Model>,
) -> Result<Standing, PortError> {
    let Some(applied) = request.applied else {
        // It joins, for the first time or anew: it has nothing to have fallen behind with, and its
        // grant counts only once it has applied everything up to the head.
        return Ok(Standing::Good);
    };
    if !request.follows(head.epoch) || applied.seq > head.seq {
        return Ok(Standing::Stranger);
    }
    let granted = known
        .map(|known| unsigned(known.granted_head))
        .transpose()?;
    Ok(if granted.is_some_and(|granted| applied.seq.0 < granted) {
        Standing::Behind
    } else {
        Standing::Good
    })
}

fn renewed(
    request: &GrantRequest,
    applied: Seq,
    head: Head,
    lease: Duration,
    known: Option<Model>,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Model, PortError> {
    // Rounded up: whoever waits for a lease may wait too long, never too short.
    let granted = rows::micros(lease.saturating_add(Duration::from_nanos(999)));
    let (secret, duration, activity_through) = match known {
        // The holder may never hear of this grant, or be using the one before it: while a
        // deployment changes the length of leases, that may be the longer one. No clock tells us
        // here when it ran out, so the longest ever granted to this instance counts for as long as
        // it lives; the next process has another id.
        Some(known) => (
            known.secret,
            known.duration.max(granted),
            known.activity_through,
        ),
        // It has answered nobody yet, so there is nothing it could have told of.
        None => (entropy.secret().0.to_vec(), granted, now.0),
    };
    Ok(Model {
        instance: request.instance.0,
        counter: signed(request.counter)?,
        applied: signed(applied.0)?,
        granted_head: signed(head.seq.0)?,
        duration,
        secret,
        activity_through,
    })
}

async fn upsert<C: ConnectionTrait>(
    db: &C,
    granted: BTreeMap<Uuid, Model>,
) -> Result<(), PortError> {
    let row = |row: Model| ActiveModel {
        instance: Set(row.instance),
        counter: Set(row.counter),
        applied: Set(row.applied),
        granted_head: Set(row.granted_head),
        duration: Set(row.duration),
        secret: Set(row.secret),
        activity_through: Set(row.activity_through),
    };
    if granted.is_empty() {
        return Ok(());
    }
    let renewed = OnConflict::column(Column::Instance)
        .update_columns([
            Column::Counter,
            Column::Applied,
            Column::GrantedHead,
            Column::Duration,
        ])
        // Whoever was granted a lease is waited for, even where an earlier one was given up.
        .value("released_at", Option::<i64>::None)
        .to_owned();
    let done = Entity::insert_many(granted.into_values().map(row))
        .on_conflict(renewed)
        .exec_without_returning(db)
        .await;
    done.map_err(failed("write leases"))?;
    Ok(())
}

/// Notes up to when a holder has told of every use; forward only. Whoever holds no lease answers
/// nobody from memory, so there is nothing to note of it.
pub(crate) async fn hear<C: ConnectionTrait>(db: &C, heard: Heard) -> Result<(), PortError> {
    let update = Entity::update_many()
        .col_expr(Column::ActivityThrough, Expr::value(heard.through.0))
        .filter(Column::Instance.eq(heard.from.0))
        .filter(Column::ActivityThrough.lt(heard.through.0));
    update
        .exec(db)
        .await
        .map_err(failed("note what was heard"))?;
    Ok(())
}

/// Up to when every holder has told of every use; `None` where nobody holds a lease.
pub(crate) async fn heard_through<C: ConnectionTrait>(
    db: &C,
) -> Result<Option<Timestamp>, PortError> {
    let least = Entity::find()
        .select_only()
        .column_as(Column::ActivityThrough.min(), "least")
        .filter(Expr::cust("released_at IS NULL"))
        .into_tuple::<Option<i64>>()
        .one(db)
        .await
        .map_err(failed("read what was heard"))?;
    Ok(least.flatten().map(Timestamp))
}

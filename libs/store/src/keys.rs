//! Signing keys and service keys: rows to domain values and back.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use session_domain::ids::{KeyId, ServiceKeyId};
use session_domain::port::{PortError, ServiceKey, StoredSigningKey};
use session_domain::service_key::KeyHash;
use session_domain::time::Timestamp;

use crate::dialect::failed;
use crate::entity::{service_key, signing_key};
use crate::rows::{damaged, from_json, to_json};

/// Every signing key, the oldest first.
pub(crate) async fn signing_keys<C: ConnectionTrait>(
    db: &C,
) -> Result<Vec<StoredSigningKey>, PortError> {
    let select = signing_key::Entity::find().order_by_asc(signing_key::Column::CreatedAt);
    let rows = select
        .order_by_asc(signing_key::Column::Kid)
        .all(db)
        .await
        .map_err(failed("read signing keys"))?;
    let key = |row: signing_key::Model| {
        Ok(StoredSigningKey {
            public: from_json(&row.public_key)?,
            sealed: row.sealed,
            created_at: Timestamp(row.created_at),
            retired_at: row.retired_at.map(Timestamp),
        })
    };
    rows.into_iter().map(key).collect()
}

/// Whether a signing key of that name is known, in service or retired.
pub(crate) async fn is_signing_key<C: ConnectionTrait>(
    db: &C,
    kid: &KeyId,
) -> Result<bool, PortError> {
    let found = signing_key::Entity::find_by_id(kid.as_str().to_owned())
        .count(db)
        .await;
    Ok(found.map_err(failed("find a signing key"))? > 0)
}

/// Whether any signing key is in service.
pub(crate) async fn is_any_in_service<C: ConnectionTrait>(db: &C) -> Result<bool, PortError> {
    let found = signing_key::Entity::find()
        .filter(signing_key::Column::RetiredAt.is_null())
        .count(db)
        .await;
    Ok(found.map_err(failed("find a signing key"))? > 0)
}

/// Writes a signing key that wasn't there.
pub(crate) async fn insert_signing_key<C: ConnectionTrait>(
    db: &C,
    key: &StoredSigningKey,
) -> Result<(), PortError> {
    let row = signing_key::ActiveModel {
        kid: Set(key.kid().as_str().to_owned()),
        public_key: Set(to_json(&key.public)?),
        sealed: Set(key.sealed.clone()),
        created_at: Set(key.created_at.0),
        retired_at: Set(key.retired_at.map(|at| at.0)),
    };
    let done = signing_key::Entity::insert(row)
        .exec_without_returning(db)
        .await;
    done.map_err(failed("insert a signing key"))?;
    Ok(())
}

/// Writes that a signing key is withdrawn.
pub(crate) async fn retire_signing_key<C: ConnectionTrait>(
    db: &C,
    kid: &KeyId,
    at: Timestamp,
) -> Result<(), PortError> {
    let update = signing_key::Entity::update_many()
        .col_expr(signing_key::Column::RetiredAt, Expr::value(at.0))
        .filter(signing_key::Column::Kid.eq(kid.as_str()));
    let done = update.exec(db).await;
    done.map_err(failed("retire a signing key"))?;
    Ok(())
}

/// The service key of that hash, if it isn't withdrawn.
pub(crate) async fn service_key<C: ConnectionTrait>(
    db: &C,
    hash: &KeyHash,
) -> Result<Option<ServiceKey>, PortError> {
    let select = service_key::Entity::find()
        .filter(service_key::Column::Hash.eq(hash.0.to_vec()))
        .filter(service_key::Column::RevokedAt.is_null());
    let row = select.one(db).await.map_err(failed("find a service key"))?;
    row.map(service_key_of).transpose()
}

/// Every service key that isn't withdrawn, the oldest first.
pub(crate) async fn service_keys<C: ConnectionTrait>(db: &C) -> Result<Vec<ServiceKey>, PortError> {
    let select = service_key::Entity::find()
        .filter(service_key::Column::RevokedAt.is_null())
        .order_by_asc(service_key::Column::CreatedAt)
        .order_by_asc(service_key::Column::Id);
    let rows = select.all(db).await.map_err(failed("read service keys"))?;
    rows.into_iter().map(service_key_of).collect()
}

/// The row of a service key, withdrawn or not, locked until the transaction ends.
pub(crate) async fn lock_service_key<C: ConnectionTrait>(
    db: &C,
    id: ServiceKeyId,
) -> Result<Option<service_key::Model>, PortError> {
    let select = service_key::Entity::find_by_id(id.0).lock_exclusive();
    select.one(db).await.map_err(failed("lock a service key"))
}

/// Writes that a service key is withdrawn.
pub(crate) async fn revoke_service_key<C: ConnectionTrait>(
    db: &C,
    id: ServiceKeyId,
    at: Timestamp,
) -> Result<(), PortError> {
    let update = service_key::Entity::update_many()
        .col_expr(service_key::Column::RevokedAt, Expr::value(at.0))
        .filter(service_key::Column::Id.eq(id.0));
    let done = update.exec(db).await;
    done.map_err(failed("revoke a service key"))?;
    Ok(())
}

/// The service key of a row.
pub(crate) fn service_key_of(row: service_key::Model) -> Result<ServiceKey, PortError> {
    let hash = row.hash.try_into();
    Ok(ServiceKey {
        id: ServiceKeyId(row.id),
        hash: KeyHash(hash.map_err(|_| damaged("a hash that isn't 32 bytes"))?),
        name: row.name,
        tenant: row
            .tenant
            .map(|tenant| tenant.parse())
            .transpose()
            .map_err(damaged)?,
        scopes: from_json(&row.scopes)?,
        created_at: Timestamp(row.created_at),
    })
}

/// Writes a service key, unless one of that hash is known, withdrawn or not. Says whether it was
/// new: replicas that start together all bring the same one.
pub(crate) async fn insert_service_key<C: ConnectionTrait>(
    db: &C,
    key: &ServiceKey,
) -> Result<bool, PortError> {
    let row = service_key::ActiveModel {
        id: Set(key.id.0),
        hash: Set(key.hash.0.to_vec()),
        name: Set(key.name.clone()),
        tenant: Set(key.tenant.as_ref().map(|tenant| tenant.as_str().to_owned())),
        scopes: Set(to_json(&key.scopes)?),
        created_at: Set(key.created_at.0),
        revoked_at: Set(None),
    };
    let known = OnConflict::column(service_key::Column::Hash)
        .do_nothing()
        .to_owned();
    let done = service_key::Entity::insert(row)
        .on_conflict(known)
        .exec_without_returning(db)
        .await;
    Ok(done.map_err(failed("insert a service key"))? > 0)
}

//! Many rows by one statement whose text doesn't depend on how many: the server plans it once, and
//! each connection prepares it once.

use sea_orm::sea_query::Value;
use sea_orm::sqlx::Arguments as _;
use sea_orm::sqlx::postgres::PgArguments;
use sea_orm::{ActiveModelTrait, EntityName, EntityTrait, IdenStatic, Iterable};
use session_domain::port::PortError;

use super::transaction::Transaction;
use crate::dialect::failed;

/// Inserts rows of one table, all with the same columns set, in their order. `conflict` is what
/// follows: an `ON CONFLICT` clause, or nothing.
pub(super) async fn insert<A: ActiveModelTrait>(
    db: &Transaction,
    what: &'static str,
    rows: &[A],
    conflict: &str,
) -> Result<u64, PortError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let (mut names, mut arrays) = (Vec::new(), Vec::new());
    let mut arguments = PgArguments::default();
    for column in <A::Entity as EntityTrait>::Column::iter() {
        let values = rows.iter().filter_map(|row| row.get(column).into_value());
        let Some(column_values) = Array::of(what, values)? else {
            continue;
        };
        names.push(column.as_str());
        arrays.push(format!("${}::{}[]", names.len(), column_values.kind()));
        column_values
            .add_to(&mut arguments)
            .map_err(|error| PortError::fatal(what, error))?;
    }
    let table = A::Entity::default();
    let sql = format!(
        "INSERT INTO {} ({}) SELECT * FROM unnest({}) {conflict}",
        table.table_name(),
        names.join(", "),
        arrays.join(", ")
    );
    db.write(sql, arguments).await.map_err(failed(what))
}

/// One column of all rows.
enum Array {
    Numbers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Ids(Vec<Option<uuid::Uuid>>),
    Blobs(Vec<Option<Vec<u8>>>),
}

impl Array {
    /// `None` of no values at all.
    fn of(
        what: &'static str,
        values: impl Iterator<Item = Value>,
    ) -> Result<Option<Self>, PortError> {
        let mut array: Option<Self> = None;
        for value in values {
            match (&mut array, value) {
                (Some(Self::Numbers(array)), Value::BigInt(value)) => array.push(value),
                (Some(Self::Texts(array)), Value::String(value)) => array.push(value),
                (Some(Self::Ids(array)), Value::Uuid(value)) => array.push(value),
                (Some(Self::Blobs(array)), Value::Bytes(value)) => array.push(value),
                (None, Value::BigInt(value)) => array = Some(Self::Numbers(vec![value])),
                (None, Value::String(value)) => array = Some(Self::Texts(vec![value])),
                (None, Value::Uuid(value)) => array = Some(Self::Ids(vec![value])),
                (None, Value::Bytes(value)) => array = Some(Self::Blobs(vec![value])),
                // Not shown: it may be a secret.
                _ => return Err(PortError::fatal(what, "a column of another kind")),
            }
        }
        Ok(array)
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::Numbers(_) => "bigint",
            Self::Texts(_) => "text",
            Self::Ids(_) => "uuid",
            Self::Blobs(_) => "bytea",
        }
    }

    fn add_to(self, arguments: &mut PgArguments) -> Result<(), sea_orm::sqlx::error::BoxDynError> {
        match self {
            Self::Numbers(array) => arguments.add(array),
            Self::Texts(array) => arguments.add(array),
            Self::Ids(array) => arguments.add(array),
            Self::Blobs(array) => arguments.add(array),
        }
    }
}

//! The outbox in a file with one writer: numbers are drawn in the order of commits.

use std::time::Duration;

use async_trait::async_trait;
use session_domain::ids::{EventId, InstanceId};
use session_domain::port::{EventOutbox, PortError, StoredEvent};
use session_domain::time::Timestamp;

use super::SqliteStore;
use crate::outbox;

#[async_trait]
impl EventOutbox for SqliteStore {
    async fn lead(&self, holder: InstanceId, lease: Duration) -> Result<bool, PortError> {
        self.writer
            .run("lead the relay", move |db, clock| {
                Box::pin(outbox::lead(db, holder, lease, clock.wall()))
            })
            .await
    }

    async fn resign(&self, holder: InstanceId) -> Result<(), PortError> {
        self.writer
            .run("give up the relay's lead", move |db, _| {
                Box::pin(outbox::resign(db, holder))
            })
            .await
    }

    async fn unrelayed(&self, limit: u32) -> Result<Vec<StoredEvent>, PortError> {
        let marked = outbox::marked(&self.readers).await?;
        outbox::read(&self.readers, marked, i64::MAX, limit).await
    }

    async fn relayed(&self, holder: InstanceId, through: EventId) -> Result<bool, PortError> {
        self.writer
            .run("mark events as relayed", move |db, _| {
                Box::pin(outbox::relayed(db, holder, through))
            })
            .await
    }

    async fn oldest_unrelayed(&self) -> Result<Option<Timestamp>, PortError> {
        outbox::oldest(&self.readers).await
    }
}

//! The tables. Every query is within one account, apart from the claims of the worker, which serves all.

pub(crate) mod decisions;
pub(crate) mod deliveries;
pub(crate) mod entity;
pub(crate) mod limits;
pub(crate) mod senders;

use frontdesk_clock::Time;
use sea_orm::{ColumnTrait, Condition};
use uuid::Uuid;

/// Rows after a cursor, newest first.
fn after<C: ColumnTrait>(created_at: C, id: C, (at, last): (Time, Uuid)) -> Condition {
    Condition::any().add(created_at.lt(at)).add(Condition::all().add(created_at.eq(at)).add(id.lt(last)))
}

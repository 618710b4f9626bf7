//! Refused calls are counted: the first of a caller, method and outcome is recorded at once, those of the next minute are counted in
//! its record. A caller that repeats a refused call all day adds one row a minute, not one for each call.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use frontdesk_auth::Actor;
use frontdesk_db::{AccountId, Db, DbErr};
use sea_orm::entity::prelude::*;

use crate::entity::{Column, Entity};

/// How long refusals are counted in one record.
const COUNTED_FOR: Duration = Duration::from_secs(60);
/// Maximum number of records that are counted at the same time; beyond it each refusal has its own.
const MAX_COUNTED: usize = 10_000;

/// What the refusals of one record have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RefusalKey {
    pub(crate) account: AccountId,
    pub(crate) actor: Actor,
    pub(crate) method: String,
    pub(crate) outcome: String,
}

/// The record that refusals are counted in.
struct Counted {
    /// None: it is being written.
    record: Option<(Db, Uuid)>,
    since: Instant,
    count: u64,
    /// The count that the record has.
    written: u64,
}

/// The refusals of the last minute.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<RefusalKey, Counted>>);

impl Refusals {
    /// Counts a refusal. True: it is the first, and needs a record.
    pub(crate) fn count(&self, key: &RefusalKey) -> bool {
        let mut counted = self.lock();
        match counted.get_mut(key) {
            Some(counted) => {
                counted.count += 1;
                false
            }
            None => {
                if counted.len() < MAX_COUNTED {
                    let first = Counted { record: None, since: Instant::now(), count: 1, written: 1 };
                    counted.insert(key.clone(), first);
                }
                true
            }
        }
    }

    /// The record of the first refusal was written, or could not be: then the next refusal is the first.
    pub(crate) fn recorded(&self, key: &RefusalKey, record: Option<(Db, Uuid)>) {
        let mut counted = self.lock();
        match (counted.get_mut(key), record) {
            (Some(counted), Some(record)) => counted.record = Some(record),
            (Some(_), None) => drop(counted.remove(key)),
            (None, _) => {}
        }
    }

    /// Writes the counts that grew, and ends the records of more than a minute ago.
    pub(crate) async fn write_counts(&self) -> Result<(), DbErr> {
        let mut grown = Vec::new();
        self.lock().retain(|key, counted| {
            let Some((db, id)) = &counted.record else { return true };
            if counted.count > counted.written {
                counted.written = counted.count;
                grown.push((key.clone(), db.clone(), *id, counted.count));
            }
            counted.since.elapsed() < COUNTED_FOR
        });
        for (key, db, id, count) in grown {
            write_count(&db, &key, id, count).await?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RefusalKey, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of a record in which refusals are counted.
fn outcome_of(outcome: &str, count: u64) -> String {
    format!("{outcome} ({count} times)")
}

async fn write_count(db: &Db, key: &RefusalKey, id: Uuid, count: u64) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    Entity::update_many()
        .filter(Column::AccountId.eq(key.account.0))
        .filter(Column::Id.eq(id))
        .col_expr(Column::Outcome, Expr::value(outcome_of(&key.outcome, count)))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}

#[cfg(test)]
impl Refusals {
    /// Lets the minutes of all records pass.
    pub(crate) fn let_a_minute_pass(&self) {
        for counted in self.lock().values_mut() {
            counted.since = counted.since.checked_sub(COUNTED_FOR).unwrap_or(counted.since);
        }
    }
}

//! One group in one transaction: lock, look up, decide, write, commit.

use std::collections::HashMap;

use frontdesk_auth::AccountId;
use frontdesk_db::is_connection_lost;
use frontdesk_idempotency::ClaimError;
use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use uuid::Uuid;

use super::{Answer, Store, Unwritten, Waiting, Wanted, Written, postgres, seen::Seen, sqlite};
use crate::{
    domain::Conversation,
    store::changes::{Changes, hint_on_commit},
};

/// Why a group was not written as a whole.
#[derive(Debug)]
pub(super) enum Failed {
    /// Whether it was written is not known.
    Lost,
    /// One of its request ids was used elsewhere after the group had looked.
    Overtaken,
    /// The database refused.
    Db(DbErr),
    /// There is a bug.
    Panicked,
}

impl From<DbErr> for Failed {
    fn from(error: DbErr) -> Self {
        if is_connection_lost(&error) {
            tracing::warn!(%error, "a group of messages was lost with its connection");
            return Self::Lost;
        }
        Self::Db(error)
    }
}

/// The conversations of a group. Held in the order of their ids, the order in which everybody locks several.
pub(super) type Conversations = HashMap<(AccountId, Uuid), Conversation>;

/// Writes the group and gives each member's answer, or writes nothing.
pub(super) async fn write(store: &Store, group: &[Waiting]) -> Result<Vec<Answer>, Failed> {
    let mut tx = store.db.begin().await?;
    let on_postgres = tx.conn().get_database_backend() == DbBackend::Postgres;
    let wanted = || group.iter().map(|waiting| &waiting.wanted);
    let (mut conversations, mut seen);
    if on_postgres {
        conversations = postgres::lock(&tx, wanted()).await?;
        seen = postgres::look(&tx, wanted(), &conversations, store.clock.offset()).await?;
    } else {
        conversations = sqlite::find(&tx, wanted()).await?;
        seen = sqlite::look(&tx, wanted(), &conversations).await?;
    }

    let mut changes = Changes::new(seen.now);
    let mut answers = Vec::with_capacity(group.len());
    for waiting in group {
        answers.push(decide(waiting, &mut conversations, &mut seen, &mut changes)?);
    }
    if changes.of.is_empty() {
        return Ok(answers);
    }

    changes.of.sort_unstable();
    changes.of.dedup();
    hint_on_commit(&mut tx, &store.hints, changes.of.clone());
    let changed = changes.of.clone();
    let changed = conversations.values().filter(|conversation| changed.binary_search(&conversation.row.id).is_ok());
    let expected = seen.requests.kept() as u64;
    let kept = if on_postgres {
        postgres::save(&mut tx, changed, changes, seen.requests).await?
    } else {
        sqlite::save(&mut tx, changed, changes, seen.requests).await?
    };
    if kept != expected {
        return Err(Failed::Overtaken);
    }
    // Whatever a commit fails with, nobody may take it for done or for undone.
    tx.commit().await.map_err(|error| {
        tracing::warn!(%error, "whether a group of messages was committed is not known");
        Failed::Lost
    })?;
    Ok(answers)
}

/// One member's turn, on what the members before it left.
fn decide(
    waiting: &Waiting,
    conversations: &mut Conversations,
    seen: &mut Seen,
    changes: &mut Changes,
) -> Result<Answer, DbErr> {
    let wanted = &waiting.wanted;
    let Some(conversation) = find(conversations, wanted) else { return Ok(Err(Unwritten::NotFound)) };
    match seen.requests.first(&wanted.key) {
        Ok(None) => {}
        Ok(Some(sequence)) => return Ok(Ok(Written::Before(sequence))),
        Err(ClaimError::Reused) => return Ok(Err(Unwritten::Reused)),
        Err(ClaimError::Db(error)) => return Ok(Err(error.into())),
    }
    let entry = match (wanted.decide)(conversation, &seen.known(wanted)) {
        Ok(entry) => entry,
        Err(no) => return Ok(Err(Unwritten::No(no, Box::new(conversation.clone())))),
    };
    changes.take(conversation, &waiting.traceparent)?;
    seen.requests.keep(&wanted.key, &entry.sequence, seen.now)?;
    let names = seen.names(wanted.account, &entry);
    Ok(Ok(Written::Now(entry, names)))
}

fn find<'a>(conversations: &'a mut Conversations, wanted: &Wanted) -> Option<&'a mut Conversation> {
    let conversation = conversations.get_mut(&(wanted.account, wanted.conversation))?;
    let theirs = wanted.of_visitor.as_ref().is_none_or(|visitor| *visitor == conversation.row.visitor_id);
    theirs.then_some(conversation)
}

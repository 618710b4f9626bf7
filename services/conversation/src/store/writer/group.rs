//! One group in one transaction: lock, look up, decide, write, commit.

use frontdesk_db::is_connection_lost;
use frontdesk_idempotency::ClaimError;
use sea_orm::DbErr;

use super::{Answer, Store, Unwritten, Waiting, Wanted, Written, look::look, seen::Seen};
use crate::{
    domain::Conversation,
    store::{
        changes::Changes,
        many::{self, Conversations},
    },
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

/// Writes the group and gives each member's answer, or writes nothing.
pub(super) async fn write(store: &Store, group: &[Waiting]) -> Result<Vec<Answer>, Failed> {
    let mut tx = store.db.begin_batch().await?;
    let wanted = group.iter().map(|waiting| &waiting.wanted);
    let of: Vec<_> = wanted.clone().map(|wanted| (wanted.account, wanted.conversation)).collect();
    let mut conversations = many::find_for_update(&tx, &of).await?;
    let mut seen = look(&tx, wanted, &conversations, store.clock.offset()).await?;

    let mut changes = Changes::new(seen.now);
    let mut answers = Vec::with_capacity(group.len());
    for waiting in group {
        answers.push(decide(waiting, &mut conversations, &mut seen, &mut changes)?);
    }
    if changes.of.is_empty() {
        return Ok(answers);
    }

    if !many::save(&mut tx, &store.hints, &conversations, changes, seen.requests).await? {
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
    match seen.requests.result(&wanted.key) {
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
    seen.requests.store_result(&wanted.key, &entry.sequence, seen.now)?;
    let names = seen.names(wanted.account, &entry);
    Ok(Ok(Written::Now(Box::new(entry), names)))
}

fn find<'a>(conversations: &'a mut Conversations, wanted: &Wanted) -> Option<&'a mut Conversation> {
    let conversation = conversations.get_mut(&(wanted.account, wanted.conversation))?;
    let theirs = wanted.of_visitor.as_ref().is_none_or(|visitor| *visitor == conversation.row.visitor_id);
    theirs.then_some(conversation)
}

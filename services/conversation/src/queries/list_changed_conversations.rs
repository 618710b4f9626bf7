//! The conversations of an inbox that changed since the cursor of a watch (rule C10).

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use uuid::Uuid;

use super::Inbox;
use crate::{
    App,
    error::ConversationError,
    store::{conversations, inbox, queued_conversations, read_marks},
};

/// How long before the cursor of a watch a change may have got its time and yet have been committed after it: more than the
/// database lets a transaction take.
pub(crate) const CURSOR_OVERLAP: Duration = Duration::from_secs(60);
/// Maximum number of changed conversations that one read returns.
pub(crate) const CHANGED_ROWS: u64 = 200;

/// Where reading what changed goes on: behind this time and id, by activity, then by the caller's read marks, and then by changes in queues.
/// None: all is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChangedAfter {
    pub(crate) activity: Option<(Time, Uuid)>,
    pub(crate) marks: Option<(Time, Uuid)>,
    pub(crate) queues: Option<(Time, Uuid)>,
}

impl ChangedAfter {
    /// From the cursor of a watch on.
    pub(crate) fn cursor(cursor: Time) -> Self {
        let from = Some((cursor.minus(CURSOR_OVERLAP), Uuid::nil()));
        Self { activity: from, marks: from, queues: from }
    }

    pub(crate) fn is_all(self) -> bool {
        self.activity.is_none() && self.marks.is_none() && self.queues.is_none()
    }
}

/// Up to [`CHANGED_ROWS`] conversations that changed after this, the earliest first, and where reading goes on.
pub(crate) async fn list_changed_conversations(
    app: &App,
    caller: &Caller,
    after: ChangedAfter,
) -> Result<(Inbox, ChangedAfter), ConversationError> {
    let (account, agent) = (caller.account, caller.agent_id());
    let read = app.db.read_for(account).await?;
    let conn = read.conn();
    let is_full = |rows: usize| rows as u64 == CHANGED_ROWS;
    let ChangedAfter { activity, marks, queues } = after;
    let (changed, next) = match (activity, marks, queues, agent) {
        (Some(position), ..) => {
            let changed = inbox::list_active_after(&conn, &[account], position, CHANGED_ROWS).await?;
            let last = changed.last().filter(|_| is_full(changed.len()));
            let activity = last.map(|last| (last.last_activity_at, last.id));
            (changed, ChangedAfter { activity, marks, queues })
        }
        (None, Some(position), _, Some(agent)) => {
            let marked = read_marks::list_changed_after(&conn, account, agent, position, CHANGED_ROWS).await?;
            let marks = marked.last().copied().filter(|_| is_full(marked.len()));
            let ids = marked.into_iter().map(|(_, conversation)| conversation);
            let changed = conversations::list_of_accounts(&conn, &[account], ids).await?;
            (changed, ChangedAfter { activity: None, marks, queues })
        }
        (None, _, Some(position), _) => {
            let moved = queued_conversations::list_changed_after(&conn, &[account], position, CHANGED_ROWS).await?;
            let queues = moved.last().copied().filter(|_| is_full(moved.len()));
            let ids = moved.into_iter().map(|(_, conversation)| conversation);
            let changed = conversations::list_of_accounts(&conn, &[account], ids).await?;
            (changed, ChangedAfter { activity: None, marks: None, queues })
        }
        (None, ..) => (Vec::new(), ChangedAfter::default()),
    };
    Ok((Inbox::read_changed(&conn, account, agent.as_slice(), changed).await?, next))
}

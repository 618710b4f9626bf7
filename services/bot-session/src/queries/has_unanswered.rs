//! Whether a session still has to answer a message of its visitor (rule B6).

use frontdesk_db::AccountId;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{App, store};

/// Returns whether the session is open and has not answered the message of this sequence.
pub(crate) async fn has_unanswered(app: &App, account: AccountId, id: Uuid, sequence: i64) -> Result<bool, DbErr> {
    store::sessions::has_unanswered(app.db.read(), account, id, sequence).await
}

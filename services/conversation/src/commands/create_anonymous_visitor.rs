//! A page creates an anonymous visitor, or renews the token of one (rule S6). Nothing is stored: the token is the visitor.

use frontdesk_api::ApiError;
use frontdesk_auth::{AnonymousToken, AnonymousVisitor, Caller};
use tonic::Status;
use uuid::Uuid;

use crate::{App, domain::NotAdmitted, error::ConversationError, store::channels};

pub(crate) struct CreateAnonymousVisitor {
    /// Origin of the page. None: the call names none.
    pub(crate) origin: Option<String>,
    /// The token that the widget has kept. Any other text: none.
    pub(crate) previous_token: String,
}

/// Returns the token, and whether it is one of the same visitor as before.
pub(crate) async fn create_anonymous_visitor(
    app: &App,
    caller: &Caller,
    command: CreateAnonymousVisitor,
) -> Result<(AnonymousToken, bool), Status> {
    let (account, secret) = (caller.account, &app.installation_secret);
    let known = AnonymousVisitor::from_token(&command.previous_token, secret).ok();
    let known = known.filter(|known| known.account == account && known.channel.to_string() == caller.actor.id);
    let channel = require_admission(app, caller, command.origin.as_deref(), known.is_some()).await?;
    let visitor = known.unwrap_or_else(|| AnonymousVisitor { account, channel, id: app.db.new_id() });
    let token = visitor.token(secret).map_err(|error| ApiError::internal(&error))?;
    Ok((token, known.is_some()))
}

/// The channel of the calling widget, if it admits anonymous visitors from a page of this origin. Those who are known go on with their
/// chats when it has none any more.
async fn require_admission(
    app: &App,
    caller: &Caller,
    origin: Option<&str>,
    is_known: bool,
) -> Result<Uuid, ConversationError> {
    let id = caller.actor.id.parse().map_err(|_| ConversationError::NotFound("channel"))?;
    let read = app.db.read_for(caller.account).await?;
    let channel = channels::find(&read.conn(), caller.account, id).await?;
    let channel = channel.ok_or(ConversationError::NotFound("channel"))?;
    if channel.is_deleted() {
        return Err(ConversationError::ChannelDeleted);
    }
    match channel.admit_page(origin) {
        Ok(()) => Ok(channel.id),
        Err(NotAdmitted::Disabled) if is_known => Ok(channel.id),
        Err(why) => Err(ConversationError::NotAdmitted(why)),
    }
}

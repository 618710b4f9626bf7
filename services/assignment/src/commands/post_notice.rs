//! Posts the message of a policy to a visitor who waits outside of its opening hours (rule A4).

use uuid::Uuid;

use crate::{
    App,
    conversation::{self, ChannelMessage},
    domain::Notice,
    error::AssignmentError,
    store::{queue_notices, routing_accounts},
};

/// Posts the message, and records that. It can stop anywhere and be repeated: the conversation service posts it once for each closing, also
/// where the conversation began to wait anew. A refusal is final: the conversation was closed or has an owner, or the message was posted with
/// other texts.
pub(crate) async fn post_notice(app: &App, notice: Notice) -> Result<(), AssignmentError> {
    let Notice { account, conversation, epoch, until, texts, leaves } = notice;
    let closing = Uuid::new_v5(&conversation, &until.0.to_be_bytes());
    let message = ChannelMessage {
        account,
        conversation,
        expected_epoch: i32::try_from(epoch).unwrap_or(i32::MAX),
        texts,
        request_id: format!("outside-hours-{closing}"),
    };
    match conversation::post_channel_message(app, message).await {
        Ok(()) => {}
        Err(AssignmentError::Rejected(status)) => {
            tracing::info!(message = status.message(), %conversation, "a visitor gets no message outside of opening hours");
        }
        Err(error) => return Err(error),
    }
    fail::fail_point!("notice-posted", |_| std::process::abort());
    let tx = app.db.begin_for(account).await?;
    // A conversation that leaves routing after its message does so now: nobody else asks for a decision while its queue is closed.
    match leaves {
        true => routing_accounts::wake(&tx, account).await?,
        false => routing_accounts::lock(&tx, account).await?,
    }
    queue_notices::confirm(&tx, account, conversation, epoch, until).await?;
    tx.commit().await?;
    Ok(())
}

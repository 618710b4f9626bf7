//! Mails agents what happened in a conversation (rule N4).

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Tx};
use frontdesk_proto::event::v1::Event;
use uuid::Uuid;

use crate::{
    App,
    domain::{AgentMail, Delivery, DeliveryKind, DeliveryStatus, Notice},
    error::NotificationError,
    store,
};

/// What happened in a conversation that agents may want to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotifyAgents {
    pub(crate) account: AccountId,
    pub(crate) conversation: Uuid,
    /// In the order of their ids, each once.
    pub(crate) agents: Vec<Uuid>,
    pub(crate) notice: Notice,
}

/// Adds the notice to the mail that waits for each agent, or queues one. A redelivered event changes nothing.
pub(crate) async fn notify_agents(
    app: &App,
    consumer: &str,
    event: &Event,
    command: NotifyAgents,
) -> Result<(), NotificationError> {
    let mut tx = app.db.begin_for(command.account).await?;
    if !frontdesk_outbox::mark_handled(&tx, consumer, event).await? {
        return Ok(());
    }
    let now = tx.now().await?;
    store::agent_mails::delete_old(&tx, command.account, now).await?;
    for agent in &command.agents {
        let preferences = store::notification_preferences::find(tx.conn(), command.account, *agent).await?;
        if preferences.wants(command.notice) {
            notify_agent(&tx, &command, *agent, now).await?;
        }
    }
    tx.on_commit(app.wake());
    tx.commit().await?;
    Ok(())
}

async fn notify_agent(tx: &Tx, command: &NotifyAgents, agent: Uuid, now: Time) -> Result<(), NotificationError> {
    let (account, conversation) = (command.account, command.conversation);
    let mut last = store::agent_mails::find_last_for_update(tx, account, agent, conversation).await?;
    if let Some(waiting) = last.as_mut().filter(|last| last.takes_more) {
        let delivery = store::deliveries::find(tx.conn(), account, waiting.delivery).await?;
        if delivery.is_some_and(|delivery| delivery.status == DeliveryStatus::Queued) {
            waiting.add(command.notice);
            store::agent_mails::save(tx, waiting).await?;
            return Ok(());
        }
        // It was cancelled, or has failed.
        waiting.takes_more = false;
        store::agent_mails::save(tx, waiting).await?;
    }
    let due_at = AgentMail::next_due(last.as_ref(), now);
    // Without conversation and contact, which only transcripts have: their events make entries of the thread.
    let delivery = Delivery { due_at, ..Delivery::new(tx.new_id(), account, DeliveryKind::AgentNotice, now) };
    let mut mail = AgentMail {
        delivery: delivery.id,
        account,
        agent,
        conversation,
        mentions: 0,
        assignments: 0,
        takes_more: true,
        due_at,
    };
    mail.add(command.notice);
    store::deliveries::insert(tx, &delivery).await?;
    // At most one mail takes more: a concurrent notice that queued one makes this one fail, and be handled again.
    store::agent_mails::insert(tx, &mail).await?;
    Ok(())
}

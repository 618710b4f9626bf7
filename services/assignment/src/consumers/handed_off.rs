//! Gives a conversation that a bot handed off to the agent whom the bot named (rule B8).

use frontdesk_auth::{Actor, CallerKind};
use frontdesk_bus::{Consumer, Outcome, decode};
use frontdesk_proto::{
    assignment::v1::AssignmentCause,
    event::v1::{ConversationHandedOff, Event},
};
use prost::Name;
use uuid::Uuid;

use super::account;
use crate::{
    App, SOURCE,
    conversation::{self, Change},
    domain::{Party, Stretch},
    error::AssignmentError,
    store,
};

const NAME: &str = "assignment.handed_off";

/// Asks the row for the change of owner, as the service itself. A conversation that meanwhile went to somebody else, or was
/// closed, stays as it is.
pub(crate) struct HandedOff(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for HandedOff {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![ConversationHandedOff::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let wanted = match read(event) {
            Ok(Some(wanted)) => wanted,
            Ok(None) => return Outcome::Ack,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match self.give(event, wanted).await {
            Ok(()) => Outcome::Ack,
            Err(AssignmentError::Refused(status)) => {
                // Epochs only rise: what the row refuses now it refuses for ever.
                tracing::info!(message = status.message(), "the named agent does not get the conversation");
                Outcome::Ack
            }
            Err(error) => Outcome::Retry(error.to_string()),
        }
    }
}

struct Wanted {
    conversation: Uuid,
    epoch: i64,
    agent: Uuid,
}

fn read(event: &Event) -> Result<Option<Wanted>, String> {
    let off: ConversationHandedOff = decode(event)?;
    if off.agent_id.is_empty() {
        return Ok(None);
    }
    let id = |text: &str| text.parse::<Uuid>().map_err(|_| "an id in the event is not a UUID".to_owned());
    Ok(Some(Wanted { conversation: id(&off.conversation_id)?, epoch: off.epoch, agent: id(&off.agent_id)? }))
}

impl HandedOff {
    /// The call comes first and the mark after it: dying in between repeats the call, which the row answers as before.
    async fn give(&self, event: &Event, wanted: Wanted) -> Result<(), AssignmentError> {
        let app = &self.0;
        let account = account(event).map_err(sea_orm::DbErr::Type)?;
        let Some(agent) = store::agents::find(app.db.read(), account, wanted.agent).await?.filter(|agent| agent.active)
        else {
            tracing::info!(agent_id = %wanted.agent, "the agent whom the bot named is not on the roster");
            return Ok(());
        };
        let change = Change {
            account,
            actor: Actor { kind: CallerKind::Service, id: SOURCE.to_owned() },
            conversation: wanted.conversation,
            expected_epoch: wanted.epoch,
            to: Some(agent),
            request_id: format!("hand-off-{}", event.id),
        };
        let changed = conversation::change_assignee(app, &change).await?;

        let tx = app.db.begin().await?;
        if frontdesk_outbox::mark_handled(&tx, NAME, event).await?
            && let Some(started_at) = changed.at
        {
            let stretch = Stretch {
                conversation: wanted.conversation,
                epoch: changed.epoch,
                owner: change.owner(),
                by: Party::system(),
                cause: AssignmentCause::HandedOff,
                started_at,
            };
            store::assignments::record(&tx, account, &stretch).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

//! Confirms the erasure of a contact. This service keeps nothing of people: a session has the step of its flow and numbers, an answer goes to
//! the conversation service and is not stored here, and no call of a session that a close ended has an effect.

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{ContactErasureRequested, Event};
use prost::Name;
use sea_orm::DbErr;
use uuid::Uuid;

use super::database_outcome;
use crate::{App, store};

const NAME: &str = "bot-session.contact_erasures";

/// Consumes `ContactErasureRequested`.
pub(crate) struct ContactErasures(pub(crate) App);

#[async_trait::async_trait]
impl Consumer for ContactErasures {
    fn name(&self) -> &'static str {
        NAME
    }

    fn source(&self) -> &'static str {
        "conversation"
    }

    fn types(&self) -> Vec<String> {
        vec![ContactErasureRequested::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let (account, contact, job) = match erasure(event) {
            Ok(erasure) => erasure,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match self.confirm(account, contact, job).await {
            Ok(()) => Outcome::Ack,
            Err(error) => database_outcome(&error),
        }
    }
}

impl ContactErasures {
    async fn confirm(&self, account: AccountId, contact: Uuid, job: Uuid) -> Result<(), DbErr> {
        let mut tx = self.0.db.begin_for(account).await?;
        // By the job: it is confirmed once, whichever events ask for it.
        let asked = Event { id: job.to_string(), ..Event::default() };
        if frontdesk_outbox::mark_handled(&tx, NAME, &asked).await? {
            store::events::append_contact_erasure_confirmed(&mut tx, account, contact, job).await?;
        }
        tx.commit().await
    }
}

/// The account, the contact and the job.
fn erasure(event: &Event) -> Result<(AccountId, Uuid, Uuid), String> {
    let requested: ContactErasureRequested = decode(event)?;
    let contact = uuid("contact_id", &requested.contact_id)?;
    Ok((account_id(event)?, contact, uuid("contact_job_id", &requested.contact_job_id)?))
}

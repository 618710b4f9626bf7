//! Confirms the erasure of a contact. This service keeps nothing of people who chat: the history of owners names agents, bots and
//! administrators.

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{ContactErasureRequested, Event};
use prost::Name;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{App, store};

const NAME: &str = "assignment.contact_erasures";

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
        match erasure(event) {
            Ok((account, contact, job)) => self.confirm(account, contact, job).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
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

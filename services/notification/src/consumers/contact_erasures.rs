//! Erases what mails have of a contact when the conversation service asks for it.

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_proto::event::v1::{ContactErasureRequested, Event};
use prost::Name;

use crate::{
    App,
    commands::{self, ContactErasure},
    error::NotificationError,
};

const NAME: &str = "notification.contact_erasures";

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
        let erasure = match erasure(event) {
            Ok(erasure) => erasure,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match commands::erase_contact(&self.0, NAME, erasure).await {
            Ok(true) => Outcome::Ack,
            Ok(false) => Outcome::Locked("a mail of the contact is being sent".into()),
            Err(error @ NotificationError::ConversationUnavailable(_)) => Outcome::Unavailable(error.to_string()),
            Err(error) => Outcome::Retry(error.to_string()),
        }
    }
}

fn erasure(event: &Event) -> Result<ContactErasure, String> {
    let requested: ContactErasureRequested = decode(event)?;
    Ok(ContactErasure {
        account: account_id(event)?,
        contact: uuid("contact_id", &requested.contact_id)?,
        job: uuid("contact_job_id", &requested.contact_job_id)?,
    })
}

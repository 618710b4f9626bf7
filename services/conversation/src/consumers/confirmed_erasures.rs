//! Records which services have confirmed the erasure of a contact (rule X2).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{ContactErasureConfirmed, Event};
use prost::Name;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{App, store::contact_jobs};

/// Consumes the confirmations of one service.
pub(crate) struct ConfirmedErasures {
    pub(crate) app: App,
    pub(crate) name: &'static str,
    /// The service that confirms.
    pub(crate) service: &'static str,
}

impl ConfirmedErasures {
    /// A consumer for each service that erases its part.
    pub(crate) fn of_each_service(app: &App) -> [Self; 3] {
        [
            ("conversation.erasures_in_assignment", "assignment"),
            ("conversation.erasures_in_bot_session", "bot-session"),
            ("conversation.erasures_in_notification", "notification"),
        ]
        .map(|(name, service)| Self { app: app.clone(), name, service })
    }

    async fn confirm(&self, account: AccountId, job: Uuid) -> Result<(), DbErr> {
        let mut tx = self.app.db.begin_for(account).await?;
        // A repeated confirmation changes nothing.
        if let Some(mut job) = contact_jobs::find_for_update(&tx, account, job).await?
            && job.confirm(self.service)
        {
            contact_jobs::save(&tx, &job).await?;
            tx.on_commit(self.app.wake_contact_jobs());
        }
        tx.commit().await
    }
}

#[async_trait::async_trait]
impl Consumer for ConfirmedErasures {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        self.service
    }

    fn types(&self) -> Vec<String> {
        vec![ContactErasureConfirmed::full_name()]
    }

    /// The bus within the process delivers the confirmations of all services.
    fn concerns(&self, event: &Event) -> bool {
        event.source == self.service
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match read(event) {
            Ok((account, job)) => self.confirm(account, job).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

fn read(event: &Event) -> Result<(AccountId, Uuid), String> {
    let confirmed: ContactErasureConfirmed = decode(event)?;
    Ok((account_id(event)?, uuid("contact_job_id", &confirmed.contact_job_id)?))
}

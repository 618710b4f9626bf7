//! Records which services have suspended or erased an account that ends (rule X2).

use frontdesk_bus::{
    Consumer, Outcome, decode,
    event::{account_id, uuid},
};
use frontdesk_db::AccountId;
use frontdesk_proto::event::v1::{AccountStateConfirmed, Event};
use prost::Name;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{App, store::account_jobs};

/// Consumes the confirmations of one service.
pub(crate) struct ConfirmedStates {
    pub(crate) app: App,
    pub(crate) name: &'static str,
    /// The service that confirms.
    pub(crate) service: &'static str,
}

/// What a service confirms.
struct Confirmation {
    account: AccountId,
    job: Uuid,
    state_version: i64,
}

impl ConfirmedStates {
    /// A consumer for each other service.
    pub(crate) fn of_each_service(app: &App) -> [Self; 3] {
        [
            ("conversation.account_states_in_assignment", "assignment"),
            ("conversation.account_states_in_bot_session", "bot-session"),
            ("conversation.account_states_in_notification", "notification"),
        ]
        .map(|(name, service)| Self { app: app.clone(), name, service })
    }

    async fn confirm(&self, confirmation: Confirmation) -> Result<(), DbErr> {
        let Confirmation { account, job, state_version } = confirmation;
        let tx = self.app.db.begin_for(account).await?;
        // A repeated confirmation changes nothing.
        if let Some(mut job) = account_jobs::find_for_update(&tx, account, job).await?
            && job.confirm(self.service, state_version, tx.now().await?)
        {
            account_jobs::save(&tx, &job).await?;
        }
        tx.commit().await
    }
}

#[async_trait::async_trait]
impl Consumer for ConfirmedStates {
    fn name(&self) -> &'static str {
        self.name
    }

    fn source(&self) -> &'static str {
        self.service
    }

    fn types(&self) -> Vec<String> {
        vec![AccountStateConfirmed::full_name()]
    }

    /// The bus within the process delivers the confirmations of all services.
    fn concerns(&self, event: &Event) -> bool {
        event.source == self.service
    }

    fn is_for_ended_accounts(&self) -> bool {
        true
    }

    async fn handle(&self, event: &Event) -> Outcome {
        match read(event) {
            Ok(confirmation) => self.confirm(confirmation).await.into(),
            Err(reason) => Outcome::DeadLetter(reason),
        }
    }
}

fn read(event: &Event) -> Result<Confirmation, String> {
    let confirmed: AccountStateConfirmed = decode(event)?;
    let job = uuid("account_job_id", &confirmed.account_job_id)?;
    Ok(Confirmation { account: account_id(event)?, job, state_version: confirmed.state_version.into() })
}

//! Keeps the local copy of opening hours, by which channels are open (rule A4).

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_proto::event::v1::{Event, OpeningHoursChanged};
use prost::Name;
use sea_orm::DbErr;

use super::not_answered;
use crate::{App, assignment, domain::OpeningHours, store::opening_hours};

pub(crate) struct OpeningHoursCopies(pub(crate) App);

impl OpeningHoursCopies {
    async fn save(&self, hours: OpeningHours) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        opening_hours::save(&tx, hours).await?;
        tx.commit().await
    }
}

#[async_trait::async_trait]
impl Consumer for OpeningHoursCopies {
    fn name(&self) -> &'static str {
        "conversation.opening_hours"
    }

    fn source(&self) -> &'static str {
        "assignment"
    }

    fn types(&self) -> Vec<String> {
        vec![OpeningHoursChanged::full_name()]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let ids = account_id(event).and_then(|account| Ok((account, uuid("aggregate_id", &event.aggregate_id)?)));
        let (account, id) = match ids {
            Ok(ids) => ids,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match assignment::get_opening_hours(&self.0, account, id).await {
            // The version decides: a repeated event or an older answer changes nothing.
            Ok(hours) => self.save(hours).await.into(),
            Err(status) => not_answered(&status),
        }
    }
}

//! Keeps the local copy of opening hours, on which flows branch (rules A4, B6).

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_proto::event::v1::{Event, OpeningHoursChanged};
use prost::Name;
use sea_orm::DbErr;
use tonic::Code;

use super::database_outcome;
use crate::{App, assignment, domain::OpeningHours, store::opening_hours};

/// Consumes `OpeningHoursChanged`.
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
        "bot-session.opening_hours"
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
        match assignment::find_opening_hours(&self.0.assignment, account, id).await {
            // The version decides: a repeated event or an older answer changes nothing.
            Ok(Some(hours)) => match self.save(hours).await {
                Ok(()) => Outcome::Ack,
                Err(error) => database_outcome(&error),
            },
            Ok(None) => Outcome::DeadLetter("there are no such opening hours".to_owned()),
            Err(status) => match status.code() {
                Code::InvalidArgument | Code::Unimplemented => Outcome::DeadLetter(status.to_string()),
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted => {
                    Outcome::Unavailable(status.to_string())
                }
                _ => Outcome::Retry(status.to_string()),
            },
        }
    }
}

//! Keeps the local copy of teams: who their members are.

use frontdesk_bus::{
    Consumer, Outcome,
    event::{account_id, uuid},
};
use frontdesk_proto::event::v1::{Event, TeamCreated, TeamDeleted, TeamMembersChanged, TeamUndeleted};
use prost::Name;
use sea_orm::DbErr;

use super::not_answered;
use crate::{App, assignment, domain::Team, store::teams};

pub(crate) struct Teams(pub(crate) App);

impl Teams {
    async fn save(&self, team: Team) -> Result<(), DbErr> {
        let tx = self.0.db.begin().await?;
        teams::save(&tx, &team).await?;
        tx.commit().await
    }
}

#[async_trait::async_trait]
impl Consumer for Teams {
    fn name(&self) -> &'static str {
        "conversation.teams"
    }

    fn source(&self) -> &'static str {
        "assignment"
    }

    fn types(&self) -> Vec<String> {
        vec![
            TeamCreated::full_name(),
            TeamMembersChanged::full_name(),
            TeamDeleted::full_name(),
            TeamUndeleted::full_name(),
        ]
    }

    async fn handle(&self, event: &Event) -> Outcome {
        let ids = account_id(event).and_then(|account| Ok((account, uuid("aggregate_id", &event.aggregate_id)?)));
        let (account, id) = match ids {
            Ok(ids) => ids,
            Err(reason) => return Outcome::DeadLetter(reason),
        };
        match assignment::get_team(&self.0, account, id).await {
            // The version decides: a repeated event or an older answer changes nothing.
            Ok(team) => self.save(team).await.into(),
            Err(status) => not_answered(&status),
        }
    }
}

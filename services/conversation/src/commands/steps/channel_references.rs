//! What a channel names at other services: it exists there when the channel is given it, and copies of it are kept here.

use frontdesk_db::{AccountId, Tx};
use sea_orm::DbErr;
use uuid::Uuid;

use super::{
    find_bot::find_bot, find_opening_hours::find_opening_hours, find_routing_policy::find_routing_policy,
    require_sender::require_sender,
};
use crate::{
    App,
    domain::{Bot, OpeningHours, RoutingPolicy},
    error::ConversationError,
    store::{bots, opening_hours, routing_policies},
};

/// What a channel is given. None: nothing of that kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelReferences {
    pub(crate) bot: Option<Uuid>,
    pub(crate) sender: Option<Uuid>,
    pub(crate) opening_hours: Option<Uuid>,
    /// That of its conversations, and that of its bot's hand-offs.
    pub(crate) routing_policies: [Option<Uuid>; 2],
}

/// What is kept of it.
#[derive(Debug, Default)]
pub(crate) struct ReferenceCopies {
    bot: Option<Bot>,
    opening_hours: Option<OpeningHours>,
    routing_policies: Vec<RoutingPolicy>,
}

impl ChannelReferences {
    pub(crate) fn is_empty(&self) -> bool {
        [self.bot, self.sender, self.opening_hours].iter().chain(&self.routing_policies).all(Option::is_none)
    }

    /// Asks the services that own them, and refuses what does not exist or was deleted.
    pub(crate) async fn find(self, app: &App, account: AccountId) -> Result<ReferenceCopies, ConversationError> {
        let mut copies = ReferenceCopies::default();
        if let Some(sender) = self.sender {
            require_sender(app, account, sender).await?;
        }
        for policy in self.routing_policies.into_iter().flatten() {
            copies.routing_policies.push(find_routing_policy(app, account, policy).await?);
        }
        if let Some(bot) = self.bot {
            copies.bot = Some(find_bot(app, account, bot).await?);
        }
        if let Some(hours) = self.opening_hours {
            copies.opening_hours = Some(find_opening_hours(app, account, hours).await?);
        }
        Ok(copies)
    }
}

impl ReferenceCopies {
    /// Writes the copies, except those that are newer here.
    pub(crate) async fn save(self, tx: &Tx) -> Result<(), DbErr> {
        if let Some(bot) = self.bot {
            bots::save(tx, bot).await?;
        }
        if let Some(hours) = self.opening_hours {
            opening_hours::save(tx, hours).await?;
        }
        for policy in self.routing_policies {
            routing_policies::save(tx, policy).await?;
        }
        Ok(())
    }
}

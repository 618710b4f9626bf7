//! A row of `conversation_owners`.

use frontdesk_clock::Time;
use sea_orm::entity::prelude::*;

use crate::domain::{ConversationChange, Route};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation_owners")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub conversation_id: Uuid,
    /// None: no agent owns the conversation.
    pub agent_id: Option<Uuid>,
    /// The ownership epoch of `agent_id`; 0 before the first one is known.
    pub epoch: i64,
    pub open: bool,
    /// The version of the conversation at which `open` was read; 0 while it is assumed.
    pub status_version: i64,
    /// Number of the events about the conversation's queue.
    pub queue_version: i64,
    /// The highest epoch of which a route is known; 0: the conversation is not routed.
    pub route_epoch: i64,
    /// None: the default policy.
    pub policy_id: Option<Uuid>,
    pub team_id: Option<Uuid>,
    pub contact_owner_id: Option<Uuid>,
    /// When the epoch of `agent_id` began, if it began because an agent gave the conversation back.
    pub given_back_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// The row of a conversation of which nothing is known: it is open.
    pub(crate) fn unknown(account_id: Uuid, conversation_id: Uuid) -> Self {
        Self {
            account_id,
            conversation_id,
            agent_id: None,
            epoch: 0,
            open: true,
            status_version: 0,
            queue_version: 0,
            route_epoch: 0,
            policy_id: None,
            team_id: None,
            contact_owner_id: None,
            given_back_at: None,
        }
    }

    /// Adds what a change of the conversation says, where the row says nothing later.
    pub(crate) fn apply(&mut self, change: &ConversationChange) {
        if let Some(owner) = &change.owner {
            if self.epoch < owner.epoch {
                (self.epoch, self.agent_id, self.given_back_at) = (owner.epoch, owner.agent, owner.given_back_at);
            }
            if let Some(route) = change.route.filter(|_| self.route_epoch < owner.epoch) {
                self.route_epoch = owner.epoch;
                (self.policy_id, self.team_id, self.contact_owner_id) = (route.policy, route.team, route.contact_owner);
            }
        }
        if let Some(open) = change.open.filter(|_| self.status_version < change.version) {
            (self.open, self.status_version) = (open, change.version);
        }
    }

    /// Returns how the conversation is routed. None: it is not.
    pub(crate) fn route(&self) -> Option<Route> {
        let route = Route { policy: self.policy_id, team: self.team_id, contact_owner: self.contact_owner_id };
        (self.route_epoch > 0).then_some(route)
    }
}

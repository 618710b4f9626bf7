//! What a group knows beside its conversations.

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_idempotency::RequestBatch;
use uuid::Uuid;

use super::{Known, Wanted};
use crate::{
    domain::{AuthorKind, Conversation, Entry, Owner, OwnerKind},
    store::{
        entity::{agents, bots},
        names::Names,
    },
};

/// The time, the requests made before, and the agents and bots who act.
pub(super) struct Seen {
    pub now: Time,
    pub requests: RequestBatch,
    pub agents: HashMap<(AccountId, Uuid), agents::Model>,
    pub bots: HashMap<(AccountId, Uuid), bots::Model>,
}

impl Seen {
    pub(super) fn new(now: Time) -> Self {
        Self { now, requests: RequestBatch::default(), agents: HashMap::new(), bots: HashMap::new() }
    }

    pub(super) fn add_agent(&mut self, agent: agents::Model) {
        self.agents.insert((agent.account_id, agent.id), agent);
    }

    pub(super) fn add_bot(&mut self, bot: bots::Model) {
        self.bots.insert((bot.account_id, bot.id), bot);
    }

    pub(super) fn known(&self, wanted: &Wanted) -> Known<'_> {
        let agent = wanted.agent.and_then(|agent| self.agents.get(&(wanted.account, agent)));
        Known { now: self.now, agent }
    }

    /// The name of the entry's author.
    pub(super) fn names(&self, account: AccountId, entry: &Entry) -> Names {
        let Ok(id) = entry.author.id.parse::<Uuid>() else { return Names::default() };
        let found = match entry.author.kind {
            AuthorKind::Agent => self.agents.get(&(account, id)).map(|agent| (OwnerKind::Agent, &agent.name)),
            AuthorKind::Bot => self.bots.get(&(account, id)).map(|bot| (OwnerKind::Bot, &bot.name)),
            AuthorKind::Visitor | AuthorKind::System => None,
        };
        found.map(|(kind, name)| Names::of_one(Owner { kind, id }, name.clone())).unwrap_or_default()
    }
}

/// The agents who act in a group, each once.
pub(super) fn agents<'a>(wanted: impl Iterator<Item = &'a Wanted>) -> Vec<(AccountId, Uuid)> {
    each_once(wanted.filter_map(|wanted| Some((wanted.account, wanted.agent?))))
}

/// The bots in charge of a group's conversations, each once.
pub(super) fn bots<'a>(conversations: impl Iterator<Item = &'a Conversation>) -> Vec<(AccountId, Uuid)> {
    each_once(conversations.filter_map(|conversation| {
        let row = &conversation.row;
        conversation.session_in_charge().and(row.bot_id).map(|bot| (row.account_id, bot))
    }))
}

fn each_once(ids: impl Iterator<Item = (AccountId, Uuid)>) -> Vec<(AccountId, Uuid)> {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

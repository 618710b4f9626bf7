//! The inbox: conversations that match a filter, the latest activity first, and those that changed since.

use std::collections::{BTreeSet, HashSet};

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::{
    Condition, DbBackend, DbErr, EntityTrait, FromQueryResult, Iterable, Order, QueryTrait, Statement,
    entity::prelude::*,
    sea_query::{Query, SelectStatement, UnionType},
};
use uuid::Uuid;

use super::{
    entity::conversation::{Column, Entity, Model},
    keyset, queued_conversations, read_marks,
};
use crate::domain::{Conversation, Membership, Owner, OwnerKind, Status};

/// Maximum number of conditions in one statement: SQLite allows 500 parts of a union, and PostgreSQL plans each.
const MAX_ARMS: usize = 100;
/// Maximum number of conditions of a [`Page`]: connections keep the plans of pages.
const MAX_ARMS_OF_PAGE: usize = 8;

/// Which conversations an inbox shows: those that match one value of each set. An empty set matches all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) statuses: HashSet<Status>,
    pub(crate) assignees: HashSet<AssigneeFilter>,
    /// The members of the filter's team who are among the assignees. None: no team, or its members are not read yet.
    pub(crate) membership: Option<Membership>,
    pub(crate) channels: BTreeSet<Uuid>,
    pub(crate) contacts: BTreeSet<Uuid>,
    /// Only of this visitor.
    pub(crate) visitor: Option<String>,
    /// Only with entries that this agent has not read.
    pub(crate) unread_by: Option<Uuid>,
    /// Only with activity at or after this time.
    pub(crate) active_since: Option<Time>,
    /// Only with activity before this time.
    pub(crate) active_before: Option<Time>,
    pub(crate) order: InboxOrder,
}

/// The order of an inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum InboxOrder {
    /// The latest activity first.
    #[default]
    NewestActivity,
    /// Only conversations whose visitor waits for an answer, the longest waiting first.
    LongestWaiting,
}

impl InboxOrder {
    fn sort(self) -> Sort {
        match self {
            Self::NewestActivity => (Column::LastActivityAt, Order::Desc),
            Self::LongestWaiting => (Column::WaitingSince, Order::Asc),
        }
    }

    /// The time of the conversation that its place depends on.
    pub(crate) fn time_of(self, one: &Conversation) -> Option<Time> {
        match self {
            Self::NewestActivity => Some(one.last_activity_at),
            Self::LongestWaiting => one.waiting_since,
        }
    }
}

impl Filter {
    /// The team among the assignees.
    pub(crate) fn team(&self) -> Option<Uuid> {
        self.assignees.iter().find_map(|filter| match filter {
            AssigneeFilter::Team(team) => Some(*team),
            AssigneeFilter::Unassigned | AssigneeFilter::AnyBot | AssigneeFilter::Owner(_) => None,
        })
    }

    /// Whether the conversation matches. `unread`: whether the agent of the filter has entries to read in it. `waits_for`: the teams in whose
    /// queues it waits.
    pub(crate) fn matches(&self, one: &Conversation, unread: bool, waits_for: &BTreeSet<Uuid>) -> bool {
        let has_assignee = |filter: &AssigneeFilter| match filter {
            AssigneeFilter::Unassigned => one.owner.is_none(),
            AssigneeFilter::AnyBot => one.owner.is_some_and(|owner| owner.kind == OwnerKind::Bot),
            AssigneeFilter::Owner(owner) => one.owner == Some(*owner),
            AssigneeFilter::Team(team) => waits_for.contains(team),
        };
        (self.statuses.is_empty() || self.statuses.contains(&one.status))
            && (self.assignees.is_empty() || self.assignees.iter().any(has_assignee))
            && (self.channels.is_empty() || self.channels.contains(&one.channel_id))
            && (self.contacts.is_empty() || one.contact_id.is_some_and(|contact| self.contacts.contains(&contact)))
            && self.visitor.as_ref().is_none_or(|visitor| *visitor == one.visitor_id)
            && (self.unread_by.is_none() || unread)
            && self.active_since.is_none_or(|since| one.last_activity_at >= since)
            && self.active_before.is_none_or(|before| one.last_activity_at < before)
            && self.order.time_of(one).is_some()
    }
}

/// Which assignee they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AssigneeFilter {
    Unassigned,
    AnyBot,
    Owner(Owner),
    /// What waits in the queues of this team. Its members are added as owners.
    Team(Uuid),
}

/// The time by which rows are sorted, and in which order. Their ids follow.
type Sort = (Column, Order);

/// Conversations that match, in the order of the filter, after the cursor (time and id of the last one before).
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    filter: &Filter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Result<Vec<Conversation>, DbErr> {
    let mut found = Vec::new();
    let statements = statements(conn.get_database_backend(), account, filter, after, limit);
    let is_one = statements.len() == 1;
    for statement in statements {
        let rows = Model::find_by_statement(statement).all(conn).await?;
        found.extend(rows.into_iter().map(Conversation::from));
    }
    if !is_one {
        first_of(&mut found, filter.order, limit);
    }
    Ok(found)
}

/// A page of an inbox that one statement reads together with what an inbox shows beside its rows ([`super::inbox_page`]).
pub(crate) struct Page {
    /// The conversations, as [`list`] reads them.
    pub(super) conversations: SelectStatement,
    pub(super) limit: u64,
    order: InboxOrder,
}

impl Page {
    /// None: the filter has more conditions than such a statement may have. [`list`] reads it.
    pub(crate) fn new(account: AccountId, filter: &Filter, after: Option<(Time, Uuid)>, limit: u64) -> Option<Self> {
        let arms = arms(account, filter);
        if arms.len() > MAX_ARMS_OF_PAGE {
            return None;
        }
        let conversations = select(account, filter, &arms, after, limit)?;
        Some(Self { conversations, limit, order: filter.order })
    }

    /// The conversations with these ids, of which there are up to `limit`. One text whatever the number of ids is, where the database has
    /// lists as parameters.
    pub(crate) fn of_ids(backend: DbBackend, account: AccountId, ids: Vec<Uuid>, limit: u64) -> Self {
        let has_id = match backend {
            DbBackend::Postgres => Column::Id.eq_any(ids),
            _ => Column::Id.is_in(ids),
        };
        let mut conversations = Entity::find().filter(Column::AccountId.eq(account)).filter(has_id).into_query();
        conversations.limit(limit);
        Self { conversations, limit, order: InboxOrder::default() }
    }

    /// Brings rows into the order of the page, which a join need not keep.
    pub(super) fn sort(&self, rows: &mut Vec<Conversation>) {
        first_of(rows, self.order, self.limit);
    }
}

/// The statements that together read the first rows: several for a large team.
fn statements(
    backend: DbBackend,
    account: AccountId,
    filter: &Filter,
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Vec<Statement> {
    let arms = arms(account, filter);
    let selects = arms.chunks(MAX_ARMS).filter_map(|some| select(account, filter, some, after, limit));
    selects.map(|select| backend.build(&select)).collect()
}

/// Leaves the first rows by the order, each once: one that got another assignee between two statements may be there twice.
fn first_of(found: &mut Vec<Conversation>, order: InboxOrder, limit: u64) {
    found.sort_by_key(|one| (order.time_of(one), one.id));
    if order.sort().1 == Order::Desc {
        found.reverse();
    }
    let mut ids = HashSet::new();
    found.retain(|one| ids.insert(one.id));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
}

/// Conversations of these accounts with activity after this position (time and id), the earliest first.
pub(crate) async fn list_active_after<C: ConnectionTrait>(
    conn: &C,
    accounts: &[AccountId],
    after: (Time, Uuid),
    limit: u64,
) -> Result<Vec<Conversation>, DbErr> {
    let sort = || (Column::LastActivityAt, Order::Asc);
    let arms = [Status::Open, Status::Closed].map(|status| {
        let query = Entity::find()
            .filter(Column::AccountId.is_in(accounts.iter().copied()))
            .filter(Column::Status.eq(status))
            .filter(keyset::after([Column::LastActivityAt, Column::Id], after));
        sorted(query.into_query(), sort(), limit)
    });
    let Some(rows) = merge(arms, sort(), limit) else { return Ok(Vec::new()) };
    let rows = Model::find_by_statement(conn.get_database_backend().build(&rows)).all(conn).await?;
    Ok(rows.into_iter().map(Conversation::from).collect())
}

/// None: nothing can match.
fn select(
    account: AccountId,
    filter: &Filter,
    arms: &[Condition],
    after: Option<(Time, Uuid)>,
    limit: u64,
) -> Option<SelectStatement> {
    let arms = arms.iter().cloned().map(|arm| {
        let mut query = Entity::find().filter(Column::AccountId.eq(account)).filter(arm);
        let (column, order) = filter.order.sort();
        if filter.order == InboxOrder::LongestWaiting {
            query = query.filter(column.is_not_null()).filter(Column::Status.eq(Status::Open));
        }
        if let Some(after) = after {
            let position = [column, Column::Id];
            let rest =
                if order == Order::Desc { keyset::before(position, after) } else { keyset::after(position, after) };
            query = query.filter(rest);
        }
        if let Some(since) = filter.active_since {
            query = query.filter(Column::LastActivityAt.gte(since));
        }
        if let Some(before) = filter.active_before {
            query = query.filter(Column::LastActivityAt.lt(before));
        }
        if let Some(agent) = filter.unread_by {
            query = query.filter(read_marks::has_unread(account, agent));
        }
        sorted(query.into_query(), filter.order.sort(), limit)
    });
    merge(arms, filter.order.sort(), limit)
}

/// The rows of all arms. None: there are no arms.
fn merge(arms: impl IntoIterator<Item = SelectStatement>, sort: Sort, limit: u64) -> Option<SelectStatement> {
    let mut arms: Vec<_> = arms.into_iter().collect();
    if arms.len() <= 1 {
        return arms.pop();
    }
    // In a subquery each, since SQLite sorts and limits only whole unions.
    let arms = arms.into_iter().map(|arm| Query::select().columns(Column::iter()).from_subquery(arm, "arm").take());
    let union = arms.reduce(|mut union, arm| union.union(UnionType::All, arm).take());
    union.map(|union| sorted(union, sort, limit))
}

fn sorted(mut query: SelectStatement, (column, order): Sort, limit: u64) -> SelectStatement {
    query.order_by(column, order.clone()).order_by(Column::Id, order).limit(limit).take()
}

/// The filter as conditions of which a conversation matches at most one. Each is read from an index in the order of the inbox;
/// of one condition with several values all matches would be read and sorted.
fn arms(account: AccountId, filter: &Filter) -> Vec<Condition> {
    let by_status: Vec<_> = filter.statuses.iter().map(|status| one(Column::Status.eq(*status))).collect();
    let by_assignee = by_assignee(account, &filter.assignees);
    let by_contact: Vec<_> = filter.contacts.iter().map(|contact| one(Column::ContactId.eq(*contact))).collect();
    let by_channel: Vec<_> = filter.channels.iter().map(|channel| one(Column::ChannelId.eq(*channel))).collect();
    let rest = any(&by_channel);
    if let Some(visitor) = &filter.visitor {
        let all = rest.add(Column::VisitorId.eq(visitor)).add(any(&by_status)).add(any(&by_assignee));
        return vec![all.add(any(&by_contact))];
    }
    if !by_contact.is_empty() {
        let rest = rest.add(any(&by_status)).add(any(&by_assignee));
        return by_contact.into_iter().map(|contact| rest.clone().add(contact)).collect();
    }
    let by_status = if by_status.is_empty() {
        [Status::Open, Status::Closed].map(|status| one(Column::Status.eq(status))).into()
    } else {
        by_status
    };
    // With assignees and channels: the conversations of each assignee are read, and those of other channels left out.
    let (second, rest) = match (by_assignee.is_empty(), by_channel.is_empty()) {
        (false, _) => (by_assignee, rest),
        (true, false) => (by_channel, Condition::all()),
        (true, true) => (vec![Condition::all()], Condition::all()),
    };
    let pairs = by_status.iter().flat_map(|status| second.iter().map(move |second| (status, second)));
    pairs.map(|(status, second)| rest.clone().add(status.clone()).add(second.clone())).collect()
}

fn by_assignee(account: AccountId, assignees: &HashSet<AssigneeFilter>) -> Vec<Condition> {
    let has = |filter: AssigneeFilter| assignees.contains(&filter);
    let (any_bot, unassigned) = (has(AssigneeFilter::AnyBot), has(AssigneeFilter::Unassigned));
    // A bot is one of any bots, and what waits is unassigned: both conditions would return the conversations twice.
    let distinct = assignees.iter().filter(|filter| match filter {
        AssigneeFilter::Owner(owner) => owner.is_agent() || !any_bot,
        AssigneeFilter::Team(_) => !unassigned,
        AssigneeFilter::Unassigned | AssigneeFilter::AnyBot => true,
    });
    // In the order of their kinds, so that equal filters have one text, which is prepared once.
    let mut distinct: Vec<_> = distinct.collect();
    distinct.sort_unstable_by_key(|filter| match filter {
        AssigneeFilter::Unassigned => 0,
        AssigneeFilter::AnyBot => 1,
        AssigneeFilter::Owner(_) => 2,
        AssigneeFilter::Team(_) => 3,
    });
    let condition = |filter: &AssigneeFilter| match filter {
        AssigneeFilter::Unassigned => one(Column::AssigneeId.is_null()),
        AssigneeFilter::AnyBot => one(Column::AssigneeKind.eq(OwnerKind::Bot)),
        AssigneeFilter::Owner(Owner { kind, id }) => {
            one(Column::AssigneeId.eq(*id)).add(Column::AssigneeKind.eq(*kind))
        }
        AssigneeFilter::Team(team) => queued_conversations::waits_for(account, *team),
    };
    distinct.into_iter().map(condition).collect()
}

fn one(condition: Expr) -> Condition {
    Condition::all().add(condition)
}

/// One of the conditions. None given: everything matches.
fn any(conditions: &[Condition]) -> Condition {
    if conditions.is_empty() {
        return Condition::all();
    }
    conditions.iter().cloned().fold(Condition::any(), Condition::add)
}

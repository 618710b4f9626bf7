//! A page of the inbox in one statement: conversations with the newest message or comment of each, the names in them, and how far an
//! agent has read them.
//!
//! The rows of a [`Page`] are a subquery. Everything else is found for each of them by a key: what is one value by a scalar subquery, and
//! only what has several columns by a join, because the time to plan a statement doubles with each joined table.

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, NOW_ON_POSTGRES, columns_as, planned, uuid_of_text};
use sea_orm::{
    Condition, DbBackend, DbErr, FromQueryResult, Iterable, QueryResult,
    entity::prelude::*,
    sea_query::{CaseStatement, ExprTrait, Func, Query, SelectStatement, SubQueryStatement},
};
use uuid::Uuid;

use super::{
    display_names::{self, DisplayNames},
    entity::{administrator, agent, bot, contact, conversation, entry, visitor},
    inbox::Page,
    newest_entries, read_marks,
};
use crate::domain::{Actor, ActorKind, ClosingFacts, Conversation, Entry, OwnerKind, ReadState, Visitor, VisitorLink};

/// The rows of a page, in its order.
#[derive(Default)]
pub(crate) struct PageRows {
    pub(crate) conversations: Vec<Conversation>,
    /// The newest message or comment, by conversation.
    pub(crate) newest_entries: HashMap<Uuid, Entry>,
    pub(crate) names: DisplayNames,
    /// How far the agent has read them, by agent and conversation.
    pub(crate) read_states: HashMap<(Uuid, Uuid), ReadState>,
    /// Time by the database's clock, without the offset of a moved clock. None: there are no rows, or it is SQLite.
    pub(crate) now: Option<Time>,
}

/// Name of the subquery, which is that of its table, so that expressions about a conversation hold for both.
const CONVERSATIONS: &str = "conversations";
// Columns that the rows of the subquery have besides those of the table.
const NEWEST: &str = "newest_sequence";
const READ: &str = "read_sequence";
// Prefixes of the columns of joined tables.
const ENTRY: &str = "entry_";
const LINKED: &str = "linked_";
const ADMINISTRATOR: &str = "administrator_";
// Names of the other columns.
const NOW: &str = "now";
const OWNER_NAME: &str = "owner_name";
const AUTHOR_NAME: &str = "author_name";
const CONTACT_NAME: &str = "contact_name";
const SHARED: &str = "contact_is_shared";
const UNREAD: &str = "unread";

/// The rows of the page. `agent`: whose read states they have.
pub(crate) async fn list<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    agent: Option<Uuid>,
    page: Page,
) -> Result<PageRows, DbErr> {
    let backend = conn.get_database_backend();
    let statement = planned(backend, &select(backend, account, agent, &page));
    let mut rows = PageRows::default();
    for row in conn.query_all_raw(statement).await? {
        rows.add(&row, agent)?;
        if backend == DbBackend::Postgres {
            rows.now = Some(Time(row.try_get("", NOW)?));
        }
    }
    page.sort(&mut rows.conversations);
    Ok(rows)
}

impl PageRows {
    fn add(&mut self, row: &QueryResult, agent: Option<Uuid>) -> Result<(), DbErr> {
        let one = Conversation::from(conversation::Model::from_query_result(row, "")?);
        if let Some(owner) = one.owner {
            self.names.add_owner(owner, row.try_get("", OWNER_NAME)?);
        }
        self.add_visitor_name(row, &one)?;
        if row.try_get::<Option<i64>>(ENTRY, "sequence")?.is_some() {
            let entry = Entry::try_from(entry::Model::from_query_result(row, ENTRY)?)?;
            self.add_author_name(row, &entry.author)?;
            self.newest_entries.insert(one.id, entry);
        }
        if let Some(agent) = agent {
            let state = ReadState { read: row.try_get("", READ)?, unread: row.try_get("", UNREAD)? };
            self.read_states.insert((agent, one.id), state);
        }
        self.conversations.push(one);
        Ok(())
    }

    fn add_visitor_name(&mut self, row: &QueryResult, one: &Conversation) -> Result<(), DbErr> {
        let mut visitor = None;
        if one.contact_id.is_some() && row.try_get::<Option<String>>(LINKED, "id")?.is_some() {
            visitor = Some(Visitor::from(visitor::Model::from_query_result(row, LINKED)?));
        }
        let (mut contact_name, mut is_shared) = (None, None);
        if ClosingFacts::own_contact(one, visitor.as_ref()).is_some() {
            contact_name = row.try_get::<Option<String>>("", CONTACT_NAME)?;
            is_shared = row.try_get::<Option<bool>>("", SHARED)?;
        }
        let own_name = visitor.as_ref().map(|visitor| visitor.name.as_str());
        let name = display_names::visitor_name(one, own_name, contact_name.as_deref(), is_shared.unwrap_or(false));
        self.names.add_visitor(one.id, name);
        Ok(())
    }

    fn add_author_name(&mut self, row: &QueryResult, author: &Actor) -> Result<(), DbErr> {
        if let Some(owner) = author.as_owner() {
            self.names.add_owner(owner, row.try_get("", AUTHOR_NAME)?);
        }
        if author.kind == ActorKind::Admin && row.try_get::<Option<String>>(ADMINISTRATOR, "subject")?.is_some() {
            self.names.add_administrator(administrator::Model::from_query_result(row, ADMINISTRATOR)?.into());
        }
        Ok(())
    }
}

fn select(backend: DbBackend, account: AccountId, agent: Option<Uuid>, page: &Page) -> SelectStatement {
    let entry = |column: entry::Column| Expr::col((entry::Entity, column));
    let at_newest = Condition::all()
        .add(entry(entry::Column::ConversationId).equals((CONVERSATIONS, conversation::Column::Id)))
        .add(entry(entry::Column::Sequence).equals((CONVERSATIONS, NEWEST)));
    let linked = |column: visitor::Column| Expr::col((visitor::Entity, column));
    let is_linked = Condition::all()
        .add(linked(visitor::Column::AccountId).eq(account))
        .add(linked(visitor::Column::Id).equals((CONVERSATIONS, conversation::Column::VisitorId)));
    let administrator = |column: administrator::Column| Expr::col((administrator::Entity, column));
    let is_author = Condition::all()
        .add(entry(entry::Column::AuthorKind).eq(ActorKind::Admin))
        .add(administrator(administrator::Column::AccountId).eq(account))
        .add(administrator(administrator::Column::Subject).equals((entry::Entity, entry::Column::AuthorId)));
    let owner_kind = column(conversation::Column::AssigneeKind);
    let owner_id = column(conversation::Column::AssigneeId);
    // An author is stored as text, and agents and bots are found by UUIDs.
    let author_id = Expr::cust(uuid_of_text(backend, r#""entries"."author_id""#));
    let mut rows = Query::select()
        .columns(conversation::Column::iter().map(|column| (CONVERSATIONS, column)))
        .expr(Expr::cust(columns_as::<entry::Column>("entries", ENTRY)))
        .expr(Expr::cust(columns_as::<visitor::Column>("visitors", LINKED)))
        .expr(Expr::cust(columns_as::<administrator::Column>("administrators", ADMINISTRATOR)))
        .expr_as(name_of(account, owner_kind, owner_id), OWNER_NAME)
        .expr_as(name_of(account, entry(entry::Column::AuthorKind), author_id), AUTHOR_NAME)
        .expr_as(contact_name(account), CONTACT_NAME)
        .expr_as(is_contact_shared(account), SHARED)
        .from_subquery(positions(account, agent, page), CONVERSATIONS)
        .left_join(entry::Entity, at_newest)
        .left_join(visitor::Entity, is_linked)
        .left_join(administrator::Entity, is_author)
        .take();
    if let Some(agent) = agent {
        rows.column((CONVERSATIONS, READ));
        rows.expr_as(read_marks::unread_count(agent, Expr::col((CONVERSATIONS, READ))), UNREAD);
    }
    if backend == DbBackend::Postgres {
        rows.expr_as(Expr::cust(NOW_ON_POSTGRES), NOW);
    }
    rows
}

/// The conversations with the sequences of their newest entries and read marks. It is limited, so that PostgreSQL looks for each once, and
/// not for each entry.
fn positions(account: AccountId, agent: Option<Uuid>, page: &Page) -> SelectStatement {
    let mut rows = Query::select()
        .columns(conversation::Column::iter().map(|column| (CONVERSATIONS, column)))
        .expr_as(newest_entries::newest_sequence(), NEWEST)
        .from_subquery(page.conversations.clone(), CONVERSATIONS)
        .limit(page.limit)
        .take();
    if let Some(agent) = agent {
        rows.expr_as(read_marks::read_sequence(account, agent), READ);
    }
    rows
}

/// A column of the conversation of the row.
fn column(column: conversation::Column) -> Expr {
    Expr::col((CONVERSATIONS, column))
}

/// The name of the agent or bot with this id. NULL: it is unknown, or the kind is another one.
fn name_of(account: AccountId, kind: Expr, id: Expr) -> Expr {
    let agents = Query::select()
        .column((agent::Entity, agent::Column::Name))
        .from(agent::Entity)
        .and_where(Expr::col((agent::Entity, agent::Column::AccountId)).eq(account))
        .and_where(Expr::col((agent::Entity, agent::Column::Id)).eq(id.clone()))
        .take();
    let bots = Query::select()
        .column((bot::Entity, bot::Column::Name))
        .from(bot::Entity)
        .and_where(Expr::col((bot::Entity, bot::Column::AccountId)).eq(account))
        .and_where(Expr::col((bot::Entity, bot::Column::Id)).eq(id))
        .take();
    CaseStatement::new()
        .case(kind.clone().eq(OwnerKind::Agent), subquery(agents))
        .case(kind.eq(OwnerKind::Bot), subquery(bots))
        .into()
}

/// The name of the conversation's contact.
fn contact_name(account: AccountId) -> Expr {
    let names = Query::select()
        .column((contact::Entity, contact::Column::Name))
        .from(contact::Entity)
        .and_where(Expr::col((contact::Entity, contact::Column::AccountId)).eq(account))
        .and_where(Expr::col((contact::Entity, contact::Column::Id)).eq(column(conversation::Column::ContactId)))
        .take();
    subquery(names)
}

/// Whether the visitors of the conversation's contact have different names. NULL: none has a name.
fn is_contact_shared(account: AccountId) -> Expr {
    let visitor = |column: visitor::Column| Expr::col((visitor::Entity, column));
    let least = Expr::from(Func::min(visitor(visitor::Column::Name)));
    let visitors = Query::select()
        .expr(least.ne(Func::max(visitor(visitor::Column::Name))))
        .from(visitor::Entity)
        .and_where(visitor(visitor::Column::AccountId).eq(account))
        .and_where(visitor(visitor::Column::ContactId).eq(column(conversation::Column::ContactId)))
        .and_where(visitor(visitor::Column::Link).eq(VisitorLink::Verified))
        .and_where(visitor(visitor::Column::Name).ne(""))
        .take();
    subquery(visitors)
}

fn subquery(select: SelectStatement) -> Expr {
    Expr::SubQuery(None, Box::new(SubQueryStatement::SelectStatement(select)))
}

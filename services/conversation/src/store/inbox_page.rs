//! A page of the inbox in one statement: conversations with the newest message or comment of each, the names in them, and how far an
//! agent has read them.
//!
//! The rows of a [`Page`] are a subquery. Everything else is found for each of them by a key: what is one value by a scalar subquery, and
//! only what has several columns by a join, because the time to plan a statement doubles with each joined table.

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{AccountId, Columns, NOW_ON_POSTGRES, planned, uuid_of_text};
use sea_orm::{
    Condition, DbBackend, DbErr, Iterable, JoinType, QueryResult,
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
use crate::domain::{ActorKind, ClosingFacts, Conversation, Entry, OwnerKind, ReadState, Visitor, VisitorLink};

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
        rows.add(backend, &row, agent)?;
    }
    page.sort(&mut rows.conversations);
    Ok(rows)
}

impl PageRows {
    /// Adds a row, whose columns are in the order of [`select`].
    fn add(&mut self, backend: DbBackend, row: &QueryResult, agent: Option<Uuid>) -> Result<(), DbErr> {
        let mut columns = Columns::new(row);
        let one = Conversation::from(conversation::Model::read(&mut columns)?);
        let newest = columns.read_joined::<entry::Column, _>(entry::Model::read)?.map(Entry::try_from).transpose()?;
        let visitor = columns.read_joined::<visitor::Column, _>(visitor::Model::read)?.map(Visitor::from);
        let administrator = columns.read_joined::<administrator::Column, _>(administrator::Model::read)?;
        let (owner_name, author_name) = (columns.read_optional()?, columns.read_optional()?);
        let (contact_name, is_shared) = (columns.read_optional()?, columns.read_optional()?);
        if let Some(agent) = agent {
            let state = ReadState { read: columns.read()?, unread: columns.read()? };
            self.read_states.insert((agent, one.id), state);
        }
        if backend == DbBackend::Postgres {
            self.now = Some(Time(columns.read()?));
        }
        if let Some(owner) = one.owner {
            self.names.add_owner(owner, owner_name);
        }
        if let Some(author) = newest.as_ref().and_then(|entry| entry.author.as_owner()) {
            self.names.add_owner(author, author_name);
        }
        if let Some(administrator) = administrator {
            self.names.add_administrator(administrator.into());
        }
        self.add_visitor_name(&one, visitor.as_ref(), contact_name, is_shared.unwrap_or(false));
        self.newest_entries.extend(newest.map(|entry| (one.id, entry)));
        self.conversations.push(one);
        Ok(())
    }

    /// `contact_name`: that of the conversation's contact, whose visitors have different names if it `is_shared`.
    fn add_visitor_name(
        &mut self,
        one: &Conversation,
        visitor: Option<&Visitor>,
        contact_name: Option<String>,
        is_shared: bool,
    ) {
        let contact_name = contact_name.filter(|_| ClosingFacts::own_contact(one, visitor).is_some());
        let own_name = visitor.map(|visitor| visitor.name.as_str());
        let name = display_names::visitor_name(one, own_name, contact_name.as_deref(), is_shared);
        self.names.add_visitor(one.id, name);
    }
}

/// The statement, whose columns [`PageRows::add`] reads by their positions.
fn select(backend: DbBackend, account: AccountId, agent: Option<Uuid>, page: &Page) -> SelectStatement {
    let author = |column: entry::Column| Expr::col((entry::Entity, column));
    let owner_kind = column(conversation::Column::AssigneeKind);
    let owner_id = column(conversation::Column::AssigneeId);
    // An author is stored as text, and agents and bots are found by UUIDs.
    let author_id = Expr::cust(uuid_of_text(backend, r#""entries"."author_id""#));
    let mut rows = Query::select()
        .columns(conversation::Column::iter().map(|column| (CONVERSATIONS, column)))
        .columns(entry::Column::iter().map(|column| (entry::Entity, column)))
        .columns(visitor::Column::iter().map(|column| (visitor::Entity, column)))
        .columns(administrator::Column::iter().map(|column| (administrator::Entity, column)))
        .expr(name_of(account, owner_kind, owner_id))
        .expr(name_of(account, author(entry::Column::AuthorKind), author_id))
        .expr(contact_name(account))
        .expr(is_contact_shared(account))
        .from_subquery(positions(backend, account, agent, page), CONVERSATIONS)
        .take();
    join_newest(backend, &mut rows);
    rows.left_join(visitor::Entity, is_linked(account)).left_join(administrator::Entity, is_author(account));
    if let Some(agent) = agent {
        rows.column((CONVERSATIONS, READ));
        rows.expr(read_marks::unread_count(agent, Expr::col((CONVERSATIONS, READ))));
    }
    if backend == DbBackend::Postgres {
        // A subquery, which is evaluated once, and not for each row.
        rows.expr(Expr::cust(format!("(SELECT {NOW_ON_POSTGRES})")));
    }
    rows
}

/// The conversations with the read marks and, where the newest entries are joined by them, with their sequences. It is limited, so that
/// the database looks for each once, and not for each use or entry.
fn positions(backend: DbBackend, account: AccountId, agent: Option<Uuid>, page: &Page) -> SelectStatement {
    let mut rows = Query::select()
        .columns(conversation::Column::iter().map(|column| (CONVERSATIONS, column)))
        .from_subquery(page.conversations.clone(), CONVERSATIONS)
        .limit(page.limit)
        .take();
    if let Some(agent) = agent {
        rows.expr_as(read_marks::read_sequence(account, agent), READ);
    }
    if backend != DbBackend::Postgres {
        rows.expr_as(newest_entries::newest_sequence(), NEWEST);
    }
    rows
}

/// Joins the newest message or comment of each conversation: by a lateral subquery, which reads the entry once, or by its sequence, since
/// SQLite has no lateral ones.
fn join_newest(backend: DbBackend, rows: &mut SelectStatement) {
    if backend == DbBackend::Postgres {
        let always = Expr::cust("TRUE");
        rows.join_lateral(JoinType::LeftJoin, newest_entries::newest_entry(), entry::Entity, always);
        return;
    }
    let entry = |column: entry::Column| Expr::col((entry::Entity, column));
    let at_newest = Condition::all()
        .add(entry(entry::Column::ConversationId).equals((CONVERSATIONS, conversation::Column::Id)))
        .add(entry(entry::Column::Sequence).equals((CONVERSATIONS, NEWEST)));
    rows.left_join(entry::Entity, at_newest);
}

/// Whether a visitor is the one of the conversation of the row, and the conversation has a contact. Otherwise the key is NULL, for which
/// no index is searched.
fn is_linked(account: AccountId) -> Condition {
    let visitor = |column: visitor::Column| Expr::col((visitor::Entity, column));
    let id = CaseStatement::new()
        .case(column(conversation::Column::ContactId).is_not_null(), column(conversation::Column::VisitorId));
    Condition::all().add(visitor(visitor::Column::AccountId).eq(account)).add(visitor(visitor::Column::Id).eq(id))
}

/// Whether an administrator is the author of the entry of the row. Of other authors the key is NULL.
fn is_author(account: AccountId) -> Condition {
    let administrator = |column: administrator::Column| Expr::col((administrator::Entity, column));
    let author = |column: entry::Column| Expr::col((entry::Entity, column));
    let subject = CaseStatement::new()
        .case(author(entry::Column::AuthorKind).eq(ActorKind::Admin), author(entry::Column::AuthorId));
    Condition::all()
        .add(administrator(administrator::Column::AccountId).eq(account))
        .add(administrator(administrator::Column::Subject).eq(subject))
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

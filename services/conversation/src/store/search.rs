//! Searches of entries and contacts by their words (rules C9, X2), the latest started first. Every statement reads a bounded number
//! of rows of the index, whatever the words: a page ends where that number is reached, and the next one goes on there.

use std::collections::{BTreeSet, HashSet};

use frontdesk_db::AccountId;
use sea_orm::{DbBackend, DbErr, QueryResult, Statement, Value, entity::prelude::*};
use uuid::Uuid;

use crate::domain::{SearchQuery, Status};

/// Maximum number of rows of the index that one search looks through for each word that it begins with.
const MAX_CANDIDATES: usize = 1_000;
/// Maximum number of different words that the beginning of a word finds, in the order of their bytes.
const MAX_PREFIX_WORDS: usize = 20;

/// Which conversations a search finds. An empty set matches all.
#[derive(Clone, Debug, Default)]
pub(crate) struct SearchFilter {
    pub(crate) statuses: HashSet<Status>,
    pub(crate) channels: BTreeSet<Uuid>,
    pub(crate) contacts: BTreeSet<Uuid>,
}

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found<P> {
    /// In descending order, each once.
    pub(crate) matches: Vec<P>,
    /// Where the search goes on, when it ended before it had looked through everything.
    pub(crate) next: Option<P>,
}

impl<P> Found<P> {
    fn nothing() -> Self {
        Self { matches: Vec::new(), next: None }
    }
}

/// Entries that match: conversation and sequence of each. `after`: where the search goes on.
pub(crate) async fn find_entries<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    query: &SearchQuery,
    filter: &SearchFilter,
    after: Option<(Uuid, i64)>,
) -> Result<Found<(Uuid, i64)>, DbErr> {
    let after = after.map(|(conversation, sequence)| vec![conversation.into(), sequence.into()]);
    let search = Search { conn, index: &ENTRIES, account, after };
    let position =
        |row: &QueryResult| -> Result<(Uuid, i64), DbErr> { Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)) };
    search.run(query, |sql: &mut Sql| matches_filter(sql, account, filter), position).await
}

/// Contacts that match. `after`: where the search goes on.
pub(crate) async fn find_contacts<C: ConnectionTrait>(
    conn: &C,
    account: AccountId,
    query: &SearchQuery,
    after: Option<Uuid>,
) -> Result<Found<Uuid>, DbErr> {
    let search = Search { conn, index: &CONTACTS, account, after: after.map(|contact| vec![contact.into()]) };
    let position = |row: &QueryResult| -> Result<Uuid, DbErr> { row.try_get_by_index(0) };
    search.run(query, |_: &mut Sql| None, position).await
}

/// The words of the index that a word of the query finds: one, or those that begin with it. Empty: it finds nothing.
type Spellings = Vec<Vec<u8>>;

/// A table of words, whose primary key is account, word and the columns that name what has the word.
struct Index {
    table: &'static str,
    keys: &'static [&'static str],
}

const ENTRIES: Index = Index { table: "search_words", keys: &["conversation_id", "sequence"] };
const CONTACTS: Index = Index { table: "contact_search_words", keys: &["contact_id"] };

impl Index {
    /// The key in a statement, each column of it written by `write`.
    fn key(&self, write: impl Fn(&str) -> String) -> String {
        self.keys.iter().map(|key| write(key)).collect::<Vec<_>>().join(", ")
    }

    fn same_key(&self, one: &str, other: &str) -> String {
        self.keys.iter().map(|key| format!("{one}.{key} = {other}.{key}")).collect::<Vec<_>>().join(" AND ")
    }
}

/// The text of a statement, while its parameters are collected.
struct Sql {
    backend: DbBackend,
    values: Vec<Value>,
}

impl Sql {
    fn new(backend: DbBackend) -> Self {
        Self { backend, values: Vec::new() }
    }

    /// Adds a parameter; returns its name in the text.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        match self.backend {
            DbBackend::Postgres => format!("${}", self.values.len()),
            _ => format!("?{}", self.values.len()),
        }
    }

    fn bind_all(&mut self, values: impl IntoIterator<Item = impl Into<Value>>) -> String {
        values.into_iter().map(|value| self.bind(value)).collect::<Vec<_>>().join(", ")
    }

    fn statement(self, text: String) -> Statement {
        Statement::from_sql_and_values(self.backend, text, self.values)
    }
}

/// A search in one index.
struct Search<'a, C> {
    conn: &'a C,
    index: &'static Index,
    account: AccountId,
    /// Key of the last row that was looked through.
    after: Option<Vec<Value>>,
}

impl<C: ConnectionTrait> Search<'_, C> {
    async fn run<P: PartialEq>(
        &self,
        query: &SearchQuery,
        filter: impl FnOnce(&mut Sql) -> Option<String>,
        position: impl Fn(&QueryResult) -> Result<P, DbErr>,
    ) -> Result<Found<P>, DbErr> {
        let mut words: Vec<Spellings> = query.words.iter().map(|word| vec![word.clone().into_bytes()]).collect();
        if words.len() > 1 || (query.prefix.is_some() && !words.is_empty()) {
            words = self.rarest_first(words).await?;
        }
        if let Some(prefix) = &query.prefix {
            words.push(self.words_that_begin_with(prefix).await?);
        }
        if words.iter().any(Vec::is_empty) {
            return Ok(Found::nothing());
        }
        let Some((first, others)) = words.split_first() else { return Ok(Found::nothing()) };
        let rows = self.conn.query_all_raw(self.candidates(first, others, filter)).await?;
        let mut matches = Vec::new();
        for row in &rows {
            // After the key, by its position: there are up to a thousand rows.
            if row.try_get_by_index::<i32>(self.index.keys.len())? == 1 {
                matches.push(position(row)?);
            }
        }
        // What has two words with one beginning.
        matches.dedup();
        let last = rows.last().filter(|_| rows.len() == MAX_CANDIDATES);
        Ok(Found { matches, next: last.map(position).transpose()? })
    }

    /// The words with the one first that the fewest rows have. A word that no row has becomes an empty list.
    async fn rarest_first(&self, words: Vec<Spellings>) -> Result<Vec<Spellings>, DbErr> {
        let mut sql = Sql::new(self.conn.get_database_backend());
        let account = sql.bind(self.account.0);
        let table = self.index.table;
        let count = |(number, spellings): (usize, &Spellings)| {
            let words = sql.bind_all(spellings.iter().cloned());
            format!(
                "SELECT {number} AS number, (SELECT count(*) FROM (SELECT 1 FROM {table} WHERE account_id = {account} \
                 AND word IN ({words}) LIMIT {MAX_CANDIDATES}) AS counted) AS total"
            )
        };
        let counts: Vec<_> = words.iter().enumerate().map(count).collect();
        let text = counts.join(" UNION ALL ");
        let mut counted = Vec::new();
        for row in self.conn.query_all_raw(sql.statement(text)).await? {
            counted.push((row.try_get::<i64>("", "total")?, row.try_get::<i32>("", "number")?));
        }
        counted.sort_unstable();
        let found = |(total, number): (i64, i32)| match total {
            0 => Vec::new(),
            _ => usize::try_from(number).ok().and_then(|number| words.get(number)).cloned().unwrap_or_default(),
        };
        Ok(counted.into_iter().map(found).collect())
    }

    /// Up to [`MAX_PREFIX_WORDS`] words of the account that begin so. Each is found by a search of the index, which passes over the
    /// rows of the word before.
    async fn words_that_begin_with(&self, prefix: &str) -> Result<Spellings, DbErr> {
        let mut sql = Sql::new(self.conn.get_database_backend());
        let table = self.index.table;
        let account = sql.bind(self.account.0);
        let first = sql.bind(prefix.as_bytes().to_vec());
        // No character has this byte in UTF-8.
        let end = sql.bind([prefix.as_bytes(), &[0xFF][..]].concat());
        let next = |from: &str| {
            format!(
                "(SELECT words.word FROM {table} AS words WHERE words.account_id = {account} AND words.word {from} \
                 AND words.word < {end} ORDER BY words.word LIMIT 1)"
            )
        };
        let (first, following) = (next(&format!(">= {first}")), next("> found.word"));
        let text = format!(
            "WITH RECURSIVE found (word, number) AS (SELECT {first}, 1 UNION ALL SELECT {following}, found.number + 1 FROM found \
             WHERE found.word IS NOT NULL AND found.number < {MAX_PREFIX_WORDS}) SELECT word FROM found WHERE word IS NOT NULL"
        );
        let rows = self.conn.query_all_raw(sql.statement(text)).await?;
        rows.iter().map(|row| row.try_get("", "word")).collect()
    }

    /// The next rows of the first word, and of each whether it has the others and passes the filter.
    fn candidates(
        &self,
        first: &[Vec<u8>],
        others: &[Spellings],
        filter: impl FnOnce(&mut Sql) -> Option<String>,
    ) -> Statement {
        let mut sql = Sql::new(self.conn.get_database_backend());
        let (index, table) = (self.index, self.index.table);
        let account = sql.bind(self.account.0);
        let rest = self
            .after
            .as_ref()
            .map(|after| format!("AND ({}) < ({})", index.key(str::to_owned), sql.bind_all(after.iter().cloned())));
        let (rest, key, descending) =
            (rest.unwrap_or_default(), index.key(str::to_owned), index.key(|key| format!("{key} DESC")));
        // One scan of the index for each word: of several words in one condition all rows would be read and sorted. In a subquery,
        // since SQLite sorts and limits only whole unions.
        let scans = first.iter().map(|word| {
            let word = sql.bind(word.clone());
            format!(
                "SELECT {key} FROM (SELECT {key} FROM {table} WHERE account_id = {account} AND word = {word} {rest} \
                 ORDER BY {descending} LIMIT {MAX_CANDIDATES}) AS scan"
            )
        });
        let scans = scans.collect::<Vec<_>>().join(" UNION ALL ");
        let same = index.same_key("other", "candidate");
        let mut conditions: Vec<_> = others
            .iter()
            .map(|spellings| {
                let words = sql.bind_all(spellings.iter().cloned());
                format!(
                    "EXISTS (SELECT 1 FROM {table} AS other WHERE other.account_id = {account} AND other.word IN ({words}) AND {same})"
                )
            })
            .collect();
        conditions.extend(filter(&mut sql));
        let conditions = if conditions.is_empty() { "1 = 1".to_owned() } else { conditions.join(" AND ") };
        let columns = index.key(|key| format!("candidate.{key}"));
        let order = index.key(|key| format!("candidate.{key} DESC"));
        let text = format!(
            "SELECT {columns}, CASE WHEN {conditions} THEN 1 ELSE 0 END AS is_match \
             FROM (SELECT {key} FROM ({scans}) AS scans ORDER BY {descending} LIMIT {MAX_CANDIDATES}) AS candidate ORDER BY {order}"
        );
        sql.statement(text)
    }
}

/// The condition that the conversation of a candidate passes the filter. None: all do.
fn matches_filter(sql: &mut Sql, account: AccountId, filter: &SearchFilter) -> Option<String> {
    let mut conditions = Vec::new();
    if !filter.statuses.is_empty() {
        conditions.push(format!("status IN ({})", sql.bind_all(filter.statuses.iter().copied())));
    }
    if !filter.channels.is_empty() {
        conditions.push(format!("channel_id IN ({})", sql.bind_all(filter.channels.iter().copied())));
    }
    if !filter.contacts.is_empty() {
        conditions.push(format!("contact_id IN ({})", sql.bind_all(filter.contacts.iter().copied())));
    }
    (!conditions.is_empty()).then(|| {
        format!(
            "EXISTS (SELECT 1 FROM conversations WHERE conversations.id = candidate.conversation_id AND account_id = {} AND {})",
            sql.bind(account.0),
            conditions.join(" AND ")
        )
    })
}

//! The words of entries and contacts as rows, by which searches find them (rules C9, X2): how they are stored.

use std::collections::{BTreeMap, BTreeSet};

use frontdesk_db::{AccountId, Tx, hex, json_rows};
use sea_orm::{
    DbBackend, DbErr, FromQueryResult, Order, Statement, Value,
    entity::prelude::*,
    sea_query::{ExprTrait, Func, Query},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    entity::{conversation, search_mark},
    entries::{self, UnindexedEntry},
    tickets,
};
use crate::domain::{Contact, indexed_words};

/// Maximum number of entries that one transaction indexes: on SQLite, messages wait for it.
const MAX_ENTRIES: u64 = 50;
/// Number of words after which a transaction takes no further entry: texts of many different words make it long.
const MAX_WORDS: usize = 5_000;
/// Key of the advisory lock that an indexing transaction holds (PostgreSQL): any number that nothing else on the server is likely to
/// use.
const INDEX_LOCK: i64 = 0x66_7365_6172_6368;

/// A conversation with entries whose words are not stored.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(crate) struct Unindexed {
    id: Uuid,
    /// Up to this sequence they are.
    indexed: i64,
}

/// Those of these conversations, of any account, that have entries whose words are not stored.
pub(crate) async fn list_unindexed<C: ConnectionTrait>(conn: &C, ids: &[Uuid]) -> Result<Vec<Unindexed>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let column = |column: conversation::Column| Expr::col((conversation::Entity, column));
    let mark = Expr::col((search_mark::Entity, search_mark::Column::Sequence));
    let indexed = Expr::from(Func::coalesce([mark, Expr::value(0_i64)]));
    let of_conversation = Expr::col((search_mark::Entity, search_mark::Column::ConversationId))
        .equals((conversation::Entity, conversation::Column::Id));
    let rows = Query::select()
        .expr_as(column(conversation::Column::Id), "id")
        .expr_as(indexed.clone(), "indexed")
        .from(conversation::Entity)
        .left_join(search_mark::Entity, of_conversation)
        .and_where(column(conversation::Column::Id).is_in(ids.iter().copied()))
        .and_where(column(conversation::Column::LastSequence).gt(indexed))
        .order_by((conversation::Entity, conversation::Column::Id), Order::Desc)
        .take();
    Unindexed::find_by_statement(conn.get_database_backend().build(&rows)).all(conn).await
}

/// Lets no other replica index until the transaction ends. False: another one is at it.
pub(crate) async fn try_lock(tx: &Tx) -> Result<bool, DbErr> {
    // SQLite has one process, and one transaction that writes.
    if tx.conn().get_database_backend() == DbBackend::Sqlite {
        return Ok(true);
    }
    let lock = "SELECT pg_try_advisory_xact_lock($1) AS locked";
    let lock = Statement::from_sql_and_values(DbBackend::Postgres, lock, [INDEX_LOCK.into()]);
    tx.conn().query_one_raw(lock).await?.map_or(Ok(false), |row| row.try_get("", "locked"))
}

/// Waits until no replica indexes, and lets none until the transaction ends.
pub(super) async fn lock(tx: &Tx) -> Result<(), DbErr> {
    // SQLite has one process, and one transaction that writes.
    if tx.conn().get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    let lock =
        Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_advisory_xact_lock($1)", [INDEX_LOCK.into()]);
    tx.conn().query_all_raw(lock).await.map(drop)
}

/// Stores the words of the first entries of these conversations that are not indexed. Returns whether all of them are now. An entry
/// that cannot be read has no words, and holds up no other one.
pub(crate) async fn index_entries(tx: &Tx, unindexed: &[Unindexed]) -> Result<bool, DbErr> {
    let after = unindexed.iter().map(|one| (one.id, one.indexed));
    let entries = entries::list_after_each(tx.conn(), after, MAX_ENTRIES).await?;
    let accounts: BTreeSet<_> = entries.iter().map(|entry| entry.account).collect();
    let created = entries.iter().filter_map(|entry| entry.content.as_ref()?.created_ticket()).collect();
    let subjects = tickets::find_subjects(tx.conn(), accounts, created).await?;
    // In one order everywhere: two transactions with the same rows do not deadlock.
    let (mut words, mut marks, mut taken) = (BTreeSet::new(), BTreeMap::new(), 0);
    for UnindexedEntry { account, conversation, sequence, content } in &entries {
        let text = content.as_ref().and_then(|content| content.search_text(&subjects));
        let found = text.map(|text| indexed_words(&text)).unwrap_or_default();
        words.extend(found.into_iter().map(|word| (*account, word, *conversation, *sequence)));
        marks.insert(*conversation, (*account, *sequence));
        taken += 1;
        if words.len() >= MAX_WORDS {
            break;
        }
    }
    if !words.is_empty() {
        insert_words(tx, words).await?;
    }
    if !marks.is_empty() {
        raise_marks(tx, marks).await?;
    }
    Ok(taken == entries.len() && (taken as u64) < MAX_ENTRIES)
}

/// Account, word, conversation and sequence.
pub(super) type EntryWord = (AccountId, String, Uuid, i64);

async fn insert_words(tx: &Tx, words: BTreeSet<EntryWord>) -> Result<(), DbErr> {
    let insert = if tx.conn().get_database_backend() == DbBackend::Sqlite {
        let sql = "INSERT INTO search_words (account_id, word, conversation_id, sequence)
            SELECT unhex(new.value->>0), unhex(new.value->>1), unhex(new.value->>2), new.value->>3
            FROM json_each(?) AS new WHERE true ON CONFLICT DO NOTHING";
        let row = |(account, word, conversation, sequence): EntryWord| {
            json!([hex(account.0.as_bytes()), hex(word.as_bytes()), hex(conversation.as_bytes()), sequence])
        };
        json_rows(sql, words.into_iter().map(row))
    } else {
        let sql = "INSERT INTO search_words (account_id, word, conversation_id, sequence)
            SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::bigint[]) ON CONFLICT DO NOTHING";
        let (mut accounts, mut texts, mut conversations, mut sequences) = (vec![], vec![], vec![], vec![]);
        for (account, word, conversation, sequence) in words {
            accounts.push(account.0);
            texts.push(word.into_bytes());
            conversations.push(conversation);
            sequences.push(sequence);
        }
        let values: [Value; 4] = [accounts.into(), texts.into(), conversations.into(), sequences.into()];
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    };
    tx.conn().execute_raw(insert).await.map(drop)
}

/// Deletes words of entries.
pub(super) async fn delete_of_entries(tx: &Tx, words: BTreeSet<EntryWord>) -> Result<(), DbErr> {
    if words.is_empty() {
        return Ok(());
    }
    let delete = if tx.conn().get_database_backend() == DbBackend::Sqlite {
        let sql = "DELETE FROM search_words WHERE (account_id, word, conversation_id, sequence) IN (
            SELECT unhex(old.value->>0), unhex(old.value->>1), unhex(old.value->>2), old.value->>3 FROM json_each(?) AS old)";
        let row = |(account, word, conversation, sequence): EntryWord| {
            json!([hex(account.0.as_bytes()), hex(word.as_bytes()), hex(conversation.as_bytes()), sequence])
        };
        json_rows(sql, words.into_iter().map(row))
    } else {
        let sql = "DELETE FROM search_words
            USING unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::bigint[]) AS old (account_id, word, conversation_id, sequence)
            WHERE search_words.account_id = old.account_id AND search_words.word = old.word
                AND search_words.conversation_id = old.conversation_id AND search_words.sequence = old.sequence";
        let (mut accounts, mut texts, mut conversations, mut sequences) = (vec![], vec![], vec![], vec![]);
        for (account, word, conversation, sequence) in words {
            accounts.push(account.0);
            texts.push(word.into_bytes());
            conversations.push(conversation);
            sequences.push(sequence);
        }
        let values: [Value; 4] = [accounts.into(), texts.into(), conversations.into(), sequences.into()];
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    };
    tx.conn().execute_raw(delete).await.map(drop)
}

/// `marks`: account and sequence, by conversation.
async fn raise_marks(tx: &Tx, marks: BTreeMap<Uuid, (AccountId, i64)>) -> Result<(), DbErr> {
    const RAISE: &str = "ON CONFLICT (conversation_id) DO UPDATE SET sequence = excluded.sequence
        WHERE excluded.sequence > search_marks.sequence";
    let raise = if tx.conn().get_database_backend() == DbBackend::Sqlite {
        let sql = format!(
            "INSERT INTO search_marks (conversation_id, account_id, sequence)
             SELECT unhex(new.value->>0), unhex(new.value->>1), new.value->>2 FROM json_each(?) AS new WHERE true {RAISE}"
        );
        let row = |(conversation, (account, sequence)): (Uuid, (AccountId, i64))| {
            json!([hex(conversation.as_bytes()), hex(account.0.as_bytes()), sequence])
        };
        json_rows(&sql, marks.into_iter().map(row))
    } else {
        let sql = format!(
            "INSERT INTO search_marks (conversation_id, account_id, sequence)
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) {RAISE}"
        );
        let (mut conversations, mut accounts, mut sequences) = (vec![], vec![], vec![]);
        for (conversation, (account, sequence)) in marks {
            conversations.push(conversation);
            accounts.push(account.0);
            sequences.push(sequence);
        }
        let values: [Value; 3] = [conversations.into(), accounts.into(), sequences.into()];
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    };
    tx.conn().execute_raw(raise).await.map(drop)
}

/// Replaces the words of the contact, which is locked or new.
pub(super) async fn replace_of_contact(tx: &Tx, contact: &Contact) -> Result<(), DbErr> {
    delete_of_contact(tx, contact).await?;
    let words = indexed_words(&contact.search_text());
    if words.is_empty() {
        return Ok(());
    }
    let insert = if tx.conn().get_database_backend() == DbBackend::Sqlite {
        let sql = "INSERT INTO contact_search_words (account_id, word, contact_id)
            SELECT unhex(new.value->>0), unhex(new.value->>1), unhex(new.value->>2) FROM json_each(?) AS new";
        let [account, contact] = [contact.account.0, contact.id].map(|id| hex(id.as_bytes()));
        json_rows(sql, words.into_iter().map(|word| json!([account, hex(word.as_bytes()), contact])))
    } else {
        let sql = "INSERT INTO contact_search_words (account_id, word, contact_id)
            SELECT $1, word, $3 FROM unnest($2::bytea[]) AS new (word)";
        let words: Vec<_> = words.into_iter().map(String::into_bytes).collect();
        let values: [Value; 3] = [contact.account.0.into(), words.into(), contact.id.into()];
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    };
    tx.conn().execute_raw(insert).await.map(drop)
}

pub(super) async fn delete_of_contact(tx: &Tx, contact: &Contact) -> Result<(), DbErr> {
    let backend = tx.conn().get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => "DELETE FROM contact_search_words WHERE account_id = $1 AND contact_id = $2",
        _ => "DELETE FROM contact_search_words WHERE account_id = ? AND contact_id = ?",
    };
    let values: [Value; 2] = [contact.account.0.into(), contact.id.into()];
    tx.conn().execute_raw(Statement::from_sql_and_values(backend, sql, values)).await.map(drop)
}

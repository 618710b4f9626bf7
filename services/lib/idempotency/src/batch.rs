//! The keys of many requests: looked up with one statement, stored with one.
//!
//! A batch claims nothing: its writer reads its rows, looks the keys up, decides and stores the results. An id that is used at
//! the same time for another row violates the primary key then ([`is_id_taken`]).

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{columns_as, hex, is_in, json_array, json_rows, violated_unique_index};
use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, IdenStatic, QueryResult, Value, prelude::Uuid};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    entity::{Column, Model},
    key::{ClaimError, Key},
};

// CROSS JOIN keeps the order: each request is found by its key.
const FIND_ON_SQLITE: &str =
    "SELECT requests.account_id, requests.actor, requests.request_id, fingerprint, result, created_at
    FROM json_each(?1) AS key CROSS JOIN requests ON requests.account_id = unhex(key.value->>0)
        AND requests.actor = key.value->>1 AND requests.request_id = key.value->>2";

/// Prefix of the columns of [`RequestBatch::columns_sql`].
const PREFIX: &str = "request_";

type Id = (Uuid, String, String);

/// The requests of a batch: those that were made before, and those that it makes.
#[derive(Debug, Default)]
pub struct RequestBatch {
    rows: HashMap<Id, Model>,
    /// With the row that each changes.
    new: Vec<(Id, Uuid)>,
}

/// True: the statement was refused because another transaction used one of the request ids after they were looked up.
pub fn is_id_taken(error: &DbErr) -> bool {
    violated_unique_index(error).is_some_and(|index| index == "requests_pk" || index.starts_with("requests."))
}

impl RequestBatch {
    /// For SQLite: the requests with these keys that were made before.
    pub async fn find<'a>(conn: &impl ConnectionTrait, keys: impl Iterator<Item = &'a Key>) -> Result<Self, DbErr> {
        let keys = keys.map(|key| json!([hex(key.account.0.as_bytes()), key.actor, key.request_id]));
        let mut found = Self::default();
        for row in conn.query_all_raw(json_rows(FIND_ON_SQLITE, keys)).await? {
            found.add_row(Model::from_query_result(&row, "")?);
        }
        Ok(found)
    }

    /// For PostgreSQL: the query of the request with this key, given by the expressions of its three parts, as a lateral subquery of a
    /// larger statement: for a plain join the planner may read all requests of the account for each key.
    pub fn select_sql([account, actor, id]: [&str; 3]) -> String {
        format!(
            "SELECT * FROM requests WHERE requests.account_id = {account} AND requests.actor = {actor} \
             AND requests.request_id = {id} LIMIT 1"
        )
    }

    /// The columns of a row that [`Self::select_sql`] finds as `found`, for [`Self::add`].
    pub fn columns_sql(found: &str) -> String {
        columns_as::<Column>(found, PREFIX)
    }

    /// The parts of the keys, a list each.
    pub fn select_values<'a>(keys: impl Iterator<Item = &'a Key>) -> [Value; 3] {
        let (mut accounts, mut actors, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            accounts.push(key.account.0);
            actors.push(key.actor.clone());
            ids.push(key.request_id.clone());
        }
        [accounts.into(), actors.into(), ids.into()]
    }

    /// Adds the request that is in this row, if there is one, by [`Self::columns_sql`].
    pub fn add(&mut self, row: &QueryResult) -> Result<(), DbErr> {
        if row.try_get::<Option<Uuid>>(PREFIX, Column::AccountId.as_str())?.is_some() {
            self.add_row(Model::from_query_result(row, PREFIX)?);
        }
        Ok(())
    }

    /// The result of the first request with this key, also when the batch itself made it.
    pub fn result<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, ClaimError> {
        self.rows.get(&key.id()).map(|first| key.result_of(first)).transpose()
    }

    /// Adds a reference to what the request made, to be stored by [`Self::insert_sql`] or [`Self::insert_on_sqlite_sql`]. `changed`: the row that it changed.
    pub fn store_result<T: Serialize>(&mut self, key: &Key, result: &T, changed: Uuid, now: Time) -> Result<(), DbErr> {
        let result = serde_json::to_string(result).map_err(|error| DbErr::Type(error.to_string()))?;
        self.new.push((key.id(), changed));
        self.add_row(Model {
            account_id: key.account.0,
            actor: key.actor.clone(),
            request_id: key.request_id.clone(),
            fingerprint: key.fingerprint.clone(),
            result: Some(result),
            created_at: now.0,
        });
        Ok(())
    }

    /// For SQLite: the statement that stores the requests that the batch makes, with the parameter [`Self::into_json`]. Only requests
    /// whose row the query `changed` returns are stored. Fails when one of the ids was used meanwhile ([`is_id_taken`]).
    pub fn insert_on_sqlite_sql(changed: &str) -> String {
        format!(
            "INSERT INTO requests (account_id, actor, request_id, fingerprint, result, created_at)
             SELECT unhex(new.value->>0), new.value->>1, new.value->>2, unhex(new.value->>3), new.value->>4, new.value->>5
             FROM json_each(?) AS new WHERE unhex(new.value->>6) IN ({changed})"
        )
    }

    /// The parameter of [`Self::insert_on_sqlite_sql`].
    pub fn into_json(self) -> Value {
        json_array(self.into_new().iter().map(|(row, changed)| {
            let (account, fingerprint) = (hex(row.account_id.as_bytes()), hex(&row.fingerprint));
            let changed = hex(changed.as_bytes());
            json!([account, row.actor, row.request_id, fingerprint, row.result, row.created_at, changed])
        }))
    }

    /// For PostgreSQL: storing the requests as a part of a larger statement, the same text for any number of requests, with
    /// [`Self::PARAMETERS`] parameters from `$first` on. Only requests whose row the query `changed` returns are stored. Fails
    /// when one of the ids was used meanwhile ([`is_id_taken`]).
    pub fn insert_sql(first: usize, changed: &str) -> String {
        let [accounts, actors, ids, fingerprints, results, times, rows] = std::array::from_fn(|n| first + n);
        format!(
            "INSERT INTO requests (account_id, actor, request_id, fingerprint, result, created_at) \
             SELECT account_id, actor, request_id, fingerprint, result, created_at FROM unnest(\
             ${accounts}::uuid[], ${actors}::text[], ${ids}::text[], ${fingerprints}::bytea[], ${results}::text[], \
             ${times}::bigint[], ${rows}::uuid[]) \
             AS new (account_id, actor, request_id, fingerprint, result, created_at, changed) \
             WHERE {}",
            is_in("changed", changed)
        )
    }

    /// Number of parameters of [`Self::insert_sql`].
    pub const PARAMETERS: usize = 7;

    /// The parameters of [`Self::insert_sql`].
    pub fn into_values(self) -> [Value; Self::PARAMETERS] {
        let rows = self.into_new();
        let accounts: Vec<Uuid> = rows.iter().map(|(row, _)| row.account_id).collect();
        let times: Vec<i64> = rows.iter().map(|(row, _)| row.created_at).collect();
        let changed: Vec<Uuid> = rows.iter().map(|(_, changed)| *changed).collect();
        let (mut actors, mut ids, mut fingerprints, mut results) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (row, _) in rows {
            actors.push(row.actor);
            ids.push(row.request_id);
            fingerprints.push(row.fingerprint);
            results.push(row.result.unwrap_or_default());
        }
        [accounts.into(), actors.into(), ids.into(), fingerprints.into(), results.into(), times.into(), changed.into()]
    }

    fn add_row(&mut self, row: Model) {
        self.rows.insert((row.account_id, row.actor.clone(), row.request_id.clone()), row);
    }

    /// The new rows, always in the same order, so that two batches at once do not deadlock.
    fn into_new(mut self) -> Vec<(Model, Uuid)> {
        self.new.sort_unstable();
        self.new.iter().filter_map(|(id, changed)| Some((self.rows.remove(id)?, *changed))).collect()
    }
}

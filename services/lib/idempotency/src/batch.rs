//! The keys of many requests: looked up with one statement, stored with one.
//!
//! A batch claims nothing: its writer reads its rows, looks the keys up, decides and stores the results. An id that is used at
//! the same time for another row violates the primary key then ([`is_id_taken`]).

use std::collections::HashMap;

use frontdesk_clock::Time;
use frontdesk_db::{Tx, is_in, violated_unique_index};
use sea_orm::{
    Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, IntoActiveModel, QueryResult, Value,
    entity::prelude::*, sea_query::ExprTrait,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    entity::{Column, Entity, Model},
    key::{ClaimError, Key},
};

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
    /// The requests with these keys that were made before.
    pub async fn find<'a>(conn: &impl ConnectionTrait, keys: impl Iterator<Item = &'a Key>) -> Result<Self, DbErr> {
        let any = keys.fold(Condition::any(), |any, key| {
            let one = Column::AccountId.eq(key.account.0).and(Column::Actor.eq(key.actor.as_str()));
            any.add(one.and(Column::RequestId.eq(key.request_id.as_str())))
        });
        let mut found = Self::default();
        Entity::find().filter(any).all(conn).await?.into_iter().for_each(|row| found.add_row(row));
        Ok(found)
    }

    /// For PostgreSQL: the query of [`Self::find`] as a part of a larger statement, the same text for any number of keys, with
    /// three parameters from `$first` on. Its rows have the columns of the table and are given to [`Self::add`].
    ///
    /// Each request is looked up by its whole key in a lateral subquery: for a plain join the planner may read all requests of
    /// the account for each key.
    pub fn select_sql(first: usize) -> String {
        let [accounts, actors, ids] = std::array::from_fn(|n| first + n);
        format!(
            "SELECT found.* FROM unnest(${accounts}::uuid[], ${actors}::text[], ${ids}::text[]) \
               AS keys (account_id, actor, request_id) CROSS JOIN LATERAL (\
             SELECT account_id, actor, request_id, fingerprint, result, created_at FROM requests \
               WHERE requests.account_id = keys.account_id AND requests.actor = keys.actor \
               AND requests.request_id = keys.request_id LIMIT 1) AS found"
        )
    }

    /// The parameters of [`Self::select_sql`].
    pub fn select_values<'a>(keys: impl Iterator<Item = &'a Key>) -> [Value; 3] {
        let (mut accounts, mut actors, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            accounts.push(key.account.0);
            actors.push(key.actor.clone());
            ids.push(key.request_id.clone());
        }
        [accounts.into(), actors.into(), ids.into()]
    }

    /// Adds a row that [`Self::select_sql`] found.
    pub fn add(&mut self, row: &QueryResult) -> Result<(), DbErr> {
        self.add_row(Model::from_query_result(row, "")?);
        Ok(())
    }

    /// The result of the first request with this key, also when the batch itself made it.
    pub fn result<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, ClaimError> {
        self.rows.get(&key.id()).map(|first| key.result_of(first)).transpose()
    }

    /// Adds a reference to what the request made, to be stored by [`Self::insert`]. `changed`: the row that it changed.
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

    /// Stores the requests that the batch makes. Fails when one of the ids was used meanwhile ([`is_id_taken`]).
    pub async fn insert(self, tx: &Tx) -> Result<(), DbErr> {
        if self.new.is_empty() {
            return Ok(());
        }
        let rows = self.into_new().into_iter().map(|(row, _)| row.into_active_model().reset_all());
        Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
        Ok(())
    }

    /// For PostgreSQL: [`Self::insert`] as a part of a larger statement, the same text for any number of requests, with
    /// [`Self::PARAMETERS`] parameters from `$first` on. Only requests whose row the query `changed` returns are stored.
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

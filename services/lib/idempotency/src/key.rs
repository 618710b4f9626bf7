//! The key of one request.

use frontdesk_auth::Caller;
use frontdesk_db::{AccountId, Tx};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set, entity::prelude::*, sea_query::OnConflict};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::entity::{ActiveModel, Column, Entity, Model};

/// A request: its actor, its id and a fingerprint of its content.
#[derive(Clone, Debug)]
pub struct Key {
    pub(crate) account: AccountId,
    pub(crate) actor: String,
    pub(crate) request_id: String,
    pub(crate) fingerprint: Vec<u8>,
}

/// A key could not be claimed or looked up.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The id was used for a request with other content.
    #[error("the request_id was used for another request; choose a new one")]
    Reused,
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl Key {
    /// The key of a request. An id belongs to one actor; the content is compared by its bytes.
    pub fn new<M: prost::Message + prost::Name>(caller: &Caller, request_id: &str, request: &M) -> Self {
        let mut fingerprint = Sha256::new();
        fingerprint.update(M::full_name());
        fingerprint.update(request.encode_to_vec());
        Self {
            account: caller.account,
            actor: caller.actor.to_string(),
            request_id: request_id.to_owned(),
            fingerprint: fingerprint.finalize().to_vec(),
        }
    }

    /// Claims the key. None: the key is new, so make the change and [`Key::store_result`]. Some: the request was made before, with
    /// this result.
    pub async fn claim<T: DeserializeOwned>(&self, tx: &Tx) -> Result<Option<T>, ClaimError> {
        let row = ActiveModel {
            account_id: Set(self.account.0),
            actor: Set(self.actor.clone()),
            request_id: Set(self.request_id.clone()),
            fingerprint: Set(self.fingerprint.clone()),
            result: Set(None),
            created_at: Set(tx.now().await?.0),
        };
        // The primary key decides: of two at once, the second waits here for the first and then finds its row.
        let primary_key = [Column::AccountId, Column::Actor, Column::RequestId];
        let inserted = Entity::insert(row)
            .on_conflict(OnConflict::columns(primary_key).do_nothing().to_owned())
            .exec_without_returning(tx.conn())
            .await?;
        if inserted == 1 {
            return Ok(None);
        }
        let first = self.row().one(tx.conn()).await?.ok_or(DbErr::RecordNotFound("requests".into()))?;
        self.result_of(&first).map(Some)
    }

    /// Looks for the result of the first request without claiming the key. None: there is no such request yet.
    pub async fn find<T: DeserializeOwned>(&self, conn: &impl ConnectionTrait) -> Result<Option<T>, ClaimError> {
        self.row().one(conn).await?.map(|first| self.result_of(&first)).transpose()
    }

    /// Stores a reference to what the claimed request made.
    pub async fn store_result<T: Serialize>(&self, tx: &Tx, result: &T) -> Result<(), DbErr> {
        let result = serde_json::to_string(result).map_err(|error| DbErr::Type(error.to_string()))?;
        Entity::update_many()
            .filter(Column::AccountId.eq(self.account.0))
            .filter(Column::Actor.eq(self.actor.as_str()))
            .filter(Column::RequestId.eq(self.request_id.as_str()))
            .col_expr(Column::Result, Expr::value(result))
            .exec(tx.conn())
            .await?;
        Ok(())
    }

    pub(crate) fn id(&self) -> (Uuid, String, String) {
        (self.account.0, self.actor.clone(), self.request_id.clone())
    }

    fn row(&self) -> Select<Entity> {
        Entity::find_by_id(self.id())
    }

    /// The result of the first request; refused when that had other content.
    pub(crate) fn result_of<T: DeserializeOwned>(&self, first: &Model) -> Result<T, ClaimError> {
        if first.fingerprint != self.fingerprint {
            return Err(ClaimError::Reused);
        }
        let result = first.result.as_deref().ok_or_else(|| DbErr::RecordNotFound("requests.result".into()))?;
        Ok(serde_json::from_str(result).map_err(|error| DbErr::Type(error.to_string()))?)
    }
}

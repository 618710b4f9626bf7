//! Request ids (rule C12): a repeated write gets the result of the first one; the same id with other content is refused.
//!
//! A command claims the [`Key`] in its transaction, after locking its row, and stores a reference to what it made with the key:
//! an id or a number, never content. A [`RequestBatch`] does so for many requests with two statements.

mod batch;

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_db::{AccountId, Retention, Sql, Tx};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set, entity::prelude::*, sea_query::OnConflict};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

pub use batch::RequestBatch;

/// The table, for each service's migrations.
pub const REQUESTS: Sql = Sql {
    name: "idempotency_001_requests",
    text: "CREATE TABLE requests (
            account_id UUID NOT NULL,
            actor TEXT NOT NULL,
            request_id TEXT NOT NULL,
            fingerprint {bytes} NOT NULL,
            result TEXT,
            created_at BIGINT NOT NULL,
            CONSTRAINT requests_pk PRIMARY KEY (account_id, actor, request_id)
        );
        CREATE INDEX requests_age ON requests (created_at)",
};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "requests")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub actor: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub request_id: String,
        pub fingerprint: Vec<u8>,
        pub result: Option<String>,
        pub created_at: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Request ids are kept for 7 days, far longer than a caller repeats a request.
pub const RETENTION: Retention = Retention {
    table: "requests",
    time_column: "created_at",
    order_column: "created_at",
    keep: Duration::from_secs(7 * 24 * 3600),
    batch: 5_000,
};

/// A request: its actor, its id and a fingerprint of its content.
#[derive(Clone, Debug)]
pub struct Key {
    account: AccountId,
    actor: String,
    request_id: String,
    fingerprint: Vec<u8>,
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
        let row = entity::ActiveModel {
            account_id: Set(self.account.0),
            actor: Set(self.actor.clone()),
            request_id: Set(self.request_id.clone()),
            fingerprint: Set(self.fingerprint.clone()),
            result: Set(None),
            created_at: Set(tx.now().await?.0),
        };
        // The primary key decides: of two at once, the second waits here for the first and then finds its row.
        let columns = [entity::Column::AccountId, entity::Column::Actor, entity::Column::RequestId];
        let inserted = entity::Entity::insert(row)
            .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
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
        entity::Entity::update_many()
            .filter(entity::Column::AccountId.eq(self.account.0))
            .filter(entity::Column::Actor.eq(self.actor.as_str()))
            .filter(entity::Column::RequestId.eq(self.request_id.as_str()))
            .col_expr(entity::Column::Result, Expr::value(result))
            .exec(tx.conn())
            .await?;
        Ok(())
    }

    fn id(&self) -> (Uuid, String, String) {
        (self.account.0, self.actor.clone(), self.request_id.clone())
    }

    fn row(&self) -> Select<entity::Entity> {
        entity::Entity::find_by_id(self.id())
    }

    /// The result of the first request; refused when that had other content.
    fn result_of<T: DeserializeOwned>(&self, first: &entity::Model) -> Result<T, ClaimError> {
        if first.fingerprint != self.fingerprint {
            return Err(ClaimError::Reused);
        }
        let result = first.result.as_deref().ok_or_else(|| DbErr::RecordNotFound("requests.result".into()))?;
        Ok(serde_json::from_str(result).map_err(|error| DbErr::Type(error.to_string()))?)
    }
}

//! Request ids (rule C12): a repeat of a write gets the first answer, the same id with other content is refused.
//!
//! The command claims the [`Key`] in its transaction, after it locked its row, and keeps with it a reference to what it made:
//! an id or a number, never content.

mod many;

use std::time::Duration;

use frontdesk_auth::Caller;
use frontdesk_db::{Db, Sql, Tx};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait, Set, entity::prelude::*, sea_query::OnConflict};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

pub use many::Requests;

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

/// A request id is remembered so long: far longer than any caller repeats.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Forgets old request ids, every hour, until the shutdown.
pub async fn forget_old(db: Db, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Err(error) = forget(&db).await {
            tracing::warn!(%error, "old request ids were not forgotten; trying again in an hour");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

async fn forget(db: &Db) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    let before = tx.now().await?.minus(KEEP);
    entity::Entity::delete_many().filter(entity::Column::CreatedAt.lt(before.0)).exec(tx.conn()).await?;
    tx.commit().await
}

/// Who asks, under which id, for what.
#[derive(Clone, Debug)]
pub struct Key {
    account: Uuid,
    actor: String,
    request_id: String,
    fingerprint: Vec<u8>,
}

/// A claim failed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The id was used for other content.
    #[error("the request_id was used for another request; choose a new one")]
    Reused,
    /// The database refused.
    #[error(transparent)]
    Db(#[from] DbErr),
}

impl Key {
    /// The key of a request: the id counts per actor, the content by its bytes.
    pub fn new<M: prost::Message + prost::Name>(caller: &Caller, request_id: &str, request: &M) -> Self {
        let mut fingerprint = Sha256::new();
        fingerprint.update(M::full_name());
        fingerprint.update(request.encode_to_vec());
        Self {
            account: caller.account.0,
            actor: caller.actor.to_string(),
            request_id: request_id.to_owned(),
            fingerprint: fingerprint.finalize().to_vec(),
        }
    }

    /// Claims the key. None: go on, and [`Key::keep`] the result. Some: this is a repeat, and that was the result.
    pub async fn claim<T: DeserializeOwned>(&self, tx: &Tx) -> Result<Option<T>, ClaimError> {
        let row = entity::ActiveModel {
            account_id: Set(self.account),
            actor: Set(self.actor.clone()),
            request_id: Set(self.request_id.clone()),
            fingerprint: Set(self.fingerprint.clone()),
            result: Set(None),
            created_at: Set(tx.now().await?.0),
        };
        // The primary key is the arbiter: of two at once the second waits here and then finds the first one's row.
        let columns = [entity::Column::AccountId, entity::Column::Actor, entity::Column::RequestId];
        let inserted = entity::Entity::insert(row)
            .on_conflict(OnConflict::columns(columns).do_nothing().to_owned())
            .exec_without_returning(tx.conn())
            .await?;
        if inserted == 1 {
            return Ok(None);
        }
        let first = self.row().one(tx.conn()).await?.ok_or(DbErr::RecordNotFound("requests".into()))?;
        self.result(&first).map(Some)
    }

    /// Looks for the result of a repeat without claiming. None: nobody kept one yet, so go on, and [`Key::claim`].
    pub async fn find<T: DeserializeOwned>(&self, conn: &impl ConnectionTrait) -> Result<Option<T>, ClaimError> {
        self.row().one(conn).await?.map(|first| self.result(&first)).transpose()
    }

    /// Keeps a reference to what the claimed request made.
    pub async fn keep<T: Serialize>(&self, tx: &Tx, result: &T) -> Result<(), DbErr> {
        let result = serde_json::to_string(result).map_err(|error| DbErr::Type(error.to_string()))?;
        entity::Entity::update_many()
            .filter(entity::Column::AccountId.eq(self.account))
            .filter(entity::Column::Actor.eq(self.actor.as_str()))
            .filter(entity::Column::RequestId.eq(self.request_id.as_str()))
            .col_expr(entity::Column::Result, Expr::value(result))
            .exec(tx.conn())
            .await?;
        Ok(())
    }

    fn id(&self) -> (Uuid, String, String) {
        (self.account, self.actor.clone(), self.request_id.clone())
    }

    fn row(&self) -> Select<entity::Entity> {
        entity::Entity::find_by_id(self.id())
    }

    fn result<T: DeserializeOwned>(&self, first: &entity::Model) -> Result<T, ClaimError> {
        if first.fingerprint != self.fingerprint {
            return Err(ClaimError::Reused);
        }
        let result = first.result.as_deref().ok_or_else(|| DbErr::RecordNotFound("requests.result".into()))?;
        Ok(serde_json::from_str(result).map_err(|error| DbErr::Type(error.to_string()))?)
    }
}

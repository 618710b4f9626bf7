//! A row of `account_jobs`.

use std::time::Duration;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{AccountJob, AccountJobStatus, ExportFile};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "account_jobs")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub status: AccountJobStatus,
    pub requested_by: String,
    pub missing_services: String,
    pub state_version: i64,
    pub created_at: Time,
    pub erase_delay: i64,
    pub erase_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub due_at: Option<Time>,
    pub object_id: Option<Uuid>,
    pub size: i64,
    pub sha256: String,
    pub failure: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&AccountJob> for Model {
    fn from(job: &AccountJob) -> Self {
        let file = job.file.as_ref();
        Self {
            id: job.id,
            account_id: job.account,
            status: job.status,
            requested_by: job.requested_by.clone(),
            missing_services: serde_json::json!(job.missing_services).to_string(),
            state_version: job.state_version,
            created_at: job.created_at,
            erase_delay: i64::try_from(job.erase_delay.as_micros()).unwrap_or(i64::MAX),
            erase_at: job.erase_at,
            ended_at: job.ended_at,
            due_at: job.due_at,
            object_id: file.map(|file| file.object),
            size: file.map(|file| file.size).unwrap_or_default(),
            sha256: file.map(|file| file.sha256.clone()).unwrap_or_default(),
            failure: job.failure.clone(),
        }
    }
}

impl TryFrom<Model> for AccountJob {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        // A list that cannot be read must not be taken for one of no service.
        let missing_services =
            serde_json::from_str(&row.missing_services).map_err(|error| DbErr::Type(error.to_string()))?;
        // The file is kept until the erasure begins.
        let file = row.object_id.zip(row.erase_at).map(|(object, expires_at)| ExportFile {
            object,
            size: row.size,
            sha256: row.sha256,
            expires_at,
        });
        Ok(Self {
            id: row.id,
            account: row.account_id,
            status: row.status,
            requested_by: row.requested_by,
            missing_services,
            state_version: row.state_version,
            created_at: row.created_at,
            erase_delay: Duration::from_micros(u64::try_from(row.erase_delay).unwrap_or(0)),
            erase_at: row.erase_at,
            ended_at: row.ended_at,
            due_at: row.due_at,
            file,
            failure: row.failure,
        })
    }
}

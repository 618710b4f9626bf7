//! A row of `contact_jobs`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{ContactJob, ContactJobKind, ContactJobStatus, ExportFile};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "contact_jobs")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub contact_id: Uuid,
    pub kind: ContactJobKind,
    pub status: ContactJobStatus,
    pub requested_by: String,
    pub missing_services: String,
    pub created_at: Time,
    pub own_part_done_at: Option<Time>,
    pub ended_at: Option<Time>,
    pub due_at: Option<Time>,
    pub object_id: Option<Uuid>,
    pub size: i64,
    pub sha256: String,
    pub expires_at: Option<Time>,
    pub failure: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&ContactJob> for Model {
    fn from(job: &ContactJob) -> Self {
        let file = job.file.as_ref();
        Self {
            id: job.id,
            account_id: job.account,
            contact_id: job.contact_id,
            kind: job.kind,
            status: job.status,
            requested_by: job.requested_by.clone(),
            missing_services: serde_json::json!(job.missing_services).to_string(),
            created_at: job.created_at,
            own_part_done_at: job.own_part_done_at,
            ended_at: job.ended_at,
            due_at: job.due_at,
            object_id: file.map(|file| file.object),
            size: file.map(|file| file.size).unwrap_or_default(),
            sha256: file.map(|file| file.sha256.clone()).unwrap_or_default(),
            expires_at: file.map(|file| file.expires_at),
            failure: job.failure.clone(),
        }
    }
}

impl TryFrom<Model> for ContactJob {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        // A list that cannot be read must not be taken for one of no service.
        let missing_services =
            serde_json::from_str(&row.missing_services).map_err(|error| DbErr::Type(error.to_string()))?;
        let file = row.object_id.zip(row.expires_at).map(|(object, expires_at)| ExportFile {
            object,
            size: row.size,
            sha256: row.sha256,
            expires_at,
        });
        Ok(Self {
            id: row.id,
            account: row.account_id,
            contact_id: row.contact_id,
            kind: row.kind,
            status: row.status,
            requested_by: row.requested_by,
            missing_services,
            created_at: row.created_at,
            own_part_done_at: row.own_part_done_at,
            ended_at: row.ended_at,
            due_at: row.due_at,
            file,
            failure: row.failure,
        })
    }
}

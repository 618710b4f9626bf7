//! A row of `attachments`.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use sea_orm::entity::prelude::*;

use crate::domain::{Actor, ActorKind, Attachment, AttachmentStatus};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "attachments")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub account_id: AccountId,
    pub conversation_id: Option<Uuid>,
    pub uploader_kind: ActorKind,
    pub uploader_id: String,
    pub status: AttachmentStatus,
    pub file_name: String,
    pub media_type: String,
    pub size: i64,
    pub sha256: String,
    pub object_id: Option<Uuid>,
    pub created_at: Time,
    pub sent_at: Option<Time>,
    pub collect_at: Option<Time>,
    pub deleted_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<&Attachment> for Model {
    fn from(attachment: &Attachment) -> Self {
        Self {
            id: attachment.id,
            account_id: attachment.account,
            conversation_id: attachment.conversation_id,
            uploader_kind: attachment.uploader.kind,
            uploader_id: attachment.uploader.id.clone(),
            status: attachment.status,
            file_name: attachment.file_name.clone(),
            media_type: attachment.media_type.clone(),
            size: attachment.size,
            sha256: attachment.sha256.clone(),
            object_id: attachment.object_id,
            created_at: attachment.created_at,
            sent_at: attachment.sent_at,
            collect_at: attachment.collect_at,
            deleted_at: attachment.deleted_at,
        }
    }
}

impl From<Model> for Attachment {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            account: row.account_id,
            conversation_id: row.conversation_id,
            uploader: Actor { kind: row.uploader_kind, id: row.uploader_id },
            status: row.status,
            file_name: row.file_name,
            media_type: row.media_type,
            size: row.size,
            sha256: row.sha256,
            object_id: row.object_id,
            created_at: row.created_at,
            sent_at: row.sent_at,
            collect_at: row.collect_at,
            deleted_at: row.deleted_at,
        }
    }
}

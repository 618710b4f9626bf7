//! `InsertService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, insert_service_server::InsertService};
use prost::Message;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert::{self, changed_insert_content, insert_kind, new_insert_content, one};
use crate::{
    App,
    commands::{self, CreateInsert, UpdateInsert},
    domain::{Insert, InsertUpdate},
    queries::{self, InsertFilter},
};

/// Serves `InsertService`.
pub(crate) struct Inserts(pub(crate) App);

#[tonic::async_trait]
impl InsertService for Inserts {
    async fn create_insert(
        &self,
        request: Request<pb::CreateInsertRequest>,
    ) -> Result<Response<pb::CreateInsertResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = CreateInsert {
            key: Key::new(&caller, &request.request_id, &request),
            shortcut: request.shortcut,
            title: request.title,
            tags: request.tags,
            content: one(new_insert_content(request.content))?,
        };
        let insert = commands::create_insert(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateInsertResponse { insert: Some(convert::insert(&insert)) }))
    }

    async fn get_insert(
        &self,
        request: Request<pb::GetInsertRequest>,
    ) -> Result<Response<pb::GetInsertResponse>, Status> {
        let (caller, request) = validated(request)?;
        let insert = queries::get_insert(&self.0, &caller, parse_id("insert_id", &request.insert_id)?).await?;
        Ok(Response::new(pb::GetInsertResponse { insert: Some(convert::insert(&insert)) }))
    }

    async fn list_inserts(
        &self,
        request: Request<pb::ListInsertsRequest>,
    ) -> Result<Response<pb::ListInsertsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(String, Uuid), _>(&caller, &request, size, &token)?;
        let filter = InsertFilter {
            kinds: request.kinds().map(insert_kind).collect(),
            tags: request.tags,
            query: request.query,
            show_deleted: request.show_deleted,
        };
        let (after, limit) = (page.cursor.clone(), page.size + 1);
        let mut inserts = queries::list_inserts(&self.0, &caller, filter, after, limit).await?;
        let size = |insert: &Insert| convert::insert(insert).encoded_len();
        let cursor = |last: &Insert| (last.title.clone(), last.id);
        let next_page_token = self.0.pages.next_page_token_within(page, &mut inserts, size, cursor)?;
        let inserts = inserts.iter().map(convert::insert).collect();
        Ok(Response::new(pb::ListInsertsResponse { inserts, next_page_token }))
    }

    async fn update_insert(
        &self,
        request: Request<pb::UpdateInsertRequest>,
    ) -> Result<Response<pb::UpdateInsertResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateInsert {
            insert: parse_id("insert_id", &request.insert_id)?,
            update: InsertUpdate {
                shortcut: request.shortcut,
                title: request.title,
                tags: request.tags.map(|list| list.tags),
                content: one(changed_insert_content(request.content))?,
            },
            etag: request.etag,
        };
        let insert = commands::update_insert(&self.0, &caller, command).await?;
        Ok(Response::new(pb::UpdateInsertResponse { insert: Some(convert::insert(&insert)) }))
    }

    async fn delete_insert(
        &self,
        request: Request<pb::DeleteInsertRequest>,
    ) -> Result<Response<pb::DeleteInsertResponse>, Status> {
        let (caller, request) = validated(request)?;
        let insert = commands::delete_insert(&self.0, &caller, parse_id("insert_id", &request.insert_id)?).await?;
        Ok(Response::new(pb::DeleteInsertResponse { insert: Some(convert::insert(&insert)) }))
    }

    async fn undelete_insert(
        &self,
        request: Request<pb::UndeleteInsertRequest>,
    ) -> Result<Response<pb::UndeleteInsertResponse>, Status> {
        let (caller, request) = validated(request)?;
        let insert = commands::undelete_insert(&self.0, &caller, parse_id("insert_id", &request.insert_id)?).await?;
        Ok(Response::new(pb::UndeleteInsertResponse { insert: Some(convert::insert(&insert)) }))
    }

    async fn render_insert(
        &self,
        request: Request<pb::RenderInsertRequest>,
    ) -> Result<Response<pb::RenderInsertResponse>, Status> {
        let (caller, request) = validated(request)?;
        let insert = parse_id("insert_id", &request.insert_id)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let (text, missing_placeholders) = queries::render_insert(&self.0, &caller, insert, conversation).await?;
        Ok(Response::new(pb::RenderInsertResponse { text, missing_placeholders }))
    }
}

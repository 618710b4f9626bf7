//! `AttachmentService`.

use frontdesk_api::{caller, parse_id, parse_optional_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, attachment_service_server::AttachmentService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, AttachmentUse, CreateAttachment, DeleteAttachment},
    queries,
};

/// Serves `AttachmentService`.
pub(crate) struct Attachments(pub(crate) App);

#[tonic::async_trait]
impl AttachmentService for Attachments {
    async fn create_attachment(
        &self,
        request: Request<pb::CreateAttachmentRequest>,
    ) -> Result<Response<pb::CreateAttachmentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_optional_id("conversation_id", &request.conversation_id)?;
        let command = CreateAttachment {
            key: Key::new(&caller, &request.request_id, &request),
            usage: conversation.map_or(AttachmentUse::Team, AttachmentUse::Conversation),
            by: convert::acting(&caller),
            file_name: request.file_name,
            media_type: request.media_type,
            size: request.size_bytes.into(),
        };
        let (attachment, upload) = commands::create_attachment(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateAttachmentResponse {
            attachment: Some(convert::attachment(&attachment)),
            upload: upload.map(convert::upload_target),
        }))
    }

    async fn get_attachment(
        &self,
        request: Request<pb::GetAttachmentRequest>,
    ) -> Result<Response<pb::GetAttachmentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("attachment_id", &request.attachment_id)?;
        let attachment = queries::get_attachment(&self.0, &caller, id).await?;
        Ok(Response::new(pb::GetAttachmentResponse { attachment: Some(convert::attachment(&attachment)) }))
    }

    async fn list_attachments(
        &self,
        request: Request<pb::ListAttachmentsRequest>,
    ) -> Result<Response<pb::ListAttachmentsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let contact = parse_optional_id("contact_id", &request.contact_id)?;
        let mut attachments = queries::list_attachments(&self.0, &caller, contact, page.cursor, page.size + 1).await?;
        let next_page_token =
            self.0.pages.next_page_token(page, &mut attachments, |last| (last.created_at, last.id))?;
        let attachments = attachments.iter().map(convert::attachment).collect();
        Ok(Response::new(pb::ListAttachmentsResponse { attachments, next_page_token }))
    }

    async fn create_attachment_link(
        &self,
        request: Request<pb::CreateAttachmentLinkRequest>,
    ) -> Result<Response<pb::CreateAttachmentLinkResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("attachment_id", &request.attachment_id)?;
        let link = commands::create_attachment_link(&self.0, &caller, id).await?;
        let expire_time = Some(link.expires_at.to_proto());
        Ok(Response::new(pb::CreateAttachmentLinkResponse { url: link.url, expire_time }))
    }

    async fn delete_attachment(
        &self,
        request: Request<pb::DeleteAttachmentRequest>,
    ) -> Result<Response<pb::DeleteAttachmentResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = DeleteAttachment {
            key: Key::new(&caller, &request.request_id, &request),
            attachment: parse_id("attachment_id", &request.attachment_id)?,
        };
        commands::delete_attachment(&self.0, &caller, command).await?;
        Ok(Response::new(pb::DeleteAttachmentResponse {}))
    }

    async fn get_attachment_limits(
        &self,
        request: Request<pb::GetAttachmentLimitsRequest>,
    ) -> Result<Response<pb::GetAttachmentLimitsResponse>, Status> {
        let limits = queries::get_attachment_limits(&self.0, caller(&request)?.account).await?;
        Ok(Response::new(pb::GetAttachmentLimitsResponse { limits: limits.as_ref().map(convert::attachment_limits) }))
    }
}

//! `SenderService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::notification::v1::{
    CreateSenderRequest, CreateSenderResponse, DeleteSenderRequest, DeleteSenderResponse, GetSenderRequest,
    GetSenderResponse, ListSendersRequest, ListSendersResponse, SetFallbackSenderRequest, SetFallbackSenderResponse,
    UpdateSenderRequest, UpdateSenderResponse, VerifySenderRequest, VerifySenderResponse,
    sender_service_server::SenderService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, CreateSender, UpdateSender},
    domain::SenderChange,
    queries,
};

/// Serves `SenderService`.
pub(crate) struct Senders(pub(crate) App);

#[tonic::async_trait]
impl SenderService for Senders {
    async fn create_sender(
        &self,
        request: Request<CreateSenderRequest>,
    ) -> Result<Response<CreateSenderResponse>, Status> {
        let (caller, request) = validated(request)?;
        let email = convert::email(&request.email)?;
        let command = CreateSender { email, display_name: request.display_name.clone() };
        let key = Key::new(&caller, &request.request_id, &request);
        let (sender, delivery) = commands::create_sender(&self.0, &caller, &key, command).await?;
        let delivery_id = delivery.map(|id| id.to_string()).unwrap_or_default();
        Ok(Response::new(CreateSenderResponse { sender: Some(convert::sender(sender)), delivery_id }))
    }

    async fn verify_sender(
        &self,
        request: Request<VerifySenderRequest>,
    ) -> Result<Response<VerifySenderResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("sender_id", &request.sender_id)?;
        let sender = commands::verify_sender(&self.0, &caller, id, &request.code).await?;
        Ok(Response::new(VerifySenderResponse { sender: Some(convert::sender(sender)) }))
    }

    async fn update_sender(
        &self,
        request: Request<UpdateSenderRequest>,
    ) -> Result<Response<UpdateSenderResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateSender {
            sender: parse_id("sender_id", &request.sender_id)?,
            change: SenderChange {
                display_name: request.display_name,
                reply_to_email: convert::optional_email("reply_to_email", request.reply_to_email)?,
                unsubscribe_email: convert::optional_email("unsubscribe_email", request.unsubscribe_email)?,
            },
            etag: request.etag,
        };
        let sender = commands::update_sender(&self.0, &caller, command).await?;
        Ok(Response::new(UpdateSenderResponse { sender: Some(convert::sender(sender)) }))
    }

    async fn get_sender(&self, request: Request<GetSenderRequest>) -> Result<Response<GetSenderResponse>, Status> {
        let (caller, request) = validated(request)?;
        let sender = queries::get_sender(&self.0, &caller, parse_id("sender_id", &request.sender_id)?).await?;
        Ok(Response::new(GetSenderResponse { sender: Some(convert::sender(sender)) }))
    }

    async fn list_senders(
        &self,
        request: Request<ListSendersRequest>,
    ) -> Result<Response<ListSendersResponse>, Status> {
        let (caller, request) = validated(request)?;
        let filter = ListSendersRequest::default();
        let page = self.0.pages.read_request::<String, _>(&caller, &filter, request.page_size, &request.page_token)?;
        let mut rows = queries::list_senders(&self.0, &caller, page.cursor.as_deref(), page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut rows, |row| row.email.to_lowercase())?;
        let senders = rows.into_iter().map(convert::sender).collect();
        Ok(Response::new(ListSendersResponse { senders, next_page_token }))
    }

    async fn delete_sender(
        &self,
        request: Request<DeleteSenderRequest>,
    ) -> Result<Response<DeleteSenderResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("sender_id", &request.sender_id)?;
        commands::delete_sender(&self.0, &caller, id).await?;
        Ok(Response::new(DeleteSenderResponse {}))
    }

    async fn set_fallback_sender(
        &self,
        request: Request<SetFallbackSenderRequest>,
    ) -> Result<Response<SetFallbackSenderResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("sender_id", &request.sender_id)?;
        let sender = commands::set_fallback_sender(&self.0, &caller, id).await?;
        Ok(Response::new(SetFallbackSenderResponse { sender: Some(convert::sender(sender)) }))
    }
}

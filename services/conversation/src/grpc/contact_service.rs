//! `ContactService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, contact_service_server::ContactService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Grpc, all, convert, email, one, time_zone};
use crate::{
    commands::{self, CreateContact, UpdateContact},
    error::ConversationError,
    store::contacts,
};

#[tonic::async_trait]
impl ContactService for Grpc {
    async fn create_contact(
        &self,
        request: Request<pb::CreateContactRequest>,
    ) -> Result<Response<pb::CreateContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let (email, time_zone) = all(email(&request.email), time_zone(&request.time_zone))?;
        let command = CreateContact { name: request.name, email, phone: request.phone, time_zone, key };
        let contact = commands::create_contact(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateContactResponse { contact: Some(convert::contact(&contact)) }))
    }

    async fn get_contact(
        &self,
        request: Request<pb::GetContactRequest>,
    ) -> Result<Response<pb::GetContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("contact_id", &request.contact_id)?;
        let read = self.read(&caller).await?;
        let contact = contacts::find(&read.conn(), caller.account, id).await.map_err(ConversationError::from)?;
        let contact = contact.ok_or(ConversationError::NotFound("contact"))?;
        Ok(Response::new(pb::GetContactResponse { contact: Some(convert::contact(&contact)) }))
    }

    async fn list_contacts(
        &self,
        request: Request<pb::ListContactsRequest>,
    ) -> Result<Response<pb::ListContactsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let email = one(email(&request.email))?;
        let read = self.read(&caller).await?;
        let mut rows = contacts::list(&read.conn(), caller.account, email, page.cursor, page.size + 1)
            .await
            .map_err(ConversationError::from)?;
        let next_page_token =
            self.0.pages.next_page_token(page, &mut rows, |last| (last.row.created_at, last.row.id))?;
        Ok(Response::new(pb::ListContactsResponse {
            contacts: rows.iter().map(convert::contact).collect(),
            next_page_token,
        }))
    }

    async fn update_contact(
        &self,
        request: Request<pb::UpdateContactRequest>,
    ) -> Result<Response<pb::UpdateContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (email, time_zone) = all(
            email(request.email.as_deref().unwrap_or_default()),
            request.time_zone.as_deref().map(time_zone).transpose(),
        )?;
        let command = UpdateContact {
            contact: parse_id("contact_id", &request.contact_id)?,
            name: request.name,
            email,
            phone: request.phone,
            time_zone,
            etag: request.etag,
        };
        let contact = commands::update_contact(&self.0, &caller, command).await?;
        Ok(Response::new(pb::UpdateContactResponse { contact: Some(convert::contact(&contact)) }))
    }
}

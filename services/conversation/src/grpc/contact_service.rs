//! `ContactService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, contact_service_server::ContactService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert::{self, both, email, one, time_zone};
use crate::{
    App,
    commands::{self, CreateContact, UpdateContact},
    domain::ContactUpdate,
    queries,
};

/// Serves `ContactService`.
pub(crate) struct Contacts(pub(crate) App);

#[tonic::async_trait]
impl ContactService for Contacts {
    async fn create_contact(
        &self,
        request: Request<pb::CreateContactRequest>,
    ) -> Result<Response<pb::CreateContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let (email, time_zone) = both(email(&request.email), time_zone(&request.time_zone))?;
        let contact =
            ContactUpdate { name: Some(request.name), email, phone: Some(request.phone), time_zone: Some(time_zone) };
        let contact = commands::create_contact(&self.0, &caller, CreateContact { contact, key }).await?;
        Ok(Response::new(pb::CreateContactResponse { contact: Some(convert::contact(&contact)) }))
    }

    async fn get_contact(
        &self,
        request: Request<pb::GetContactRequest>,
    ) -> Result<Response<pb::GetContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let contact = queries::get_contact(&self.0, &caller, parse_id("contact_id", &request.contact_id)?).await?;
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
        let mut contacts = queries::list_contacts(&self.0, &caller, email, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut contacts, |last| (last.created_at, last.id))?;
        let contacts = contacts.iter().map(convert::contact).collect();
        Ok(Response::new(pb::ListContactsResponse { contacts, next_page_token }))
    }

    async fn update_contact(
        &self,
        request: Request<pb::UpdateContactRequest>,
    ) -> Result<Response<pb::UpdateContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (email, time_zone) = both(
            email(request.email.as_deref().unwrap_or_default()),
            request.time_zone.as_deref().map(time_zone).transpose(),
        )?;
        let command = UpdateContact {
            contact: parse_id("contact_id", &request.contact_id)?,
            update: ContactUpdate { name: request.name, email, phone: request.phone, time_zone },
            etag: request.etag,
        };
        let contact = commands::update_contact(&self.0, &caller, command).await?;
        Ok(Response::new(pb::UpdateContactResponse { contact: Some(convert::contact(&contact)) }))
    }
}

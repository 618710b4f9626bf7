//! `ContactService`.

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, contact_service_server::ContactService};
use prost::Message;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert::{self, Fields, email, emails, invalid, language, one, properties, search_query, time_zone};
use crate::{
    App,
    commands::{self, CreateContact, MergeContacts, UpdateContact},
    domain::{Contact, ContactUpdate, MAX_PROPERTIES_SIZE, MergedContact},
    queries::{self, ContactFilter},
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
        let mut fields = Fields::default();
        let contact = ContactUpdate {
            external_id: Some(request.external_id),
            name: Some(request.name),
            emails: Some(fields.take(emails("emails", request.emails))),
            phone: Some(request.phone),
            time_zone: Some(fields.take(time_zone(&request.time_zone))),
            language: Some(fields.take(language(&request.language))),
            owner: Some(parse_optional_id("owner_agent_id", &request.owner_agent_id)?),
            properties: Some(fields.take(properties("properties", request.properties, MAX_PROPERTIES_SIZE))),
        };
        fields.check()?;
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
        let filter = ContactFilter { email: one(email(&request.email))?, external_id: request.external_id };
        let (mut contacts, behind) = if request.query.is_empty() {
            (queries::list_contacts(&self.0, &caller, filter, page.cursor, page.size + 1).await?, None)
        } else {
            let (query, after) = (search_query(&request.query)?, page.cursor.map(|(_, id)| id));
            queries::search_contacts(&self.0, &caller, &query, filter, after, page.size).await?
        };
        // Of a search only the id matters.
        let search_token = behind.map(|id| self.0.pages.page_token(&page, &(Time(0), id))).transpose()?;
        let size = |contact: &Contact| convert::contact(contact).encoded_len();
        let cursor = |last: &Contact| (last.created_at, last.id);
        let full_page_token = self.0.pages.next_page_token_within(page, &mut contacts, size, cursor)?;
        let next_page_token = match search_token {
            Some(token) if full_page_token.is_empty() => token,
            _ => full_page_token,
        };
        let contacts = contacts.iter().map(convert::contact).collect();
        Ok(Response::new(pb::ListContactsResponse { contacts, next_page_token }))
    }

    async fn update_contact(
        &self,
        request: Request<pb::UpdateContactRequest>,
    ) -> Result<Response<pb::UpdateContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let mut fields = Fields::default();
        let update = ContactUpdate {
            external_id: request.external_id,
            name: request.name,
            emails: request.emails.map(|list| fields.take(emails("emails.emails", list.emails))),
            phone: request.phone,
            time_zone: request.time_zone.map(|name| fields.take(time_zone(&name))),
            language: request.language.map(|tag| fields.take(language(&tag))),
            owner: request.owner_agent_id.map(|id| parse_optional_id("owner_agent_id", &id)).transpose()?,
            properties: request
                .properties
                .map(|map| fields.take(properties("properties.properties", map.properties, MAX_PROPERTIES_SIZE))),
        };
        fields.check()?;
        let contact = parse_id("contact_id", &request.contact_id)?;
        let command = UpdateContact { contact, update, etag: request.etag };
        let contact = commands::update_contact(&self.0, &caller, command).await?;
        Ok(Response::new(pb::UpdateContactResponse { contact: Some(convert::contact(&contact)) }))
    }

    async fn merge_contacts(
        &self,
        request: Request<pb::MergeContactsRequest>,
    ) -> Result<Response<pb::MergeContactsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = MergeContacts {
            key: Key::new(&caller, &request.request_id, &request),
            source: parse_id("source_contact_id", &request.source_contact_id)?,
            source_etag: request.source_etag,
            target: parse_id("target_contact_id", &request.target_contact_id)?,
            target_etag: request.target_etag,
        };
        if command.source == command.target {
            return Err(invalid("target_contact_id", "must be another contact than source_contact_id"));
        }
        let (contact, merged) = commands::merge_contacts(&self.0, &caller, command).await?;
        Ok(Response::new(pb::MergeContactsResponse {
            contact: Some(convert::contact(&contact)),
            merged_contact: Some(convert::merged_contact(&merged)),
        }))
    }

    async fn list_merged_contacts(
        &self,
        request: Request<pb::ListMergedContactsRequest>,
    ) -> Result<Response<pb::ListMergedContactsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let contact = parse_id("contact_id", &request.contact_id)?;
        let mut merged = queries::list_merged_contacts(&self.0, &caller, contact, page.cursor, page.size + 1).await?;
        let size = |merged: &MergedContact| convert::merged_contact(merged).encoded_len();
        let cursor = |last: &MergedContact| (last.merged_at, last.source_id);
        let next_page_token = self.0.pages.next_page_token_within(page, &mut merged, size, cursor)?;
        let merged_contacts = merged.iter().map(convert::merged_contact).collect();
        Ok(Response::new(pb::ListMergedContactsResponse { merged_contacts, next_page_token }))
    }
}

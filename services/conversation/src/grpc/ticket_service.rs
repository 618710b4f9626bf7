//! `TicketService`.

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, ticket_service_server::TicketService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, CreateTicket, UpdateTicket},
    domain::TicketUpdate,
    queries,
};

/// Serves `TicketService`.
pub(crate) struct Tickets(pub(crate) App);

#[tonic::async_trait]
impl TicketService for Tickets {
    async fn create_ticket(
        &self,
        request: Request<pb::CreateTicketRequest>,
    ) -> Result<Response<pb::CreateTicketResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = CreateTicket {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            by: convert::acting(&caller),
            subject: request.subject,
            url: request.url,
        };
        let ticket = commands::create_ticket(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateTicketResponse { ticket: Some(convert::ticket(&ticket)) }))
    }

    async fn get_ticket(
        &self,
        request: Request<pb::GetTicketRequest>,
    ) -> Result<Response<pb::GetTicketResponse>, Status> {
        let (caller, request) = validated(request)?;
        let ticket = queries::get_ticket(&self.0, &caller, parse_id("ticket_id", &request.ticket_id)?).await?;
        Ok(Response::new(pb::GetTicketResponse { ticket: Some(convert::ticket(&ticket)) }))
    }

    async fn list_tickets(
        &self,
        request: Request<pb::ListTicketsRequest>,
    ) -> Result<Response<pb::ListTicketsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let contact = parse_optional_id("contact_id", &request.contact_id)?;
        let conversation = parse_optional_id("conversation_id", &request.conversation_id)?;
        let mut tickets =
            queries::list_tickets(&self.0, &caller, contact, conversation, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut tickets, |last| (last.created_at, last.id))?;
        let tickets = tickets.iter().map(convert::ticket).collect();
        Ok(Response::new(pb::ListTicketsResponse { tickets, next_page_token }))
    }

    async fn update_ticket(
        &self,
        request: Request<pb::UpdateTicketRequest>,
    ) -> Result<Response<pb::UpdateTicketResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateTicket {
            ticket: parse_id("ticket_id", &request.ticket_id)?,
            update: TicketUpdate {
                status: convert::ticket_status(request.status()),
                subject: request.subject,
                url: request.url,
            },
            etag: request.etag,
            by: convert::acting(&caller),
        };
        let ticket = commands::update_ticket(&self.0, &caller, command).await?;
        Ok(Response::new(pb::UpdateTicketResponse { ticket: Some(convert::ticket(&ticket)) }))
    }
}

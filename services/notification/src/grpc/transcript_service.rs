//! `TranscriptService`.

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::notification::v1::{
    ExplainTranscriptRequest, ExplainTranscriptResponse, ListTranscriptDecisionsRequest,
    ListTranscriptDecisionsResponse, PreviewTranscriptRequest, PreviewTranscriptResponse, SendTranscriptRequest,
    SendTranscriptResponse, transcript_service_server::TranscriptService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, SendTranscript},
    error::NotificationError,
    queries::{self, ExplainTranscript, PreviewTranscript},
};

/// Serves `TranscriptService`.
pub(crate) struct Transcripts(pub(crate) App);

#[tonic::async_trait]
impl TranscriptService for Transcripts {
    async fn send_transcript(
        &self,
        request: Request<SendTranscriptRequest>,
    ) -> Result<Response<SendTranscriptResponse>, Status> {
        let (caller, request) = validated(request)?;
        check_time_zone(&request.time_zone)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let command = SendTranscript {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            contact: parse_id("contact_id", &request.contact_id)?,
            email: match request.email.as_str() {
                "" => String::new(),
                email => convert::email(email)?,
            },
            subject: request.subject,
            time_zone: request.time_zone,
        };
        let delivery = commands::send_transcript(&self.0, &caller, &key, command).await?;
        Ok(Response::new(SendTranscriptResponse { delivery: Some(convert::delivery(delivery)) }))
    }

    async fn preview_transcript(
        &self,
        request: Request<PreviewTranscriptRequest>,
    ) -> Result<Response<PreviewTranscriptResponse>, Status> {
        let (caller, request) = validated(request)?;
        check_time_zone(&request.time_zone)?;
        let query = PreviewTranscript {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            part: convert::part(request.part()),
            offset: request.offset,
            subject: request.subject,
            time_zone: request.time_zone,
        };
        let preview = queries::preview_transcript(&self.0, &caller, query).await?;
        Ok(Response::new(convert::preview(preview)))
    }

    async fn explain_transcript(
        &self,
        request: Request<ExplainTranscriptRequest>,
    ) -> Result<Response<ExplainTranscriptResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_id("conversation_id", &request.conversation_id)?;
        let close_number = (request.close_number > 0).then_some(request.close_number);
        let query = ExplainTranscript { conversation, close_number, forecast: request.forecast };
        let (decision, delivery) = queries::explain_transcript(&self.0, &caller, query).await?;
        let (decision, delivery) = (Some(convert::decision(decision)), delivery.map(convert::delivery));
        Ok(Response::new(ExplainTranscriptResponse { decision, delivery }))
    }

    async fn list_transcript_decisions(
        &self,
        request: Request<ListTranscriptDecisionsRequest>,
    ) -> Result<Response<ListTranscriptDecisionsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_optional_id("conversation_id", &request.conversation_id)?;
        let filter = ListTranscriptDecisionsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let page =
            self.0.pages.read_request::<(Time, Uuid), _>(&caller, &filter, request.page_size, &request.page_token)?;
        let mut rows =
            queries::list_transcript_decisions(&self.0, &caller, conversation, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut rows, |row| (row.created_at, row.id))?;
        let decisions = rows.into_iter().map(convert::decision).collect();
        Ok(Response::new(ListTranscriptDecisionsResponse { decisions, next_page_token }))
    }
}

/// Rejects a requested time zone that does not exist. An unknown one of a contact or channel is skipped instead.
fn check_time_zone(zone: &str) -> Result<(), NotificationError> {
    if zone.is_empty() || frontdesk_time_zone::parse(zone).is_some() {
        return Ok(());
    }
    let description = "must be an IANA time zone such as Europe/Rome, or empty".into();
    Err(NotificationError::Field { field: "time_zone", description })
}

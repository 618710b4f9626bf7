//! `SuppressionService`.

use std::collections::HashMap;

use frontdesk_api::{parse_id, validated};
use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::notification::v1::{
    self as proto, CreateSuppressionRequest, CreateSuppressionResponse, DeleteSuppressionRequest,
    DeleteSuppressionResponse, GetSuppressionRequest, GetSuppressionResponse, ListSuppressionsRequest,
    ListSuppressionsResponse, ReportBounceRequest, ReportBounceResponse, report_bounce_request::Mail,
    suppression_service_server::SuppressionService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, ReportBounce, ReportedMail},
    domain::{BounceKind, Suppression},
    error::NotificationError,
    queries,
};

/// Serves `SuppressionService`.
pub(crate) struct Suppressions(pub(crate) App);

impl Suppressions {
    async fn to_response(&self, caller: &Caller, suppression: Suppression) -> Result<proto::Suppression, Status> {
        let recipients = queries::find_recipients(&self.0, caller, std::slice::from_ref(&suppression)).await?;
        Ok(convert_with(suppression, &recipients))
    }
}

#[tonic::async_trait]
impl SuppressionService for Suppressions {
    async fn create_suppression(
        &self,
        request: Request<CreateSuppressionRequest>,
    ) -> Result<Response<CreateSuppressionResponse>, Status> {
        let (caller, request) = validated(request)?;
        let email = convert::canonical_email(&request.email)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let suppression = commands::create_suppression(&self.0, &caller, &key, &email).await?;
        let suppression = Some(self.to_response(&caller, suppression).await?);
        Ok(Response::new(CreateSuppressionResponse { suppression }))
    }

    async fn get_suppression(
        &self,
        request: Request<GetSuppressionRequest>,
    ) -> Result<Response<GetSuppressionResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("suppression_id", &request.suppression_id)?;
        let suppression = queries::get_suppression(&self.0, &caller, id).await?;
        let suppression = Some(self.to_response(&caller, suppression).await?);
        Ok(Response::new(GetSuppressionResponse { suppression }))
    }

    async fn list_suppressions(
        &self,
        request: Request<ListSuppressionsRequest>,
    ) -> Result<Response<ListSuppressionsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let email = match request.email.as_str() {
            "" => None,
            email => Some(convert::canonical_email(email)?),
        };
        let filter = ListSuppressionsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let page =
            self.0.pages.read_request::<(Time, Uuid), _>(&caller, &filter, request.page_size, &request.page_token)?;
        let mut rows =
            queries::list_suppressions(&self.0, &caller, email.as_deref(), page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut rows, |row| (row.created_at, row.id))?;
        let recipients = queries::find_recipients(&self.0, &caller, &rows).await?;
        let suppressions = rows.into_iter().map(|row| convert_with(row, &recipients)).collect();
        Ok(Response::new(ListSuppressionsResponse { suppressions, next_page_token }))
    }

    async fn delete_suppression(
        &self,
        request: Request<DeleteSuppressionRequest>,
    ) -> Result<Response<DeleteSuppressionResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("suppression_id", &request.suppression_id)?;
        commands::delete_suppression(&self.0, &caller, id).await?;
        Ok(Response::new(DeleteSuppressionResponse {}))
    }

    async fn report_bounce(
        &self,
        request: Request<ReportBounceRequest>,
    ) -> Result<Response<ReportBounceResponse>, Status> {
        let (caller, request) = validated(request)?;
        let kind = bounce_kind(request.kind())?;
        let mail = match request.mail {
            Some(Mail::DeliveryId(id)) => ReportedMail::Delivery(parse_id("delivery_id", &id)?),
            Some(Mail::MailMessageId(id)) => ReportedMail::MessageId(in_brackets(&id)),
            None => {
                let description = "name the mail by delivery_id or by mail_message_id".into();
                return Err(NotificationError::Field { field: "mail", description }.into());
            }
        };
        let command = ReportBounce { mail, kind, status_code: request.status_code };
        let suppression = match commands::report_bounce(&self.0, &caller, command).await? {
            Some(suppression) => Some(self.to_response(&caller, suppression).await?),
            None => None,
        };
        Ok(Response::new(ReportBounceResponse { suppression }))
    }
}

fn bounce_kind(kind: proto::BounceKind) -> Result<BounceKind, NotificationError> {
    match kind {
        proto::BounceKind::Soft => Ok(BounceKind::Soft),
        proto::BounceKind::Hard => Ok(BounceKind::Hard),
        proto::BounceKind::Complaint => Ok(BounceKind::Complaint),
        proto::BounceKind::Unspecified => {
            Err(NotificationError::Field { field: "kind", description: "is required".into() })
        }
    }
}

/// Mail programs write a Message-ID with and without its brackets.
fn in_brackets(id: &str) -> String {
    format!("<{}>", id.trim_start_matches('<').trim_end_matches('>'))
}

fn convert_with(suppression: Suppression, recipients: &HashMap<Uuid, String>) -> proto::Suppression {
    let recipient = suppression.delivery.and_then(|id| recipients.get(&id)).cloned();
    convert::suppression(suppression, recipient.unwrap_or_default())
}

//! `WebhookService`.

use std::time::Duration;

use frontdesk_api::{parse_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::notification::v1beta1::{
    CreateWebhookEndpointRequest, CreateWebhookEndpointResponse, DeleteWebhookEndpointRequest,
    DeleteWebhookEndpointResponse, GetWebhookDeliveryRequest, GetWebhookDeliveryResponse, GetWebhookEndpointRequest,
    GetWebhookEndpointResponse, ListWebhookDeliveriesRequest, ListWebhookDeliveriesResponse,
    ListWebhookEndpointsRequest, ListWebhookEndpointsResponse, ReplayWebhookDeliveriesRequest,
    ReplayWebhookDeliveriesResponse, ReplayWebhookDeliveryRequest, ReplayWebhookDeliveryResponse,
    RotateWebhookSecretRequest, RotateWebhookSecretResponse, TestWebhookEndpointRequest, TestWebhookEndpointResponse,
    UpdateWebhookEndpointRequest, UpdateWebhookEndpointResponse, webhook_service_server::WebhookService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, CreateWebhookEndpoint, UpdateWebhookEndpoint},
    domain::{ReplaySpan, WebhookEndpointChange},
    error::NotificationError,
    queries,
};

/// How long the previous secret stays valid, unless the caller says otherwise.
const KEEP_PREVIOUS_SECRET: Duration = Duration::from_secs(24 * 3600);

/// Serves `WebhookService`.
pub(crate) struct Webhooks(pub(crate) App);

#[tonic::async_trait]
impl WebhookService for Webhooks {
    async fn create_webhook_endpoint(
        &self,
        request: Request<CreateWebhookEndpointRequest>,
    ) -> Result<Response<CreateWebhookEndpointResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let command = CreateWebhookEndpoint {
            url: request.url,
            description: request.description,
            event_types: request.event_types,
            ordered: request.ordered,
        };
        let (endpoint, secret) = commands::create_webhook_endpoint(&self.0, &caller, &key, command).await?;
        let webhook_endpoint = Some(convert::webhook_endpoint(endpoint));
        Ok(Response::new(CreateWebhookEndpointResponse { webhook_endpoint, secret }))
    }

    async fn get_webhook_endpoint(
        &self,
        request: Request<GetWebhookEndpointRequest>,
    ) -> Result<Response<GetWebhookEndpointResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("webhook_endpoint_id", &request.webhook_endpoint_id)?;
        let endpoint = queries::get_webhook_endpoint(&self.0, &caller, id).await?;
        let webhook_endpoint = Some(convert::webhook_endpoint(endpoint));
        Ok(Response::new(GetWebhookEndpointResponse { webhook_endpoint }))
    }

    async fn list_webhook_endpoints(
        &self,
        request: Request<ListWebhookEndpointsRequest>,
    ) -> Result<Response<ListWebhookEndpointsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let filter = ListWebhookEndpointsRequest::default();
        let page = self.0.pages.read_request::<Uuid, _>(&caller, &filter, request.page_size, &request.page_token)?;
        let mut rows = queries::list_webhook_endpoints(&self.0, &caller, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut rows, |row| row.id)?;
        let webhook_endpoints = rows.into_iter().map(convert::webhook_endpoint).collect();
        Ok(Response::new(ListWebhookEndpointsResponse { webhook_endpoints, next_page_token }))
    }

    async fn update_webhook_endpoint(
        &self,
        request: Request<UpdateWebhookEndpointRequest>,
    ) -> Result<Response<UpdateWebhookEndpointResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateWebhookEndpoint {
            endpoint: parse_id("webhook_endpoint_id", &request.webhook_endpoint_id)?,
            change: WebhookEndpointChange {
                url: request.url,
                description: request.description,
                event_types: request.event_types.map(|types| types.event_types),
                ordered: request.ordered,
                enabled: request.enabled,
            },
            etag: request.etag,
        };
        let endpoint = commands::update_webhook_endpoint(&self.0, &caller, command).await?;
        let webhook_endpoint = Some(convert::webhook_endpoint(endpoint));
        Ok(Response::new(UpdateWebhookEndpointResponse { webhook_endpoint }))
    }

    async fn delete_webhook_endpoint(
        &self,
        request: Request<DeleteWebhookEndpointRequest>,
    ) -> Result<Response<DeleteWebhookEndpointResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("webhook_endpoint_id", &request.webhook_endpoint_id)?;
        commands::delete_webhook_endpoint(&self.0, &caller, id).await?;
        Ok(Response::new(DeleteWebhookEndpointResponse {}))
    }

    async fn rotate_webhook_secret(
        &self,
        request: Request<RotateWebhookSecretRequest>,
    ) -> Result<Response<RotateWebhookSecretResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("webhook_endpoint_id", &request.webhook_endpoint_id)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let keep_previous = request.keep_previous.map(Duration::try_from).transpose().map_err(|_| {
            NotificationError::Field { field: "keep_previous", description: "must not be negative".into() }
        })?;
        let keep_previous = keep_previous.unwrap_or(KEEP_PREVIOUS_SECRET);
        let (endpoint, secret) = commands::rotate_webhook_secret(&self.0, &caller, &key, id, keep_previous).await?;
        let webhook_endpoint = Some(convert::webhook_endpoint(endpoint));
        Ok(Response::new(RotateWebhookSecretResponse { webhook_endpoint, secret }))
    }

    async fn test_webhook_endpoint(
        &self,
        request: Request<TestWebhookEndpointRequest>,
    ) -> Result<Response<TestWebhookEndpointResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("webhook_endpoint_id", &request.webhook_endpoint_id)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let delivery = commands::test_webhook_endpoint(&self.0, &caller, &key, id).await?;
        let webhook_delivery = Some(convert::webhook_delivery(delivery));
        Ok(Response::new(TestWebhookEndpointResponse { webhook_delivery }))
    }

    async fn get_webhook_delivery(
        &self,
        request: Request<GetWebhookDeliveryRequest>,
    ) -> Result<Response<GetWebhookDeliveryResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("webhook_delivery_id", &request.webhook_delivery_id)?;
        let delivery = queries::get_webhook_delivery(&self.0, &caller, id).await?;
        let webhook_delivery = Some(convert::webhook_delivery(delivery));
        Ok(Response::new(GetWebhookDeliveryResponse { webhook_delivery }))
    }

    async fn list_webhook_deliveries(
        &self,
        request: Request<ListWebhookDeliveriesRequest>,
    ) -> Result<Response<ListWebhookDeliveriesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let filter = ListWebhookDeliveriesRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let page =
            self.0.pages.read_request::<(Time, Uuid), _>(&caller, &filter, request.page_size, &request.page_token)?;
        let endpoint = parse_id("webhook_endpoint_id", &request.webhook_endpoint_id)?;
        let statuses = convert::webhook_statuses(request.statuses());
        let size = page.size + 1;
        let mut rows =
            queries::list_webhook_deliveries(&self.0, &caller, endpoint, &statuses, page.cursor, size).await?;
        let next_page_token = self.0.pages.next_page_token_within(
            page,
            &mut rows,
            |row| row.event.payload.len() + row.response_body.len(),
            |row| (row.created_at, row.id),
        )?;
        let webhook_deliveries = rows.into_iter().map(convert::webhook_delivery).collect();
        Ok(Response::new(ListWebhookDeliveriesResponse { webhook_deliveries, next_page_token }))
    }

    async fn replay_webhook_delivery(
        &self,
        request: Request<ReplayWebhookDeliveryRequest>,
    ) -> Result<Response<ReplayWebhookDeliveryResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("webhook_delivery_id", &request.webhook_delivery_id)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let delivery = commands::replay_webhook_delivery(&self.0, &caller, &key, id).await?;
        let webhook_delivery = Some(convert::webhook_delivery(delivery));
        Ok(Response::new(ReplayWebhookDeliveryResponse { webhook_delivery }))
    }

    async fn replay_webhook_deliveries(
        &self,
        request: Request<ReplayWebhookDeliveriesRequest>,
    ) -> Result<Response<ReplayWebhookDeliveriesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("webhook_endpoint_id", &request.webhook_endpoint_id)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let span = ReplaySpan {
            starts_at: request.start_time.as_ref().map(Time::from_proto),
            ends_at: request.end_time.as_ref().map(Time::from_proto),
            only_failed: request.only_failed,
        };
        let (replayed, next) = commands::replay_webhook_deliveries(&self.0, &caller, &key, id, span).await?;
        Ok(Response::new(ReplayWebhookDeliveriesResponse {
            replayed_count: i32::try_from(replayed).unwrap_or(i32::MAX),
            next_start_time: next.map(|at| at.to_proto()),
        }))
    }
}

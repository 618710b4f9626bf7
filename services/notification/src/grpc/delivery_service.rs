//! `DeliveryService`.

use std::pin::Pin;

use frontdesk_api::{live_stream, parse_id, parse_optional_id, validated};
use frontdesk_clock::Time;
use frontdesk_proto::notification::v1::{
    CancelDeliveryRequest, CancelDeliveryResponse, GetDeliveryRequest, GetDeliveryResponse, ListDeliveriesRequest,
    ListDeliveriesResponse, RetryDeliveryRequest, RetryDeliveryResponse, WatchDeliveriesRequest,
    WatchDeliveriesResponse, delivery_service_server::DeliveryService,
};
use futures::Stream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{convert, watch_deliveries::DeliveryUpdates};
use crate::{App, commands, domain::DeliveryFilter, queries};

/// Serves `DeliveryService`.
pub(crate) struct Deliveries(pub(crate) App);

#[tonic::async_trait]
impl DeliveryService for Deliveries {
    type WatchDeliveriesStream = Pin<Box<dyn Stream<Item = Result<WatchDeliveriesResponse, Status>> + Send>>;

    async fn get_delivery(
        &self,
        request: Request<GetDeliveryRequest>,
    ) -> Result<Response<GetDeliveryResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("delivery_id", &request.delivery_id)?;
        let delivery = queries::get_delivery(&self.0, &caller, id).await?;
        Ok(Response::new(GetDeliveryResponse { delivery: Some(convert::delivery(delivery)) }))
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let content = ListDeliveriesRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let page =
            self.0.pages.read_request::<(Time, Uuid), _>(&caller, &content, request.page_size, &request.page_token)?;
        let conversation = parse_optional_id("conversation_id", &request.conversation_id)?;
        let contact = parse_optional_id("contact_id", &request.contact_id)?;
        let filter = DeliveryFilter { conversation, contact, statuses: convert::statuses(request.statuses()) };
        let mut rows = queries::list_deliveries(&self.0, &caller, &filter, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut rows, |row| (row.created_at, row.id))?;
        let deliveries = rows.into_iter().map(convert::delivery).collect();
        Ok(Response::new(ListDeliveriesResponse { deliveries, next_page_token }))
    }

    async fn watch_deliveries(
        &self,
        request: Request<WatchDeliveriesRequest>,
    ) -> Result<Response<Self::WatchDeliveriesStream>, Status> {
        let (caller, request) = validated(request)?;
        let conversation = parse_optional_id("conversation_id", &request.conversation_id)?;
        let filter = DeliveryFilter { conversation, ..DeliveryFilter::default() };
        let updates = DeliveryUpdates::begin(self.0.clone(), caller, filter).await?;
        Ok(Response::new(Box::pin(live_stream(updates, self.0.shutdown.clone()))))
    }

    async fn retry_delivery(
        &self,
        request: Request<RetryDeliveryRequest>,
    ) -> Result<Response<RetryDeliveryResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("delivery_id", &request.delivery_id)?;
        let delivery = commands::retry_delivery(&self.0, &caller, id).await?;
        Ok(Response::new(RetryDeliveryResponse { delivery: Some(convert::delivery(delivery)) }))
    }

    async fn cancel_delivery(
        &self,
        request: Request<CancelDeliveryRequest>,
    ) -> Result<Response<CancelDeliveryResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("delivery_id", &request.delivery_id)?;
        let delivery = commands::cancel_delivery(&self.0, &caller, id).await?;
        Ok(Response::new(CancelDeliveryResponse { delivery: Some(convert::delivery(delivery)) }))
    }
}

//! `OpeningHoursService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::assignment::v1::{
    CreateOpeningHoursRequest, CreateOpeningHoursResponse, DeleteOpeningHoursRequest, DeleteOpeningHoursResponse,
    GetOpeningHoursRequest, GetOpeningHoursResponse, ListOpeningHoursRequest, ListOpeningHoursResponse,
    UndeleteOpeningHoursRequest, UndeleteOpeningHoursResponse, UpdateOpeningHoursRequest, UpdateOpeningHoursResponse,
    opening_hours_service_server::OpeningHoursService,
};
use prost::Message;
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, CreateOpeningHours, UpdateOpeningHours},
    domain::{OpeningHours, OpeningHoursChange},
    queries,
};

/// Serves `OpeningHoursService`.
pub(crate) struct Hours(pub(crate) App);

#[tonic::async_trait]
impl OpeningHoursService for Hours {
    async fn create_opening_hours(
        &self,
        request: Request<CreateOpeningHoursRequest>,
    ) -> Result<Response<CreateOpeningHoursResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let schedule = convert::schedule(request.schedule.unwrap_or_default())?;
        let command = CreateOpeningHours { name: request.name, schedule };
        let hours = commands::create_opening_hours(&self.0, &caller, &key, command).await?;
        Ok(Response::new(CreateOpeningHoursResponse { opening_hours: Some(convert::opening_hours(&hours)) }))
    }

    async fn get_opening_hours(
        &self,
        request: Request<GetOpeningHoursRequest>,
    ) -> Result<Response<GetOpeningHoursResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("opening_hours_id", &request.opening_hours_id)?;
        let hours = queries::get_opening_hours(&self.0, &caller, id).await?;
        Ok(Response::new(GetOpeningHoursResponse { opening_hours: Some(convert::opening_hours(&hours)) }))
    }

    async fn list_opening_hours(
        &self,
        request: Request<ListOpeningHoursRequest>,
    ) -> Result<Response<ListOpeningHoursResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (pages, show_deleted) = (&self.0.pages, request.show_deleted);
        let filter = ListOpeningHoursRequest { show_deleted, ..ListOpeningHoursRequest::default() };
        let page = pages.read_request(&caller, &filter, request.page_size, &request.page_token)?;
        let mut hours = queries::list_opening_hours(&self.0, &caller, show_deleted, &page).await?;
        let size = |hours: &OpeningHours| convert::opening_hours(hours).encoded_len();
        let cursor = |last: &OpeningHours| (last.name.clone(), last.id);
        let next_page_token = pages.next_page_token_within(page, &mut hours, size, cursor)?;
        let opening_hours = hours.iter().map(convert::opening_hours).collect();
        Ok(Response::new(ListOpeningHoursResponse { opening_hours, next_page_token }))
    }

    async fn update_opening_hours(
        &self,
        request: Request<UpdateOpeningHoursRequest>,
    ) -> Result<Response<UpdateOpeningHoursResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateOpeningHours {
            id: parse_id("opening_hours_id", &request.opening_hours_id)?,
            change: OpeningHoursChange {
                name: request.name,
                schedule: request.schedule.map(convert::schedule).transpose()?,
            },
            etag: request.etag,
        };
        let hours = commands::update_opening_hours(&self.0, &caller, command).await?;
        Ok(Response::new(UpdateOpeningHoursResponse { opening_hours: Some(convert::opening_hours(&hours)) }))
    }

    async fn delete_opening_hours(
        &self,
        request: Request<DeleteOpeningHoursRequest>,
    ) -> Result<Response<DeleteOpeningHoursResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("opening_hours_id", &request.opening_hours_id)?;
        let hours = commands::delete_opening_hours(&self.0, &caller, id).await?;
        Ok(Response::new(DeleteOpeningHoursResponse { opening_hours: Some(convert::opening_hours(&hours)) }))
    }

    async fn undelete_opening_hours(
        &self,
        request: Request<UndeleteOpeningHoursRequest>,
    ) -> Result<Response<UndeleteOpeningHoursResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("opening_hours_id", &request.opening_hours_id)?;
        let hours = commands::undelete_opening_hours(&self.0, &caller, id).await?;
        Ok(Response::new(UndeleteOpeningHoursResponse { opening_hours: Some(convert::opening_hours(&hours)) }))
    }
}

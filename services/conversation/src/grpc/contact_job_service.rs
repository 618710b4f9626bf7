//! `ContactJobService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, contact_job_service_server::ContactJobService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, EraseContact, ExportContact},
    queries,
};

/// Serves `ContactJobService`.
pub(crate) struct ContactJobs(pub(crate) App);

#[tonic::async_trait]
impl ContactJobService for ContactJobs {
    async fn erase_contact(
        &self,
        request: Request<pb::EraseContactRequest>,
    ) -> Result<Response<pb::EraseContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = EraseContact {
            key: Key::new(&caller, &request.request_id, &request),
            contact: parse_id("contact_id", &request.contact_id)?,
        };
        let job = commands::erase_contact(&self.0, &caller, command).await?;
        Ok(Response::new(pb::EraseContactResponse { contact_job: Some(convert::contact_job(&job)) }))
    }

    async fn export_contact(
        &self,
        request: Request<pb::ExportContactRequest>,
    ) -> Result<Response<pb::ExportContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = ExportContact {
            key: Key::new(&caller, &request.request_id, &request),
            contact: parse_id("contact_id", &request.contact_id)?,
        };
        let job = commands::export_contact(&self.0, &caller, command).await?;
        Ok(Response::new(pb::ExportContactResponse { contact_job: Some(convert::contact_job(&job)) }))
    }

    async fn create_contact_export_link(
        &self,
        request: Request<pb::CreateContactExportLinkRequest>,
    ) -> Result<Response<pb::CreateContactExportLinkResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("contact_job_id", &request.contact_job_id)?;
        let link = commands::create_contact_export_link(&self.0, &caller, id).await?;
        let expire_time = Some(link.expires_at.to_proto());
        Ok(Response::new(pb::CreateContactExportLinkResponse { url: link.url, expire_time }))
    }

    async fn get_contact_job(
        &self,
        request: Request<pb::GetContactJobRequest>,
    ) -> Result<Response<pb::GetContactJobResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("contact_job_id", &request.contact_job_id)?;
        let job = queries::get_contact_job(&self.0, &caller, id).await?;
        Ok(Response::new(pb::GetContactJobResponse { contact_job: Some(convert::contact_job(&job)) }))
    }

    async fn list_contact_jobs(
        &self,
        request: Request<pb::ListContactJobsRequest>,
    ) -> Result<Response<pb::ListContactJobsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let mut jobs = queries::list_contact_jobs(&self.0, &caller, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut jobs, |last| (last.created_at, last.id))?;
        let contact_jobs = jobs.iter().map(convert::contact_job).collect();
        Ok(Response::new(pb::ListContactJobsResponse { contact_jobs, next_page_token }))
    }
}

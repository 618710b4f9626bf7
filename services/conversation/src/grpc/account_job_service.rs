//! `AccountJobService`.

use std::time::Duration;

use frontdesk_api::{parse_id, validated};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, account_job_service_server::AccountJobService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, EndAccount},
    domain::DEFAULT_ERASE_DELAY,
    queries,
};

/// Serves `AccountJobService`.
pub(crate) struct AccountJobs(pub(crate) App);

#[tonic::async_trait]
impl AccountJobService for AccountJobs {
    async fn end_account(
        &self,
        request: Request<pb::EndAccountRequest>,
    ) -> Result<Response<pb::EndAccountResponse>, Status> {
        let (caller, request) = validated(request)?;
        let erase_delay = request.erase_delay.and_then(|delay| Duration::try_from(delay).ok());
        let command = EndAccount {
            key: Key::new(&caller, &request.request_id, &request),
            account: AccountId(parse_id("account_id", &request.account_id)?),
            erase_delay: erase_delay.unwrap_or(DEFAULT_ERASE_DELAY),
        };
        let job = commands::end_account(&self.0, &caller, command).await?;
        Ok(Response::new(pb::EndAccountResponse { account_job: Some(convert::account_job(&job)) }))
    }

    async fn cancel_account_end(
        &self,
        request: Request<pb::CancelAccountEndRequest>,
    ) -> Result<Response<pb::CancelAccountEndResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("account_job_id", &request.account_job_id)?;
        let job = commands::cancel_account_end(&self.0, &caller, id).await?;
        Ok(Response::new(pb::CancelAccountEndResponse { account_job: Some(convert::account_job(&job)) }))
    }

    async fn create_account_export_link(
        &self,
        request: Request<pb::CreateAccountExportLinkRequest>,
    ) -> Result<Response<pb::CreateAccountExportLinkResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("account_job_id", &request.account_job_id)?;
        let link = commands::create_account_export_link(&self.0, &caller, id).await?;
        let expire_time = Some(link.expires_at.to_proto());
        Ok(Response::new(pb::CreateAccountExportLinkResponse { url: link.url, expire_time }))
    }

    async fn get_account_job(
        &self,
        request: Request<pb::GetAccountJobRequest>,
    ) -> Result<Response<pb::GetAccountJobResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("account_job_id", &request.account_job_id)?;
        let job = queries::get_account_job(&self.0, &caller, id).await?;
        Ok(Response::new(pb::GetAccountJobResponse { account_job: Some(convert::account_job(&job)) }))
    }

    async fn list_account_jobs(
        &self,
        request: Request<pb::ListAccountJobsRequest>,
    ) -> Result<Response<pb::ListAccountJobsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let mut jobs = queries::list_account_jobs(&self.0, &caller, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut jobs, |last| (last.created_at, last.id))?;
        let account_jobs = jobs.iter().map(convert::account_job).collect();
        Ok(Response::new(pb::ListAccountJobsResponse { account_jobs, next_page_token }))
    }
}

//! `AccountRowService`: the rows of an account, for its export.

use frontdesk_api::{ApiError, FieldError, validated};
use frontdesk_db::AccountRowCursor;
use frontdesk_proto::botsession::internal::v1::{
    ListAccountRowsRequest, ListAccountRowsResponse, account_row_service_server::AccountRowService,
};
use tonic::{Request, Response, Status};

use crate::{App, queries};

/// Serves `AccountRowService`.
pub(crate) struct AccountRows(pub(crate) App);

#[tonic::async_trait]
impl AccountRowService for AccountRows {
    async fn list_account_rows(
        &self,
        request: Request<ListAccountRowsRequest>,
    ) -> Result<Response<ListAccountRowsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let wrong = |_| ApiError::fields(vec![FieldError::new("cursor", "must be the next_cursor of a page")]);
        let cursor: AccountRowCursor = request.cursor.parse().map_err(wrong)?;
        let page = queries::list_account_rows(&self.0, &caller, cursor).await?;
        Ok(Response::new(ListAccountRowsResponse { records: page.records, next_cursor: page.next_cursor }))
    }
}

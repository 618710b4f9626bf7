//! GET: the file of the export of an account that ends, as a download.

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;

use super::{
    Answer, Transfers,
    contact_export::MEDIA_TYPE,
    download::{response_headers, verified_bytes},
};
use crate::{commands::LinkPurpose, domain::time_limit, queries, store::objects::ObjectKey};

/// What to do about a link that is not valid.
const REMEDY: &str = "Get a new one with CreateAccountExportLink.";

pub(super) async fn download(
    State(transfers): State<Transfers>,
    Path(token): Path<String>,
) -> Result<Response, Answer> {
    let app = &transfers.app;
    let verified = app.attachment_links.verify(LinkPurpose::AccountExport, &token);
    let (account, id) = verified.map_err(|_| Answer::invalid_link(REMEDY))?;
    let permit = transfers.downloads.acquire(id).await.ok_or_else(Answer::busy)?;
    let job = queries::find_account_job(app, account, id).await.map_err(|error| Answer::failed("find", &error))?;
    let now = app.db.now().await.map_err(|error| Answer::failed("find", &error))?;
    let file = job.as_ref().and_then(|job| job.readable_file(now));
    let removed = || Answer::new(StatusCode::NOT_FOUND, "There is no such file any more.");
    let file = file.ok_or_else(removed)?;
    let key = ObjectKey { account, attachment: id, object: file.object };
    let bytes = app.objects.read(key).await.map_err(|error| Answer::failed("read", &error))?.ok_or_else(removed)?;
    let limit = time_limit(file.size);
    let body = Body::from_stream(verified_bytes(id, bytes, file.sha256.clone(), limit, permit));
    let headers =
        response_headers(MEDIA_TYPE, file.size, &format!("account-{account}.jsonl"), format!("\"{}\"", file.sha256));
    Ok((headers, body).into_response())
}

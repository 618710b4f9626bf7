//! GET: the file of an export of a contact or of an account, as a download.

use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_permits::Permit;
use http::StatusCode;
use uuid::Uuid;

use super::{
    Answer, Transfers,
    download::{response_headers, verified_bytes},
};
use crate::{
    App,
    commands::LinkPurpose,
    domain::{ExportFile, time_limit},
    queries,
    store::objects::ObjectKey,
};

/// Media type of the files.
const MEDIA_TYPE: &str = "application/jsonl";

/// A request whose link is valid.
struct Admitted {
    account: AccountId,
    job: Uuid,
    now: Time,
    permit: Permit,
}

pub(super) async fn of_contact(
    State(transfers): State<Transfers>,
    Path(token): Path<String>,
) -> Result<Response, Answer> {
    let remedy = "Get a new one with CreateContactExportLink.";
    let admitted = admit(&transfers, LinkPurpose::ContactExport, &token, remedy).await?;
    let (app, id) = (&transfers.app, admitted.job);
    let job = queries::find_contact_job(app, admitted.account, id).await;
    let job = job.map_err(|error| Answer::failed("find", &error))?;
    let file = job.as_ref().and_then(|job| job.readable_file(admitted.now));
    let file = file.ok_or_else(|| gone("There is no such file any more; export the contact again."))?;
    send(app, admitted, file, &format!("contact-{id}.jsonl")).await
}

pub(super) async fn of_account(
    State(transfers): State<Transfers>,
    Path(token): Path<String>,
) -> Result<Response, Answer> {
    let remedy = "Get a new one with CreateAccountExportLink.";
    let admitted = admit(&transfers, LinkPurpose::AccountExport, &token, remedy).await?;
    let (app, account) = (&transfers.app, admitted.account);
    let job = queries::find_account_job(app, account, admitted.job).await;
    let job = job.map_err(|error| Answer::failed("find", &error))?;
    let file = job.as_ref().and_then(|job| job.readable_file(admitted.now));
    let file = file.ok_or_else(|| gone("There is no such file any more."))?;
    send(app, admitted, file, &format!("account-{account}.jsonl")).await
}

async fn admit(transfers: &Transfers, purpose: LinkPurpose, token: &str, remedy: &str) -> Result<Admitted, Answer> {
    let app = &transfers.app;
    let verified = app.attachment_links.verify(purpose, token);
    let (account, job) = verified.map_err(|_| Answer::invalid_link(remedy))?;
    let permit = transfers.downloads.acquire(job).await.map_err(|_| Answer::busy())?;
    let now = app.db.now().await.map_err(|error| Answer::failed("find", &error))?;
    Ok(Admitted { account, job, now, permit })
}

fn gone(text: &str) -> Answer {
    Answer::new(StatusCode::NOT_FOUND, text)
}

async fn send(app: &App, admitted: Admitted, file: &ExportFile, file_name: &str) -> Result<Response, Answer> {
    let Admitted { account, job, permit, .. } = admitted;
    let bytes = app.objects.read(ObjectKey { account, attachment: job, object: file.object }).await;
    let bytes = bytes.map_err(|error| Answer::failed("read", &error))?;
    let bytes = bytes.ok_or_else(|| gone("There is no such file any more."))?;
    let body = verified_bytes(job, bytes, file.sha256.clone(), time_limit(file.size), permit);
    let headers = response_headers(MEDIA_TYPE, file.size, file_name, format!("\"{}\"", file.sha256));
    Ok((headers, Body::from_stream(body)).into_response())
}

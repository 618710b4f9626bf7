//! `TemplateService`.

use frontdesk_api::validated;
use frontdesk_proto::notification::v1::{
    self as proto, DeleteTranscriptTemplateRequest, DeleteTranscriptTemplateResponse, GetTranscriptTemplateRequest,
    GetTranscriptTemplateResponse, ListTranscriptTemplatesRequest, ListTranscriptTemplatesResponse,
    PreviewTranscriptTemplateRequest, PreviewTranscriptTemplateResponse, UpdateTranscriptTemplateRequest,
    UpdateTranscriptTemplateResponse, template_service_server::TemplateService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, UpdateTranscriptTemplate},
    domain::{TemplateChange, TranscriptTemplate},
    mail::{SampleMail, shipped_sources, shipped_words},
    queries,
};

/// Serves `TemplateService`.
pub(crate) struct Templates(pub(crate) App);

#[tonic::async_trait]
impl TemplateService for Templates {
    async fn get_transcript_template(
        &self,
        request: Request<GetTranscriptTemplateRequest>,
    ) -> Result<Response<GetTranscriptTemplateResponse>, Status> {
        let (caller, request) = validated(request)?;
        let language = request.language.to_ascii_lowercase();
        let template = queries::get_transcript_template(&self.0, &caller, &language).await?;
        let [html, text] = shipped_sources();
        Ok(Response::new(GetTranscriptTemplateResponse {
            template: Some(converted(template)),
            shipped_html: html.to_owned(),
            shipped_text: text.to_owned(),
            shipped_words: shipped_words(&language),
        }))
    }

    async fn list_transcript_templates(
        &self,
        request: Request<ListTranscriptTemplatesRequest>,
    ) -> Result<Response<ListTranscriptTemplatesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let filter = ListTranscriptTemplatesRequest::default();
        let page = self.0.pages.read_request::<String, _>(&caller, &filter, request.page_size, &request.page_token)?;
        let mut rows =
            queries::list_transcript_templates(&self.0, &caller, page.cursor.as_deref(), page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut rows, |row| row.language.clone())?;
        let templates = rows.into_iter().map(converted).collect();
        Ok(Response::new(ListTranscriptTemplatesResponse { templates, next_page_token }))
    }

    async fn update_transcript_template(
        &self,
        request: Request<UpdateTranscriptTemplateRequest>,
    ) -> Result<Response<UpdateTranscriptTemplateResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateTranscriptTemplate {
            language: request.language.to_ascii_lowercase(),
            change: TemplateChange { html: request.html, text: request.text, words: request.words },
            etag: request.etag,
        };
        let template = commands::update_transcript_template(&self.0, &caller, command).await?;
        Ok(Response::new(UpdateTranscriptTemplateResponse { template: Some(converted(template)) }))
    }

    async fn delete_transcript_template(
        &self,
        request: Request<DeleteTranscriptTemplateRequest>,
    ) -> Result<Response<DeleteTranscriptTemplateResponse>, Status> {
        let (caller, request) = validated(request)?;
        let language = request.language.to_ascii_lowercase();
        commands::delete_transcript_template(&self.0, &caller, &language).await?;
        Ok(Response::new(DeleteTranscriptTemplateResponse {}))
    }

    async fn preview_transcript_template(
        &self,
        request: Request<PreviewTranscriptTemplateRequest>,
    ) -> Result<Response<PreviewTranscriptTemplateResponse>, Status> {
        let (caller, request) = validated(request)?;
        let language = request.language.to_ascii_lowercase();
        let change = TemplateChange { html: request.html, text: request.text, words: request.words };
        let sample = queries::preview_transcript_template(&self.0, &caller, &language, change).await?;
        let SampleMail { subject, html, text } = sample;
        Ok(Response::new(PreviewTranscriptTemplateResponse { subject, html, text }))
    }
}

fn converted(template: TranscriptTemplate) -> proto::TranscriptTemplate {
    proto::TranscriptTemplate {
        etag: template.etag(),
        update_time: (template.version > 0).then(|| template.updated_at.to_proto()),
        version: convert::version(template.version),
        language: template.language,
        html: template.html,
        text: template.text,
        words: template.words,
    }
}

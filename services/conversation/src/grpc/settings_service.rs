//! `SettingsService`.

use frontdesk_api::{caller, validated};
use frontdesk_proto::conversation::v1::{self as pb, settings_service_server::SettingsService};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, UpdateSettings},
    domain::{AccountSettings, AccountSettingsUpdate},
    queries,
};

/// Serves `SettingsService`.
pub(crate) struct Settings(pub(crate) App);

impl Settings {
    fn to_response(&self, settings: AccountSettings) -> pb::Settings {
        let installation = self.0.attachment_links.is_enabled().then_some(&*self.0.attachment_policy);
        convert::settings(settings, installation)
    }
}

#[tonic::async_trait]
impl SettingsService for Settings {
    async fn get_settings(
        &self,
        request: Request<pb::GetSettingsRequest>,
    ) -> Result<Response<pb::GetSettingsResponse>, Status> {
        let caller = caller(&request)?;
        let settings = queries::get_settings(&self.0, &caller).await?;
        Ok(Response::new(pb::GetSettingsResponse { settings: Some(self.to_response(settings)) }))
    }

    async fn update_settings(
        &self,
        request: Request<pb::UpdateSettingsRequest>,
    ) -> Result<Response<pb::UpdateSettingsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let size = request.max_attachment_size_bytes;
        let property_types = request.contact_properties.map(|list| convert::property_types(&list.properties));
        let update = AccountSettingsUpdate {
            attachment_media_types: request.attachment_media_types.map(|types| types.media_types),
            max_attachment_size: size.map(|size| Some(i64::from(size)).filter(|size| *size > 0)),
            visitor_attachments_enabled: request.visitor_attachments_enabled,
            own_tickets_only: request.transcripts_only_blocked_by_own_tickets,
            property_types: convert::one(property_types.transpose())?,
            language: convert::one(request.language.as_deref().map(convert::language).transpose())?,
        };
        let command = UpdateSettings { update, etag: request.etag };
        let settings = commands::update_settings(&self.0, &caller, command).await?;
        Ok(Response::new(pb::UpdateSettingsResponse { settings: Some(self.to_response(settings)) }))
    }
}

//! `NotificationPreferenceService`: what agents are mailed.

use frontdesk_api::caller;
use frontdesk_proto::notification::v1::{
    GetNotificationPreferencesRequest, GetNotificationPreferencesResponse, NotificationPreferences,
    SetNotificationPreferencesRequest, SetNotificationPreferencesResponse,
    notification_preference_service_server::NotificationPreferenceService,
};
use tonic::{Request, Response, Status};

use crate::{App, commands, domain, queries};

/// Serves `NotificationPreferenceService`.
pub(crate) struct Preferences(pub(crate) App);

#[tonic::async_trait]
impl NotificationPreferenceService for Preferences {
    async fn get_notification_preferences(
        &self,
        request: Request<GetNotificationPreferencesRequest>,
    ) -> Result<Response<GetNotificationPreferencesResponse>, Status> {
        let caller = caller(&request)?;
        let preferences = queries::get_notification_preferences(&self.0, &caller).await?;
        Ok(Response::new(GetNotificationPreferencesResponse { preferences: Some(convert(preferences)) }))
    }

    async fn set_notification_preferences(
        &self,
        request: Request<SetNotificationPreferencesRequest>,
    ) -> Result<Response<SetNotificationPreferencesResponse>, Status> {
        let (caller, request) = (caller(&request)?, request.into_inner());
        let (mentions, assignments) = (request.mentions, request.assignments);
        let preferences = commands::set_notification_preferences(&self.0, &caller, mentions, assignments).await?;
        Ok(Response::new(SetNotificationPreferencesResponse { preferences: Some(convert(preferences)) }))
    }
}

fn convert(preferences: domain::NotificationPreferences) -> NotificationPreferences {
    NotificationPreferences { mentions: preferences.mentions, assignments: preferences.assignments }
}

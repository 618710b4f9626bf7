//! `ChannelService`.

use std::time::Duration;

use frontdesk_api::{ApiError, parse_id, parse_optional_id, validated};
use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{
    self as pb, channel_service_server::ChannelService, create_channel_request, update_channel_request,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    convert::{self, anonymous_visitors, invalid, language, one, time_zone},
    visitor_key_cache,
};
use crate::{
    App,
    commands::{self, CreateChannel, RotateVisitorKey, UpdateChannel},
    domain::{Channel, ChannelUpdate, DeletedReferences},
    queries,
};

/// How long the previous keys stay active unless the request says: the longest lifetime of a visitor token.
const KEEP_PREVIOUS_KEYS: Duration = Duration::from_secs(24 * 3600);

/// Serves `ChannelService`.
pub(crate) struct Channels(pub(crate) App);

impl Channels {
    async fn to_response(&self, caller: &Caller, channel: &Channel) -> Result<pb::Channel, Status> {
        let deleted = queries::list_deleted_references(&self.0, caller, std::slice::from_ref(channel)).await?;
        self.with_references(channel, &deleted)
    }

    fn with_references(&self, channel: &Channel, deleted: &DeletedReferences) -> Result<pb::Channel, Status> {
        let token = self.0.installation_secret.widget_token(channel.account, channel.id);
        let token = token.map_err(|error| ApiError::internal(&error))?;
        Ok(convert::channel(channel, token, deleted))
    }
}

#[tonic::async_trait]
impl ChannelService for Channels {
    async fn create_channel(
        &self,
        request: Request<pb::CreateChannelRequest>,
    ) -> Result<Response<pb::CreateChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = CreateChannel {
            key: Key::new(&caller, &request.request_id, &request),
            bot: match &request.greeter {
                Some(create_channel_request::Greeter::BotId(bot)) => Some(parse_id("bot_id", bot)?),
                Some(_) | None => None,
            },
            routing_policy: match &request.greeter {
                Some(create_channel_request::Greeter::RoutingPolicyId(id)) => Some(parse_id("routing_policy_id", id)?),
                Some(_) | None => None,
            },
            hand_off_policy: parse_optional_id("hand_off_routing_policy_id", &request.hand_off_routing_policy_id)?,
            transcript_enabled: request.transcript_enabled.unwrap_or(true),
            transcript_sender_id: parse_optional_id("transcript_sender_id", &request.transcript_sender_id)?,
            time_zone: one(time_zone(&request.time_zone))?,
            language: one(language(&request.language))?,
            anonymous_visitors: one(request.anonymous_visitors.map(anonymous_visitors).transpose())?,
            opening_hours: parse_optional_id("opening_hours_id", &request.opening_hours_id)?,
            name: request.name,
            website_url: request.website_url,
        };
        let channel = commands::create_channel(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateChannelResponse { channel: Some(self.to_response(&caller, &channel).await?) }))
    }

    async fn get_channel(
        &self,
        request: Request<pb::GetChannelRequest>,
    ) -> Result<Response<pb::GetChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = queries::get_channel(&self.0, &caller, parse_id("channel_id", &request.channel_id)?).await?;
        Ok(Response::new(pb::GetChannelResponse { channel: Some(self.to_response(&caller, &channel).await?) }))
    }

    async fn list_channels(
        &self,
        request: Request<pb::ListChannelsRequest>,
    ) -> Result<Response<pb::ListChannelsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(String, Uuid), _>(&caller, &request, size, &token)?;
        let (after, limit) = (page.cursor.clone(), page.size + 1);
        let mut channels = queries::list_channels(&self.0, &caller, request.show_deleted, after, limit).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut channels, |last| (last.name.clone(), last.id))?;
        let deleted = queries::list_deleted_references(&self.0, &caller, &channels).await?;
        let channels =
            channels.iter().map(|channel| self.with_references(channel, &deleted)).collect::<Result<_, _>>()?;
        Ok(Response::new(pb::ListChannelsResponse { channels, next_page_token }))
    }

    async fn update_channel(
        &self,
        request: Request<pb::UpdateChannelRequest>,
    ) -> Result<Response<pb::UpdateChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let sender = request.transcript_sender_id.as_deref();
        let opening_hours = request.opening_hours_id.as_deref();
        let hand_off_policy = request.hand_off_routing_policy_id.as_deref();
        let update = ChannelUpdate {
            bot_id: match &request.greeter {
                Some(update_channel_request::Greeter::BotId(bot)) => Some(Some(parse_id("bot_id", bot)?)),
                Some(_) => Some(None),
                None => None,
            },
            routing_policy_id: match &request.greeter {
                Some(update_channel_request::Greeter::RoutingPolicyId(id)) => {
                    Some(Some(parse_id("routing_policy_id", id)?))
                }
                Some(_) => Some(None),
                None => None,
            },
            hand_off_policy_id: hand_off_policy
                .map(|id| parse_optional_id("hand_off_routing_policy_id", id))
                .transpose()?,
            transcript_enabled: request.transcript_enabled,
            transcript_sender_id: sender.map(|id| parse_optional_id("transcript_sender_id", id)).transpose()?,
            time_zone: one(request.time_zone.as_deref().map(time_zone).transpose())?,
            language: one(request.language.as_deref().map(language).transpose())?,
            anonymous_visitors: match request.anonymous {
                Some(update_channel_request::Anonymous::AnonymousVisitors(settings)) => {
                    Some(Some(one(anonymous_visitors(settings))?))
                }
                Some(update_channel_request::Anonymous::NoAnonymousVisitors(_)) => Some(None),
                None => None,
            },
            opening_hours_id: opening_hours.map(|id| parse_optional_id("opening_hours_id", id)).transpose()?,
            name: request.name,
            website_url: request.website_url,
        };
        let channel = parse_id("channel_id", &request.channel_id)?;
        let command = UpdateChannel { channel, update, etag: request.etag };
        let channel = commands::update_channel(&self.0, &caller, command).await?;
        Ok(Response::new(pb::UpdateChannelResponse { channel: Some(self.to_response(&caller, &channel).await?) }))
    }

    async fn delete_channel(
        &self,
        request: Request<pb::DeleteChannelRequest>,
    ) -> Result<Response<pb::DeleteChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = commands::delete_channel(&self.0, &caller, parse_id("channel_id", &request.channel_id)?).await?;
        Ok(Response::new(pb::DeleteChannelResponse { channel: Some(self.to_response(&caller, &channel).await?) }))
    }

    async fn undelete_channel(
        &self,
        request: Request<pb::UndeleteChannelRequest>,
    ) -> Result<Response<pb::UndeleteChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("channel_id", &request.channel_id)?;
        let channel = commands::undelete_channel(&self.0, &caller, id).await?;
        Ok(Response::new(pb::UndeleteChannelResponse { channel: Some(self.to_response(&caller, &channel).await?) }))
    }

    async fn rotate_visitor_key(
        &self,
        request: Request<pb::RotateVisitorKeyRequest>,
    ) -> Result<Response<pb::RotateVisitorKeyResponse>, Status> {
        let (caller, request) = validated(request)?;
        let keep_previous = request.keep_previous.map(Duration::try_from).transpose();
        let keep_previous = keep_previous.map_err(|_| invalid("keep_previous", "must not be negative"))?;
        let keep_previous = keep_previous.unwrap_or(KEEP_PREVIOUS_KEYS);
        let command = RotateVisitorKey {
            channel: parse_id("channel_id", &request.channel_id)?,
            keep_previous,
            key: Key::new(&caller, &request.request_id, &request),
        };
        let (key, secret) = commands::rotate_visitor_key(&self.0, &caller, command).await?;
        if keep_previous.is_zero() {
            visitor_key_cache::until_ends_are_noticed().await;
        }
        Ok(Response::new(pb::RotateVisitorKeyResponse { key: Some(convert::visitor_key(&key)), secret }))
    }

    async fn list_visitor_keys(
        &self,
        request: Request<pb::ListVisitorKeysRequest>,
    ) -> Result<Response<pb::ListVisitorKeysResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<i32, _>(&caller, &request, size, &token)?;
        let channel = parse_id("channel_id", &request.channel_id)?;
        let mut keys = queries::list_visitor_keys(&self.0, &caller, channel, page.cursor, page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut keys, |last| last.number)?;
        let keys = keys.iter().map(convert::visitor_key).collect();
        Ok(Response::new(pb::ListVisitorKeysResponse { keys, next_page_token }))
    }
}

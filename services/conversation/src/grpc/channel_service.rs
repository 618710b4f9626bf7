//! `ChannelService`.

use std::time::Duration;

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, channel_service_server::ChannelService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert::{self, invalid, one, time_zone};
use crate::{
    App,
    commands::{self, CreateChannel, RotateVisitorKey, UpdateChannel},
    domain::ChannelUpdate,
    queries,
};

/// How long the previous keys stay active unless the request says: the longest lifetime of a visitor token.
const KEEP_PREVIOUS_KEYS: Duration = Duration::from_secs(24 * 3600);

/// Serves `ChannelService`.
pub(crate) struct Channels(pub(crate) App);

#[tonic::async_trait]
impl ChannelService for Channels {
    async fn create_channel(
        &self,
        request: Request<pb::CreateChannelRequest>,
    ) -> Result<Response<pb::CreateChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = CreateChannel {
            key: Key::new(&caller, &request.request_id, &request),
            greeter: convert::greeter(request.greeter()),
            bot: parse_optional_id("bot_id", &request.bot_id)?,
            transcript_enabled: !request.transcript_disabled,
            transcript_sender_id: parse_optional_id("transcript_sender_id", &request.transcript_sender_id)?,
            time_zone: one(time_zone(&request.time_zone))?,
            name: request.name,
            website_url: request.website_url,
        };
        let channel = commands::create_channel(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateChannelResponse { channel: Some(convert::channel(&channel)) }))
    }

    async fn get_channel(
        &self,
        request: Request<pb::GetChannelRequest>,
    ) -> Result<Response<pb::GetChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = queries::get_channel(&self.0, &caller, parse_id("channel_id", &request.channel_id)?).await?;
        Ok(Response::new(pb::GetChannelResponse { channel: Some(convert::channel(&channel)) }))
    }

    async fn list_channels(
        &self,
        request: Request<pb::ListChannelsRequest>,
    ) -> Result<Response<pb::ListChannelsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(String, Uuid), _>(&caller, &request, size, &token)?;
        let mut channels = queries::list_channels(&self.0, &caller, page.cursor.clone(), page.size + 1).await?;
        let next_page_token = self.0.pages.next_page_token(page, &mut channels, |last| (last.name.clone(), last.id))?;
        let channels = channels.iter().map(convert::channel).collect();
        Ok(Response::new(pb::ListChannelsResponse { channels, next_page_token }))
    }

    async fn update_channel(
        &self,
        request: Request<pb::UpdateChannelRequest>,
    ) -> Result<Response<pb::UpdateChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let sender = request.transcript_sender_id.as_deref();
        let bot = request.bot_id.as_deref();
        let update = ChannelUpdate {
            greeter: request.greeter.map(|_| convert::greeter(request.greeter())),
            bot_id: bot.map(|id| parse_id("bot_id", id)).transpose()?,
            transcript_enabled: request.transcript_enabled,
            transcript_sender_id: sender.map(|id| parse_optional_id("transcript_sender_id", id)).transpose()?,
            time_zone: one(request.time_zone.as_deref().map(time_zone).transpose())?,
            name: request.name,
        };
        let channel = parse_id("channel_id", &request.channel_id)?;
        let command = UpdateChannel { channel, update, etag: request.etag };
        let channel = commands::update_channel(&self.0, &caller, command).await?;
        Ok(Response::new(pb::UpdateChannelResponse { channel: Some(convert::channel(&channel)) }))
    }

    async fn delete_channel(
        &self,
        request: Request<pb::DeleteChannelRequest>,
    ) -> Result<Response<pb::DeleteChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = commands::delete_channel(&self.0, &caller, parse_id("channel_id", &request.channel_id)?).await?;
        Ok(Response::new(pb::DeleteChannelResponse { channel: Some(convert::channel(&channel)) }))
    }

    async fn rotate_visitor_key(
        &self,
        request: Request<pb::RotateVisitorKeyRequest>,
    ) -> Result<Response<pb::RotateVisitorKeyResponse>, Status> {
        let (caller, request) = validated(request)?;
        let keep_previous = request.keep_previous.map(Duration::try_from).transpose();
        let keep_previous = keep_previous.map_err(|_| invalid("keep_previous", "must not be negative"))?;
        let command = RotateVisitorKey {
            channel: parse_id("channel_id", &request.channel_id)?,
            keep_previous: keep_previous.unwrap_or(KEEP_PREVIOUS_KEYS),
            key: Key::new(&caller, &request.request_id, &request),
        };
        let (key, secret) = commands::rotate_visitor_key(&self.0, &caller, command).await?;
        Ok(Response::new(pb::RotateVisitorKeyResponse { key: Some(convert::visitor_key(&key)), secret }))
    }

    async fn list_visitor_keys(
        &self,
        request: Request<pb::ListVisitorKeysRequest>,
    ) -> Result<Response<pb::ListVisitorKeysResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = parse_id("channel_id", &request.channel_id)?;
        let keys = queries::list_visitor_keys(&self.0, &caller, channel).await?;
        Ok(Response::new(pb::ListVisitorKeysResponse { keys: keys.iter().map(convert::visitor_key).collect() }))
    }
}

//! `ChannelService`.

use std::time::Duration;

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_auth::Caller;
use frontdesk_idempotency::Key;
use frontdesk_proto::{
    botsession::v1::{GetBotRequest, bot_service_client::BotServiceClient},
    conversation::v1::{self as pb, channel_service_server::ChannelService},
};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::{Grpc, convert, one, refuse, time_zone};
use crate::{
    App,
    commands::{self, CreateChannel, RotateVisitorKey, UpdateChannel},
    consumers::known_bot,
    domain::Greeter,
    error::ConversationError,
    queries,
    store::{channels, entity::bots},
};

/// As long as a visitor token can be valid.
const LONGEST_TOKEN: Duration = Duration::from_secs(24 * 3600);

/// The bot as its own service knows it now: a channel must not name one that is not there.
async fn bot(app: &App, caller: &Caller, id: Uuid) -> Result<bots::Model, ConversationError> {
    let mut bots = BotServiceClient::new(app.bot_session.for_account(caller.account));
    match bots.get_bot(GetBotRequest { bot_id: id.to_string() }).await {
        Ok(answer) => {
            let bot = answer.into_inner().bot.and_then(|bot| known_bot(caller.account, &bot));
            bot.filter(|bot| !bot.deleted).ok_or(ConversationError::BotUnknown)
        }
        Err(status) if status.code() == Code::NotFound => Err(ConversationError::BotUnknown),
        Err(_) => Err(ConversationError::Unreachable("bot-session")),
    }
}

impl Grpc {
    async fn was_made(&self, caller: &Caller, key: &Key) -> Result<bool, Status> {
        let read = self.read(caller).await?;
        let made = key.find::<Uuid>(&read.conn()).await.map_err(ConversationError::from)?;
        Ok(made.is_some())
    }
}

#[tonic::async_trait]
impl ChannelService for Grpc {
    async fn create_channel(
        &self,
        request: Request<pb::CreateChannelRequest>,
    ) -> Result<Response<pb::CreateChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let greeter = convert::greeter(request.greeter());
        let time_zone = one(time_zone(&request.time_zone))?;
        let transcript_sender_id = parse_optional_id("transcript_sender_id", &request.transcript_sender_id)?;
        let bot = match (greeter, parse_optional_id("bot_id", &request.bot_id)?) {
            // A repeat gets the first answer, whatever became of the bot: the command finds it by its key.
            (Greeter::Bot, Some(_)) if self.was_made(&caller, &key).await? => None,
            (Greeter::Bot, Some(id)) => Some(bot(&self.0, &caller, id).await?),
            (Greeter::Bot, None) => return Err(refuse("bot_id", "must name the bot when a bot greets")),
            (_, Some(_)) => return Err(refuse("bot_id", "must be empty unless a bot greets")),
            (_, None) => None,
        };
        let command = CreateChannel {
            name: request.name,
            website_url: request.website_url,
            greeter,
            bot,
            transcript_enabled: !request.transcript_disabled,
            transcript_sender_id,
            time_zone,
            key,
        };
        let channel = commands::create_channel(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CreateChannelResponse { channel: Some(convert::channel(&channel)) }))
    }

    async fn get_channel(
        &self,
        request: Request<pb::GetChannelRequest>,
    ) -> Result<Response<pb::GetChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("channel_id", &request.channel_id)?;
        let read = self.read(&caller).await?;
        let channel = channels::find(&read.conn(), caller.account, id).await.map_err(ConversationError::from)?;
        let channel = channel.ok_or(ConversationError::NotFound("channel"))?;
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
        let after = page.cursor.clone();
        let read = self.read(&caller).await?;
        let mut rows = channels::list(&read.conn(), caller.account, after, page.size + 1)
            .await
            .map_err(ConversationError::from)?;
        let next_page_token = self.0.pages.next_page_token(page, &mut rows, |last| (last.name.clone(), last.id))?;
        Ok(Response::new(pb::ListChannelsResponse {
            channels: rows.iter().map(convert::channel).collect(),
            next_page_token,
        }))
    }

    async fn update_channel(
        &self,
        request: Request<pb::UpdateChannelRequest>,
    ) -> Result<Response<pb::UpdateChannelResponse>, Status> {
        let (caller, request) = validated(request)?;
        let sender = request.transcript_sender_id.as_deref();
        let transcript_sender_id = sender.map(|id| parse_optional_id("transcript_sender_id", id)).transpose()?;
        let time_zone = one(request.time_zone.as_deref().map(time_zone).transpose())?;
        let channel = parse_id("channel_id", &request.channel_id)?;
        let greeter = request.greeter.map(|_| convert::greeter(request.greeter()));
        let bot = match &request.bot_id {
            Some(_) if matches!(greeter, Some(Greeter::Routing | Greeter::Nobody)) => {
                return Err(refuse("bot_id", "must be unset unless a bot greets"));
            }
            Some(id) => Some(bot(&self.0, &caller, parse_id("bot_id", id)?).await?),
            None => None,
        };
        let command = UpdateChannel {
            channel,
            name: request.name,
            greeter,
            bot,
            transcript_enabled: request.transcript_enabled,
            transcript_sender_id,
            time_zone,
            etag: request.etag,
        };
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
        let keep = request.keep_previous.map(Duration::try_from).transpose();
        let command = RotateVisitorKey {
            channel: parse_id("channel_id", &request.channel_id)?,
            keep_previous: keep.map_err(|_| refuse("keep_previous", "must not be negative"))?.unwrap_or(LONGEST_TOKEN),
            key: Key::new(&caller, &request.request_id, &request),
        };
        let key = commands::rotate_visitor_key(&self.0, &caller, command).await?;
        let secret = self.0.installation_secret.derive(&key.secret_id, caller.account, key.channel_id, key.number);
        // A repeat that comes after the installation's secret was replaced.
        let secret = secret.ok_or(ConversationError::RequestIdReused)?;
        Ok(Response::new(pb::RotateVisitorKeyResponse { key: Some(convert::visitor_key(&key)), secret }))
    }

    async fn list_visitor_keys(
        &self,
        request: Request<pb::ListVisitorKeysRequest>,
    ) -> Result<Response<pb::ListVisitorKeysResponse>, Status> {
        let (caller, request) = validated(request)?;
        let channel = parse_id("channel_id", &request.channel_id)?;
        let now = self.0.db.now().await.map_err(ConversationError::from)?;
        let read = self.read(&caller).await?;
        let keys = queries::list_visitor_keys(&read.conn(), &caller, channel, now).await?;
        Ok(Response::new(pb::ListVisitorKeysResponse { keys: keys.iter().map(convert::visitor_key).collect() }))
    }
}

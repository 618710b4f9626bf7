//! `BotSessionService`.

use std::pin::Pin;

use frontdesk_api::{live_stream, parse_id, parse_optional_id, validated};
use frontdesk_proto::botsession::v1::{
    GetBotSessionRequest, GetBotSessionResponse, ListBotSessionsRequest, ListBotSessionsResponse,
    WatchBotSessionRequest, WatchBotSessionResponse, bot_session_service_server::BotSessionService,
};
use futures::Stream;
use tonic::{Request, Response, Status};

use super::{convert, watch_session::SessionUpdates};
use crate::{
    App,
    queries::{self, SessionFilter},
};

/// Serves `BotSessionService`.
pub(crate) struct BotSessions(pub(crate) App);

#[tonic::async_trait]
impl BotSessionService for BotSessions {
    type WatchBotSessionStream = Pin<Box<dyn Stream<Item = Result<WatchBotSessionResponse, Status>> + Send>>;

    async fn get_bot_session(
        &self,
        request: Request<GetBotSessionRequest>,
    ) -> Result<Response<GetBotSessionResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("bot_session_id", &request.bot_session_id)?;
        let session = queries::get_bot_session(&self.0, &caller, id).await?;
        Ok(Response::new(GetBotSessionResponse { bot_session: Some(convert::session_to_proto(session)) }))
    }

    async fn watch_bot_session(
        &self,
        request: Request<WatchBotSessionRequest>,
    ) -> Result<Response<Self::WatchBotSessionStream>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("bot_session_id", &request.bot_session_id)?;
        // Before the read, so that no change after it is missed.
        let changes = self.0.session_signals.subscribe(caller.account, id);
        let session = queries::get_bot_session(&self.0, &caller, id).await?;
        let updates = SessionUpdates::new(self.0.clone(), caller, session, changes);
        Ok(Response::new(Box::pin(live_stream(updates, self.0.shutdown.clone()))))
    }

    async fn list_bot_sessions(
        &self,
        request: Request<ListBotSessionsRequest>,
    ) -> Result<Response<ListBotSessionsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let filter = SessionFilter {
            bot: parse_optional_id("bot_id", &request.bot_id)?,
            conversation: parse_optional_id("conversation_id", &request.conversation_id)?,
            statuses: request.statuses().filter_map(convert::status_from_proto).collect(),
        };
        let pages = &self.0.pages;
        let unpaged = ListBotSessionsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let page = pages.read_request(&caller, &unpaged, request.page_size, &request.page_token)?;
        let mut sessions = queries::list_bot_sessions(&self.0, &caller, &filter, &page).await?;
        let next_page_token = pages.next_page_token(page, &mut sessions, |session| (session.started_at, session.id))?;
        let bot_sessions = sessions.into_iter().map(convert::session_to_proto).collect();
        Ok(Response::new(ListBotSessionsResponse { bot_sessions, next_page_token }))
    }
}

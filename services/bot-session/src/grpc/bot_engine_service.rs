//! `BotEngineService`.

use std::pin::Pin;

use frontdesk_api::{live_stream, page_size, parse_id, validated};
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::botsession::v1::{
    AnswerTurnRequest, AnswerTurnResponse, ListTurnEntriesRequest, ListTurnEntriesResponse, WatchTurnsRequest,
    WatchTurnsResponse, bot_engine_service_server::BotEngineService,
};
use futures::Stream;
use tonic::{Request, Response, Status};

use super::{convert, watch_turns::TurnUpdates};
use crate::{
    App,
    commands::{self, AnswerTurn, TurnStream},
    error::BotSessionError,
    queries,
};

/// Number of turns that are leased to a stream, unless the request says.
const DEFAULT_TURNS: u64 = 10;
/// Number of entries on a page, unless the request says.
const DEFAULT_ENTRIES: usize = 200;
/// Maximum number of entries on a page.
const MAX_ENTRIES: usize = 1_000;

/// Serves `BotEngineService`.
pub(crate) struct Engines(pub(crate) App);

#[tonic::async_trait]
impl BotEngineService for Engines {
    type WatchTurnsStream = Pin<Box<dyn Stream<Item = Result<WatchTurnsResponse, Status>> + Send>>;

    async fn watch_turns(
        &self,
        request: Request<WatchTurnsRequest>,
    ) -> Result<Response<Self::WatchTurnsStream>, Status> {
        let (caller, request) = validated(request)?;
        let bot = caller.bot_id().ok_or(BotSessionError::NotFound("bot"))?;
        // Before the check, so that no change during it is missed.
        let bot_changes = self.0.bot_signals.subscribe(caller.account, bot);
        queries::require_engine(&self.0, caller.account, bot).await?;
        let max_turns = u64::try_from(request.max_turns).ok().filter(|max| *max > 0).unwrap_or(DEFAULT_TURNS);
        let stream = TurnStream { account: caller.account, bot, id: self.0.db.new_id(), max_turns };
        let updates = TurnUpdates::new(self.0.clone(), stream, bot_changes);
        Ok(Response::new(Box::pin(live_stream(updates, self.0.shutdown.clone()))))
    }

    async fn answer_turn(&self, request: Request<AnswerTurnRequest>) -> Result<Response<AnswerTurnResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let command = AnswerTurn {
            turn: parse_id("turn_id", &request.turn_id)?,
            attempt: request.attempt.into(),
            actions: convert::actions_from_proto(request.parts)?,
            ends_turn: request.ends_turn,
        };
        let deadline = commands::answer_turn(&self.0, &caller, &key, command).await?;
        Ok(Response::new(AnswerTurnResponse { deadline_time: deadline.map(Time::to_proto) }))
    }

    async fn list_turn_entries(
        &self,
        request: Request<ListTurnEntriesRequest>,
    ) -> Result<Response<ListTurnEntriesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let turn = parse_id("turn_id", &request.turn_id)?;
        let size = page_size(request.page_size, DEFAULT_ENTRIES, MAX_ENTRIES);
        let size = i32::try_from(size).unwrap_or(i32::MAX);
        let page = queries::list_turn_entries(&self.0, &caller, turn, request.after_sequence, size).await?;
        let last_sequence = page.entries.last().map_or(0, |entry| entry.sequence);
        // What only the team sees has no number for the visitor.
        let entries = page.entries.into_iter().filter(|entry| entry.visitor_sequence > 0).collect();
        Ok(Response::new(ListTurnEntriesResponse { entries, has_more: page.has_more, last_sequence }))
    }
}

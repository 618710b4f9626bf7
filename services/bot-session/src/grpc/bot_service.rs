//! `BotService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::botsession::v1::{
    CreateBotRequest, CreateBotResponse, DeleteBotRequest, DeleteBotResponse, GetBotRequest, GetBotResponse,
    ListBotsRequest, ListBotsResponse, UndeleteBotRequest, UndeleteBotResponse, UpdateBotRequest, UpdateBotResponse,
    ValidateFlowRequest, ValidateFlowResponse, bot_service_server::BotService,
};
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, CreateBot, UpdateBot},
    domain::{BotChange, Program},
    queries,
};

/// Serves `BotService`.
pub(crate) struct Bots(pub(crate) App);

#[tonic::async_trait]
impl BotService for Bots {
    async fn create_bot(&self, request: Request<CreateBotRequest>) -> Result<Response<CreateBotResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let command = CreateBot {
            name: request.name,
            timeout: convert::timeout_to_create(request.inactivity),
            program: convert::program_to_create(request.flow, request.engine)?,
            reminder: request.reminder.and_then(convert::reminder_from_proto),
        };
        let bot = commands::create_bot(&self.0, &caller, &key, command).await?;
        Ok(Response::new(CreateBotResponse { bot: Some(convert::bot_to_proto(bot)) }))
    }

    async fn get_bot(&self, request: Request<GetBotRequest>) -> Result<Response<GetBotResponse>, Status> {
        let (caller, request) = validated(request)?;
        let bot = queries::get_bot(&self.0, &caller, parse_id("bot_id", &request.bot_id)?).await?;
        Ok(Response::new(GetBotResponse { bot: Some(convert::bot_to_proto(bot)) }))
    }

    async fn list_bots(&self, request: Request<ListBotsRequest>) -> Result<Response<ListBotsResponse>, Status> {
        let (caller, request) = validated(request)?;
        let pages = &self.0.pages;
        let filter = ListBotsRequest { show_deleted: request.show_deleted, ..ListBotsRequest::default() };
        let page = pages.read_request(&caller, &filter, request.page_size, &request.page_token)?;
        let mut bots = queries::list_bots(&self.0, &caller, request.show_deleted, &page).await?;
        let next_page_token = pages.next_page_token(page, &mut bots, |bot| (bot.name.clone(), bot.id))?;
        Ok(Response::new(ListBotsResponse {
            bots: bots.into_iter().map(convert::summary_to_proto).collect(),
            next_page_token,
        }))
    }

    async fn update_bot(&self, request: Request<UpdateBotRequest>) -> Result<Response<UpdateBotResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateBot {
            id: parse_id("bot_id", &request.bot_id)?,
            change: BotChange {
                name: request.name,
                timeout: convert::timeout_to_update(request.inactivity),
                program: convert::program_to_update(request.flow, request.engine)?,
                reminder: request.reminder.map(convert::reminder_from_proto),
            },
            etag: request.etag,
        };
        let bot = commands::update_bot(&self.0, &caller, command).await?;
        Ok(Response::new(UpdateBotResponse { bot: Some(convert::bot_to_proto(bot)) }))
    }

    async fn delete_bot(&self, request: Request<DeleteBotRequest>) -> Result<Response<DeleteBotResponse>, Status> {
        let (caller, request) = validated(request)?;
        let bot = commands::delete_bot(&self.0, &caller, parse_id("bot_id", &request.bot_id)?).await?;
        Ok(Response::new(DeleteBotResponse { bot: Some(convert::bot_to_proto(bot)) }))
    }

    async fn undelete_bot(
        &self,
        request: Request<UndeleteBotRequest>,
    ) -> Result<Response<UndeleteBotResponse>, Status> {
        let (caller, request) = validated(request)?;
        let bot = commands::undelete_bot(&self.0, &caller, parse_id("bot_id", &request.bot_id)?).await?;
        Ok(Response::new(UndeleteBotResponse { bot: Some(convert::bot_to_proto(bot)) }))
    }

    async fn validate_flow(
        &self,
        request: Request<ValidateFlowRequest>,
    ) -> Result<Response<ValidateFlowResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (flow, mut problems) = convert::checked_flow(request.flow.unwrap_or_default());
        let references = Program::Flow(flow).references();
        let found = queries::find_missing_references(&self.0, caller.account, references).await?;
        problems.extend(found.problems());
        let problems = problems.into_iter().map(convert::problem_to_proto).collect();
        Ok(Response::new(ValidateFlowResponse { problems }))
    }
}

//! `TeamService`.

use std::collections::BTreeSet;

use frontdesk_api::{parse_id, parse_optional_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::assignment::v1::{
    AddTeamMembersRequest, AddTeamMembersResponse, CreateTeamRequest, CreateTeamResponse, DeleteTeamRequest,
    DeleteTeamResponse, GetTeamRequest, GetTeamResponse, ListTeamsRequest, ListTeamsResponse, RemoveTeamMembersRequest,
    RemoveTeamMembersResponse, UndeleteTeamRequest, UndeleteTeamResponse, UpdateTeamRequest, UpdateTeamResponse,
    team_service_server::TeamService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::convert;
use crate::{
    App,
    commands::{self, CreateTeam, UpdateTeam},
    domain::TeamChange,
    queries::{self, TeamFilter},
};

/// Serves `TeamService`.
pub(crate) struct Teams(pub(crate) App);

#[tonic::async_trait]
impl TeamService for Teams {
    async fn create_team(&self, request: Request<CreateTeamRequest>) -> Result<Response<CreateTeamResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let command = CreateTeam { name: request.name, external_id: request.external_id };
        let team = commands::create_team(&self.0, &caller, &key, command).await?;
        Ok(Response::new(CreateTeamResponse { team: Some(convert::team(team)) }))
    }

    async fn get_team(&self, request: Request<GetTeamRequest>) -> Result<Response<GetTeamResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (team, members) = queries::get_team(&self.0, &caller, parse_id("team_id", &request.team_id)?).await?;
        let agent_ids = members.iter().map(Uuid::to_string).collect();
        Ok(Response::new(GetTeamResponse { team: Some(convert::team(team)), agent_ids }))
    }

    async fn list_teams(&self, request: Request<ListTeamsRequest>) -> Result<Response<ListTeamsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let pages = &self.0.pages;
        let (size, token) = (std::mem::take(&mut request.page_size), std::mem::take(&mut request.page_token));
        let page = pages.read_request(&caller, &request, size, &token)?;
        let filter = TeamFilter {
            show_deleted: request.show_deleted,
            agent: parse_optional_id("agent_id", &request.agent_id)?,
            external_id: request.external_id,
        };
        let mut teams = queries::list_teams(&self.0, &caller, &filter, &page).await?;
        let next_page_token = pages.next_page_token(page, &mut teams, |team| (team.name.clone(), team.id))?;
        let teams = teams.into_iter().map(convert::team).collect();
        Ok(Response::new(ListTeamsResponse { teams, next_page_token }))
    }

    async fn update_team(&self, request: Request<UpdateTeamRequest>) -> Result<Response<UpdateTeamResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateTeam {
            id: parse_id("team_id", &request.team_id)?,
            change: TeamChange { name: request.name, external_id: request.external_id },
            etag: request.etag,
        };
        let team = commands::update_team(&self.0, &caller, command).await?;
        Ok(Response::new(UpdateTeamResponse { team: Some(convert::team(team)) }))
    }

    async fn delete_team(&self, request: Request<DeleteTeamRequest>) -> Result<Response<DeleteTeamResponse>, Status> {
        let (caller, request) = validated(request)?;
        let team = commands::delete_team(&self.0, &caller, parse_id("team_id", &request.team_id)?).await?;
        Ok(Response::new(DeleteTeamResponse { team: Some(convert::team(team)) }))
    }

    async fn undelete_team(
        &self,
        request: Request<UndeleteTeamRequest>,
    ) -> Result<Response<UndeleteTeamResponse>, Status> {
        let (caller, request) = validated(request)?;
        let team = commands::undelete_team(&self.0, &caller, parse_id("team_id", &request.team_id)?).await?;
        Ok(Response::new(UndeleteTeamResponse { team: Some(convert::team(team)) }))
    }

    async fn add_team_members(
        &self,
        request: Request<AddTeamMembersRequest>,
    ) -> Result<Response<AddTeamMembersResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (team, agents) = (parse_id("team_id", &request.team_id)?, agents(&request.agent_ids)?);
        let team = commands::add_team_members(&self.0, &caller, team, agents).await?;
        Ok(Response::new(AddTeamMembersResponse { team: Some(convert::team(team)) }))
    }

    async fn remove_team_members(
        &self,
        request: Request<RemoveTeamMembersRequest>,
    ) -> Result<Response<RemoveTeamMembersResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (team, agents) = (parse_id("team_id", &request.team_id)?, agents(&request.agent_ids)?);
        let team = commands::remove_team_members(&self.0, &caller, team, agents).await?;
        Ok(Response::new(RemoveTeamMembersResponse { team: Some(convert::team(team)) }))
    }
}

fn agents(ids: &[String]) -> Result<BTreeSet<Uuid>, Status> {
    ids.iter().map(|id| parse_id("agent_ids", id)).collect()
}

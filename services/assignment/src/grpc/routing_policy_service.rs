//! `RoutingPolicyService`.

use frontdesk_api::{parse_id, validated};
use frontdesk_idempotency::Key;
use frontdesk_proto::assignment::v1::{
    CreateRoutingPolicyRequest, CreateRoutingPolicyResponse, DeleteRoutingPolicyRequest, DeleteRoutingPolicyResponse,
    GetRoutingPolicyRequest, GetRoutingPolicyResponse, ListRoutingPoliciesRequest, ListRoutingPoliciesResponse,
    UndeleteRoutingPolicyRequest, UndeleteRoutingPolicyResponse, UpdateRoutingPolicyRequest,
    UpdateRoutingPolicyResponse, routing_policy_service_server::RoutingPolicyService,
};
use prost::Message;
use tonic::{Request, Response, Status};

use super::convert;
use crate::{
    App,
    commands::{self, CreateRoutingPolicy, UpdateRoutingPolicy},
    domain::{RoutingPolicy, RoutingPolicyChange},
    queries,
};

/// Serves `RoutingPolicyService`.
pub(crate) struct Policies(pub(crate) App);

#[tonic::async_trait]
impl RoutingPolicyService for Policies {
    async fn create_routing_policy(
        &self,
        request: Request<CreateRoutingPolicyRequest>,
    ) -> Result<Response<CreateRoutingPolicyResponse>, Status> {
        let (caller, request) = validated(request)?;
        let key = Key::new(&caller, &request.request_id, &request);
        let rules = convert::routing_rules(request.rules.unwrap_or_default())?;
        let command = CreateRoutingPolicy { name: request.name, rules };
        let policy = commands::create_routing_policy(&self.0, &caller, &key, command).await?;
        Ok(Response::new(CreateRoutingPolicyResponse { routing_policy: Some(convert::routing_policy(&policy)) }))
    }

    async fn get_routing_policy(
        &self,
        request: Request<GetRoutingPolicyRequest>,
    ) -> Result<Response<GetRoutingPolicyResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("routing_policy_id", &request.routing_policy_id)?;
        let policy = queries::get_routing_policy(&self.0, &caller, id).await?;
        Ok(Response::new(GetRoutingPolicyResponse { routing_policy: Some(convert::routing_policy(&policy)) }))
    }

    async fn list_routing_policies(
        &self,
        request: Request<ListRoutingPoliciesRequest>,
    ) -> Result<Response<ListRoutingPoliciesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let (pages, show_deleted) = (&self.0.pages, request.show_deleted);
        let filter = ListRoutingPoliciesRequest { show_deleted, ..ListRoutingPoliciesRequest::default() };
        let page = pages.read_request(&caller, &filter, request.page_size, &request.page_token)?;
        let mut policies = queries::list_routing_policies(&self.0, &caller, show_deleted, &page).await?;
        let size = |policy: &RoutingPolicy| convert::routing_policy(policy).encoded_len();
        let cursor = |last: &RoutingPolicy| (last.name.clone(), last.id);
        let next_page_token = pages.next_page_token_within(page, &mut policies, size, cursor)?;
        let routing_policies = policies.iter().map(convert::routing_policy).collect();
        Ok(Response::new(ListRoutingPoliciesResponse { routing_policies, next_page_token }))
    }

    async fn update_routing_policy(
        &self,
        request: Request<UpdateRoutingPolicyRequest>,
    ) -> Result<Response<UpdateRoutingPolicyResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = UpdateRoutingPolicy {
            id: parse_id("routing_policy_id", &request.routing_policy_id)?,
            change: RoutingPolicyChange {
                name: request.name,
                rules: request.rules.map(convert::routing_rules).transpose()?,
            },
            etag: request.etag,
        };
        let policy = commands::update_routing_policy(&self.0, &caller, command).await?;
        Ok(Response::new(UpdateRoutingPolicyResponse { routing_policy: Some(convert::routing_policy(&policy)) }))
    }

    async fn delete_routing_policy(
        &self,
        request: Request<DeleteRoutingPolicyRequest>,
    ) -> Result<Response<DeleteRoutingPolicyResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("routing_policy_id", &request.routing_policy_id)?;
        let policy = commands::delete_routing_policy(&self.0, &caller, id).await?;
        Ok(Response::new(DeleteRoutingPolicyResponse { routing_policy: Some(convert::routing_policy(&policy)) }))
    }

    async fn undelete_routing_policy(
        &self,
        request: Request<UndeleteRoutingPolicyRequest>,
    ) -> Result<Response<UndeleteRoutingPolicyResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("routing_policy_id", &request.routing_policy_id)?;
        let policy = commands::undelete_routing_policy(&self.0, &caller, id).await?;
        Ok(Response::new(UndeleteRoutingPolicyResponse { routing_policy: Some(convert::routing_policy(&policy)) }))
    }
}

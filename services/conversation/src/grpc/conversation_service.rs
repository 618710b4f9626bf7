//! `ConversationService`.

use std::collections::HashSet;

use frontdesk_api::{CursorSigner, FieldError, live_stream, parse_id, parse_optional_id, validated};
use frontdesk_auth::Caller;
use frontdesk_clock::Time;
use frontdesk_idempotency::Key;
use frontdesk_proto::conversation::v1::{self as pb, conversation_service_server::ConversationService};
use prost::Message;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    ResponseStream,
    convert::{
        self, Fields, email, invalid, language, optional_key, properties, require_text, search_query, team_member,
        time_zone, visitor_id,
    },
    to_response,
    watch_inbox::InboxUpdates,
};
use crate::{
    App,
    commands::{
        self, CloseConversation, GivenContact, LinkContact, ReopenConversation, SetConversationProperties,
        StartConversation, Started,
    },
    domain::{Conversation, MAX_CONVERSATION_PROPERTIES_SIZE, Owner, StartContext},
    error::ConversationError,
    queries::{self, AssigneeFilter, Filter, InboxOrder, SearchFilter},
};

/// Maximum number of conversations on a page of a search.
const MAX_FOUND: u64 = 50;

/// Serves `ConversationService`.
pub(crate) struct Conversations(pub(crate) App);

#[tonic::async_trait]
impl ConversationService for Conversations {
    async fn get_conversation(
        &self,
        request: Request<pb::GetConversationRequest>,
    ) -> Result<Response<pb::GetConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let id = parse_id("conversation_id", &request.conversation_id)?;
        let (conversation, names) = queries::get_conversation(&self.0, &caller, id).await?;
        let conversation = Some(convert::conversation(&conversation, &names));
        Ok(Response::new(pb::GetConversationResponse { conversation }))
    }

    async fn list_conversations(
        &self,
        request: Request<pb::ListConversationsRequest>,
    ) -> Result<Response<pb::ListConversationsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Time, Uuid), _>(&caller, &request, size, &token)?;
        let mut filter = filter(&caller, &request, "")?;
        queries::resolve_contacts(&self.0, &caller, &mut filter).await?;
        queries::resolve_team(&self.0, &caller, &mut filter).await?;
        let inbox = queries::list_conversations(&self.0, &caller, &filter, page.cursor, page.size + 1).await?;
        let watch_cursor = match page.cursor {
            None => {
                let now = match inbox.read_at {
                    Some(now) => now,
                    // A watch begins a minute before its cursor, so the time may be a later one.
                    None => self.0.db.now().await.map_err(ConversationError::from)?,
                };
                self.inbox_cursors(&caller, &request, &filter).sign(&now)?
            }
            Some(_) => String::new(),
        };
        let row = |conversation: &Conversation| {
            // A row of an order has its time.
            let time = filter.order.time_of(conversation).unwrap_or(conversation.last_activity_at);
            let cursor = (time, conversation.id);
            (cursor, convert::inbox_row(conversation, &inbox, caller.agent_id()))
        };
        let mut rows: Vec<_> = inbox.conversations.iter().map(row).collect();
        let pages = &self.0.pages;
        let token =
            pages.next_page_token_within(page, &mut rows, |(_, row)| row.encoded_len(), |(cursor, _)| *cursor)?;
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        Ok(Response::new(pb::ListConversationsResponse { rows, next_page_token: token, watch_cursor }))
    }

    async fn search_conversations(
        &self,
        request: Request<pb::SearchConversationsRequest>,
    ) -> Result<Response<pb::SearchConversationsResponse>, Status> {
        let (caller, mut request) = validated(request)?;
        let token = std::mem::take(&mut request.page_token);
        let size = std::mem::take(&mut request.page_size);
        let page = self.0.pages.read_request::<(Uuid, i64), _>(&caller, &request, size, &token)?;
        let size = page.size.min(MAX_FOUND);
        let (query, filter) = (search_query(&request.query)?, search_filter(&request)?);
        let found = queries::search_conversations(&self.0, &caller, &query, &filter, page.cursor, size).await?;
        let matches =
            found.inbox.conversations.iter().map(|one| convert::found(one, &found, caller.agent_id())).collect();
        let next_page_token = found.next.map(|next| self.0.pages.page_token(&page, &next)).transpose()?;
        let next_page_token = next_page_token.unwrap_or_default();
        Ok(Response::new(pb::SearchConversationsResponse { matches, next_page_token }))
    }

    type WatchInboxStream = ResponseStream<pb::WatchInboxResponse>;

    async fn watch_inbox(
        &self,
        request: Request<pb::WatchInboxRequest>,
    ) -> Result<Response<Self::WatchInboxStream>, Status> {
        let (caller, request) = validated(request)?;
        let mut inbox = request.inbox.unwrap_or_default();
        (inbox.page_size, inbox.page_token) = (0, String::new());
        let mut filter = filter(&caller, &inbox, "inbox.")?;
        queries::resolve_team(&self.0, &caller, &mut filter).await?;
        let signer = self.inbox_cursors(&caller, &inbox, &filter);
        let cursor = signer.verify(&request.cursor)?;
        // Before the time and the merged contacts are read, so that no change between is missed.
        let watch = self.0.watched_inboxes.watch(caller.account, caller.agent_id());
        queries::resolve_contacts(&self.0, &caller, &mut filter).await?;
        let now = self.0.db.now().await.map_err(ConversationError::from)?;
        if cursor.is_some_and(|cursor| cursor > now) {
            let remedy =
                "is later than the database's clock, which was set back: list again, and watch with its watch_cursor";
            return Err(invalid("cursor", remedy));
        }
        watch.begins_at(now);
        let updates = InboxUpdates::new(self.0.clone(), caller, filter, signer, watch, cursor, now);
        Ok(Response::new(Box::pin(live_stream(updates, self.0.shutdown.clone()))))
    }

    async fn start_conversation(
        &self,
        request: Request<pb::StartConversationRequest>,
    ) -> Result<Response<pb::StartConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        if !request.text.is_empty() {
            require_text(&request.text)?;
        }
        let command = start_command(&caller, request)?;
        let Started { conversation, entry, resumed } = commands::start_conversation(&self.0, &caller, command).await?;
        let names = queries::find_names(&self.0, &caller, &conversation, entry.as_slice()).await?;
        Ok(Response::new(pb::StartConversationResponse {
            conversation: Some(convert::conversation(&conversation, &names)),
            entry: entry.as_ref().map(|entry| convert::entry(entry, &names)),
            resumed,
        }))
    }

    async fn close_conversation(
        &self,
        request: Request<pb::CloseConversationRequest>,
    ) -> Result<Response<pb::CloseConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = CloseConversation {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            by: team_member(&caller)?,
            expected_epoch: request.expected_epoch.map(i64::from),
            key: optional_key(&caller, &request.request_id, &request),
        };
        let closed = commands::close_conversation(&self.0, &caller, command).await?;
        Ok(Response::new(pb::CloseConversationResponse { conversation: to_response(&self.0, &caller, &closed).await? }))
    }

    async fn reopen_conversation(
        &self,
        request: Request<pb::ReopenConversationRequest>,
    ) -> Result<Response<pb::ReopenConversationResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = ReopenConversation {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            by: team_member(&caller)?,
            key: optional_key(&caller, &request.request_id, &request),
        };
        let reopened = commands::reopen_conversation(&self.0, &caller, command).await?;
        Ok(Response::new(pb::ReopenConversationResponse {
            conversation: to_response(&self.0, &caller, &reopened).await?,
        }))
    }

    async fn link_contact(
        &self,
        request: Request<pb::LinkContactRequest>,
    ) -> Result<Response<pb::LinkContactResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = LinkContact {
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            contact: parse_id("contact_id", &request.contact_id)?,
            by: convert::acting(&caller),
        };
        let linked = commands::link_contact(&self.0, &caller, command).await?;
        Ok(Response::new(pb::LinkContactResponse { conversation: to_response(&self.0, &caller, &linked).await? }))
    }

    async fn set_conversation_properties(
        &self,
        request: Request<pb::SetConversationPropertiesRequest>,
    ) -> Result<Response<pb::SetConversationPropertiesResponse>, Status> {
        let (caller, request) = validated(request)?;
        let command = SetConversationProperties {
            key: Key::new(&caller, &request.request_id, &request),
            conversation: parse_id("conversation_id", &request.conversation_id)?,
            properties: request.properties,
        };
        let changed = commands::set_conversation_properties(&self.0, &caller, command).await?;
        Ok(Response::new(pb::SetConversationPropertiesResponse {
            conversation: to_response(&self.0, &caller, &changed).await?,
        }))
    }
}

impl Conversations {
    /// The signer of the cursors of the inbox that the request lists. Of a team with other members it is another inbox.
    fn inbox_cursors(&self, caller: &Caller, inbox: &pb::ListConversationsRequest, filter: &Filter) -> CursorSigner {
        let inbox = Some(inbox.clone());
        let members = filter.membership.map(|membership| membership.number.to_string()).unwrap_or_default();
        self.0.pages.cursor_signer(caller, &pb::WatchInboxRequest { inbox, cursor: members })
    }
}

fn start_command(caller: &Caller, request: pb::StartConversationRequest) -> Result<StartConversation, Status> {
    let key = Key::new(caller, &request.request_id, &request);
    let channel = parse_id("channel_id", &request.channel_id)?;
    let mut fields = Fields::default();
    let contact = fields.take(given_contact(&request.contact_id, &request.external_id, &request.email));
    let context = StartContext {
        page_url: request.page_url,
        page_title: request.page_title,
        language: fields.take(language(&request.language)),
        time_zone: fields.take(time_zone(&request.time_zone)),
        properties: fields.take(properties("properties", request.properties, MAX_CONVERSATION_PROPERTIES_SIZE)),
    };
    let visitor = fields.take(visitor_id(channel, &request.visitor_id));
    fields.check()?;
    Ok(StartConversation {
        channel,
        visitor,
        name: request.name,
        contact,
        assignee: parse_optional_id("assignee_agent_id", &request.assignee_agent_id)?,
        context,
        by: team_member(caller)?,
        text: request.text,
        request_id: request.request_id,
        key,
    })
}

fn given_contact(id: &str, external_id: &str, address: &str) -> Result<Option<GivenContact>, Vec<FieldError>> {
    match (id, external_id, address) {
        ("", "", "") => Ok(None),
        (id, "", "") => match id.parse() {
            Ok(id) => Ok(Some(GivenContact::Id(id))),
            Err(_) => Err(vec![FieldError::new("contact_id", "must be a UUID")]),
        },
        ("", id, "") => Ok(Some(GivenContact::ExternalId(id.to_owned()))),
        ("", "", address) => Ok(email(address)?.map(GivenContact::Address)),
        _ => Err(vec![FieldError::new("contact_id", "must be the only one of contact_id, external_id and email")]),
    }
}

/// `path`: what precedes the names of the request's fields in errors.
fn filter(caller: &Caller, request: &pb::ListConversationsRequest, path: &str) -> Result<Filter, Status> {
    let active_since = request.active_since_time.as_ref().map(Time::from_proto);
    let active_before = request.active_before_time.as_ref().map(Time::from_proto);
    if let (Some(since), Some(before)) = (active_since, active_before)
        && since >= before
    {
        return Err(invalid(&format!("{path}active_before_time"), &format!("must be after {path}active_since_time")));
    }
    let ids = |field: &str, ids: &[String]| ids.iter().map(|id| parse_id(field, id)).collect::<Result<_, Status>>();
    Ok(Filter {
        statuses: request.statuses().filter_map(convert::status).collect(),
        assignees: assignees(caller, &request.assignees, path)?,
        membership: None,
        channels: ids("channel_ids", &request.channel_ids)?,
        contacts: ids("contact_ids", &request.contact_ids)?,
        visitor: Some(request.visitor_id.clone()).filter(|visitor| !visitor.is_empty()),
        unread_by: unread_by(caller, request.unread, path)?,
        active_since,
        active_before,
        order: match request.order() {
            pb::InboxOrder::Unspecified | pb::InboxOrder::NewestActivity => InboxOrder::NewestActivity,
            pb::InboxOrder::LongestWaiting => InboxOrder::LongestWaiting,
        },
    })
}

fn search_filter(request: &pb::SearchConversationsRequest) -> Result<SearchFilter, Status> {
    let ids = |field: &str, ids: &[String]| ids.iter().map(|id| parse_id(field, id)).collect::<Result<_, Status>>();
    Ok(SearchFilter {
        statuses: request.statuses().filter_map(convert::status).collect(),
        channels: ids("channel_ids", &request.channel_ids)?,
        contacts: ids("contact_ids", &request.contact_ids)?,
    })
}

/// The agent whose unread conversations match. None: read ones match too.
fn unread_by(caller: &Caller, unread: bool, path: &str) -> Result<Option<Uuid>, Status> {
    match (unread, caller.agent_id()) {
        (false, _) => Ok(None),
        (true, Some(agent)) => Ok(Some(agent)),
        (true, None) => Err(invalid(&format!("{path}unread"), "must be false: you are no agent and have read nothing")),
    }
}

fn assignees(caller: &Caller, filters: &[pb::AssigneeFilter], path: &str) -> Result<HashSet<AssigneeFilter>, Status> {
    let assignees: HashSet<_> =
        filters.iter().map(|filter| assignee(caller, filter, path)).collect::<Result<_, Status>>()?;
    let teams = assignees.iter().filter(|assignee| matches!(assignee, AssigneeFilter::Team(_)));
    if teams.count() > 1 {
        return Err(invalid(&format!("{path}assignees"), "must have at most one team_id"));
    }
    Ok(assignees)
}

fn assignee(caller: &Caller, filter: &pb::AssigneeFilter, path: &str) -> Result<AssigneeFilter, Status> {
    let field = format!("{path}assignees");
    use pb::assignee_filter::Assignee as A;
    Ok(match &filter.assignee {
        Some(A::Me(_)) => match caller.agent_id() {
            Some(me) => AssigneeFilter::Owner(Owner::agent(me)),
            None => return Err(invalid(&field, "must not be me: you are no agent")),
        },
        Some(A::Unassigned(_)) => AssigneeFilter::Unassigned,
        Some(A::AgentId(id)) => AssigneeFilter::Owner(Owner::agent(parse_id(&field, id)?)),
        Some(A::BotId(id)) => AssigneeFilter::Owner(Owner::bot(parse_id(&field, id)?)),
        Some(A::AnyBot(_)) => AssigneeFilter::AnyBot,
        Some(A::TeamId(id)) => AssigneeFilter::Team(parse_id(&field, id)?),
        None => return Err(invalid(&field, "must say whose conversations match")),
    })
}

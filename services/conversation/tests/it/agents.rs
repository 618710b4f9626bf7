//! The local copy of agents: the consumer `conversation.agents` and `ApplyAgent`. What an agent who is not active may not do.

use frontdesk_proto::{
    assignment::v1::{GetAgentRequest, GetAgentResponse},
    conversation::{
        internal::v1::{ApplyAgentRequest, ChangeAssigneeRequest},
        v1::{
            CloseConversationRequest, DeleteAttachmentRequest, DeleteChannelRequest, DeleteInsertRequest,
            LinkContactRequest, PostCommentRequest, ReopenConversationRequest, RotateVisitorKeyRequest,
            UndeleteChannelRequest, UndeleteInsertRequest, UpdateChannelRequest, UpdateContactRequest,
            UpdateInsertRequest, UpdateTicketRequest,
        },
    },
    event::v1::{AgentDeactivated, AgentReactivated, Event},
};
use frontdesk_testkit::{Mode, event, on_both_modes, reason, request_id};
use sea_orm::ConnectionTrait;
use tonic::{Request, Status};

use crate::{
    attachments, create_contact, create_ticket,
    fixture::{ADA, BOB, Fixture, GONE, STRANGER, agent, message, new_channel},
    inserts,
};

on_both_modes!(
    c11_a_deactivated_agent_writes_nothing_from_the_event_on_and_an_older_answer_changes_nothing,
    c11_a_reactivated_agent_posts_again_from_the_event_on,
    an_event_about_an_agent_who_does_not_exist_holds_nothing_up,
    a2_c11_an_applied_deactivation_is_in_force_without_an_event_and_an_older_state_changes_nothing,
    a2_a_state_of_the_same_version_is_in_force_and_the_answer_names_the_version_of_the_copy,
    a2_an_agent_who_is_not_active_changes_nothing,
    c12_a_repeat_gets_the_first_answer_also_after_the_agent_was_deactivated,
);

/// The roster's event about the agent.
fn about(fixture: &Fixture, agent: uuid::Uuid) -> Event {
    let agent_id = agent.to_string();
    let event = event("assignment", fixture.account, &AgentDeactivated { agent_id: agent_id.clone() });
    Event { aggregate_id: agent_id, ..event }
}

fn answer(fixture: &Fixture, active: bool, version: i32) {
    fixture.service.fake.on(move |request: Request<GetAgentRequest>| {
        Ok(GetAgentResponse { agent: Some(agent(request.into_inner().agent_id, "Ada", active, version)) })
    });
}

async fn c11_a_deactivated_agent_writes_nothing_from_the_event_on_and_an_older_answer_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "hello").await;
    answer(&fixture, false, 2);
    let event = about(&fixture, ADA);
    fixture.service.deliver_again(&event).await;
    fixture.service.settled().await;
    for (active, version) in [(false, 2), (true, 1)] {
        answer(&fixture, active, version);
        fixture.service.deliver_again(&event).await;
        fixture.service.settled().await;
        let refused = fixture.threads(ADA).post_message(message(&chat.id, "more")).await.unwrap_err();
        assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE");
    }
    let comment = PostCommentRequest {
        conversation_id: chat.id.clone(),
        text: "for the team".into(),
        request_id: "comment".into(),
        ..Default::default()
    };
    assert_eq!(reason(&fixture.threads(ADA).post_comment(comment).await.unwrap_err()), "AGENT_NOT_ACTIVE");
    let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    assert_eq!(reason(&fixture.conversations(ADA).close_conversation(close).await.unwrap_err()), "AGENT_NOT_ACTIVE");
}

/// The assignment service applies the agent's state. Returns the version of the copy.
async fn apply(fixture: &Fixture, agent: uuid::Uuid, active: bool, version: i32) -> i32 {
    let request = ApplyAgentRequest { agent_id: agent.to_string(), name: "Ada".into(), active, version };
    let request = fixture.on_behalf_of("service:assignment", request);
    fixture.arbiter("assignment").apply_agent(request).await.unwrap().into_inner().version
}

async fn a2_c11_an_applied_deactivation_is_in_force_without_an_event_and_an_older_state_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    // Bob is unknown to the service until the state is applied, Ada is known.
    fixture.post(&chat.id, "hello").await;
    for agent in [ADA, BOB] {
        apply(&fixture, agent, false, 2).await;
        for _ in 0..2 {
            let refused = fixture.threads(agent).post_message(message(&chat.id, "more")).await.unwrap_err();
            assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE");
            apply(&fixture, agent, true, 1).await;
        }
        // The event comes late, and asks a replica of the roster that is behind.
        answer(&fixture, true, 1);
        fixture.service.deliver_again(&about(&fixture, agent)).await;
        fixture.service.settled().await;
        let refused = fixture.threads(agent).post_message(message(&chat.id, "more")).await.unwrap_err();
        assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE");
        apply(&fixture, agent, true, 3).await;
        fixture.threads(agent).post_message(message(&chat.id, "back")).await.unwrap();
    }
}

/// After the roster was restored to an older point in time it gives versions again that the copy has with another state.
async fn a2_a_state_of_the_same_version_is_in_force_and_the_answer_names_the_version_of_the_copy(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    assert_eq!(apply(&fixture, ADA, true, 4).await, 4);
    assert_eq!(apply(&fixture, ADA, false, 2).await, 4);
    fixture.threads(ADA).post_message(message(&chat.id, "hello")).await.unwrap();
    assert_eq!(apply(&fixture, ADA, false, 4).await, 4);
    let refused = fixture.threads(ADA).post_message(message(&chat.id, "more")).await.unwrap_err();
    assert_eq!(reason(&refused), "AGENT_NOT_ACTIVE");
    assert_eq!(apply(&fixture, ADA, true, 5).await, 5);
}

async fn c11_a_reactivated_agent_posts_again_from_the_event_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    answer(&fixture, false, 2);
    fixture.service.deliver_again(&about(&fixture, ADA)).await;
    fixture.service.settled().await;
    answer(&fixture, true, 3);
    let agent_id = ADA.to_string();
    let event = event("assignment", fixture.account, &AgentReactivated { agent_id: agent_id.clone() });
    fixture.service.deliver_again(&Event { aggregate_id: agent_id, ..event }).await;
    fixture.service.settled().await;
    fixture.post(&chat.id, "back").await;
}

async fn an_event_about_an_agent_who_does_not_exist_holds_nothing_up(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    fixture.service.fake.on(|_: Request<GetAgentRequest>| Err::<GetAgentResponse, _>(Status::not_found("absent")));
    fixture.service.deliver_again(&about(&fixture, ADA)).await;
    answer(&fixture, true, 1);
    fixture.service.deliver_again(&about(&fixture, ADA)).await;
    fixture.service.settled().await;
    let chat = fixture.chat("v").await;
    fixture.post(&chat.id, "hello").await;
}

/// Requires that the call was refused because of its agent.
fn refused<T>(what: &str, result: Result<T, Status>) {
    assert_eq!(result.err().map(|status| reason(&status)).as_deref(), Some("AGENT_NOT_ACTIVE"), "{what}");
}

async fn a2_an_agent_who_is_not_active_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = create_ticket::linked_chat(&fixture).await;
    let ticket_id = create_ticket::create(&fixture, &chat).await.id;
    let contact_id = create_contact::create(&fixture, "Vera", "vera@example.com").await.id;
    let channel_id = fixture.channel().await.id;
    let deleted = fixture.channel().await.id;
    fixture.channels().delete_channel(DeleteChannelRequest { channel_id: deleted.clone() }).await.unwrap();
    let insert_id = inserts::create(&fixture, inserts::snippet("Kept", "X")).await.id;
    let deleted_insert = inserts::create(&fixture, inserts::snippet("Deleted", "X")).await.id;
    let attachment = fixture.attachments(ADA).create_attachment(attachments::file("a.txt", 1)).await.unwrap();
    let attachment_id = attachment.into_inner().attachment.unwrap().id;
    inserts::delete(&fixture, &deleted_insert).await;
    let entries = fixture.entries(&chat).await;
    for agent in [GONE, STRANGER] {
        let mut contacts = fixture.contacts_as(agent);
        refused("CreateContact", contacts.create_contact(create_contact::request("X", "x@evil.example")).await);
        let rename =
            UpdateContactRequest { contact_id: contact_id.clone(), name: Some("X".into()), ..Default::default() };
        refused("UpdateContact", contacts.update_contact(rename).await);
        let mut conversations = fixture.conversations(agent);
        let link = LinkContactRequest { conversation_id: chat.clone(), contact_id: contact_id.clone() };
        refused("LinkContact", conversations.link_contact(link).await);
        refused("CloseConversation", conversations.close_conversation(close(&chat)).await);
        let mut tickets = fixture.tickets(agent);
        refused("CreateTicket", tickets.create_ticket(create_ticket::request(&chat)).await);
        let update =
            UpdateTicketRequest { ticket_id: ticket_id.clone(), subject: Some("X".into()), ..Default::default() };
        refused("UpdateTicket", tickets.update_ticket(update).await);
        refused("PostMessage", fixture.threads(agent).post_message(message(&chat, "X")).await);

        let mut inserts = fixture.inserts(agent);
        refused("CreateInsert", inserts.create_insert(inserts::snippet("X", "X")).await);
        let rename =
            UpdateInsertRequest { insert_id: insert_id.clone(), title: Some("X".into()), ..Default::default() };
        refused("UpdateInsert", inserts.update_insert(rename).await);
        refused("DeleteInsert", inserts.delete_insert(DeleteInsertRequest { insert_id: insert_id.clone() }).await);
        let undelete = UndeleteInsertRequest { insert_id: deleted_insert.clone() };
        refused("UndeleteInsert", inserts.undelete_insert(undelete).await);

        let mut attachments = fixture.attachments(agent);
        refused("CreateAttachment", attachments.create_attachment(attachments::file("a.txt", 1)).await);
        let delete = DeleteAttachmentRequest { attachment_id: attachment_id.clone(), request_id: request_id() };
        refused("DeleteAttachment", attachments.delete_attachment(delete).await);

        let mut channels = fixture.channels_as(agent);
        refused("CreateChannel", channels.create_channel(new_channel()).await);
        let rename =
            UpdateChannelRequest { channel_id: channel_id.clone(), name: Some("X".into()), ..Default::default() };
        refused("UpdateChannel", channels.update_channel(rename).await);
        let rotate =
            RotateVisitorKeyRequest { channel_id: channel_id.clone(), keep_previous: None, request_id: request_id() };
        refused("RotateVisitorKey", channels.rotate_visitor_key(rotate).await);
        let delete = DeleteChannelRequest { channel_id: channel_id.clone() };
        refused("DeleteChannel", channels.delete_channel(delete).await);
        let undelete = UndeleteChannelRequest { channel_id: deleted.clone() };
        refused("UndeleteChannel", channels.undelete_channel(undelete).await);
        for to in ["", &ADA.to_string()] {
            let change = ChangeAssigneeRequest {
                conversation_id: chat.clone(),
                expected_epoch: 1,
                agent_id: to.into(),
                request_id: request_id(),
                ..Default::default()
            };
            let change = fixture.on_behalf_of(&format!("agent:{agent}"), change);
            refused("ChangeAssignee", fixture.arbiter("assignment").change_assignee(change).await);
        }
    }
    assert_eq!(fixture.entries(&chat).await, entries);
    fixture.conversations(ADA).close_conversation(close(&chat)).await.unwrap();
    for agent in [GONE, STRANGER] {
        let reopen = ReopenConversationRequest { conversation_id: chat.clone(), ..Default::default() };
        refused("ReopenConversation", fixture.conversations(agent).reopen_conversation(reopen).await);
    }
}

fn close(conversation: &str) -> CloseConversationRequest {
    CloseConversationRequest { conversation_id: conversation.into(), ..Default::default() }
}

async fn c12_a_repeat_gets_the_first_answer_also_after_the_agent_was_deactivated(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = create_ticket::linked_chat(&fixture).await;
    let channel_id = fixture.channel().await.id;
    let (ticket, contact) = (create_ticket::request(&chat), create_contact::request("Vera", "vera@example.com"));
    let rotate = RotateVisitorKeyRequest { channel_id, keep_previous: None, request_id: request_id() };
    let (mut tickets, mut contacts) = (fixture.tickets(BOB), fixture.contacts_as(BOB));
    let mut channels = fixture.channels_as(BOB);
    let first = (
        tickets.create_ticket(ticket.clone()).await.unwrap().into_inner(),
        contacts.create_contact(contact.clone()).await.unwrap().into_inner(),
        channels.rotate_visitor_key(rotate.clone()).await.unwrap().into_inner(),
    );
    apply(&fixture, BOB, false, 2).await;
    let again = (
        tickets.create_ticket(ticket).await.unwrap().into_inner(),
        contacts.create_contact(contact).await.unwrap().into_inner(),
        channels.rotate_visitor_key(rotate).await.unwrap().into_inner(),
    );
    assert_eq!(again, first);
}

/// On PostgreSQL alone: SQLite has one writer and no lock of a row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a2_a_change_that_waits_for_a_lock_is_refused_when_its_agent_is_deactivated_meanwhile() {
    let fixture = Fixture::start(Mode::Distributed).await;
    let chat = create_ticket::linked_chat(&fixture).await;
    fixture.threads(BOB).post_message(message(&chat, "hello")).await.unwrap();
    let lock = fixture.service.db.begin().await.unwrap();
    lock.conn().execute_unprepared("SELECT 1 FROM conversations FOR UPDATE").await.unwrap();
    let mut tickets = fixture.tickets(BOB);
    let waiting = tokio::spawn(async move { tickets.create_ticket(create_ticket::request(&chat)).await });
    fixture.wait_for_a_lock().await;
    apply(&fixture, BOB, false, 2).await;
    lock.commit().await.unwrap();
    refused("CreateTicket", waiting.await.unwrap());
}

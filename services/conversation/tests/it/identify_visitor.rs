//! Who a visitor is, when several calls decide it at once or one after the other: rules X1, X2, X2a, C2a, T2.

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    conversation::{
        internal::v1::{GetClosingFactsRequest, GetClosingFactsResponse},
        v1::{
            Chat, Contact, ContactEmail, ContactEmails, CreateContactRequest, LinkContactRequest, ListContactsRequest,
            ListConversationsRequest, SendMessageRequest, StartChatRequest, UpdateContactRequest,
            visitor_service_client::VisitorServiceClient,
        },
    },
    event::v1::{ContactDeleted, ContactUpdated, ConversationUpdated},
};
use frontdesk_testkit::{Calls, Mode, on_both_modes, request_id};
use futures::future::join_all;

use crate::{
    create_ticket,
    fixture::{ADA, BotChat, Fixture, twenty},
    record_answer::{answer, record},
};

on_both_modes!(
    x1_c2a_twenty_first_calls_of_a_visitor_with_an_address_get_the_first_answer,
    x1_twenty_people_with_one_address_in_their_tokens_are_one_contact,
    x1_two_visitors_who_type_one_address_at_once_are_both_recorded,
    x1_c2a_a_login_in_an_open_chat_is_one_change_of_it,
    x1_answers_in_two_chats_of_one_visitor_at_once_make_one_contact,
    x1_links_of_two_chats_of_one_visitor_at_once_leave_one_contact,
    x1_edits_that_take_addresses_from_each_other_at_once_wait_for_each_other,
    x1_t2_a_ticket_of_a_typed_link_counts_for_that_conversation_until_an_agent_links,
    x1_a_visitor_follows_the_address_that_they_typed_to_its_new_contact,
    x2a_a_contact_that_answers_made_is_removed_when_nothing_is_left_of_it,
    x2a_a_contact_that_the_team_uses_stays,
    x1_t6_two_people_with_one_address_keep_their_own_names,
    x1_t2_an_address_of_a_token_that_mail_cannot_go_to_is_shown_and_the_chat_begins,
    x1_the_host_of_an_address_is_kept_in_its_ascii_form_and_both_spellings_are_one_contact,
);

const ADDRESS: &str = "vera@example.com";

fn chats(fixture: &Fixture, visitor: &str, name: &str, address: &str) -> VisitorServiceClient<Calls> {
    let set = |claims: &mut frontdesk_auth::Claims| {
        claims.name = Some(name.into()).filter(|name: &String| !name.is_empty());
        claims.email = Some(address.into());
    };
    VisitorServiceClient::new(fixture.service.calls_with(fixture.account, CallerKind::Visitor, visitor, set))
}

fn start(channel: &str) -> StartChatRequest {
    StartChatRequest {
        channel_id: channel.into(),
        page_url: "https://shop.example/".into(),
        request_id: request_id(),
        ..StartChatRequest::default()
    }
}

async fn started(mut chats: VisitorServiceClient<Calls>, channel: &str) -> Chat {
    chats.start_chat(start(channel)).await.unwrap().into_inner().chat.unwrap()
}

async fn contacts(fixture: &Fixture) -> Vec<Contact> {
    fixture.contacts().list_contacts(ListContactsRequest::default()).await.unwrap().into_inner().contacts
}

async fn facts(fixture: &Fixture, conversation: &str) -> GetClosingFactsResponse {
    let request = GetClosingFactsRequest { conversation_id: conversation.into(), close_number: 0 };
    fixture
        .arbiter("notification")
        .get_closing_facts(fixture.on_behalf_of("service:notification", request))
        .await
        .unwrap()
        .into_inner()
}

async fn create(fixture: &Fixture, name: &str, address: &str, verified: bool) -> Contact {
    let emails = match address {
        "" => Vec::new(),
        address => vec![ContactEmail { email: address.into(), verified }],
    };
    let new =
        CreateContactRequest { name: name.into(), emails, request_id: request_id(), ..CreateContactRequest::default() };
    fixture.contacts().create_contact(new).await.unwrap().into_inner().contact.unwrap()
}

async fn set_emails(fixture: &Fixture, contact: &str, addresses: &[&str]) -> Contact {
    let emails = addresses.iter().map(|address| ContactEmail { email: (*address).into(), verified: true }).collect();
    let update = UpdateContactRequest {
        contact_id: contact.into(),
        emails: Some(ContactEmails { emails }),
        ..UpdateContactRequest::default()
    };
    fixture.contacts().update_contact(update).await.unwrap().into_inner().contact.unwrap()
}

async fn link(fixture: &Fixture, conversation: &str, contact: &str) {
    let link = LinkContactRequest { conversation_id: conversation.into(), contact_id: contact.into() };
    fixture.conversations(ADA).link_contact(link).await.unwrap();
}

/// A chat whose visitor typed the address.
async fn typed(fixture: &Fixture, visitor: &str, address: &str) -> BotChat {
    let chat = fixture.bot_chat(visitor).await;
    record(fixture, answer(&chat, "email", address)).await.unwrap();
    chat
}

async fn x1_c2a_twenty_first_calls_of_a_visitor_with_an_address_get_the_first_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channels = [fixture.channel().await.id, fixture.channel().await.id];
    for round in 0..3 {
        let (visitor, address) = (format!("v{round}"), format!("v{round}@example.com"));
        let chats = twenty(|index| {
            let chats = chats(&fixture, &visitor, "Vera", &address);
            let channel = channels[index % 2].clone();
            async move { started(chats, &channel).await.id }
        });
        let mut ids = chats.await;
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 2, "one chat for each channel");
        let mut owners = Vec::new();
        for id in &ids {
            owners.push(fixture.conversation(id).await.contact_id);
        }
        assert!(owners[0] == owners[1] && !owners[0].is_empty(), "{owners:?}");
        assert_eq!(contacts(&fixture).await.len(), round + 1);
    }
}

async fn x1_twenty_people_with_one_address_in_their_tokens_are_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let chats = twenty(|index| started(chats(&fixture, &format!("v{index}"), "", ADDRESS), &channel)).await;
    assert_eq!(contacts(&fixture).await.len(), 1);
    let mut sent = join_all(chats.iter().enumerate().map(|(index, chat)| {
        let request = SendMessageRequest {
            chat_id: chat.id.clone(),
            text: "Hi".into(),
            request_id: request_id(),
            ..Default::default()
        };
        let mut chats = chats_of(&fixture, index);
        async move { chats.send_message(request).await.map(drop) }
    }))
    .await;
    sent.retain(Result::is_err);
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(contacts(&fixture).await.len(), 1, "each came with another address, which the contact has now");
}

/// The visitor's token now has their own address beside.
fn chats_of(fixture: &Fixture, index: usize) -> VisitorServiceClient<Calls> {
    chats(fixture, &format!("v{index}"), "", &format!("v{index}@example.com"))
}

async fn x1_c2a_a_login_in_an_open_chat_is_one_change_of_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let anonymous = fixture.chat_on(&channel, "v").await;
    let resumed = started(chats(&fixture, "v", "Vera", ADDRESS), &channel.id).await;
    let conversation = fixture.conversation(&anonymous.id).await;
    assert_eq!((resumed.id, conversation.version, conversation.contact_id.is_empty()), (anonymous.id, 2, false));
    // From a contact that they only claimed to be to their own.
    let claimed = typed(&fixture, "mallory", ADDRESS).await.id;
    let claimed = fixture.conversation(&claimed).await;
    let own = started(chats(&fixture, "mallory", "Mallory", "mallory@example.com"), &claimed.channel_id).await;
    let after = fixture.conversation(&own.id).await;
    assert_eq!((&after.id, after.version), (&claimed.id, claimed.version + 1));
    assert_ne!(after.contact_id, claimed.contact_id);
}

async fn x1_two_visitors_who_type_one_address_at_once_are_both_recorded(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chats = join_all(["a", "b", "c", "d", "e", "f"].map(|visitor| fixture.bot_chat(visitor))).await;
    let recorded = join_all(chats.iter().map(|chat| record(&fixture, answer(chat, "email", ADDRESS)))).await;
    let mut owners: Vec<_> =
        recorded.into_iter().map(|answer| answer.unwrap().conversation.unwrap().contact_id).collect();
    owners.dedup();
    assert_eq!((owners.len(), contacts(&fixture).await.len()), (1, 1));
}

async fn x1_answers_in_two_chats_of_one_visitor_at_once_make_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for round in 0..5 {
        let visitor = format!("v{round}");
        let chats = [fixture.bot_chat(&visitor).await, fixture.bot_chat(&visitor).await];
        assert_ne!(chats[0].id, chats[1].id);
        let address = format!("{visitor}@example.com");
        join_all(chats.iter().map(|chat| record(&fixture, answer(chat, "email", &address))))
            .await
            .into_iter()
            .for_each(|recorded| drop(recorded.unwrap()));
        for chat in &chats {
            assert_eq!(facts(&fixture, &chat.id).await.recipient_email, address);
        }
        assert_eq!(contacts(&fixture).await.len(), round + 1);
    }
}

async fn x1_links_of_two_chats_of_one_visitor_at_once_leave_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for round in 0..5 {
        let visitor = format!("v{round}");
        let chats = [fixture.bot_chat(&visitor).await, fixture.bot_chat(&visitor).await];
        let targets = [create(&fixture, "A", "", false).await.id, create(&fixture, "B", "", false).await.id];
        join_all(chats.iter().zip(&targets).map(|(chat, target)| link(&fixture, &chat.id, target))).await;
        let owners = [fixture.conversation(&chats[0].id).await, fixture.conversation(&chats[1].id).await];
        assert_eq!(owners[0].contact_id, owners[1].contact_id);
        assert!(targets.contains(&owners[0].contact_id));
    }
}

async fn x1_edits_that_take_addresses_from_each_other_at_once_wait_for_each_other(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for round in 0..5 {
        let (x, y) = (format!("x{round}@example.com"), format!("y{round}@example.com"));
        let a = create(&fixture, "A", &x, false).await.id;
        let b = create(&fixture, "B", &y, false).await.id;
        let (taken_by_a, taken_by_b) = ([y.as_str()], [x.as_str()]);
        let edits = (set_emails(&fixture, &a, &taken_by_a), set_emails(&fixture, &b, &taken_by_b));
        let (of_a, of_b) = tokio::join!(edits.0, edits.1);
        assert_eq!((of_a.emails.len(), of_b.emails.len()), (1, 1));
    }
}

async fn x1_t2_a_ticket_of_a_typed_link_counts_for_that_conversation_until_an_agent_links(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await;
    let victim = create(&fixture, "Victim", ADDRESS, true).await;
    let own = started(chats(&fixture, "victim", "Victim", ADDRESS), &channel.id).await.id;
    let stranger = typed(&fixture, "stranger", ADDRESS).await.id;
    let ticket = create_ticket::create(&fixture, &stranger).await;
    assert_eq!(ticket.contact_id, victim.id);
    assert!(facts(&fixture, &stranger).await.had_ticket, "it counts for the conversation that it was made in");
    assert!(!facts(&fixture, &own).await.had_ticket, "and silences nothing of the contact");

    link(&fixture, &stranger, &victim.id).await;
    assert!(facts(&fixture, &own).await.had_ticket, "the team says that they are the contact");

    let other = typed(&fixture, "other", ADDRESS).await.id;
    let ticket = create_ticket::create(&fixture, &other).await.id;
    let friend = create(&fixture, "Friend", "", false).await.id;
    link(&fixture, &other, &friend).await;
    let request = frontdesk_proto::conversation::v1::GetTicketRequest { ticket_id: ticket };
    let settled = fixture.tickets(ADA).get_ticket(request).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!((settled.contact_id, settled.version), (friend, 2), "the ticket follows its visitor");
}

async fn x1_a_visitor_follows_the_address_that_they_typed_to_its_new_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = typed(&fixture, "v", ADDRESS).await.id;
    let before = fixture.conversation(&chat).await;
    let new = create(&fixture, "Vera", "", false).await;
    let (updated, moved) = (events::<ContactUpdated>(&fixture).await, events::<ConversationUpdated>(&fixture).await);
    set_emails(&fixture, &new.id, &[ADDRESS]).await;
    let after = fixture.conversation(&chat).await;
    assert_eq!((after.contact_id.as_str(), after.version), (new.id.as_str(), before.version + 1));
    let facts = facts(&fixture, &chat).await;
    assert_eq!((facts.recipient_email.as_str(), facts.recipient_verified), (ADDRESS, false));
    assert_eq!(events::<ContactUpdated>(&fixture).await, updated + 2, "of both contacts");
    assert_eq!(events::<ConversationUpdated>(&fixture).await, moved + 1);
    assert_eq!(events::<ContactDeleted>(&fixture).await, 1, "nothing is left of the first contact");
    // The contact is not theirs: they change nothing of it.
    let shown = contacts(&fixture).await;
    assert_eq!((shown.len(), shown[0].name.as_str()), (1, "Vera"));
}

async fn events<M: prost::Message + prost::Name + Default>(fixture: &Fixture) -> usize {
    fixture.service.appended::<M>().await.len()
}

async fn x2a_a_contact_that_answers_made_is_removed_when_nothing_is_left_of_it(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut chats = Vec::new();
    for (visitor, name) in [("a", "Anna"), ("b", "Anna"), ("c", "Bruno")] {
        let chat = fixture.bot_chat(visitor).await;
        record(&fixture, answer(&chat, "name", name)).await.unwrap();
        record(&fixture, answer(&chat, "email", "anna@visitor.example")).await.unwrap();
        chats.push(chat);
    }
    let found = contacts(&fixture).await;
    assert_eq!((found.len(), found[0].name.as_str()), (1, "Anna"), "{found:?}");
    assert_eq!(events::<ContactDeleted>(&fixture).await, 2);
    for (chat, name) in chats.iter().zip(["Anna", "Anna", "Bruno"]) {
        assert_eq!(fixture.conversation(&chat.id).await.contact_id, found[0].id);
        assert_eq!(facts(&fixture, &chat.id).await.visitor_name, name);
    }
}

async fn x2a_a_contact_that_the_team_uses_stays(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    create(&fixture, "Owner", ADDRESS, true).await;
    let rename = |contact_id: String| UpdateContactRequest {
        contact_id,
        phone: Some("1".into()),
        ..UpdateContactRequest::default()
    };
    // Edited by the team.
    let edited = fixture.bot_chat("edited").await;
    record(&fixture, answer(&edited, "name", "Edited")).await.unwrap();
    let contact = fixture.conversation(&edited.id).await.contact_id;
    fixture.contacts().update_contact(rename(contact)).await.unwrap();
    record(&fixture, answer(&edited, "email", ADDRESS)).await.unwrap();
    // With a ticket.
    let with_ticket = fixture.bot_chat("ticket").await;
    record(&fixture, answer(&with_ticket, "name", "Ticket")).await.unwrap();
    create_ticket::create(&fixture, &with_ticket.id).await;
    record(&fixture, answer(&with_ticket, "email", ADDRESS)).await.unwrap();
    assert_eq!((contacts(&fixture).await.len(), events::<ContactDeleted>(&fixture).await), (3, 0));
}

async fn x1_t6_two_people_with_one_address_keep_their_own_names(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let anna = started(chats(&fixture, "anna", "Anna", "family@visitor.example"), &channel).await.id;
    let bruno = started(chats(&fixture, "bruno", "Bruno", "family@visitor.example"), &channel).await.id;
    let contact = fixture.conversation(&anna).await.contact_id;
    assert_eq!(contact, fixture.conversation(&bruno).await.contact_id, "the address is that of one contact");
    for (chat, visitor, name) in [(&anna, "anna", "Anna"), (&bruno, "bruno", "Bruno")] {
        let text = SendMessageRequest {
            chat_id: chat.clone(),
            text: "Hi".into(),
            request_id: request_id(),
            ..Default::default()
        };
        chats(&fixture, visitor, name, "family@visitor.example").send_message(text).await.unwrap();
        assert_eq!(facts(&fixture, chat).await.visitor_name, name);
        let entries = fixture.entries(chat).await;
        assert_eq!(entries.last().unwrap().author.as_ref().unwrap().name, name);
    }
    let rows = fixture.conversations(ADA).list_conversations(ListConversationsRequest::default()).await.unwrap();
    let mut shown: Vec<_> = rows.into_inner().rows.into_iter().map(|row| row.visitor_name).collect();
    shown.sort();
    assert_eq!(shown, ["Anna", "Bruno"]);
    // A contact of one person is shown by the name that the team gave it.
    let single = started(chats(&fixture, "vera", "vera", ADDRESS), &channel).await.id;
    let rename = UpdateContactRequest {
        contact_id: fixture.conversation(&single).await.contact_id,
        name: Some("Vera Vogel".into()),
        ..UpdateContactRequest::default()
    };
    fixture.contacts().update_contact(rename).await.unwrap();
    assert_eq!(facts(&fixture, &single).await.visitor_name, "Vera Vogel");
}

async fn x1_t2_an_address_of_a_token_that_mail_cannot_go_to_is_shown_and_the_chat_begins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    for (index, odd) in
        ["not an address", "ünïcode@odd.example", "user@[127.0.0.1]", "a!b@odd.example"].iter().enumerate()
    {
        let visitor = format!("v{index}");
        let chat = started(chats(&fixture, &visitor, "Odd", odd), &channel).await.id;
        let conversation = fixture.conversation(&chat).await;
        assert_eq!((conversation.unusable_token_email.as_str(), conversation.contact_id.as_str()), (*odd, ""));
        let facts = facts(&fixture, &chat).await;
        assert!(facts.token_email_unusable && facts.recipient_email.is_empty() && facts.visitor_name == "Odd");
    }
    // The visitor writes with a token that has a usable address.
    let chat = started(chats(&fixture, "v0", "Odd", "not an address"), &channel).await.id;
    let text = || SendMessageRequest {
        chat_id: chat.clone(),
        text: "Hi".into(),
        request_id: request_id(),
        ..Default::default()
    };
    chats(&fixture, "v0", "Odd", ADDRESS).send_message(text()).await.unwrap();
    let conversation = fixture.conversation(&chat).await;
    assert!(conversation.unusable_token_email.is_empty() && !conversation.contact_id.is_empty());
    assert!(!facts(&fixture, &chat).await.token_email_unusable);
    chats(&fixture, "v0", "Odd", "nowhere").send_message(text()).await.unwrap();
    assert_eq!(fixture.conversation(&chat).await.unusable_token_email, "nowhere");
}

async fn x1_the_host_of_an_address_is_kept_in_its_ascii_form_and_both_spellings_are_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.channel().await.id;
    let created = create(&fixture, "Anna", "anna@bücher.example", true).await;
    assert_eq!(created.emails[0].email, "anna@xn--bcher-kva.example");
    let chat = started(chats(&fixture, "v", "Anna", "anna@bücher.example"), &channel).await.id;
    assert_eq!(fixture.conversation(&chat).await.contact_id, created.id);
    let spellings = ["anna@bücher.example", "anna＠bücher．example", "\u{200B}anna@xn--bcher-kva.example"];
    for (index, typed_address) in spellings.into_iter().enumerate() {
        let typed = typed(&fixture, &format!("typed{index}"), typed_address).await.id;
        assert_eq!(fixture.conversation(&typed).await.contact_id, created.id, "{typed_address}");
    }
    for email in ["anna@bücher.example", " anna@BÜCHER.example\u{200B}"] {
        let request = ListContactsRequest { email: email.into(), ..ListContactsRequest::default() };
        let found = fixture.contacts().list_contacts(request).await.unwrap().into_inner().contacts;
        assert_eq!(found.len(), 1, "{email:?}");
    }
}

//! Contacts: how a visitor is identified, and that an unverified address grants no access.

use frontdesk_proto::{
    actor::v1::ActorKind,
    assignment::v1::{DeactivateAgentRequest, roster_service_client::RosterServiceClient},
    conversation::v1::{
        CloseConversationRequest, Contact, ContactEmail, ContactEmails, CreateContactRequest, CreateTicketRequest,
        Entry, GetContactRequest, LinkContactRequest, ListContactsRequest, ListConversationsRequest,
        MergeContactsRequest, PostMessageRequest, ReopenConversationRequest, RequestAddressCodeRequest, TicketStatus,
        UpdateContactRequest, VerifyAddressRequest, contact_service_client::ContactServiceClient,
        conversation_service_client::ConversationServiceClient, entry::Content,
        thread_service_client::ThreadServiceClient, ticket_service_client::TicketServiceClient,
        visitor_service_client::VisitorServiceClient,
    },
    notification::v1::{
        DeliveryStatus, GetDeliveryRequest, RetryDeliveryRequest, SendTranscriptRequest, SkipReason,
        delivery_service_client::DeliveryServiceClient, transcript_service_client::TranscriptServiceClient,
    },
};
use frontdesk_tests::{Account, As, Chat, TestSuite, code_in, reason, request_id, wait_for};

async fn contact_of(agent: &As, conversation: &str) -> Contact {
    let contact_id = Account::conversation(agent, conversation).await.contact_id;
    let answer = ContactServiceClient::new(agent.clone()).get_contact(GetContactRequest { contact_id }).await.unwrap();
    answer.into_inner().contact.unwrap()
}

/// The visitor's name as agents see it.
fn visitors_name(thread: &[Entry]) -> String {
    let authors = thread.iter().filter_map(|entry| entry.author.clone());
    authors.filter(|author| author.kind() == ActorKind::Visitor).map(|author| author.name).next().unwrap_or_default()
}

/// A chat with the bot in which the visitor answers with this address.
async fn chat_with_typed_address(account: &Account, visitor: &str, channel: &str, address: &str) -> Chat {
    let chat = account.start_chat(account.visitor(visitor), channel).await;
    chat.until_text("Your address?").await;
    chat.say(address).await.unwrap();
    chat.until_text("Which?").await;
    chat
}

/// An agent takes the chat over, posts a secret and closes it; returns the id of the delivery.
async fn take_over_and_close(agent: &As, chat: &Chat) -> String {
    let epoch = Account::conversation(agent, &chat.id).await.epoch;
    let take = frontdesk_proto::assignment::v1::TakeOverConversationRequest {
        conversation_id: chat.id.clone(),
        expected_epoch: epoch,
        request_id: request_id(),
    };
    let mut assignment =
        frontdesk_proto::assignment::v1::assignment_service_client::AssignmentServiceClient::new(agent.clone());
    assignment.take_over_conversation(take).await.unwrap();
    reply(agent, chat).await.unwrap();
    let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    ConversationServiceClient::new(agent.clone()).close_conversation(close).await.unwrap();
    Account::explained(agent, &chat.id, 0).await.decision.unwrap().delivery_id
}

async fn reply(agent: &As, chat: &Chat) -> Result<(), tonic::Status> {
    let message = PostMessageRequest {
        conversation_id: chat.id.clone(),
        text: "the secret".into(),
        request_id: request_id(),
        ..Default::default()
    };
    ThreadServiceClient::new(agent.clone()).post_message(message).await.map(|_| ())
}

async fn sent_to(agent: &As, delivery_id: &str) -> String {
    wait_for("the mail", || async {
        let request = GetDeliveryRequest { delivery_id: delivery_id.to_owned() };
        let delivery =
            DeliveryServiceClient::new(agent.clone()).get_delivery(request).await.unwrap().into_inner().delivery?;
        (delivery.status() == DeliveryStatus::Sent).then_some(delivery.recipient_email)
    })
    .await
}

#[tokio::test]
async fn x1_s3_a_typed_address_redirects_no_transcript() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let mut conversations = ConversationServiceClient::new(agent.clone());
    let mut close = async |chat: &Chat| {
        let request = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
        conversations.close_conversation(request).await.unwrap();
    };

    // The attacker types the victim's address first, then an own one.
    close(&chat_with_typed_address(&account, "evil", &channel, "victim@x.example").await).await;
    close(&chat_with_typed_address(&account, "evil", &channel, "evil@evil.example").await).await;
    let victim = chat_with_typed_address(&account, "victim", &channel, "victim@x.example").await;
    let delivery = take_over_and_close(&agent, &victim).await;
    assert_eq!(sent_to(&agent, &delivery).await, "victim@x.example");

    // The victim has typed the address before the attacker does.
    let second = chat_with_typed_address(&account, "victim2", &channel, "victim2@x.example").await;
    close(&chat_with_typed_address(&account, "evil2", &channel, "victim2@x.example").await).await;
    close(&chat_with_typed_address(&account, "evil2", &channel, "evil2@evil.example").await).await;
    let delivery = take_over_and_close(&agent, &second).await;
    assert_eq!(sent_to(&agent, &delivery).await, "victim2@x.example");

    // The victim's token states the address; the attacker types it, and then logs in with an own one.
    let third = account.start_chat(account.known_visitor("victim3", "victim3@x.example"), &channel).await;
    third.until_text("Your address?").await;
    let before = contact_of(&agent, &third.id).await;
    let attack = chat_with_typed_address(&account, "evil3", &channel, "victim3@x.example").await;
    assert_eq!(
        contact_of(&agent, &attack.id).await.id,
        before.id,
        "agents see the contact that the address belongs to"
    );
    let own = account.start_chat(account.known_visitor("evil3", "evil3@evil.example"), &channel).await;
    assert_eq!(own.id, attack.id, "the open conversation");
    assert_ne!(contact_of(&agent, &own.id).await.id, before.id, "the token identifies the attacker");
    assert_eq!(contact_of(&agent, &third.id).await, before, "the victim's contact is unchanged");
    let delivery = take_over_and_close(&agent, &third).await;
    assert_eq!(sent_to(&agent, &delivery).await, "victim3@x.example");

    // A visitor whose tokens stated two addresses, the victim's first: the victim's chat is mailed to the victim's
    // address.
    let fourth = account.start_chat(account.known_visitor("evil4", "victim4@x.example"), &channel).await;
    close(&fourth).await;
    close(&account.start_chat(account.known_visitor("evil4", "evil4@evil.example"), &channel).await).await;
    let fourth = account.start_chat(account.known_visitor("victim4", "victim4@x.example"), &channel).await;
    let delivery = take_over_and_close(&agent, &fourth).await;
    assert_eq!(sent_to(&agent, &delivery).await, "victim4@x.example");

    // Sent by hand without an address, it goes to the address of the close.
    let send = SendTranscriptRequest {
        conversation_id: victim.id.clone(),
        contact_id: contact_of(&agent, &victim.id).await.id,
        request_id: request_id(),
        ..Default::default()
    };
    let by_hand = TranscriptServiceClient::new(agent.clone()).send_transcript(send).await.unwrap().into_inner();
    assert_eq!(sent_to(&agent, &by_hand.delivery.unwrap().id).await, "victim@x.example");
    // A visitor linked by a typed address does not get the contact's name.
    let name = visitors_name(&Account::thread(&agent, &victim.id).await);
    assert_eq!(name, "");
    assert!(account.mails("evil@evil.example").await.is_empty());
    assert!(account.mails("evil2@evil.example").await.is_empty());
    assert!(account.mails("evil3@evil.example").await.is_empty());
}

#[tokio::test]
async fn x1_a_code_mailed_to_a_typed_address_verifies_it() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let bot = account.bot().await;
    let channel = account.channel(Some(&bot)).await;
    let address = "vera@x.example";
    let chat = chat_with_typed_address(&account, "v", &channel, address).await;
    let attack = chat_with_typed_address(&account, "evil", &channel, address).await;
    let ask = async |chat: &Chat| {
        let request =
            RequestAddressCodeRequest { chat_id: chat.id.clone(), email: address.into(), request_id: request_id() };
        VisitorServiceClient::new(chat.visitor.clone()).request_address_code(request).await.unwrap();
    };
    let enter = async |chat: &Chat, code: &str| {
        let request = VerifyAddressRequest { chat_id: chat.id.clone(), email: address.into(), code: code.into() };
        VisitorServiceClient::new(chat.visitor.clone()).verify_address(request).await.map(drop)
    };
    ask(&chat).await;
    let mail = wait_for("the code", || async { account.mails(address).await.pop() }).await;
    let code = code_in(&mail.content);

    // The code that was mailed for one visitor is not valid for another one who typed the address.
    assert_eq!(reason(&enter(&attack, &code).await.unwrap_err()), "ADDRESS_CODE_EXPIRED");
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    assert_eq!(reason(&enter(&chat, wrong).await.unwrap_err()), "ADDRESS_CODE_WRONG");
    assert!(!contact_of(&agent, &chat.id).await.emails[0].verified);
    for _ in 0..2 {
        enter(&chat, &code).await.unwrap();
    }
    let contact = contact_of(&agent, &chat.id).await;
    assert_eq!(contact.emails, [ContactEmail { email: address.into(), verified: true }]);
    assert_eq!(contact_of(&agent, &attack.id).await.id, contact.id, "for the team, as before");
    assert_eq!(reason(&enter(&attack, &code).await.unwrap_err()), "ADDRESS_CODE_EXPIRED");
}

#[tokio::test]
async fn x1_c8_a_login_during_a_chat_links_the_visitors_earlier_chats_to_the_contact() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    account.fallback_sender().await;
    let (_, agent) = account.agent("Ada").await;
    let (first, second) = (account.channel(None).await, account.channel(None).await);
    let earlier = account.start_chat(account.visitor("v"), &first).await;
    let chat = account.start_chat(account.visitor("v"), &second).await;
    chat.say("who am I?").await.unwrap();
    let logged_in = Chat { visitor: account.known_visitor("v", "vera@x.example"), id: chat.id.clone() };
    logged_in.say("now you know").await.unwrap();
    let contact = contact_of(&agent, &chat.id).await;
    assert!(contact.emails[0].verified && contact.emails[0].email == "vera@x.example");
    assert_eq!(
        contact_of(&agent, &earlier.id).await.id,
        contact.id,
        "the earlier anonymous chat belongs to the contact too"
    );
    let thread = Account::thread(&agent, &chat.id).await;
    assert_eq!(thread.iter().filter(|entry| matches!(entry.content, Some(Content::ContactLinked(_)))).count(), 1);
    // C8: the conversations of the contact.
    let theirs = ListConversationsRequest { contact_ids: vec![contact.id], ..Default::default() };
    let theirs = ConversationServiceClient::new(agent.clone()).list_conversations(theirs).await.unwrap().into_inner();
    assert_eq!(theirs.rows.len(), 2);
}

#[tokio::test]
async fn x1_x3_an_agent_links_a_contact_and_creates_a_ticket() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    let create = CreateContactRequest {
        name: "Vera".into(),
        emails: vec![ContactEmail { email: "vera@x.example".into(), verified: true }],
        request_id: request_id(),
        ..Default::default()
    };
    let contact =
        ContactServiceClient::new(agent.clone()).create_contact(create).await.unwrap().into_inner().contact.unwrap();
    let link = LinkContactRequest { conversation_id: chat.id.clone(), contact_id: contact.id.clone() };
    let mut conversations = ConversationServiceClient::new(agent.clone());
    let linked = conversations.link_contact(link.clone()).await.unwrap().into_inner().conversation.unwrap();
    let again = conversations.link_contact(link).await.unwrap().into_inner().conversation.unwrap();
    assert_eq!((linked.contact_id.as_str(), &again), (contact.id.as_str(), &linked));
    let absent = LinkContactRequest { conversation_id: chat.id.clone(), contact_id: request_id() };
    assert_eq!(reason(&conversations.link_contact(absent).await.unwrap_err()), "NOT_FOUND");
    let ticket = CreateTicketRequest {
        conversation_id: chat.id.clone(),
        subject: "Brakes".into(),
        request_id: request_id(),
        ..Default::default()
    };
    let ticket =
        TicketServiceClient::new(agent.clone()).create_ticket(ticket).await.unwrap().into_inner().ticket.unwrap();
    assert_eq!((ticket.contact_id.as_str(), ticket.status()), (contact.id.as_str(), TicketStatus::Open));
    let thread = Account::thread(&agent, &chat.id).await;
    assert!(
        thread
            .iter()
            .any(|entry| matches!(&entry.content, Some(Content::TicketCreated(made)) if made.ticket_id == ticket.id))
    );
}

#[tokio::test]
async fn x2_contacts_are_created_listed_edited_and_share_no_address() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let mut contacts = ContactServiceClient::new(agent.clone());
    let create = |email: &str| CreateContactRequest {
        name: "Vera".into(),
        emails: vec![ContactEmail { email: email.into(), verified: true }],
        request_id: request_id(),
        ..Default::default()
    };
    let vera = contacts.create_contact(create("Vera@X.example")).await.unwrap().into_inner().contact.unwrap();
    assert_eq!(reason(&contacts.create_contact(create("vera@x.example")).await.unwrap_err()), "EMAIL_TAKEN");
    let found = contacts
        .list_contacts(ListContactsRequest { email: "VERA@x.example".into(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(found.into_inner().contacts.first(), Some(&vera));
    let edit = UpdateContactRequest {
        contact_id: vera.id.clone(),
        time_zone: Some("Europe/Rome".into()),
        etag: vera.etag.clone(),
        ..Default::default()
    };
    let edited = contacts.update_contact(edit.clone()).await.unwrap().into_inner().contact.unwrap();
    assert_eq!((edited.time_zone.as_str(), edited.name.as_str()), ("Europe/Rome", "Vera"));
    let again = contacts.update_contact(edit.clone()).await.unwrap().into_inner().contact.unwrap();
    assert_eq!(again, edited, "a repeat of an update that took effect succeeds, with its old etag");
    let stale = UpdateContactRequest { time_zone: Some("Europe/Paris".into()), ..edit };
    assert_eq!(reason(&contacts.update_contact(stale).await.unwrap_err()), "ETAG_MISMATCH");
}

#[tokio::test]
async fn t2_facts_learned_after_the_close_do_not_change_the_decision() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor("v", "then@x.example"), &channel).await;
    let unknown = account.start_chat(account.visitor("w"), &channel).await;
    // Without a sender the delivery fails. It is retried after the contact got another address.
    let delivery = take_over_and_close(&agent, &chat).await;
    take_over_and_close(&agent, &unknown).await;
    let state = async |state: DeliveryStatus| {
        wait_for(state.as_str_name(), || async {
            let request = GetDeliveryRequest { delivery_id: delivery.clone() };
            let answer = DeliveryServiceClient::new(agent.clone()).get_delivery(request).await.unwrap();
            answer.into_inner().delivery.filter(|delivery| delivery.status() == state)
        })
        .await
    };
    state(DeliveryStatus::Failed).await;
    let contact = contact_of(&agent, &chat.id).await;
    let emails = vec![ContactEmail { email: "later@x.example".into(), verified: true }];
    let edit =
        UpdateContactRequest { contact_id: contact.id, emails: Some(ContactEmails { emails }), ..Default::default() };
    ContactServiceClient::new(agent.clone()).update_contact(edit).await.unwrap();
    account.fallback_sender().await;
    let retry = RetryDeliveryRequest { delivery_id: delivery.clone() };
    DeliveryServiceClient::new(agent.clone()).retry_delivery(retry).await.unwrap();
    state(DeliveryStatus::Sent).await;
    assert_eq!(account.mails("then@x.example").await.len(), 1);
    assert!(account.mails("later@x.example").await.is_empty());
    // The decision stays when the visitor is identified later.
    account.start_chat(account.known_visitor("w", "w@x.example"), &channel).await;
    assert_eq!(Account::explained(&agent, &unknown.id, 1).await.decision.unwrap().skip_reason(), SkipReason::NoAddress);
}

#[tokio::test]
async fn x2a_mail_that_waits_for_a_merged_contact_is_sent_and_its_id_is_still_a_recipient() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (_, agent) = account.agent("Ada").await;
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.known_visitor("v", "then@x.example"), &channel).await;
    // Without a sender the delivery fails. It is retried after its contact was merged.
    let delivery = take_over_and_close(&agent, &chat).await;
    wait_for("the failed delivery", || async {
        let request = GetDeliveryRequest { delivery_id: delivery.clone() };
        let answer = DeliveryServiceClient::new(agent.clone()).get_delivery(request).await.unwrap();
        answer.into_inner().delivery.filter(|delivery| delivery.status() == DeliveryStatus::Failed)
    })
    .await;
    let source = contact_of(&agent, &chat.id).await;
    let mut contacts = ContactServiceClient::new(agent.clone());
    let create = CreateContactRequest {
        emails: vec![ContactEmail { email: "vera@x.example".into(), verified: true }],
        request_id: request_id(),
        ..Default::default()
    };
    let target = contacts.create_contact(create).await.unwrap().into_inner().contact.unwrap();
    let merge = MergeContactsRequest {
        source_contact_id: source.id.clone(),
        source_etag: source.etag,
        target_contact_id: target.id.clone(),
        target_etag: target.etag,
        request_id: request_id(),
    };
    contacts.merge_contacts(merge).await.unwrap();
    account.fallback_sender().await;
    let retry = RetryDeliveryRequest { delivery_id: delivery.clone() };
    DeliveryServiceClient::new(agent.clone()).retry_delivery(retry).await.unwrap();
    assert_eq!(sent_to(&agent, &delivery).await, "then@x.example");
    let send = SendTranscriptRequest {
        conversation_id: chat.id.clone(),
        contact_id: source.id,
        request_id: request_id(),
        ..Default::default()
    };
    let sent = TranscriptServiceClient::new(agent.clone()).send_transcript(send).await.unwrap().into_inner();
    let sent = sent.delivery.unwrap();
    // The visitor's own address, not the first one of their contact.
    assert_eq!((sent.contact_id, sent.recipient_email.as_str()), (target.id, "then@x.example"));
    assert_eq!(sent_to(&agent, &sent.id).await, "then@x.example");
}

#[tokio::test]
async fn a2_a_deactivated_agent_owns_no_new_conversation() {
    let suite = TestSuite::start().await;
    let account = suite.account().await;
    let (hal, agent) = account.agent("Hal").await;
    let stranger = account.with_claims(frontdesk_auth::CallerKind::Agent, &request_id(), |_| {});
    let channel = account.channel(None).await;
    let chat = account.start_chat(account.visitor("v"), &channel).await;
    assert_eq!(reason(&reply(&stranger, &chat).await.unwrap_err()), "AGENT_NOT_ACTIVE");
    let request = DeactivateAgentRequest { agent_id: hal.to_string() };
    RosterServiceClient::new(account.admin()).deactivate_agent(request).await.unwrap();
    wait_for("the event of the deactivation", || async {
        (reason(&reply(&agent, &chat).await.err()?) == "AGENT_NOT_ACTIVE").then_some(())
    })
    .await;
    let close = CloseConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    let mut conversations = ConversationServiceClient::new(agent.clone());
    assert_eq!(reason(&conversations.close_conversation(close.clone()).await.unwrap_err()), "AGENT_NOT_ACTIVE");
    let (_, colleague) = account.agent("Ina").await;
    ConversationServiceClient::new(colleague).close_conversation(close).await.unwrap();
    let reopen = ReopenConversationRequest { conversation_id: chat.id.clone(), ..Default::default() };
    assert_eq!(reason(&conversations.reopen_conversation(reopen).await.unwrap_err()), "AGENT_NOT_ACTIVE");
}

//! Anonymous visitors: `CreateAnonymousVisitor` and `ClaimAnonymousChats` (rules S6, X1).

use frontdesk_auth::CallerKind;
use frontdesk_proto::{
    conversation::v1::{
        AnonymousVisitors, Channel, ClaimAnonymousChatsRequest, CreateAnonymousVisitorRequest, CreateChannelRequest,
        CreateContactRequest, GetChatRequest, GetContactRequest, GetWidgetRequest, LeaveAddressRequest,
        LinkContactRequest, ListChatsRequest, NoAnonymousVisitors, SendMessageRequest, StartChatRequest,
        UpdateChannelRequest, WatchChatRequest, WatchChatResponse, entry::Content, update_channel_request::Anonymous,
        watch_chat_response::Update,
    },
    event::v1::ConversationUpdated,
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Request, Status, Streaming};

use crate::{
    close_conversation::close,
    fixture::{ADA, Fixture, new_channel, start, twenty},
};

on_both_modes!(
    s6_a_widget_token_creates_visitors_who_chat_and_see_only_their_own,
    s6_a_kept_token_is_renewed_for_the_same_visitor,
    s6_a_widget_token_admits_to_nothing_else,
    s6_only_pages_of_the_allowed_origins_create_visitors,
    s6_without_anonymous_visitors_a_channel_has_no_token_and_open_chats_go_on,
    s6_chats_follow_the_visitor_who_signs_in,
    s6_twenty_claims_at_once_move_the_chats_once,
    s6_an_open_chat_stays_while_the_visitor_has_one,
    s6_x1_the_contact_that_the_anonymous_visitor_left_follows_them,
    s6_x1_chats_go_to_the_contact_of_the_token_and_one_that_an_agent_chose_stays,
    s6_x1_an_address_that_the_anonymous_visitor_left_and_the_token_vouches_for_is_one_contact,
    s6_s3_after_a_claim_the_anonymous_visitor_sees_nothing_of_the_chat,
    s6_a_token_of_another_channel_account_or_kind_claims_nothing,
);

fn create(previous_token: &str) -> CreateAnonymousVisitorRequest {
    CreateAnonymousVisitorRequest { previous_token: previous_token.into() }
}

fn text(chat: &str, text: &str) -> SendMessageRequest {
    SendMessageRequest { chat_id: chat.into(), text: text.into(), request_id: request_id(), ..Default::default() }
}

fn claim(anonymous_token: &str) -> ClaimAnonymousChatsRequest {
    ClaimAnonymousChatsRequest { anonymous_token: anonymous_token.into() }
}

/// Starts a chat with a message under this token.
async fn start_as(fixture: &Fixture, channel: &Channel, token: &str) -> String {
    let request = StartChatRequest { text: "hello".into(), ..start(&channel.id) };
    fixture.chats_with_token(token).start_chat(request).await.unwrap().into_inner().chat.unwrap().id
}

async fn chats_of(fixture: &Fixture, token: &str) -> Vec<String> {
    let list = fixture.chats_with_token(token).list_chats(ListChatsRequest::default()).await.unwrap();
    list.into_inner().chats.into_iter().map(|chat| chat.id).collect()
}

/// The chats of a visitor whose token the account's back end signed.
async fn signed_chats(fixture: &Fixture, visitor: &str) -> Vec<String> {
    let list = fixture.chats(visitor).list_chats(ListChatsRequest::default()).await.unwrap();
    list.into_inner().chats.into_iter().map(|chat| chat.id).collect()
}

fn refusal(status: &Status) -> (Code, String) {
    (status.code(), reason(status))
}

async fn s6_a_widget_token_creates_visitors_who_chat_and_see_only_their_own(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let (one, two) = (fixture.anonymous_visitor(&channel).await, fixture.anonymous_visitor(&channel).await);
    let (first, second) = (start_as(&fixture, &channel, &one).await, start_as(&fixture, &channel, &two).await);
    assert_eq!((chats_of(&fixture, &one).await, chats_of(&fixture, &two).await), (vec![first.clone()], vec![second]));
    let foreign = fixture.chats_with_token(&two).get_chat(GetChatRequest { chat_id: first.clone() }).await;
    assert_eq!(refusal(&foreign.unwrap_err()), (Code::NotFound, "NOT_FOUND".into()));
    let conversation = fixture.conversation(&first).await;
    assert!(conversation.visitor_id.starts_with(&format!("anonymous:{}/", channel.id)), "{conversation:?}");
    assert_eq!(conversation.contact_id, "");
    // Their token is valid for the chats of their channel only.
    let other = fixture.open_channel().await;
    let refused = fixture.chats_with_token(&one).start_chat(start(&other.id)).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "NOT_FOUND".into()));
}

async fn s6_a_kept_token_is_renewed_for_the_same_visitor(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let mut widget = fixture.chats_with_token(&channel.widget_token);
    let first = widget.create_anonymous_visitor(create("")).await.unwrap().into_inner();
    assert!(!first.renewed && first.renew_time.unwrap().seconds < first.expire_time.unwrap().seconds);
    let chat = start_as(&fixture, &channel, &first.visitor_token).await;
    let renewed = widget.create_anonymous_visitor(create(&first.visitor_token)).await.unwrap().into_inner();
    assert!(renewed.renewed);
    assert_eq!(chats_of(&fixture, &renewed.visitor_token).await, [chat]);
    // What is no token of this channel is not a fault of the page: the visitor is a new one.
    let foreign = fixture.anonymous_visitor(&fixture.open_channel().await).await;
    for previous in ["nothing", foreign.as_str(), channel.widget_token.as_str()] {
        let created = widget.create_anonymous_visitor(create(previous)).await.unwrap().into_inner();
        assert!(!created.renewed && chats_of(&fixture, &created.visitor_token).await.is_empty(), "{previous}");
    }
}

async fn s6_a_widget_token_admits_to_nothing_else(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let mut widget = fixture.chats_with_token(&channel.widget_token);
    let refused = widget.start_chat(start(&channel.id)).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "NOT_PERMITTED".into()));
    // And a visitor creates no visitors.
    let visitor = fixture.anonymous_visitor(&channel).await;
    let refused = fixture.chats_with_token(&visitor).create_anonymous_visitor(create("")).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "NOT_PERMITTED".into()));
    let forged = format!("{}x", channel.widget_token);
    let refused = fixture.chats_with_token(&forged).create_anonymous_visitor(create("")).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::Unauthenticated, "NOT_AUTHENTICATED".into()));
    // The token stays the same, so that it can stand in the source of pages.
    let rename = UpdateChannelRequest {
        channel_id: channel.id.clone(),
        name: Some("Another".into()),
        ..UpdateChannelRequest::default()
    };
    let renamed = fixture.channels().update_channel(rename).await.unwrap().into_inner().channel.unwrap();
    assert_eq!(renamed.widget_token, channel.widget_token);
}

async fn s6_only_pages_of_the_allowed_origins_create_visitors(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let allowed_origins = vec!["https://shop.example".into(), "http://localhost:5173".into()];
    let anonymous_visitors = Some(AnonymousVisitors { allowed_origins });
    let channel = fixture.create_channel(CreateChannelRequest { anonymous_visitors, ..new_channel() }).await;
    let from = async |origin: Option<&str>| {
        let mut request = Request::new(create(""));
        if let Some(origin) = origin {
            request.metadata_mut().insert("origin", origin.parse().unwrap());
        }
        fixture.chats_with_token(&channel.widget_token).create_anonymous_visitor(request).await
    };
    assert!(from(Some("https://shop.example")).await.is_ok() && from(Some("http://localhost:5173")).await.is_ok());
    for origin in [Some("https://other.example"), Some("https://shop.example:8443"), Some("null"), None] {
        let refused = from(origin).await.unwrap_err();
        assert_eq!(refusal(&refused), (Code::PermissionDenied, "ORIGIN_NOT_ALLOWED".into()), "{origin:?}");
        assert!(refused.message().contains(origin.unwrap_or("names none")), "{refused:?}");
    }
    // An origin that no browser sends is refused when it is set, with the form that it must have.
    let wrongs = [
        "https://shop.example:443",
        "https://shop.example/",
        "https://Shop.example",
        "shop.example",
        "*",
        "https://*.shop.example",
    ];
    for wrong in wrongs {
        let anonymous_visitors = Some(AnonymousVisitors { allowed_origins: vec![wrong.into()] });
        let new = CreateChannelRequest { anonymous_visitors, ..new_channel() };
        let refused = fixture.channels().create_channel(new).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong}");
        assert!(refused.message().contains("anonymous_visitors.allowed_origins[0]"), "{refused:?}");
    }
}

async fn s6_without_anonymous_visitors_a_channel_has_no_token_and_open_chats_go_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let closed = fixture.channel().await;
    assert_eq!((closed.widget_token.as_str(), closed.anonymous_visitors), ("", None));
    let channel = fixture.open_channel().await;
    let (visitor, late) = (fixture.anonymous_visitor(&channel).await, fixture.anonymous_visitor(&channel).await);
    let chat = start_as(&fixture, &channel, &visitor).await;
    let disable = UpdateChannelRequest {
        channel_id: channel.id.clone(),
        anonymous: Some(Anonymous::NoAnonymousVisitors(NoAnonymousVisitors {})),
        ..UpdateChannelRequest::default()
    };
    let after = fixture.channels().update_channel(disable).await.unwrap().into_inner().channel.unwrap();
    assert_eq!((after.widget_token.as_str(), after.anonymous_visitors), ("", None));
    let mut widget = fixture.chats_with_token(&channel.widget_token);
    let disabled = (Code::FailedPrecondition, "ANONYMOUS_VISITORS_DISABLED".to_owned());
    assert_eq!(refusal(&widget.create_anonymous_visitor(create("")).await.unwrap_err()), disabled);
    let refused = fixture.chats_with_token(&late).start_chat(start(&channel.id)).await.unwrap_err();
    assert_eq!(refusal(&refused), disabled);
    fixture.chats_with_token(&visitor).send_message(text(&chat, "still here")).await.unwrap();
    assert!(fixture.chats_with_token(&visitor).start_chat(start(&channel.id)).await.unwrap().into_inner().resumed);
    // A visitor who has a chat can renew their token, and learns that they cannot start another one.
    assert!(widget.create_anonymous_visitor(create(&visitor)).await.unwrap().into_inner().renewed);
    let shown = fixture.chats_with_token(&visitor).get_widget(GetWidgetRequest { channel_id: channel.id }).await;
    assert!(!shown.unwrap().into_inner().widget.unwrap().can_start_chat);
}

async fn s6_chats_follow_the_visitor_who_signs_in(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let first = start_as(&fixture, &channel, &anonymous).await;
    close(&fixture, &first).await;
    let second = start_as(&fixture, &channel, &anonymous).await;
    let anonymous_id = fixture.conversation(&second).await.visitor_id;

    let claimed = fixture.chats("vera").claim_anonymous_chats(claim(&anonymous)).await.unwrap().into_inner();
    assert_eq!(claimed.remaining_chat_id, "");
    assert_eq!(signed_chats(&fixture, "vera").await, [second.clone(), first.clone()]);
    assert!(chats_of(&fixture, &anonymous).await.is_empty());
    for chat in [&first, &second] {
        assert_eq!(fixture.conversation(chat).await.visitor_id, "vera");
        let entries = fixture.entries(chat).await;
        let last = entries.last().unwrap();
        let Some(Content::VisitorSignedIn(signed_in)) = &last.content else { panic!("{last:?}") };
        assert_eq!((&signed_in.anonymous_visitor_id, last.visitor_sequence), (&anonymous_id, 0));
    }
    // They write on with their own token, and not with the old one, also when the replica remembers the chat.
    fixture.chats("vera").send_message(text(&second, "it is me")).await.unwrap();
    let refused = fixture.chats_with_token(&anonymous).send_message(text(&second, "who?")).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "NOT_FOUND".into()));
    // A repeat changes nothing more.
    let version = fixture.conversation(&first).await.version;
    fixture.chats("vera").claim_anonymous_chats(claim(&anonymous)).await.unwrap();
    assert_eq!(fixture.conversation(&first).await.version, version);
}

async fn s6_twenty_claims_at_once_move_the_chats_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let chat = start_as(&fixture, &channel, &anonymous).await;
    let before = fixture.service.appended::<ConversationUpdated>().await.len();
    let claims = twenty(async |_| fixture.chats("vera").claim_anonymous_chats(claim(&anonymous)).await).await;
    assert!(claims.iter().all(|claimed| claimed.as_ref().unwrap().get_ref().remaining_chat_id.is_empty()));
    assert_eq!(signed_chats(&fixture, "vera").await, [chat]);
    assert_eq!(fixture.service.appended::<ConversationUpdated>().await.len(), before + 1);
    // Two people who hold one anonymous token: one of them gets the chat.
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let chat = start_as(&fixture, &channel, &anonymous).await;
    twenty(async |number| {
        fixture.chats(&format!("w{number}")).claim_anonymous_chats(claim(&anonymous)).await.unwrap();
    })
    .await;
    let mut owners = 0;
    for number in 0..20 {
        owners += signed_chats(&fixture, &format!("w{number}")).await.iter().filter(|own| **own == chat).count();
    }
    assert_eq!(owners, 1);
}

async fn s6_an_open_chat_stays_while_the_visitor_has_one(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let own = fixture.chat_on(&channel, "vera").await.id;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let earlier = start_as(&fixture, &channel, &anonymous).await;
    close(&fixture, &earlier).await;
    let open = start_as(&fixture, &channel, &anonymous).await;
    let claimed = fixture.chats("vera").claim_anonymous_chats(claim(&anonymous)).await.unwrap().into_inner();
    assert_eq!(claimed.remaining_chat_id, open);
    assert_eq!(chats_of(&fixture, &anonymous).await, std::slice::from_ref(&open));
    assert_eq!(signed_chats(&fixture, "vera").await.len(), 2);
    fixture.chats_with_token(&anonymous).send_message(text(&open, "still here")).await.unwrap();
    close(&fixture, &own).await;
    let claimed = fixture.chats("vera").claim_anonymous_chats(claim(&anonymous)).await.unwrap().into_inner();
    assert_eq!((claimed.remaining_chat_id.as_str(), signed_chats(&fixture, "vera").await.len()), ("", 3));
}

async fn s6_x1_the_contact_that_the_anonymous_visitor_left_follows_them(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let chat = start_as(&fixture, &channel, &anonymous).await;
    let address =
        LeaveAddressRequest { chat_id: chat.clone(), email: "vera@example.com".into(), request_id: request_id() };
    fixture.chats_with_token(&anonymous).leave_address(address).await.unwrap();
    let contact = fixture.conversation(&chat).await.contact_id;
    assert_ne!(contact, "");
    fixture.chats("vera").claim_anonymous_chats(claim(&anonymous)).await.unwrap();
    assert_eq!(fixture.conversation(&chat).await.contact_id, contact);
    // Their next chat belongs to the same contact.
    close(&fixture, &chat).await;
    let next = fixture.chat_on(&channel, "vera").await.id;
    assert_eq!(fixture.conversation(&next).await.contact_id, contact);
}

async fn s6_x1_chats_go_to_the_contact_of_the_token_and_one_that_an_agent_chose_stays(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let first = start_as(&fixture, &channel, &anonymous).await;
    close(&fixture, &first).await;
    let second = start_as(&fixture, &channel, &anonymous).await;
    let mut vera = fixture.chats_with_address("vera", "vera@example.com");
    vera.claim_anonymous_chats(claim(&anonymous)).await.unwrap();
    let (first, second) = (fixture.conversation(&first).await, fixture.conversation(&second).await);
    assert!(!first.contact_id.is_empty() && first.contact_id == second.contact_id, "{first:?} {second:?}");

    let new = CreateContactRequest { name: "Ines".into(), request_id: request_id(), ..CreateContactRequest::default() };
    let ines = fixture.contacts().create_contact(new).await.unwrap().into_inner().contact.unwrap().id;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let third = start_as(&fixture, &channel, &anonymous).await;
    let link = LinkContactRequest { conversation_id: third.clone(), contact_id: ines.clone() };
    fixture.conversations(ADA).link_contact(link).await.unwrap();
    close(&fixture, &third).await;
    // The link made Ines the anonymous visitor's contact, so their chats follow them to the contact of the token.
    vera.claim_anonymous_chats(claim(&anonymous)).await.unwrap();
    assert_eq!(fixture.conversation(&third).await.contact_id, first.contact_id);
}

async fn s6_x1_an_address_that_the_anonymous_visitor_left_and_the_token_vouches_for_is_one_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let first = start_as(&fixture, &channel, &anonymous).await;
    let address =
        LeaveAddressRequest { chat_id: first.clone(), email: "vera@example.com".into(), request_id: request_id() };
    fixture.chats_with_token(&anonymous).leave_address(address).await.unwrap();
    close(&fixture, &first).await;
    let second = start_as(&fixture, &channel, &anonymous).await;
    // Her first call is the claim: her token proves the address, which moves the chats before they become hers.
    let mut vera = fixture.chats_with_address("vera", "vera@example.com");
    vera.claim_anonymous_chats(claim(&anonymous)).await.unwrap();
    let (first, second) = (fixture.conversation(&first).await, fixture.conversation(&second).await);
    assert_eq!((first.visitor_id.as_str(), second.visitor_id.as_str()), ("vera", "vera"));
    assert_eq!(first.contact_id, second.contact_id);
    let request = GetContactRequest { contact_id: first.contact_id };
    let contact = fixture.contacts().get_contact(request).await.unwrap().into_inner().contact.unwrap();
    let [email] = &contact.emails[..] else { panic!("{contact:?}") };
    assert_eq!((email.email.as_str(), email.verified), ("vera@example.com", true));
}

/// Reads what a watch begins with where it has no entry to send.
async fn caught_up(updates: &mut Streaming<WatchChatResponse>) {
    assert!(matches!(updates.message().await.unwrap().unwrap().update, Some(Update::CaughtUp(_))));
    assert!(matches!(updates.message().await.unwrap().unwrap().update, Some(Update::State(_))));
    assert!(matches!(updates.message().await.unwrap().unwrap().update, Some(Update::TeamMarks(_))));
}

async fn s6_s3_after_a_claim_the_anonymous_visitor_sees_nothing_of_the_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let started = StartChatRequest { text: "hello".into(), ..start(&channel.id) };
    let mut old = fixture.chats_with_token(&anonymous);
    let chat = old.start_chat(started.clone()).await.unwrap().into_inner().chat.unwrap().id;
    let watch = |after_visitor_sequence| WatchChatRequest { chat_id: chat.clone(), after_visitor_sequence };
    let mut watched = old.watch_chat(watch(1)).await.unwrap().into_inner();
    caught_up(&mut watched).await;

    fixture.chats("vera").claim_anonymous_chats(claim(&anonymous)).await.unwrap();
    let mut hers = fixture.chats("vera").watch_chat(watch(1)).await.unwrap().into_inner();
    caught_up(&mut hers).await;
    fixture.chats("vera").send_message(text(&chat, "a secret")).await.unwrap();
    let Some(Update::Entry(entry)) = hers.message().await.unwrap().unwrap().update else { panic!() };
    assert_eq!(entry.visitor_sequence, 2);
    let ended = watched.message().await.unwrap_err();
    assert_eq!(refusal(&ended), (Code::NotFound, "NOT_FOUND".into()), "the watch from before");
    let repeated = old.start_chat(started).await.unwrap_err();
    assert_eq!(refusal(&repeated), (Code::NotFound, "NOT_FOUND".into()), "the repeat of the first call");
}

async fn s6_a_token_of_another_channel_account_or_kind_claims_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let channel = fixture.open_channel().await;
    let anonymous = fixture.anonymous_visitor(&channel).await;
    let chat = start_as(&fixture, &channel, &anonymous).await;
    let scoped = fixture.anonymous_visitor(&channel).await;
    let refused = fixture.chats_with_token(&scoped).claim_anonymous_chats(claim(&anonymous)).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::PermissionDenied, "NOT_PERMITTED".into()));
    let other = fixture.in_another_account();
    let mut stranger =
        frontdesk_proto::conversation::v1::visitor_service_client::VisitorServiceClient::new(other.as_visitor("vera"));
    let refused = stranger.claim_anonymous_chats(claim(&anonymous)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for token in ["nothing", channel.widget_token.as_str()] {
        let refused = fixture.chats("vera").claim_anonymous_chats(claim(token)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{token}");
        assert!(
            refused.message().contains("anonymous_token: must be a token of CreateAnonymousVisitor"),
            "{refused:?}"
        );
    }
    assert_eq!(chats_of(&fixture, &anonymous).await, [chat]);
    let unknown = fixture.service.calls(fixture.account, CallerKind::Widget, &new_id().to_string());
    let mut unknown = frontdesk_proto::conversation::v1::visitor_service_client::VisitorServiceClient::new(unknown);
    let refused = unknown.create_anonymous_visitor(create("")).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::NotFound, "NOT_FOUND".into()));
}

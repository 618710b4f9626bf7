//! `InsertService`, and `PostMessage` with inserts: rules C6, C12, S2, S3, X1.

use frontdesk_proto::{
    conversation::v1::{
        ChatMessage, CreateInsertRequest, DeleteInsertRequest, Document, Entry, GetInsertRequest, Insert, InsertKind,
        InsertTags, ListConversationsRequest, ListInsertsRequest, Meeting, Message, Money, PostMessageRequest, Quote,
        RenderInsertRequest, RenderInsertResponse, Snippet, UndeleteInsertRequest, UpdateInsertRequest, chat_entry,
        chat_insert, create_insert_request::Content, entry, insert, insert_service_client::InsertServiceClient,
        sent_insert, thread_service_client::ThreadServiceClient, update_insert_request,
    },
    event::v1::{InsertCreated, InsertDeleted, InsertUndeleted, InsertUpdated, MessagePosted},
};
use frontdesk_testkit::{Mode, metadata, new_id, on_both_modes, reason, request_id};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    create_contact,
    fixture::{ADA, BOB, Fixture, message, question, twenty},
    link_contact,
    record_answer::{answer, record},
};

on_both_modes!(
    c6_c12_an_insert_is_created_once_and_read_as_it_was_created,
    c6_an_invalid_insert_is_refused_with_what_is_wrong,
    c6_of_twenty_inserts_with_one_shortcut_one_is_created,
    c6_inserts_are_found_by_kind_tags_and_the_beginnings_of_words,
    c6_inserts_are_listed_by_title_in_pages,
    c6_c12_a_repeat_of_an_update_changes_nothing_and_a_stale_etag_is_refused,
    c6_twenty_updates_of_one_etag_and_one_wins,
    c6_a_deleted_insert_frees_its_shortcut_and_can_be_undeleted,
    c6_an_insert_is_rendered_for_the_contact_the_agent_and_the_channel,
    c6_x1_a_visitor_who_typed_a_contacts_address_gets_nothing_of_the_contact,
    c6_a_message_keeps_its_inserts_as_they_were_when_it_was_posted,
    c6_s3_the_visitor_gets_no_id_of_an_insert_and_no_title_of_a_snippet,
    c6_c12_a_repeated_message_gets_the_first_answer_also_when_its_insert_was_deleted,
    c6_a_message_with_an_unknown_or_deleted_insert_is_refused,
    c6_a_message_has_a_text_or_inserts,
    c6_c9_the_inbox_shows_the_titles_of_inserts_only,
    s2_another_accounts_insert_does_not_exist,
);

const URL: &str = "https://shop.example/x";

pub fn snippet(title: &str, text: &str) -> CreateInsertRequest {
    CreateInsertRequest {
        title: title.into(),
        content: Some(Content::Snippet(Snippet { text: text.into() })),
        request_id: request_id(),
        ..CreateInsertRequest::default()
    }
}

pub async fn create(fixture: &Fixture, request: CreateInsertRequest) -> Insert {
    fixture.inserts(ADA).create_insert(request).await.unwrap().into_inner().insert.unwrap()
}

pub async fn delete(fixture: &Fixture, insert_id: &str) -> Insert {
    let request = DeleteInsertRequest { insert_id: insert_id.into() };
    fixture.inserts(ADA).delete_insert(request).await.unwrap().into_inner().insert.unwrap()
}

async fn undelete(fixture: &Fixture, insert_id: &str) -> Result<Insert, Status> {
    let request = UndeleteInsertRequest { insert_id: insert_id.into() };
    Ok(fixture.inserts(ADA).undelete_insert(request).await?.into_inner().insert.unwrap())
}

async fn get(fixture: &Fixture, insert_id: &str) -> Insert {
    let request = GetInsertRequest { insert_id: insert_id.into() };
    fixture.inserts(ADA).get_insert(request).await.unwrap().into_inner().insert.unwrap()
}

async fn titles(fixture: &Fixture, request: ListInsertsRequest) -> Vec<String> {
    let inserts = fixture.inserts(ADA).list_inserts(request).await.unwrap().into_inner().inserts;
    inserts.into_iter().map(|insert| insert.title).collect()
}

async fn render(fixture: &Fixture, insert_id: &str, conversation_id: &str) -> RenderInsertResponse {
    let request = RenderInsertRequest { insert_id: insert_id.into(), conversation_id: conversation_id.into() };
    fixture.inserts(ADA).render_insert(request).await.unwrap().into_inner()
}

fn with_inserts<const N: usize>(chat: &str, text: &str, ids: [&str; N]) -> PostMessageRequest {
    PostMessageRequest { insert_ids: ids.map(str::to_owned).to_vec(), ..message(chat, text) }
}

async fn post(fixture: &Fixture, request: PostMessageRequest) -> Entry {
    fixture.threads(ADA).post_message(request).await.unwrap().into_inner().entry.unwrap()
}

fn message_of(entry: &Entry) -> &Message {
    let Some(entry::Content::Message(message)) = &entry.content else { panic!("{entry:?}") };
    message
}

async fn c6_c12_an_insert_is_created_once_and_read_as_it_was_created(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let quote = Quote {
        number: "Q-17".into(),
        total: Some(Money { amount: "1200.00".into(), currency_code: "EUR".into() }),
        expire_date: "2026-12-31".into(),
        url: URL.into(),
    };
    let request = CreateInsertRequest {
        shortcut: "offer".into(),
        tags: vec!["VIP".into(), "sales".into()],
        content: Some(Content::Quote(quote.clone())),
        ..snippet("  Offer ", "")
    };
    let created = create(&fixture, request.clone()).await;
    assert_eq!((created.title.as_str(), created.shortcut.as_str(), created.version), ("Offer", "offer", 1));
    assert_eq!(
        (created.content.as_ref(), &created.tags[..]),
        (Some(&insert::Content::Quote(quote)), &request.tags[..])
    );
    assert_eq!(create(&fixture, request.clone()).await, created);
    assert_eq!(get(&fixture, &created.id).await, created);
    let other = CreateInsertRequest { title: "Other".into(), ..request };
    assert_eq!(reason(&fixture.inserts(ADA).create_insert(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    assert_eq!(fixture.service.appended::<InsertCreated>().await.len(), 1);
}

async fn c6_an_invalid_insert_is_refused_with_what_is_wrong(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let with = |content: Content| CreateInsertRequest { content: Some(content), ..snippet("T", "") };
    let money = |amount: &str| Some(Money { amount: amount.into(), currency_code: "EUR".into() });
    let quote = |amount: &str, expire_date: &str| {
        let (total, expire_date) = (money(amount), expire_date.to_owned());
        with(Content::Quote(Quote { number: "1".into(), total, expire_date, url: String::new() }))
    };
    for (request, field) in [
        (CreateInsertRequest { content: None, ..snippet("T", "") }, "content"),
        (snippet("", "x"), "title"),
        (snippet("T", ""), "snippet.text"),
        (snippet("T", " \n"), "snippet.text"),
        (snippet("T", "{{contact.name"), "snippet.text"),
        (CreateInsertRequest { shortcut: "No Spaces".into(), ..snippet("T", "x") }, "shortcut"),
        (CreateInsertRequest { tags: vec!["a".into(), "a".into()], ..snippet("T", "x") }, "tags"),
        (with(Content::Document(Document { url: "ftp://x".into(), file_name: String::new() })), "document.url"),
        (with(Content::Meeting(Meeting { url: URL.into(), duration_minutes: 1_441 })), "meeting.duration_minutes"),
        (quote("12,5", ""), "quote.total.amount"),
        (quote("12.5", "2026-02-30"), "quote.expire_date"),
        (with(Content::Quote(Quote { number: "1".into(), ..Quote::default() })), "quote.total"),
    ] {
        let refused = fixture.inserts(ADA).create_insert(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        let fields = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(fields.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>(), [field]);
    }
    let refused = fixture.inserts(ADA).create_insert(snippet("T", "Hi {{contact.nmae}}")).await.unwrap_err();
    assert!(refused.message().contains("{{contact.nmae}}"), "{refused:?}");
    assert!(refused.message().contains("contact.first_name"), "{refused:?}");
    assert!(fixture.service.appended::<InsertCreated>().await.is_empty());
}

async fn c6_of_twenty_inserts_with_one_shortcut_one_is_created(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let created = twenty(|number| {
        let request = CreateInsertRequest { shortcut: "hi".into(), ..snippet(&format!("T{number}"), "x") };
        let mut inserts = fixture.inserts(ADA);
        async move { inserts.create_insert(request).await }
    });
    let (created, refused): (Vec<_>, Vec<_>) = created.await.into_iter().partition(Result::is_ok);
    let [Ok(created)] = &created[..] else { panic!("{} were created", created.len()) };
    let id = &created.get_ref().insert.as_ref().unwrap().id;
    for refused in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::AlreadyExists, "SHORTCUT_TAKEN"));
        assert_eq!(&metadata(&refused, "insert_id"), id);
    }
    // Inserts without a shortcut do not hinder each other, nor do those of another account.
    create(&fixture, snippet("A", "x")).await;
    create(&fixture, snippet("B", "x")).await;
    let mut elsewhere = InsertServiceClient::new(fixture.in_another_account().as_admin());
    elsewhere.create_insert(CreateInsertRequest { shortcut: "hi".into(), ..snippet("T", "x") }).await.unwrap();
}

async fn c6_inserts_are_found_by_kind_tags_and_the_beginnings_of_words(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let tagged = |title: &str, shortcut: &str, tags: &[&str]| CreateInsertRequest {
        shortcut: shortcut.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        ..snippet(title, "x")
    };
    create(&fixture, tagged("Ärger vermeiden", "order.late", &["100% sales", "VIP"])).await;
    create(&fixture, tagged("Order status", "", &["1000 sales"])).await;
    let prices = Content::Document(Document { url: URL.into(), file_name: String::new() });
    create(&fixture, CreateInsertRequest { content: Some(prices), ..tagged("Prices_2026", "", &[]) }).await;
    for (query, found) in [
        ("", &["Order status", "Prices_2026", "Ärger vermeiden"][..]),
        ("ORD", &["Order status", "Ärger vermeiden"]),
        ("order sta", &["Order status"]),
        ("order.late", &["Ärger vermeiden"]),
        ("ärg", &["Ärger vermeiden"]),
        ("price 2026", &["Prices_2026"]),
        ("sal vip", &["Ärger vermeiden"]),
        ("rder", &[]),
        ("%", &["Order status", "Prices_2026", "Ärger vermeiden"]),
    ] {
        let mut titles = titles(&fixture, ListInsertsRequest { query: query.into(), ..Default::default() }).await;
        titles.sort_unstable();
        assert_eq!(titles, found, "{query:?}");
    }
    for (tags, found) in [
        (&["vip"][..], &["Ärger vermeiden"][..]),
        (&["100% Sales"], &["Ärger vermeiden"]),
        (&["100% sales", "VIP"], &["Ärger vermeiden"]),
        (&["1000 sales", "vip"], &[]),
        (&["100_ sales"], &[]),
        (&["sales"], &[]),
    ] {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        assert_eq!(titles(&fixture, ListInsertsRequest { tags, ..Default::default() }).await, found);
    }
    let kinds = vec![InsertKind::Document.into(), InsertKind::Video.into()];
    assert_eq!(titles(&fixture, ListInsertsRequest { kinds, ..Default::default() }).await, ["Prices_2026"]);
}

async fn c6_inserts_are_listed_by_title_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for title in ["c", "a", "b", "a", "d"] {
        create(&fixture, snippet(title, "x")).await;
    }
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListInsertsRequest { page_size: 2, page_token, ..ListInsertsRequest::default() };
        let page = fixture.inserts(ADA).list_inserts(request).await.unwrap().into_inner();
        listed.extend(page.inserts.into_iter().map(|insert| insert.title));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, ["a", "a", "b", "c", "d"]);
}

async fn c6_c12_a_repeat_of_an_update_changes_nothing_and_a_stale_etag_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    create(&fixture, CreateInsertRequest { shortcut: "taken".into(), ..snippet("A", "x") }).await;
    let created = create(&fixture, CreateInsertRequest { shortcut: "b".into(), ..snippet("B", "x") }).await;
    let meeting = Meeting { url: URL.into(), duration_minutes: 30 };
    let request = UpdateInsertRequest {
        insert_id: created.id.clone(),
        shortcut: Some(String::new()),
        title: Some("C".into()),
        tags: Some(InsertTags { tags: vec!["t".into()] }),
        content: Some(update_insert_request::Content::Meeting(meeting.clone())),
        etag: created.etag.clone(),
    };
    let mut inserts = fixture.inserts(BOB);
    let updated = inserts.update_insert(request.clone()).await.unwrap().into_inner().insert.unwrap();
    let expected = Insert {
        shortcut: String::new(),
        title: "C".into(),
        tags: vec!["t".into()],
        content: Some(insert::Content::Meeting(meeting)),
        update_time: updated.update_time,
        version: 2,
        etag: updated.etag.clone(),
        ..created
    };
    assert_eq!(updated, expected);
    assert_eq!(inserts.update_insert(request.clone()).await.unwrap().into_inner().insert.unwrap(), updated);
    assert_eq!(titles(&fixture, ListInsertsRequest { query: "c".into(), ..Default::default() }).await, ["C"]);
    assert!(titles(&fixture, ListInsertsRequest { query: "b".into(), ..Default::default() }).await.is_empty());
    let stale = UpdateInsertRequest { title: Some("D".into()), ..request.clone() };
    assert_eq!(reason(&inserts.update_insert(stale).await.unwrap_err()), "ETAG_MISMATCH");
    let taken = UpdateInsertRequest { shortcut: Some("taken".into()), etag: String::new(), ..request.clone() };
    assert_eq!(reason(&inserts.update_insert(taken).await.unwrap_err()), "SHORTCUT_TAKEN");
    assert_eq!(fixture.service.appended::<InsertUpdated>().await.len(), 1);
    delete(&fixture, &updated.id).await;
    assert_eq!(reason(&inserts.update_insert(request).await.unwrap_err()), "INSERT_DELETED");
}

async fn c6_twenty_updates_of_one_etag_and_one_wins(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let created = create(&fixture, snippet("A", "x")).await;
    let updates = twenty(|number| {
        let (mut inserts, title) = (fixture.inserts(ADA), Some(format!("B{number}")));
        let (insert_id, etag) = (created.id.clone(), created.etag.clone());
        async move {
            let request = UpdateInsertRequest { insert_id, title, etag, ..UpdateInsertRequest::default() };
            inserts.update_insert(request).await
        }
    });
    let refused: Vec<_> = updates.await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 19);
    assert!(refused.iter().all(|status| status.code() == Code::Aborted && reason(status) == "ETAG_MISMATCH"));
    assert_eq!(get(&fixture, &created.id).await.version, 2);
}

async fn c6_a_deleted_insert_frees_its_shortcut_and_can_be_undeleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = || CreateInsertRequest { shortcut: "hi".into(), ..snippet("Greeting", "x") };
    let created = create(&fixture, request()).await;
    twenty(|_| delete(&fixture, &created.id)).await;
    let deleted = get(&fixture, &created.id).await;
    assert!(deleted.delete_time.is_some() && deleted.version == 2, "{deleted:?}");
    assert!(titles(&fixture, ListInsertsRequest::default()).await.is_empty());
    let all = ListInsertsRequest { show_deleted: true, ..ListInsertsRequest::default() };
    assert_eq!(titles(&fixture, all).await, ["Greeting"]);

    let other = create(&fixture, request()).await;
    let refused = undelete(&fixture, &created.id).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), metadata(&refused, "insert_id")), ("SHORTCUT_TAKEN", other.id.clone()));
    delete(&fixture, &other.id).await;
    twenty(|_| undelete(&fixture, &created.id)).await;
    let undeleted = get(&fixture, &created.id).await;
    let expected = Insert { update_time: undeleted.update_time, version: 3, etag: undeleted.etag.clone(), ..created };
    assert_eq!(undeleted, expected);
    assert_eq!(fixture.service.appended::<InsertDeleted>().await.len(), 2);
    assert_eq!(fixture.service.appended::<InsertUndeleted>().await.len(), 1);
}

async fn c6_an_insert_is_rendered_for_the_contact_the_agent_and_the_channel(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let text = "Dear {{contact.first_name|customer}} <{{contact.email|?}}>, {{agent.name}} of {{channel.name}}";
    let insert = create(&fixture, snippet("Greeting", text)).await;
    let chat = fixture.chat("v").await;
    let unknown = render(&fixture, &insert.id, &chat.id).await;
    assert_eq!(unknown.text, "Dear customer <?>, Ada of Shop");
    assert_eq!(unknown.missing_placeholders, ["contact.first_name", "contact.email"]);

    link_contact::link_new_contact(&fixture, &chat.id).await;
    let linked = render(&fixture, &insert.id, &chat.id).await;
    assert_eq!(linked.text, "Dear Vera <?>, Ada of Shop");
    assert_eq!(linked.missing_placeholders, ["contact.email"]);
    let document = Content::Document(Document { url: URL.into(), file_name: "x.pdf".into() });
    let document = create(&fixture, CreateInsertRequest { content: Some(document), ..snippet("Prices", "") }).await;
    assert_eq!(render(&fixture, &document.id, &chat.id).await.text, format!("Prices (x.pdf): {URL}"));
    assert!(fixture.service.appended::<MessagePosted>().await.is_empty());
}

async fn c6_x1_a_visitor_who_typed_a_contacts_address_gets_nothing_of_the_contact(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    create_contact::create(&fixture, "Vera", "vera@example.com").await;
    let chat = fixture.bot_chat("mallory").await;
    record(&fixture, answer(&chat, "email", "vera@example.com")).await.unwrap();
    assert!(!fixture.conversation(&chat.id).await.contact_id.is_empty(), "linked for the team");
    let insert = create(&fixture, snippet("T", "{{contact.name}}{{contact.email}}{{contact.phone}}.")).await;
    let rendered = render(&fixture, &insert.id, &chat.id).await;
    assert_eq!((rendered.text.as_str(), rendered.missing_placeholders.len()), (".", 3));
}

async fn c6_a_message_keeps_its_inserts_as_they_were_when_it_was_posted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let greeting = create(&fixture, snippet("Greeting", "Hello {{contact.name|you}}")).await;
    let document = Content::Document(Document { url: URL.into(), file_name: String::new() });
    let prices = create(&fixture, CreateInsertRequest { content: Some(document), ..snippet("Prices", "") }).await;
    let posted = post(&fixture, with_inserts(&chat.id, "See:", [&greeting.id, &prices.id])).await;
    let message = message_of(&posted);
    let plain: Vec<_> = message.inserts.iter().map(|insert| insert.plain_text.as_str()).collect();
    assert_eq!((message.text.as_str(), &plain[..]), ("See:", &["Hello you", "Prices: https://shop.example/x"][..]));
    let filled = sent_insert::Content::Snippet(Snippet { text: "Hello you".into() });
    assert_eq!((&message.inserts[0].insert_id, &message.inserts[0].content), (&greeting.id, &Some(filled)));

    let content = Some(update_insert_request::Content::Snippet(Snippet { text: "Bye".into() }));
    let update = UpdateInsertRequest { insert_id: greeting.id, content, ..UpdateInsertRequest::default() };
    fixture.inserts(ADA).update_insert(update).await.unwrap();
    delete(&fixture, &prices.id).await;
    assert_eq!(fixture.entries(&chat.id).await.pop().unwrap(), posted);
}

async fn c6_s3_the_visitor_gets_no_id_of_an_insert_and_no_title_of_a_snippet(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let internal = |request: CreateInsertRequest| CreateInsertRequest {
        shortcut: format!("internal{}", new_id().simple()),
        tags: vec!["internal tag".into()],
        ..request
    };
    let greeting = create(&fixture, internal(snippet("Internal title", "Hello"))).await;
    let meeting = Content::Meeting(Meeting { url: URL.into(), duration_minutes: 30 });
    let meeting = CreateInsertRequest { content: Some(meeting), ..internal(snippet("Call us", "")) };
    let meeting = create(&fixture, meeting).await;
    post(&fixture, with_inserts(&chat.id, "", [&greeting.id, &meeting.id])).await;
    let seen = fixture.chat_entries("v", &chat.id).await.pop().unwrap();
    let written = format!("{seen:?}");
    for internal in [greeting.id.as_str(), meeting.id.as_str(), "nternal"] {
        assert!(!written.contains(internal), "{written}");
    }
    let Some(chat_entry::Content::Message(ChatMessage { text, inserts, .. })) = seen.content else { panic!() };
    let [hello, call] = &inserts[..] else { panic!("{inserts:?}") };
    assert_eq!((text.as_str(), hello.title.as_str(), hello.plain_text.as_str()), ("", "", "Hello"));
    assert_eq!(call.title, "Call us");
    let content = chat_insert::Content::Meeting(Meeting { url: URL.into(), duration_minutes: 30 });
    assert_eq!((call.plain_text.as_str(), &call.content), ("Call us (30 min): https://shop.example/x", &Some(content)));
}

async fn c6_c12_a_repeated_message_gets_the_first_answer_also_when_its_insert_was_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let insert = create(&fixture, snippet("Greeting", "Hello")).await;
    let request = with_inserts(&chat.id, "", [&insert.id]);
    let posted = twenty(|_| post(&fixture, request.clone())).await;
    delete(&fixture, &insert.id).await;
    let again = post(&fixture, request.clone()).await;
    assert!(posted.iter().all(|entry| *entry == again));
    assert_eq!(fixture.service.appended::<MessagePosted>().await.len(), 1);
    let other = PostMessageRequest { insert_ids: Vec::new(), text: "x".into(), ..request };
    assert_eq!(reason(&fixture.threads(ADA).post_message(other).await.unwrap_err()), "REQUEST_ID_REUSED");
}

async fn c6_a_message_with_an_unknown_or_deleted_insert_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let deleted = create(&fixture, snippet("Deleted", "x")).await.id;
    delete(&fixture, &deleted).await;
    let kept = create(&fixture, snippet("Kept", "x")).await.id;
    let mut elsewhere = InsertServiceClient::new(fixture.in_another_account().as_admin());
    let foreign = elsewhere.create_insert(snippet("T", "x")).await.unwrap().into_inner().insert.unwrap().id;
    for id in [&deleted, &foreign, &new_id().to_string()] {
        let request = with_inserts(&chat.id, "", [&kept, id]);
        let refused = fixture.threads(ADA).post_message(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "INSERT_UNKNOWN"));
        assert_eq!(&metadata(&refused, "insert_id"), id);
    }
    assert!(fixture.entries(&chat.id).await.is_empty());
}

async fn c6_a_message_has_a_text_or_inserts(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let insert = create(&fixture, snippet("Greeting", "Hello")).await.id;
    let eleven = (0..11).map(|_| new_id().to_string()).collect();
    for (request, field) in [
        (message(&chat.id, ""), "text"),
        (message(&chat.id, " \n"), "text"),
        (with_inserts(&chat.id, " \n", [&insert]), "text"),
        (with_inserts(&chat.id, "", [&insert, &insert]), "insert_ids"),
        (with_inserts(&chat.id, "", ["x"]), "insert_ids[0]"),
        (PostMessageRequest { insert_ids: eleven, ..message(&chat.id, "") }, "insert_ids"),
    ] {
        let refused = fixture.threads(ADA).post_message(request).await.unwrap_err();
        let fields = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!((refused.code(), fields[0].field.as_str()), (Code::InvalidArgument, field));
    }
    let bots = fixture.bot_chat("w").await;
    assert!(message_of(&fixture.post_as_robin(question(&bots)).await.unwrap()).inserts.is_empty());
}

async fn c6_c9_the_inbox_shows_the_titles_of_inserts_only(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await;
    let insert = create(&fixture, snippet("Greeting", &"x".repeat(10_000))).await;
    post(&fixture, with_inserts(&chat.id, "", [&insert.id])).await;
    let rows = fixture
        .conversations(ADA)
        .list_conversations(ListConversationsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .rows;
    let [sent] = &message_of(rows[0].last_entry.as_ref().unwrap()).inserts[..] else { panic!("{rows:?}") };
    assert_eq!((&sent.insert_id, sent.title.as_str()), (&insert.id, "Greeting"));
    assert_eq!((sent.plain_text.as_str(), &sent.content), ("", &None));
}

async fn s2_another_accounts_insert_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (insert_id, chat) = (create(&fixture, snippet("T", "x")).await.id, fixture.chat("v").await);
    let other = fixture.in_another_account();
    let mut inserts = InsertServiceClient::new(other.as_agent());
    let get = inserts.get_insert(GetInsertRequest { insert_id: insert_id.clone() }).await.map(drop);
    let update = UpdateInsertRequest { insert_id: insert_id.clone(), title: Some("X".into()), ..Default::default() };
    let update = inserts.update_insert(update).await.map(drop);
    let delete = inserts.delete_insert(DeleteInsertRequest { insert_id: insert_id.clone() }).await.map(drop);
    let undelete = inserts.undelete_insert(UndeleteInsertRequest { insert_id: insert_id.clone() }).await.map(drop);
    let render = RenderInsertRequest { insert_id: insert_id.clone(), conversation_id: chat.id.clone() };
    let render = inserts.render_insert(render).await.map(drop);
    let mut threads = ThreadServiceClient::new(other.as_agent());
    let post = threads.post_message(with_inserts(&chat.id, "", [&insert_id])).await.map(drop);
    for refused in [get, update, delete, undelete, render, post] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
    assert!(inserts.list_inserts(ListInsertsRequest::default()).await.unwrap().into_inner().inserts.is_empty());
}

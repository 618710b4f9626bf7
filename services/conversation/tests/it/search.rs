//! `SearchConversations`, and `ListContacts` with a query: rules C6, C9, X2, X3, S2.

use frontdesk_auth::CallerKind;
use frontdesk_proto::conversation::v1::{
    Contact, ConversationMatch, ConversationStatus, EntryMatch, ListContactsRequest, PostCommentRequest,
    PostMessageRequest, SearchConversationsRequest, SearchConversationsResponse, UpdateContactRequest,
    UpdateTicketRequest, contact_service_client::ContactServiceClient,
    conversation_service_client::ConversationServiceClient,
};
use frontdesk_testkit::{Mode, on_both_modes, reason, request_id, wait_until};
use sea_orm::ConnectionTrait;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    create_contact, create_ticket,
    fixture::{ADA, Fixture},
    inserts,
};

on_both_modes!(
    c9_words_are_found_in_every_script_and_spelling,
    c9_one_entry_has_all_words_and_the_last_one_may_be_a_beginning,
    c6_x3_c9_comments_inserts_and_subjects_of_tickets_are_found,
    c9_ranges_count_code_points_of_the_snippet,
    c9_found_conversations_are_filtered,
    c9_pages_are_complete_and_without_repeats_while_others_start,
    c9_a_page_of_a_common_word_ends_and_the_next_one_goes_on,
    c9_a_conversation_whose_words_were_lost_is_indexed_anew,
    c9_a_query_without_a_word_is_refused,
    x2_contacts_are_found_by_name_address_and_external_id,
    x2_contacts_are_found_by_their_telephone_number,
    x2_found_contacts_come_newest_first_in_pages,
    s2_another_account_finds_nothing,
);

fn query(query: &str) -> SearchConversationsRequest {
    SearchConversationsRequest { query: query.into(), ..SearchConversationsRequest::default() }
}

async fn search(fixture: &Fixture, request: SearchConversationsRequest) -> Result<SearchConversationsResponse, Status> {
    Ok(fixture.conversations(ADA).search_conversations(request).await?.into_inner())
}

async fn matches(fixture: &Fixture, text: &str) -> Vec<ConversationMatch> {
    search(fixture, query(text)).await.unwrap().matches
}

fn id(one: &ConversationMatch) -> String {
    one.row.as_ref().unwrap().conversation.as_ref().unwrap().id.clone()
}

/// Ids of the conversations that are found.
async fn ids(fixture: &Fixture, text: &str) -> Vec<String> {
    matches(fixture, text).await.iter().map(id).collect()
}

/// The entries that are found in the only conversation.
async fn entries(fixture: &Fixture, text: &str) -> Vec<EntryMatch> {
    let mut matches = matches(fixture, text).await;
    assert!(matches.len() <= 1, "{matches:?}");
    matches.pop().map(|one| one.entries).unwrap_or_default()
}

/// What the ranges mark.
fn marked(entry: &EntryMatch) -> Vec<String> {
    let number = |number: i32| usize::try_from(number).unwrap();
    let part = |start, length| entry.snippet.chars().skip(number(start)).take(number(length)).collect();
    entry.ranges.iter().map(|range| part(range.start, range.length)).collect()
}

/// Posts the text, and waits until a word that only it has is found.
async fn post_indexed(fixture: &Fixture, chat: &str, text: &str) {
    let word = format!("w{}", request_id().replace('-', ""));
    fixture.post(chat, &format!("{text}\n{word}")).await;
    until_found(fixture, &word).await;
}

async fn until_found(fixture: &Fixture, text: &str) {
    wait_until(&format!("{text} in a search"), || async { !matches(fixture, text).await.is_empty() }).await;
}

async fn comment(fixture: &Fixture, chat: &str, text: &str) {
    let request = PostCommentRequest {
        conversation_id: chat.into(),
        text: text.into(),
        request_id: request_id(),
        ..PostCommentRequest::default()
    };
    fixture.threads(ADA).post_comment(request).await.unwrap();
}

async fn c9_words_are_found_in_every_script_and_spelling(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    for (text, queries) in [
        ("Meet me at the Café on Hauptstraße", vec!["cafe", "CAFÉ", "café", "Hauptstrasse", "HAUPTSTRASSE"]),
        ("Ben İstanbul'dayım", vec!["istanbul", "İSTANBUL", "dayim"]),
        ("我想搜索中文内容", vec!["中文", "搜索中文", "文", "搜"]),
        ("カードで払えますか", vec!["カード", "ｶｰﾄﾞ", "払え"]),
        ("주문을 취소하고 싶어요", vec!["주문", "취소하고"]),
        ("สวัสดีครับ", vec!["สวัสดี"]),
        ("ok, I take a look", vec!["ok", "a", "OK I"]),
        ("Order 4711 costs 12.50 EUR", vec!["4711", "12.50", "12.5", "eur 12.50"]),
        ("مَرْحَبًا بكم", vec!["مرحبا"]),
    ] {
        post_indexed(&fixture, &chat, text).await;
        for query in queries {
            let found = entries(&fixture, query).await;
            assert!(found.iter().any(|entry| entry.snippet.starts_with(text)), "{query} in {text}: {found:?}");
        }
    }
    for absent in ["文中", "471", "strasse", "12.51", "xyzzy"] {
        let found = entries(&fixture, absent).await;
        // A beginning finds the word.
        assert_eq!(found.is_empty(), absent != "471", "{absent}: {found:?}");
    }
}

async fn c9_one_entry_has_all_words_and_the_last_one_may_be_a_beginning(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (one, two) = (fixture.chat("a").await.id, fixture.chat("b").await.id);
    post_indexed(&fixture, &one, "I want a refund").await;
    post_indexed(&fixture, &one, "for my order").await;
    post_indexed(&fixture, &two, "the order was refunded").await;
    assert_eq!(ids(&fixture, "order").await, [two.clone(), one.clone()], "the one that started latest first");
    assert_eq!(ids(&fixture, "order refund").await, std::slice::from_ref(&two));
    assert_eq!(ids(&fixture, "refund order").await, Vec::<String>::new(), "only the last word is a beginning");
    assert_eq!(ids(&fixture, "refunded ord").await, std::slice::from_ref(&two));
    assert_eq!(ids(&fixture, "refu").await, [two, one.clone()]);
    assert_eq!(ids(&fixture, "my ORDER").await, [one]);
}

async fn c6_x3_c9_comments_inserts_and_subjects_of_tickets_are_found(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = create_ticket::linked_chat(&fixture).await;
    comment(&fixture, &chat, "they are annoyed").await;
    let insert = inserts::create(&fixture, inserts::snippet("Greeting", "Salutations and thanks")).await;
    let message = PostMessageRequest { insert_ids: vec![insert.id], ..crate::fixture::message(&chat, "") };
    fixture.threads(ADA).post_message(message).await.unwrap();
    let ticket = create_ticket::create(&fixture, &chat).await;
    for (query, expected) in [("annoyed", "annoyed"), ("salutations", "Salutations"), ("refund", "Refund")] {
        until_found(&fixture, query).await;
        let found = entries(&fixture, query).await;
        assert_eq!(found.iter().map(marked).collect::<Vec<_>>(), [[expected]], "{query}");
    }
    // The entry of the change has the new subject, and the one of the creation no longer the old one.
    let request =
        UpdateTicketRequest { ticket_id: ticket.id, subject: Some("Replacement".into()), ..Default::default() };
    fixture.tickets(ADA).update_ticket(request).await.unwrap();
    until_found(&fixture, "replacement").await;
    assert!(entries(&fixture, "refund").await.is_empty());
}

async fn c9_ranges_count_code_points_of_the_snippet(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let text = format!("👋🏽 {} needle 👍 Needles {}", "é ".repeat(100), "x ".repeat(300));
    post_indexed(&fixture, &chat, &text).await;
    let found = entries(&fixture, "needle").await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].sequence, marked(&found[0])), (2, vec!["needle".to_owned(), "Needles".to_owned()]));
    assert_eq!((found[0].snippet.chars().count(), found[0].ranges[0].start), (200, 40));
    post_indexed(&fixture, &chat, "👨‍👩‍👧 中文 <b>bold</b>").await;
    let found = entries(&fixture, "中文").await;
    assert_eq!((found[0].ranges[0].start, found[0].ranges[0].length), (6, 2));
    assert!(found[0].snippet.contains("<b>bold</b>"), "as it was written");
}

async fn c9_found_conversations_are_filtered(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (open, closed) = (fixture.chat("a").await.id, create_ticket::linked_chat(&fixture).await);
    for chat in [&open, &closed] {
        post_indexed(&fixture, chat, "needle").await;
    }
    crate::close_conversation::close(&fixture, &closed).await;
    let (first, second) = (fixture.conversation(&open).await, fixture.conversation(&closed).await);
    let statuses = |status: ConversationStatus| vec![status.into()];
    for (request, expected) in [
        (query("needle"), vec![&closed, &open]),
        (SearchConversationsRequest { statuses: statuses(ConversationStatus::Open), ..query("needle") }, vec![&open]),
        (SearchConversationsRequest { channel_ids: vec![second.channel_id.clone()], ..query("needle") }, vec![&closed]),
        (SearchConversationsRequest { contact_ids: vec![second.contact_id.clone()], ..query("needle") }, vec![&closed]),
        (
            SearchConversationsRequest {
                statuses: statuses(ConversationStatus::Closed),
                channel_ids: vec![first.channel_id.clone()],
                ..query("needle")
            },
            Vec::new(),
        ),
    ] {
        let found: Vec<_> = search(&fixture, request.clone()).await.unwrap().matches.iter().map(id).collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{request:?}");
    }
    // A row is that of the inbox.
    let row = matches(&fixture, "needle").await.swap_remove(0).row.unwrap();
    assert_eq!((row.visitor_name.as_str(), row.read_state.is_some()), ("V", true));
}

async fn c9_pages_are_complete_and_without_repeats_while_others_start(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let mut chats = Vec::new();
    for n in 0..5 {
        let chat = fixture.chat(&format!("v{n}")).await.id;
        for _ in 0..5 {
            fixture.post(&chat, "the needle").await;
        }
        post_indexed(&fixture, &chat, "another needle").await;
        chats.insert(0, chat);
    }
    let mut request = SearchConversationsRequest { page_size: 2, ..query("needle") };
    let mut listed = Vec::new();
    loop {
        let page = search(&fixture, request.clone()).await.unwrap();
        assert!(page.matches.iter().all(|one| one.entries.len() == 3), "the newest three: {page:?}");
        listed.extend(page.matches.iter().map(id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        let later = fixture.chat(&request_id()).await.id;
        post_indexed(&fixture, &later, "a later needle").await;
    }
    assert_eq!(listed, chats);
    let other = SearchConversationsRequest { query: "other".into(), ..request };
    let refused = search(&fixture, other).await.unwrap_err();
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "page_token");
}

async fn c9_a_page_of_a_common_word_ends_and_the_next_one_goes_on(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let rare = fixture.chat("first").await.id;
    post_indexed(&fixture, &rare, "common word").await;
    let chat = fixture.chat("second").await.id;
    post_indexed(&fixture, &chat, "common").await;
    post_indexed(&fixture, &chat, "word").await;
    // As many entries as one call looks through have one of the words each.
    for word in ["common", "word"] {
        let insert = match fixture.service.db.is_sqlite() {
            true => format!(
                "INSERT INTO search_words (account_id, word, conversation_id, sequence)
                 WITH RECURSIVE numbers (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2999)
                 SELECT account_id, word, conversation_id, n FROM search_words, numbers
                 WHERE word = CAST('{word}' AS BLOB) AND conversation_id = unhex(replace('{chat}', '-', '')) AND sequence < 10"
            ),
            false => format!(
                "INSERT INTO search_words (account_id, word, conversation_id, sequence)
                 SELECT account_id, word, conversation_id, n FROM search_words, generate_series(1000, 2999) AS n
                 WHERE word = '{word}'::bytea AND conversation_id = '{chat}' AND sequence < 10"
            ),
        };
        let insert = if word == "word" { insert.replace("1000", "11000").replace("2999", "12999") } else { insert };
        let tx = fixture.service.db.begin().await.unwrap();
        tx.conn().execute_unprepared(&insert).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut request = query("common word");
    let (mut pages, mut listed) = (0, Vec::new());
    loop {
        let page = search(&fixture, request.clone()).await.unwrap();
        listed.extend(page.matches.iter().map(id));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, [rare]);
    assert_eq!(pages, 3, "2,002 rows, 1,000 of them in each call");
}

async fn c9_a_conversation_whose_words_were_lost_is_indexed_anew(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    post_indexed(&fixture, &chat, "needle").await;
    // As after an upgrade from a release without searches.
    let tx = fixture.service.db.begin().await.unwrap();
    for table in ["search_words", "search_marks"] {
        tx.conn().execute_unprepared(&format!("DELETE FROM {table}")).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert!(ids(&fixture, "needle").await.is_empty());
    post_indexed(&fixture, &chat, "more").await;
    assert_eq!(ids(&fixture, "needle").await, [chat]);
}

async fn c9_a_query_without_a_word_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let many: Vec<_> = (0..33).map(|number| number.to_string()).collect();
    for (text, remedy) in [
        ("", "is required"),
        ("👍 !?", "must have a letter or a digit"),
        (many.join(" ").as_str(), "must have at most 32 words"),
    ] {
        let refused = search(&fixture, query(text)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELDS"), "{text}");
        let violation = refused.get_details_bad_request().unwrap().field_violations.swap_remove(0);
        assert_eq!(violation.field, "query");
        assert!(violation.description.starts_with(remedy), "{violation:?}");
    }
    let refused = fixture.contacts().list_contacts(contacts_with("!?")).await.unwrap_err();
    assert_eq!(refused.get_details_bad_request().unwrap().field_violations[0].field, "query");
}

fn contacts_with(query: &str) -> ListContactsRequest {
    ListContactsRequest { query: query.into(), ..ListContactsRequest::default() }
}

async fn names(fixture: &Fixture, request: ListContactsRequest) -> Vec<String> {
    let contacts = fixture.contacts().list_contacts(request).await.unwrap().into_inner().contacts;
    contacts.into_iter().map(|contact: Contact| contact.name).collect()
}

async fn x2_contacts_are_found_by_name_address_and_external_id(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let zoe = create_contact::create(&fixture, "Zoë Müller", "zoe@mail.example").await;
    let request = frontdesk_proto::conversation::v1::CreateContactRequest {
        external_id: "user-4711".into(),
        ..create_contact::request("王小明", "ming@shop.example")
    };
    fixture.contacts().create_contact(request).await.unwrap();
    for (query, expected) in [
        ("zoe", vec!["Zoë Müller"]),
        ("muller zoe", vec!["Zoë Müller"]),
        ("zoe@mail.example", vec!["Zoë Müller"]),
        ("example", vec!["王小明", "Zoë Müller"]),
        ("小明", vec!["王小明"]),
        ("user-47", vec!["王小明"]),
        ("zoe shop", Vec::new()),
    ] {
        assert_eq!(names(&fixture, contacts_with(query)).await, expected, "{query}");
    }
    let filtered = ListContactsRequest { email: "ming@shop.example".into(), ..contacts_with("example") };
    assert_eq!(names(&fixture, filtered).await, ["王小明"]);
    // A change is found at once, and what was changed no longer.
    let update = UpdateContactRequest { contact_id: zoe.id, name: Some("Chloe".into()), ..Default::default() };
    fixture.contacts().update_contact(update).await.unwrap();
    assert_eq!(names(&fixture, contacts_with("chl")).await, ["Chloe"]);
    assert!(names(&fixture, contacts_with("muller")).await.is_empty());
}

async fn x2_contacts_are_found_by_their_telephone_number(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request = frontdesk_proto::conversation::v1::CreateContactRequest {
        phone: "+39 06 1234-567".into(),
        ..create_contact::request("Ada", "ada@shop.example")
    };
    let ada = fixture.contacts().create_contact(request).await.unwrap().into_inner().contact.unwrap();
    for query in ["+39 06 1234", "+39061234567", "0612345", "1234567", "4567", "ada 0612"] {
        assert_eq!(names(&fixture, contacts_with(query)).await, ["Ada"], "{query}");
    }
    assert!(names(&fixture, contacts_with("0712")).await.is_empty());
    let update = UpdateContactRequest { contact_id: ada.id, phone: Some(String::new()), ..Default::default() };
    fixture.contacts().update_contact(update).await.unwrap();
    assert!(names(&fixture, contacts_with("0612345")).await.is_empty());
}

async fn x2_found_contacts_come_newest_first_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for n in 0..5 {
        create_contact::create(&fixture, &format!("Ada {n}"), &format!("ada{n}@shop.example")).await;
    }
    let mut request = ListContactsRequest { page_size: 2, ..contacts_with("ada") };
    let (mut listed, mut pages) = (Vec::new(), 0);
    loop {
        let page = fixture.contacts().list_contacts(request.clone()).await.unwrap().into_inner();
        listed.extend(page.contacts.into_iter().map(|contact| contact.name));
        pages += 1;
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!((listed, pages), (["Ada 4", "Ada 3", "Ada 2", "Ada 1", "Ada 0"].map(str::to_owned).to_vec(), 3));
}

async fn s2_another_account_finds_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    post_indexed(&fixture, &chat, "needle").await;
    create_contact::create(&fixture, "Needle", "needle@shop.example").await;
    let other = fixture.in_another_account();
    let found = ConversationServiceClient::new(other.as_agent()).search_conversations(query("needle")).await.unwrap();
    assert_eq!(found.into_inner(), SearchConversationsResponse::default());
    let found = ContactServiceClient::new(other.as_agent()).list_contacts(contacts_with("needle")).await.unwrap();
    assert!(found.into_inner().contacts.is_empty());
    // A visitor has no search.
    let visitor = fixture.service.calls(fixture.account, CallerKind::Visitor, "v");
    let refused = ConversationServiceClient::new(visitor).search_conversations(query("needle")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

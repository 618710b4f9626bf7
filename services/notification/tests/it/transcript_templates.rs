//! `TemplateService`: rules T6, T7, T9, S2, C12.

use std::collections::BTreeMap;

use frontdesk_proto::notification::v1::{
    DeleteTranscriptTemplateRequest, DeliveryStatus, GetTranscriptTemplateRequest, ListTranscriptTemplatesRequest,
    PreviewTranscriptTemplateRequest, TranscriptPart, TranscriptTemplate, UpdateTranscriptTemplateRequest,
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    chat::Chat,
    fixture::{Account, Fixture, twenty_at_once},
};

on_both_modes!(
    t6_t9_a_transcript_has_the_accounts_template_until_it_is_deleted,
    t6_an_account_adds_a_language_with_its_words,
    t7_a_template_that_cannot_be_used_is_not_saved,
    t9_a_sample_is_rendered_without_saving_anything,
    c12_an_update_is_repeated_with_its_old_etag_and_another_is_refused,
    c12_of_twenty_updates_with_one_etag_one_takes_effect,
    t6_templates_are_listed_by_language_in_pages,
    s2_each_account_has_templates_of_its_own,
);

const HTML: &str = "<h1>{{ channel }}</h1>{% for row in rows %}{% include \"transcript_row.html\" %}{% endfor %}";

fn html(language: &str, html: &str) -> UpdateTranscriptTemplateRequest {
    UpdateTranscriptTemplateRequest { language: language.into(), html: Some(html.into()), ..Default::default() }
}

async fn update(account: &Account, request: UpdateTranscriptTemplateRequest) -> Result<TranscriptTemplate, Status> {
    Ok(account.templates().update_transcript_template(request).await?.into_inner().template.unwrap())
}

async fn get(account: &Account, language: &str) -> TranscriptTemplate {
    let request = GetTranscriptTemplateRequest { language: language.into() };
    account.templates().get_transcript_template(request).await.unwrap().into_inner().template.unwrap()
}

async fn delete(account: &Account, language: &str) {
    let request = DeleteTranscriptTemplateRequest { language: language.into() };
    account.templates().delete_transcript_template(request).await.unwrap();
}

async fn list(account: &Account) -> Vec<String> {
    let (mut request, mut languages) =
        (ListTranscriptTemplatesRequest { page_size: 2, ..Default::default() }, Vec::new());
    loop {
        let page = account.templates().list_transcript_templates(request.clone()).await.unwrap().into_inner();
        languages.extend(page.templates.into_iter().map(|template| template.language));
        if page.next_page_token.is_empty() {
            return languages;
        }
        request.page_token = page.next_page_token;
    }
}

async fn t6_t9_a_transcript_has_the_accounts_template_until_it_is_deleted(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let shipped = chat.previewed_part(TranscriptPart::Html).await;
    update(chat.account(), html("EN", HTML)).await.unwrap();
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    let own = chat.previewed_part(TranscriptPart::Html).await;
    assert!(own.starts_with("<h1>") && own != shipped, "{own}");
    let mail = chat.fixture.mail(&delivery.id);
    let mail = mail_parser::MessageParser::default().parse(mail.as_str()).unwrap();
    assert_eq!(mail.body_html(0).unwrap().replace("\r\n", "\n").trim_end(), own.replace("\r\n", "\n").trim_end());
    // Deleting it again changes nothing.
    for _ in 0..2 {
        delete(chat.account(), "en").await;
    }
    assert_eq!(chat.previewed_part(TranscriptPart::Html).await, shipped);
}

async fn t6_an_account_adds_a_language_with_its_words(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.change(|answers| answers.contacts.iter_mut().for_each(|contact| contact.language = "de-CH".into()));
    assert!(chat.previewed_part(TranscriptPart::Text).await.starts_with("Your chat with"));
    let words = BTreeMap::from([("subject_to_visitor".to_owned(), "Ihr Chat mit {channel}".to_owned())]);
    let german = UpdateTranscriptTemplateRequest { language: "de".into(), words, ..Default::default() };
    update(chat.account(), german).await.unwrap();
    assert!(chat.previewed_part(TranscriptPart::Text).await.starts_with("Ihr Chat mit Acme"));
    let shipped = GetTranscriptTemplateRequest { language: "de".into() };
    let shipped = chat.account().templates().get_transcript_template(shipped).await.unwrap().into_inner();
    assert_eq!(shipped.shipped_words["subject_to_visitor"], "Your chat with {channel}");
    assert!(shipped.shipped_html.contains("{{ channel }}") && shipped.shipped_text.contains("{{ subject }}"));
    assert!(!shipped.shipped_words.contains_key("visitor_code_request"));
}

async fn t7_a_template_that_cannot_be_used_is_not_saved(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let words = BTreeMap::from([("yuo".to_owned(), "Sie".to_owned())]);
    let unknown_word = UpdateTranscriptTemplateRequest { language: "de".into(), words, ..Default::default() };
    for (request, field, part) in [
        (html("de", "<p>\n{{ channel|safe }}"), "html", "line 2: "),
        (html("de", "<script>alert(1)</script>"), "html", "not allowed"),
        (unknown_word, "words", "no text yuo"),
        (html("not a tag", "x"), "language", "BCP 47"),
    ] {
        let refused = update(&fixture.account, request).await.unwrap_err();
        let violation = refused.get_details_bad_request().unwrap().field_violations.remove(0);
        assert_eq!((refused.code(), violation.field.as_str()), (Code::InvalidArgument, field));
        assert!(violation.description.contains(part), "{violation:?}");
    }
    assert!(list(&fixture.account).await.is_empty());
    assert_eq!(get(&fixture.account, "de").await.version, 0);
}

async fn t9_a_sample_is_rendered_without_saving_anything(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let request =
        PreviewTranscriptTemplateRequest { language: "it".into(), html: Some(HTML.into()), ..Default::default() };
    let sample = fixture.account.templates().preview_transcript_template(request).await.unwrap().into_inner();
    assert!(sample.html.contains("<h1>Rossi Bicycles</h1>") && sample.text.contains("Rossi Bicycles"), "{sample:?}");
    assert!(list(&fixture.account).await.is_empty());
    let broken =
        PreviewTranscriptTemplateRequest { language: "it".into(), text: Some("{% if".into()), ..Default::default() };
    let refused = fixture.account.templates().preview_transcript_template(broken).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

async fn c12_an_update_is_repeated_with_its_old_etag_and_another_is_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let with_etag =
        |source: &str, etag: &str| UpdateTranscriptTemplateRequest { etag: etag.into(), ..html("de", source) };
    let first = update(&fixture.account, with_etag("<p>one", "0")).await.unwrap();
    assert_eq!((first.version, first.update_time.is_some()), (1, true));
    assert_eq!(update(&fixture.account, with_etag("<p>one", "0")).await.unwrap(), first);
    let refused = update(&fixture.account, with_etag("<p>two", "0")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
    delete(&fixture.account, "de").await;
    let deleted = get(&fixture.account, "de").await;
    assert_eq!((deleted.html.as_str(), deleted.version), ("", 2), "an etag of before is not that of the next one");
}

async fn c12_of_twenty_updates_with_one_etag_one_takes_effect(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let account = fixture.account.clone();
    let updated = twenty_at_once(move |number| {
        let account = account.clone();
        let request = UpdateTranscriptTemplateRequest { etag: "0".into(), ..html("de", &format!("<p>{number}")) };
        async move { update(&account, request).await }
    })
    .await;
    let updated: Vec<TranscriptTemplate> = updated.into_iter().flatten().collect();
    assert_eq!(updated.len(), 1, "{updated:?}");
    assert_eq!((get(&fixture.account, "de").await, updated[0].version), (updated[0].clone(), 1));
}

async fn t6_templates_are_listed_by_language_in_pages(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    for language in ["it", "de-CH", "en", "de"] {
        update(&fixture.account, html(language, "<p>own")).await.unwrap();
    }
    delete(&fixture.account, "en").await;
    assert_eq!(list(&fixture.account).await, ["de", "de-ch", "it"]);
}

async fn s2_each_account_has_templates_of_its_own(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let other = fixture.other_account();
    let ours = update(&fixture.account, html("de", "<p>ours")).await.unwrap();
    assert_eq!((get(&other, "de").await.html, list(&other).await.len()), (String::new(), 0));
    delete(&other, "de").await;
    update(&other, html("de", "<p>theirs")).await.unwrap();
    assert_eq!(get(&fixture.account, "de").await, ours);
}

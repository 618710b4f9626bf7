//! `ExplainTranscript`.

use frontdesk_proto::{
    conversation::v1::ConversationStatus,
    event::v1::ConversationClosed,
    notification::v1::{DeliveryStatus, ExplainTranscriptRequest, SkipReason},
};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::chat::{Chat, closed_event};

on_both_modes!(
    t3_a_decision_is_explained_with_its_delivery,
    t3_without_a_decision_the_caller_knows_whether_one_comes,
    t2_an_address_in_the_token_that_was_not_used_is_named,
    t3_a_reason_of_a_later_release_is_read_as_another_one,
    s2_another_accounts_decision_is_not_found,
);

async fn t3_a_decision_is_explained_with_its_delivery(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let delivery = chat.deliver_until(DeliveryStatus::Sent).await;
    chat.fixture.service.publish("conversation", chat.account().id, &closed_event(chat.id, 2, chat.contact)).await;
    chat.fixture.service.settled().await;
    let explained = chat.explain(1).await.unwrap();
    assert_eq!(explained.delivery, Some(delivery));
    let decision = explained.decision.unwrap();
    assert!(decision.send && decision.had_agent && decision.explanation.starts_with("To be sent"), "{decision:?}");
    assert_eq!(chat.explain(0).await.unwrap().decision.unwrap().close_number, 2, "0: the last close");
}

async fn t3_without_a_decision_the_caller_knows_whether_one_comes(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let refused = |refused: Status| (refused.code(), reason(&refused), refused.get_details_retry_info().is_some());
    let not_found = |reason: &str, again: bool| (Code::NotFound, reason.to_owned(), again);
    // Its event did not arrive yet.
    for number in [0, 1] {
        assert_eq!(refused(chat.explain(number).await.unwrap_err()), not_found("NOT_DECIDED", true));
    }
    assert_eq!(refused(chat.explain(2).await.unwrap_err()), not_found("NOT_FOUND", false));
    chat.decide().await;
    // Reopened.
    chat.change(|answers| answers.conversation.status = ConversationStatus::Open.into());
    assert_eq!(refused(chat.explain(2).await.unwrap_err()), not_found("NOT_CLOSED", false));
    assert_eq!(refused(chat.explain(3).await.unwrap_err()), not_found("NOT_FOUND", false));

    let never_closed = Chat::closed(mode).await;
    never_closed.change(|answers| {
        answers.conversation.status = ConversationStatus::Open.into();
        answers.conversation.close_number = 0;
    });
    assert_eq!(refused(never_closed.explain(0).await.unwrap_err()), not_found("NOT_CLOSED", false));
}

async fn t2_an_address_in_the_token_that_was_not_used_is_named(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let closed = ConversationClosed {
        contact_id: String::new(),
        email_usable: false,
        token_email_unusable: true,
        ..chat.closed_event()
    };
    chat.fixture.service.publish("conversation", chat.account().id, &closed).await;
    chat.fixture.service.settled().await;
    let decision = chat.explain(1).await.unwrap().decision.unwrap();
    assert_eq!((decision.skip_reason(), decision.token_email_unusable), (SkipReason::NoAddress, true));
    assert!(decision.explanation.contains("the address in the visitor's token"), "{decision:?}");
}

async fn t3_a_reason_of_a_later_release_is_read_as_another_one(mode: Mode) {
    let chat = Chat::closed(mode).await;
    let closed = ConversationClosed { email_usable: false, ..chat.closed_event() };
    chat.fixture.service.publish("conversation", chat.account().id, &closed).await;
    chat.fixture.service.settled().await;
    assert_eq!(chat.explain(1).await.unwrap().decision.unwrap().skip_reason(), SkipReason::NoAddress);
    chat.fixture.execute("UPDATE transcript_decisions SET skip_reason = 'OF_A_LATER_RELEASE'").await;
    let decision = chat.explain(1).await.unwrap().decision.unwrap();
    assert_eq!((decision.send, decision.skip_reason()), (false, SkipReason::Other));
    assert!(decision.explanation.contains("a later release"), "{decision:?}");
}

async fn s2_another_accounts_decision_is_not_found(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.decide().await;
    let request = ExplainTranscriptRequest { conversation_id: chat.id.to_string(), close_number: 1, forecast: false };
    let refused = chat.fixture.other_account().transcripts().explain_transcript(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}

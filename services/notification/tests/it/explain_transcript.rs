//! `ExplainTranscript`.

use frontdesk_proto::notification::v1::{DeliveryStatus, ExplainTranscriptRequest};
use frontdesk_testkit::{Mode, on_both_modes, reason};
use tonic::Code;

use crate::chat::{Chat, closed_event};

on_both_modes!(
    t3_a_decision_is_explained_with_its_delivery,
    t3_a_close_without_a_decision_is_not_found,
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

async fn t3_a_close_without_a_decision_is_not_found(mode: Mode) {
    let chat = Chat::closed(mode).await;
    assert_eq!(reason(&chat.explain(0).await.unwrap_err()), "NOT_FOUND");
    chat.decide().await;
    assert_eq!(reason(&chat.explain(2).await.unwrap_err()), "NOT_FOUND");
}

async fn s2_another_accounts_decision_is_not_found(mode: Mode) {
    let chat = Chat::closed(mode).await;
    chat.decide().await;
    let request = ExplainTranscriptRequest { conversation_id: chat.id.to_string(), close_number: 1 };
    let refused = chat.fixture.other_account().transcripts().explain_transcript(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "NOT_FOUND"));
}

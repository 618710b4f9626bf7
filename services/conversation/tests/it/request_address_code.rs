//! `RequestAddressCode`: rules X1, S3, S4, C12.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use frontdesk_proto::{
    conversation::v1::{
        ContactEmail, CreateContactRequest, RequestAddressCodeRequest, SendMessageRequest,
        visitor_service_client::VisitorServiceClient,
    },
    notification::internal::v1::{MailAddressCodeRequest, MailAddressCodeResponse},
};
use frontdesk_testkit::{Mode, metadata, on_both_modes, reason, request_id};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::{
    close_conversation::close,
    fixture::{Fixture, twenty},
    leave_address::{address, leave},
};

on_both_modes!(
    x1_a_code_is_mailed_to_an_address_that_was_left_and_a_repeat_mails_none,
    x1_an_address_can_be_typed_as_a_message_and_the_chat_may_be_closed,
    s4_no_code_is_mailed_to_an_address_that_was_not_typed_in_the_chat,
    x1_s3_the_answer_does_not_depend_on_who_has_the_address,
    s4_a_limit_of_codes_is_answered_with_its_delay,
    s4_a_suppressed_address_gets_no_code,
    x1_while_codes_cannot_be_mailed_the_call_can_be_repeated,
    c12_twenty_repeats_at_once_get_the_same_answer,
    s2_s3_the_chat_of_another_does_not_exist,
);

pub fn code_for(chat: &str, email: &str) -> RequestAddressCodeRequest {
    RequestAddressCodeRequest { chat_id: chat.into(), email: email.into(), request_id: request_id() }
}

async fn ask(fixture: &Fixture, visitor: &str, request: RequestAddressCodeRequest) -> Result<(), Status> {
    fixture.chats(visitor).request_address_code(request).await.map(drop)
}

fn mails(fixture: &Fixture) -> usize {
    fixture.service.fake.calls::<MailAddressCodeRequest>()
}

async fn x1_a_code_is_mailed_to_an_address_that_was_left_and_a_repeat_mails_none(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    fixture.service.fake.on(move |request: Request<MailAddressCodeRequest>| {
        let metadata = |name: &str| request.metadata().get(name).unwrap().to_str().unwrap().to_owned();
        let for_whom = (metadata("x-frontdesk-account"), metadata("x-frontdesk-actor"));
        seen.lock().unwrap().push((for_whom, request.get_ref().email.clone()));
        Ok(MailAddressCodeResponse::default())
    });
    let request = code_for(&chat, " Vera@Example.COM");
    for _ in 0..2 {
        ask(&fixture, "v", request.clone()).await.unwrap();
    }
    let visitor = (fixture.account.to_string(), "visitor:v".to_owned());
    assert_eq!(asked.lock().unwrap()[..], [(visitor, "vera@example.com".to_owned())]);
    let other = RequestAddressCodeRequest { email: "w@example.com".into(), ..request };
    assert_eq!(reason(&ask(&fixture, "v", other).await.unwrap_err()), "REQUEST_ID_REUSED");
    ask(&fixture, "v", code_for(&chat, "vera@example.com")).await.unwrap();
    assert_eq!(mails(&fixture), 2, "another request mails another code");
}

async fn x1_an_address_can_be_typed_as_a_message_and_the_chat_may_be_closed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let send = SendMessageRequest {
        chat_id: chat.clone(),
        text: "Vera@example.com".into(),
        request_id: request_id(),
        ..SendMessageRequest::default()
    };
    fixture.chats("v").send_message(send).await.unwrap();
    close(&fixture, &chat).await;
    ask(&fixture, "v", code_for(&chat, "vera@example.com")).await.unwrap();
    assert_eq!(mails(&fixture), 1);
}

async fn s4_no_code_is_mailed_to_an_address_that_was_not_typed_in_the_chat(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (chat, other) = (fixture.chat("v").await.id, fixture.chat("v").await.id);
    leave(&fixture, "v", address(&other, "vera@example.com")).await.unwrap();
    fixture.post(&chat, "ada@example.com").await;
    for email in ["vera@example.com", "ada@example.com", "stranger@example.com"] {
        let refused = ask(&fixture, "v", code_for(&chat, email)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "ADDRESS_NOT_TYPED"));
    }
    for wrong in ["", "nowhere", "a@b", "two@example.com,three@example.com"] {
        let refused = ask(&fixture, "v", code_for(&chat, wrong)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong:?}");
    }
    assert_eq!(mails(&fixture), 0);
}

async fn x1_s3_the_answer_does_not_depend_on_who_has_the_address(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let new = CreateContactRequest {
        emails: vec![ContactEmail { email: "known@example.com".into(), verified: true }],
        request_id: request_id(),
        ..CreateContactRequest::default()
    };
    fixture.contacts().create_contact(new).await.unwrap();
    let chat = fixture.chat("v").await.id;
    // The visitor's own contact has an address, so that it does not get one of another contact.
    leave(&fixture, "v", address(&chat, "own@example.com")).await.unwrap();
    for email in ["known@example.com", "unknown@example.com"] {
        assert_eq!(reason(&ask(&fixture, "v", code_for(&chat, email)).await.unwrap_err()), "ADDRESS_NOT_TYPED");
        leave(&fixture, "v", address(&chat, email)).await.unwrap();
        ask(&fixture, "v", code_for(&chat, email)).await.unwrap();
    }
}

async fn s4_a_limit_of_codes_is_answered_with_its_delay(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    fixture.service.fake.on(|_: Request<MailAddressCodeRequest>| {
        let retry_after = Some(prost_types::Duration { seconds: 900, nanos: 0 });
        Ok(MailAddressCodeResponse { retry_after, ..Default::default() })
    });
    let request = code_for(&chat, "vera@example.com");
    let refused = ask(&fixture, "v", request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert_eq!(metadata(&refused, "whose"), "caller");
    let delay = refused.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(900)));
    // The request was not taken: it is mailed later under the same id.
    fixture.service.fake.on(|_: Request<MailAddressCodeRequest>| Ok(MailAddressCodeResponse::default()));
    ask(&fixture, "v", request).await.unwrap();
}

async fn s4_a_suppressed_address_gets_no_code(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    fixture.service.fake.on(|_: Request<MailAddressCodeRequest>| {
        Ok(MailAddressCodeResponse { suppressed: true, ..Default::default() })
    });
    let request = code_for(&chat, "vera@example.com");
    let refused = ask(&fixture, "v", request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "EMAIL_SUPPRESSED"));
    // The request was not taken: it is mailed when the address is allowed again.
    fixture.service.fake.on(|_: Request<MailAddressCodeRequest>| Ok(MailAddressCodeResponse::default()));
    ask(&fixture, "v", request).await.unwrap();
}

async fn x1_while_codes_cannot_be_mailed_the_call_can_be_repeated(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    fixture
        .service
        .fake
        .on(|_: Request<MailAddressCodeRequest>| Err::<MailAddressCodeResponse, _>(Status::internal("broken")));
    let request = code_for(&chat, "vera@example.com");
    let refused = ask(&fixture, "v", request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "UNAVAILABLE"));
    fixture.service.fake.on(|_: Request<MailAddressCodeRequest>| Ok(MailAddressCodeResponse::default()));
    ask(&fixture, "v", request).await.unwrap();
}

async fn c12_twenty_repeats_at_once_get_the_same_answer(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    let request = code_for(&chat, "vera@example.com");
    let asked = twenty(async |_| ask(&fixture, "v", request.clone()).await).await;
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    let mailed = mails(&fixture);
    ask(&fixture, "v", request).await.unwrap();
    assert_eq!(mails(&fixture), mailed, "its result is stored");
}

async fn s2_s3_the_chat_of_another_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    let foreign = ask(&fixture, "w", code_for(&chat, "vera@example.com")).await.unwrap_err();
    assert_eq!((foreign.code(), reason(&foreign).as_str()), (Code::NotFound, "NOT_FOUND"));
    let other = VisitorServiceClient::new(fixture.in_another_account().as_visitor("v"))
        .request_address_code(code_for(&chat, "vera@example.com"))
        .await
        .unwrap_err();
    assert_eq!((other.code(), reason(&other).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert_eq!(mails(&fixture), 0);
}

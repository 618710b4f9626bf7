//! `VerifyAddress`: rules X1, S2, S3, T2.

use frontdesk_proto::{
    conversation::{
        internal::v1::{GetClosingFactsRequest, GetClosingFactsResponse},
        v1::{
            Contact, ContactEmail, CreateContactRequest, GetContactRequest, VerifyAddressRequest, entry::Content,
            visitor_service_client::VisitorServiceClient,
        },
    },
    event::v1::ContactUpdated,
    notification::internal::v1::{AddressCodeOutcome, CheckAddressCodeRequest, CheckAddressCodeResponse},
};
use frontdesk_testkit::{Calls, Mode, metadata, on_both_modes, reason, request_id};
use tonic::{Code, Request, Status};

use crate::{
    fixture::{CODE, Fixture, start, twenty},
    leave_address::{address, emails, leave},
};

on_both_modes!(
    x1_the_right_code_verifies_the_visitors_own_address_and_a_repeat_changes_nothing,
    x1_the_right_code_makes_the_visitor_the_contact_that_has_the_address_verified,
    x1_the_right_code_takes_the_address_from_a_contact_that_had_it_typed,
    x1_a_visitor_whose_token_has_an_address_stays_the_contact_that_it_says,
    x1_a_code_that_is_not_right_is_refused_with_its_reason,
    x1_twenty_at_once_verify_an_address_once,
    s2_s3_the_chat_of_another_does_not_exist,
);

fn verify(chat: &str, email: &str, code: &str) -> VerifyAddressRequest {
    VerifyAddressRequest { chat_id: chat.into(), email: email.into(), code: code.into() }
}

async fn enter(fixture: &Fixture, visitor: &str, request: VerifyAddressRequest) -> Result<(), Status> {
    fixture.chats(visitor).verify_address(request).await.map(drop)
}

async fn contact(fixture: &Fixture, chat: &str) -> Contact {
    let contact_id = fixture.conversation(chat).await.contact_id;
    let request = GetContactRequest { contact_id };
    fixture.contacts().get_contact(request).await.unwrap().into_inner().contact.unwrap()
}

async fn create(fixture: &Fixture, email: &str) -> Contact {
    let new = CreateContactRequest {
        emails: vec![ContactEmail { email: email.into(), verified: true }],
        request_id: request_id(),
        ..CreateContactRequest::default()
    };
    fixture.contacts().create_contact(new).await.unwrap().into_inner().contact.unwrap()
}

/// What a close now would store.
async fn facts(fixture: &Fixture, chat: &str) -> GetClosingFactsResponse {
    let request = GetClosingFactsRequest { conversation_id: chat.into(), close_number: 0 };
    let request = fixture.on_behalf_of("service:notification", request);
    fixture.arbiter("notification").get_closing_facts(request).await.unwrap().into_inner()
}

fn verified(email: &str) -> (String, bool) {
    (email.to_owned(), true)
}

async fn x1_the_right_code_verifies_the_visitors_own_address_and_a_repeat_changes_nothing(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    let before = contact(&fixture, &chat).await;
    assert!(!facts(&fixture, &chat).await.recipient_verified);
    enter(&fixture, "v", verify(&chat, "Vera@Example.com", CODE)).await.unwrap();
    let after = contact(&fixture, &chat).await;
    assert_eq!((after.id.as_str(), after.version), (before.id.as_str(), before.version + 1));
    assert_eq!(emails(&fixture, after.id.clone()).await, [verified("vera@example.com")]);
    let facts = facts(&fixture, &chat).await;
    assert_eq!((facts.recipient_email.as_str(), facts.recipient_verified), ("vera@example.com", true));
    enter(&fixture, "v", verify(&chat, "vera@example.com", CODE)).await.unwrap();
    assert_eq!(contact(&fixture, &chat).await, after);
    assert_eq!(fixture.service.appended::<ContactUpdated>().await.len(), 1);
}

async fn x1_the_right_code_makes_the_visitor_the_contact_that_has_the_address_verified(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let vera = create(&fixture, "vera@example.com").await;
    let (chat, earlier) = (fixture.chat("v").await.id, fixture.chat("v").await.id);
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    assert_eq!(contact(&fixture, &chat).await, vera, "claimed");
    assert!(!facts(&fixture, &chat).await.recipient_verified);
    enter(&fixture, "v", verify(&chat, "vera@example.com", CODE)).await.unwrap();
    assert!(facts(&fixture, &chat).await.recipient_verified);
    for chat in [&chat, &earlier] {
        assert_eq!(contact(&fixture, chat).await, vera, "the contact is unchanged");
    }
    // What the visitor sees does not follow from the address: another visitor of the contact has chats of their own.
    let other = fixture.chat("w").await.id;
    leave(&fixture, "w", address(&other, "vera@example.com")).await.unwrap();
    let foreign = enter(&fixture, "v", verify(&other, "vera@example.com", CODE)).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
}

async fn x1_the_right_code_takes_the_address_from_a_contact_that_had_it_typed(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (first, chat) = (fixture.chat("w").await.id, fixture.chat("v").await.id);
    leave(&fixture, "w", address(&first, "vera@example.com")).await.unwrap();
    leave(&fixture, "v", address(&chat, "own@example.com")).await.unwrap();
    // The contact of `v` does not get it, because that of `w` has it.
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    let own = contact(&fixture, &chat).await.id;
    assert_eq!(emails(&fixture, own.clone()).await, [("own@example.com".to_owned(), false)]);
    enter(&fixture, "v", verify(&chat, "vera@example.com", CODE)).await.unwrap();
    let expected = [verified("vera@example.com"), ("own@example.com".to_owned(), false)];
    assert_eq!(emails(&fixture, own.clone()).await, expected);
    // As with a token: the visitor who only typed it follows the address, and proves nothing.
    assert_eq!(contact(&fixture, &first).await.id, own);
    assert!(!facts(&fixture, &first).await.recipient_verified);
}

async fn x1_a_visitor_whose_token_has_an_address_stays_the_contact_that_it_says(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let other = create(&fixture, "other@example.com").await;
    let channel = fixture.channel().await;
    let mut known: VisitorServiceClient<Calls> = fixture.chats_with_address("v", "token@example.com");
    let chat = known.start_chat(start(&channel.id)).await.unwrap().into_inner().chat.unwrap().id;
    let own = contact(&fixture, &chat).await.id;
    for email in ["private@example.com", "other@example.com"] {
        known.verify_address(verify(&chat, email, CODE)).await.unwrap();
        assert_eq!(contact(&fixture, &chat).await.id, own, "{email}");
    }
    assert_eq!(emails(&fixture, own).await, [verified("token@example.com"), verified("private@example.com")]);
    assert_eq!(emails(&fixture, other.id).await, [verified("other@example.com")]);
    assert_eq!(facts(&fixture, &chat).await.recipient_email, "token@example.com");
}

async fn x1_a_code_that_is_not_right_is_refused_with_its_reason(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    leave(&fixture, "v", address(&chat, "vera@example.com")).await.unwrap();
    let before = contact(&fixture, &chat).await;
    for (outcome, expected) in [
        (AddressCodeOutcome::Wrong, "ADDRESS_CODE_WRONG"),
        (AddressCodeOutcome::Expired, "ADDRESS_CODE_EXPIRED"),
        (AddressCodeOutcome::UsedUp, "ADDRESS_CODE_USED_UP"),
    ] {
        fixture.service.fake.on(move |_: Request<CheckAddressCodeRequest>| {
            Ok(CheckAddressCodeResponse { outcome: outcome.into(), remaining_attempts: 3 })
        });
        let refused = enter(&fixture, "v", verify(&chat, "vera@example.com", CODE)).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, expected));
        if outcome == AddressCodeOutcome::Wrong {
            assert_eq!(metadata(&refused, "remaining_attempts"), "3");
        }
    }
    for code in ["", "1234567", "1234567x", "123456789"] {
        let refused = enter(&fixture, "v", verify(&chat, "vera@example.com", code)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{code:?}");
    }
    assert_eq!(contact(&fixture, &chat).await, before);
}

async fn x1_twenty_at_once_verify_an_address_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let entered = twenty(async |_| enter(&fixture, "v", verify(&chat, "vera@example.com", CODE)).await).await;
    assert!(entered.iter().all(Result::is_ok), "{entered:?}");
    let contact = contact(&fixture, &chat).await;
    assert_eq!((contact.version, contact.emails.len()), (1, 1));
    let links = fixture.entries(&chat).await;
    let links = links.iter().filter(|entry| matches!(entry.content, Some(Content::ContactLinked(_))));
    assert_eq!(links.count(), 1);
}

async fn s2_s3_the_chat_of_another_does_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let chat = fixture.chat("v").await.id;
    let foreign = enter(&fixture, "w", verify(&chat, "vera@example.com", CODE)).await.unwrap_err();
    assert_eq!((foreign.code(), reason(&foreign).as_str()), (Code::NotFound, "NOT_FOUND"));
    let mut other = VisitorServiceClient::new(fixture.in_another_account().as_visitor("v"));
    let other = other.verify_address(verify(&chat, "vera@example.com", CODE)).await.unwrap_err();
    assert_eq!((other.code(), reason(&other).as_str()), (Code::NotFound, "NOT_FOUND"));
    assert_eq!(fixture.service.fake.calls::<CheckAddressCodeRequest>(), 0, "no attempt is used up");
}

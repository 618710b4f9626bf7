//! `MailAddressCode` and `CheckAddressCode`: rules X1, X2, S2, S4, S5, C12.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_db::AccountId;
use frontdesk_notification::NotificationSettings;
use frontdesk_proto::{
    conversation::internal::v1::{ListErasedConversationsRequest, ListErasedConversationsResponse},
    event::v1::{ContactErasureConfirmed, ContactErasureRequested},
    notification::{
        internal::v1::{
            AddressCodeOutcome, CheckAddressCodeRequest, CheckAddressCodeResponse, MailAddressCodeRequest,
            MailAddressCodeResponse, address_code_service_client::AddressCodeServiceClient,
        },
        v1::{DeliveryKind, DeliveryStatus},
    },
};
use frontdesk_testkit::{Calls, Mode, new_id, on_both_modes, reason, request_id};
use futures::future::join_all;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::{
    chat::recipient_and_text,
    fixture::{Fixture, other_than},
};

on_both_modes!(
    x1_a_code_is_mailed_from_the_installation_and_is_right_until_it_expires,
    x1_a_code_is_for_one_visitor_one_address_and_one_account,
    x1_only_the_newest_code_is_right,
    x1_five_wrong_tries_use_a_code_up_also_twenty_at_once,
    x1_codes_that_expired_are_deleted,
    x2_an_erasure_deletes_the_code_of_its_chat_and_no_other_one,
    x1_a_code_is_in_the_language_of_the_visitor,
    c12_a_repeat_mails_one_code_also_twenty_at_once,
    s4_codes_are_limited_per_visitor_recipient_and_account,
    s4_a_thousand_attempts_to_mail_codes_to_strangers_stay_within_the_limits,
    s5_a_call_without_an_account_and_an_odd_address_are_refused,
);

const DAY: Duration = Duration::from_secs(24 * 3600);
const VERA: &str = "vera@visitor.example";

/// The conversation service, acting for visitors of one account.
struct Conversation {
    codes: AddressCodeServiceClient<Calls>,
    account: AccountId,
}

impl Conversation {
    fn new(fixture: &Fixture, account: AccountId) -> Self {
        let calls = fixture.service.calls(account, CallerKind::Service, "conversation");
        Self { codes: AddressCodeServiceClient::new(calls), account }
    }

    fn acting_for<T>(&self, visitor: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("x-frontdesk-account", self.account.to_string().parse().unwrap());
        request.metadata_mut().insert("x-frontdesk-actor", format!("visitor:{visitor}").parse().unwrap());
        request
    }

    async fn mail(&self, visitor: &str, email: &str, request_id: &str) -> Result<MailAddressCodeResponse, Status> {
        let request =
            MailAddressCodeRequest { email: email.into(), request_id: request_id.into(), ..Default::default() };
        Ok(self.codes.clone().mail_address_code(self.acting_for(visitor, request)).await?.into_inner())
    }

    /// Whether a code is mailed.
    async fn is_mailed(&self, visitor: &str, email: &str) -> bool {
        self.mail(visitor, email, &request_id()).await.unwrap().retry_after.is_none()
    }

    async fn check(&self, visitor: &str, email: &str, code: &str) -> CheckAddressCodeResponse {
        let request = CheckAddressCodeRequest { email: email.into(), code: code.into() };
        self.codes.clone().check_address_code(self.acting_for(visitor, request)).await.unwrap().into_inner()
    }

    async fn outcome(&self, visitor: &str, email: &str, code: &str) -> AddressCodeOutcome {
        self.check(visitor, email, code).await.outcome()
    }
}

/// The newest code that was mailed in the fixture's account.
async fn newest_code(fixture: &Fixture) -> String {
    let delivery = fixture.account.list_deliveries().await.swap_remove(0);
    assert_eq!(delivery.kind(), DeliveryKind::AddressVerification);
    fixture.code(&delivery.id).await
}

async fn x1_a_code_is_mailed_from_the_installation_and_is_right_until_it_expires(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    assert!(conversation.is_mailed("v", VERA).await);
    let code = newest_code(&fixture).await;
    let delivery = fixture.account.list_deliveries().await.swap_remove(0);
    assert_eq!(delivery.status(), DeliveryStatus::Sent);
    assert_eq!((delivery.recipient_email.as_str(), delivery.requested_by.clone()), (VERA, None));
    assert_eq!((delivery.conversation_id.as_str(), delivery.contact_id.as_str()), ("", ""));
    let mail = fixture.mail(&delivery.id);
    assert!(mail.contains("frontdesk@localhost.localdomain"), "{mail}");
    assert_eq!(recipient_and_text(&mail).0, VERA);
    let wrong = conversation.check("v", VERA, other_than(&code)).await;
    assert_eq!((wrong.outcome(), wrong.remaining_attempts), (AddressCodeOutcome::Wrong, 4));
    for _ in 0..2 {
        assert_eq!(conversation.outcome("v", "Vera@visitor.example", &code).await, AddressCodeOutcome::Right);
    }
    fixture.service.clock.advance(DAY).unwrap();
    assert_eq!(conversation.outcome("v", VERA, &code).await, AddressCodeOutcome::Expired);
}

async fn x1_a_code_is_for_one_visitor_one_address_and_one_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    assert!(conversation.is_mailed("v", VERA).await);
    let code = newest_code(&fixture).await;
    let elsewhere = Conversation::new(&fixture, fixture.other_account().id);
    for (caller, visitor, email) in
        [(&conversation, "w", VERA), (&conversation, "v", "other@visitor.example"), (&elsewhere, "v", VERA)]
    {
        assert_eq!(caller.outcome(visitor, email, &code).await, AddressCodeOutcome::Expired, "{visitor} {email}");
    }
    // Also where the other one has a code too.
    assert!(conversation.is_mailed("w", VERA).await && elsewhere.is_mailed("v", VERA).await);
    let others = newest_code(&fixture).await;
    let expected = if others == code { AddressCodeOutcome::Right } else { AddressCodeOutcome::Wrong };
    assert_eq!(conversation.outcome("w", VERA, &code).await, expected);
    assert_eq!(conversation.outcome("v", VERA, &code).await, AddressCodeOutcome::Right);
}

async fn x1_only_the_newest_code_is_right(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    assert!(conversation.is_mailed("v", VERA).await);
    let first = newest_code(&fixture).await;
    for _ in 0..3 {
        conversation.check("v", VERA, other_than(&first)).await;
    }
    assert!(conversation.is_mailed("v", VERA).await);
    let second = newest_code(&fixture).await;
    if first != second {
        let old = conversation.check("v", VERA, &first).await;
        assert_eq!((old.outcome(), old.remaining_attempts), (AddressCodeOutcome::Wrong, 4), "with attempts of its own");
    }
    assert_eq!(conversation.outcome("v", VERA, &second).await, AddressCodeOutcome::Right);
}

async fn x1_five_wrong_tries_use_a_code_up_also_twenty_at_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    assert!(conversation.is_mailed("v", VERA).await);
    let code = newest_code(&fixture).await;
    let wrong = other_than(&code);
    let outcomes = join_all((0..20).map(|_| conversation.outcome("v", VERA, wrong))).await;
    let count = |outcome: AddressCodeOutcome| outcomes.iter().filter(|one| **one == outcome).count();
    assert_eq!((count(AddressCodeOutcome::Wrong), count(AddressCodeOutcome::UsedUp)), (5, 15));
    assert_eq!(conversation.outcome("v", VERA, &code).await, AddressCodeOutcome::UsedUp);
    assert!(conversation.is_mailed("v", VERA).await);
    let next = newest_code(&fixture).await;
    assert_eq!(conversation.outcome("v", VERA, &next).await, AddressCodeOutcome::Right);
}

async fn x1_codes_that_expired_are_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    assert!(conversation.is_mailed("v", VERA).await && conversation.is_mailed("w", VERA).await);
    assert_eq!(fixture.count("FROM address_codes").await, 2);
    fixture.service.clock.advance(DAY).unwrap();
    assert!(conversation.is_mailed("v", VERA).await);
    assert_eq!(fixture.count("FROM address_codes").await, 1);
}

async fn x2_an_erasure_deletes_the_code_of_its_chat_and_no_other_one(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    let chat = new_id();
    let request = MailAddressCodeRequest {
        email: VERA.into(),
        request_id: request_id(),
        conversation_id: chat.to_string(),
        ..Default::default()
    };
    conversation.codes.clone().mail_address_code(conversation.acting_for("v", request)).await.unwrap();
    let code = newest_code(&fixture).await;
    assert!(conversation.is_mailed("w", VERA).await);
    let others = newest_code(&fixture).await;
    fixture.service.fake.on(move |_: Request<ListErasedConversationsRequest>| {
        let conversation_ids = vec![chat.to_string()];
        Ok(ListErasedConversationsResponse { conversation_ids, ..Default::default() })
    });
    let erasure = ContactErasureRequested { contact_id: new_id().to_string(), contact_job_id: new_id().to_string() };
    fixture.service.publish("conversation", fixture.account.id, &erasure).await;
    fixture.service.settled().await;
    assert_eq!(fixture.service.appended::<ContactErasureConfirmed>().await.len(), 1);
    assert_eq!(fixture.count("FROM address_codes").await, 1);
    assert_eq!(conversation.outcome("v", VERA, &code).await, AddressCodeOutcome::Expired);
    assert_eq!(conversation.outcome("w", VERA, &others).await, AddressCodeOutcome::Right);
}

async fn c12_a_repeat_mails_one_code_also_twenty_at_once(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    let mailed = join_all((0..20).map(|_| conversation.mail("v", VERA, "1"))).await;
    assert!(mailed.iter().all(|mailed| mailed.as_ref().is_ok_and(|mailed| mailed.retry_after.is_none())), "{mailed:?}");
    assert_eq!(fixture.account.list_deliveries().await.len(), 1);
    let other = conversation.mail("v", "other@visitor.example", "1").await.unwrap_err();
    assert_eq!((other.code(), reason(&other).as_str()), (Code::FailedPrecondition, "REQUEST_ID_REUSED"));
    conversation.mail("w", VERA, "1").await.unwrap();
    assert_eq!(fixture.account.list_deliveries().await.len(), 2, "the id of another visitor");
}

async fn s4_codes_are_limited_per_visitor_recipient_and_account(mode: Mode) {
    let settings = NotificationSettings {
        address_codes_per_visitor_per_hour: 2,
        address_codes_per_recipient_per_hour: 3,
        address_codes_per_account_per_hour: 5,
        ..NotificationSettings::default()
    };
    let fixture = Fixture::start_with(mode, settings).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    for (visitor, email, is_mailed) in [
        ("v", "a@visitor.example", true),
        ("v", VERA, true),
        ("v", "b@visitor.example", false),
        ("w", VERA, true),
        ("x", "vera+tag@visitor.example", true),
        ("y", VERA, false),
        ("y", "c@visitor.example", true),
        ("z", "d@visitor.example", false),
    ] {
        assert_eq!(conversation.is_mailed(visitor, email).await, is_mailed, "{visitor} {email}");
    }
    let limited = conversation.mail("v", VERA, "refused").await.unwrap().retry_after.unwrap();
    assert!((3_500..=3_600).contains(&limited.seconds), "{limited:?}");
    let elsewhere = Conversation::new(&fixture, fixture.other_account().id);
    assert!(elsewhere.is_mailed("v", VERA).await);
    fixture.service.clock.advance(Duration::from_secs(3_601)).unwrap();
    let later = conversation.mail("v", VERA, "refused").await.unwrap();
    assert_eq!(later.retry_after, None, "the request id was not taken");
}

async fn s4_a_thousand_attempts_to_mail_codes_to_strangers_stay_within_the_limits(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    // First a few visitors to a few addresses, then each visitor to an address of their own.
    let first = (0..500).map(|number| (format!("v{}", number % 30), format!("a{}@visitor.example", number % 25)));
    let then = (0..500).map(|number| (format!("w{number}"), format!("b{number}@visitor.example")));
    let attempts: Vec<_> = first.chain(then).collect();
    let mut mailed = 0;
    for some in attempts.chunks(50) {
        let answers = join_all(some.iter().map(|(visitor, email)| conversation.is_mailed(visitor, email))).await;
        mailed += answers.into_iter().filter(|is_mailed| *is_mailed).count();
    }
    assert_eq!(mailed, 200, "as many as an account may have in an hour");
    assert_eq!(fixture.count("FROM deliveries").await, 200);
    for column in ["recipient", "requested_by"] {
        let more = format!("FROM (SELECT {column} FROM deliveries GROUP BY {column} HAVING count(*) > 5) AS more");
        assert_eq!(fixture.count(&more).await, 0, "{column}");
    }
}

async fn s5_a_call_without_an_account_and_an_odd_address_are_refused(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    let odd = conversation.mail("v", "odd%x@visitor.example", "1").await.unwrap_err();
    assert_eq!(odd.code(), Code::InvalidArgument);
    let without = Conversation::new(&fixture, AccountId(Uuid::nil()));
    let refused = without.mail("v", VERA, "2").await.unwrap_err();
    assert_eq!((refused.code(), refused.message().contains("x-frontdesk-account")), (Code::InvalidArgument, true));
    assert!(fixture.account.list_deliveries().await.is_empty());
}

async fn x1_a_code_is_in_the_language_of_the_visitor(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let conversation = Conversation::new(&fixture, fixture.account.id);
    let id = request_id();
    let request = MailAddressCodeRequest {
        email: VERA.into(),
        request_id: id.clone(),
        language: "it-CH".into(),
        ..Default::default()
    };
    conversation.codes.clone().mail_address_code(conversation.acting_for("v", request)).await.unwrap();
    newest_code(&fixture).await;
    let delivery = fixture.account.list_deliveries().await.swap_remove(0);
    let mail = fixture.mail(&delivery.id);
    let mail = mail_parser::MessageParser::default().parse(mail.as_str()).unwrap();
    assert_eq!(mail.subject(), Some("Il tuo codice per la chat"));
    // A repeat by a release that sends no language is the same request.
    conversation.mail("v", VERA, &id).await.unwrap();
    assert_eq!(fixture.account.list_deliveries().await.len(), 1);
}

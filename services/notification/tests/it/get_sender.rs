//! `GetSender`.

use frontdesk_auth::CallerKind;
use frontdesk_proto::notification::v1::{
    DeleteSenderRequest, GetSenderRequest, Sender, sender_service_client::SenderServiceClient,
};
use frontdesk_testkit::{Calls, Mode, new_id, on_both_modes, reason};
use tonic::{Code, Status};

use crate::fixture::{ADDRESS, Fixture};

on_both_modes!(
    t5_a_sender_is_got_verified_or_not_and_not_once_it_is_deleted,
    s2_another_accounts_sender_and_an_unknown_one_do_not_exist,
);

async fn get(mut senders: SenderServiceClient<Calls>, id: &str) -> Result<Sender, Status> {
    let response = senders.get_sender(GetSenderRequest { sender_id: id.into() }).await?;
    Ok(response.into_inner().sender.unwrap())
}

async fn t5_a_sender_is_got_verified_or_not_and_not_once_it_is_deleted(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let account = &fixture.account;
    let unverified = account.create_sender("sales@acme.example", "1").await.unwrap().sender.unwrap();
    let verified = fixture.verified_fallback(ADDRESS).await;
    let agent = SenderServiceClient::new(fixture.service.calls(account.id, CallerKind::Agent, &new_id().to_string()));
    for sender in [unverified, verified.clone()] {
        assert_eq!(get(agent.clone(), &sender.id).await.unwrap(), sender);
    }
    account.senders().delete_sender(DeleteSenderRequest { sender_id: verified.id.clone() }).await.unwrap();
    let absent = get(agent, &verified.id).await.unwrap_err();
    assert_eq!((absent.code(), reason(&absent).as_str()), (Code::NotFound, "NOT_FOUND"));
}

async fn s2_another_accounts_sender_and_an_unknown_one_do_not_exist(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let sender = fixture.account.create_sender(ADDRESS, "1").await.unwrap().sender.unwrap();
    for (account, id) in [(fixture.other_account(), sender.id), (fixture.account.clone(), new_id().to_string())] {
        let absent = get(account.senders(), &id).await.unwrap_err();
        assert_eq!((absent.code(), reason(&absent).as_str()), (Code::NotFound, "NOT_FOUND"));
    }
}

//! Which calls are refused, whose limit the refusal names, and that others go on.

use frontdesk_api::has_reason;
use frontdesk_auth::Actor;
use frontdesk_db::AccountId;
use tonic_types::StatusExt;
use uuid::Uuid;

use super::*;

fn visitor() -> Caller {
    Caller { kind: CallerKind::Visitor, ..Caller::service("") }
}

#[test]
fn s4_an_overloaded_process_refuses_with_a_retry_delay_but_not_its_own_services() {
    let limiter = Limiter::new(&LimitSettings { in_flight: 1, ..LimitSettings::default() });
    assert!(!limiter.is_overloaded());
    let permit = limiter.acquire_call(&visitor()).unwrap();
    assert!(limiter.is_overloaded());
    let response = limiter.overloaded_response();
    for status in
        [Status::from_header_map(response.headers()).unwrap(), limiter.acquire_call(&visitor()).unwrap_err().into()]
    {
        assert!(status.code() == Code::ResourceExhausted && has_reason(&status, "OVERLOADED"), "{status:?}");
        let delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(OVERLOAD_RETRY_MS.contains(&(delay.as_millis() as u64)), "{delay:?}");
    }
    drop((limiter.acquire_call(&Caller::service("any")).unwrap(), permit));
    assert!(!limiter.is_overloaded());
    assert_eq!(limiter.overloaded_count.load(Ordering::Relaxed), 2, "both are counted for the report");
}

#[tokio::test(start_paused = true)]
async fn s4_only_a_connection_without_a_valid_token_is_closed_for_tokens_that_are_not_valid() {
    let limiter = Limiter::new(&LimitSettings { invalid_token_rate: 2, ..LimitSettings::default() });
    let peer = |address: [u8; 4]| PeerInfo { address: Some(address.into()), ..PeerInfo::default() };
    let (attacker, shared, other) = (peer([192, 0, 2, 1]), peer([192, 0, 2, 1]), peer([192, 0, 2, 2]));
    shared.is_authenticated.store(true, Ordering::Relaxed);
    (0..6).for_each(|_| limiter.count_invalid_token(&attacker));
    assert!(!attacker.close.is_cancelled() && limiter.check_new_token(&shared).is_ok(), "a burst of three seconds");
    for peer in [&attacker, &shared, &other] {
        limiter.count_invalid_token(peer);
    }
    assert!(attacker.close.is_cancelled() && !shared.close.is_cancelled() && !other.close.is_cancelled());
    let refused = Status::from(limiter.check_new_token(&shared).unwrap_err());
    assert!(has_reason(&refused, "RATE_LIMITED"), "{refused:?}");
    assert_eq!(refused.get_details_error_info().unwrap().metadata["whose"], "address");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait <= Duration::from_millis(500), "{wait:?}");
    tokio::time::sleep(wait).await;
    assert!(limiter.check_new_token(&shared).is_ok(), "after the retry delay its tokens are verified again");
}

#[tokio::test(start_paused = true)]
async fn s4_openings_of_streams_wait_and_take_no_permits_of_calls() {
    let limiter = Limiter::new(&LimitSettings { in_flight: 16, ..LimitSettings::default() });
    let openings = (0..500).map(|_| async {
        let opening = limiter.acquire_opening(&visitor()).await?;
        assert!(!limiter.is_overloaded(), "an opening takes no permit of calls");
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(opening);
        Ok::<_, ApiError>(())
    });
    assert!(futures::future::join_all(openings).await.iter().all(Result::is_ok));
    let _held =
        [limiter.acquire_opening(&visitor()).await.unwrap(), limiter.acquire_opening(&visitor()).await.unwrap()];
    let refused = Status::from(limiter.acquire_opening(&visitor()).await.unwrap_err());
    assert!(has_reason(&refused, "OVERLOADED"), "{refused:?}");
}

fn admin(account: u128) -> Caller {
    Caller { kind: CallerKind::Admin, account: AccountId(Uuid::from_u128(account)), ..Caller::service("") }
}

fn visitor_of(account: u128, id: &str) -> Caller {
    let actor = Actor { kind: CallerKind::Visitor, id: id.to_owned() };
    Caller { kind: CallerKind::Visitor, actor, ..admin(account) }
}

/// Whose maximum is reached, as the refusal says; and its text.
fn whose<T>(refused: Result<T, ApiError>) -> (String, String) {
    let status = Status::from(refused.err().unwrap());
    let wait = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(status.code() == Code::ResourceExhausted && !wait.is_zero(), "{status:?}");
    let whose = status.get_details_error_info().unwrap().metadata.get("whose").cloned();
    (whose.unwrap_or_else(|| "replica".into()), status.message().to_owned())
}

#[test]
fn s4_streams_are_limited_for_a_visitor_an_account_and_the_process() {
    let limiter = Limiter::new(&LimitSettings { streams: 8, visitor_streams: 2, ..LimitSettings::default() });
    let one = visitor_of(1, "one");
    let mut open = vec![limiter.acquire_stream(&one).unwrap(), limiter.acquire_stream(&one).unwrap()];
    let (holder, text) = whose(limiter.acquire_stream(&one));
    assert_eq!(
        (holder.as_str(), text.as_str()),
        ("caller", "your maximum of 2 open streams at this replica is reached; end one first")
    );
    open.push(limiter.acquire_stream(&visitor_of(1, "two")).unwrap());
    let (holder, text) = whose(limiter.acquire_stream(&visitor_of(1, "three")));
    assert!(holder == "account" && text.starts_with("your account's visitors' maximum of 3 open streams"), "{text}");
    // The rest of the account's part is for its team.
    open.push(limiter.acquire_stream(&admin(1)).unwrap());
    let (holder, text) = whose(limiter.acquire_stream(&admin(1)));
    assert!(holder == "account" && text.starts_with("your account's maximum of 4 open streams"), "{text}");
    open.extend((0..4).map(|_| limiter.acquire_stream(&admin(2)).unwrap()));
    assert_eq!(whose(limiter.acquire_stream(&admin(3))).0, "replica");
    drop(open);
    let services: Vec<_> = (0..6).map(|_| limiter.acquire_stream(&Caller::service("any"))).collect();
    assert!(services.iter().all(Result::is_ok), "services have no share");
}

#[test]
fn s4_streams_without_a_caller_are_limited_for_an_address() {
    let limiter = Limiter::new(&LimitSettings { reflection_streams_per_address: 1, ..LimitSettings::default() });
    let peer = |address: [u8; 4]| PeerInfo { address: Some(address.into()), ..PeerInfo::default() };
    let (attacker, other) = (peer([192, 0, 2, 1]), peer([192, 0, 2, 2]));
    let service = PeerInfo { service: Some("assignment".into()), ..attacker.clone() };
    let per_address = LimitSettings::default().health_watches_per_address;
    let _watches: Vec<_> = (0..per_address).map(|_| limiter.acquire_health_watch(Some(&attacker)).unwrap()).collect();
    let _stream = limiter.acquire_reflection_stream(Some(&attacker)).unwrap();
    for (refused, words) in [
        (limiter.acquire_health_watch(Some(&attacker)), "your address's maximum of 50 open watches"),
        (limiter.acquire_reflection_stream(Some(&attacker)), "your address's maximum of 1 open reflection streams"),
    ] {
        let (holder, text) = whose(refused);
        assert!(holder == "address" && text.starts_with(words), "{text}");
    }
    for peer in [Some(&other), Some(&service), None] {
        assert!(limiter.acquire_health_watch(peer).is_ok() && limiter.acquire_reflection_stream(peer).is_ok());
    }
}

#[test]
fn s4_messages_are_bounded_for_a_visitor_a_connection_an_account_and_the_process() {
    const MIB: usize = 1024 * 1024;
    let limiter = Limiter::new(&LimitSettings { unread_bytes: 64 * MIB, ..LimitSettings::default() });
    let mut held = Vec::new();
    // As many of a MiB as there is room for, and whose maximum is reached then.
    let mut fill = |is_request: bool, caller: &Caller, peer: &PeerInfo| {
        for number in 0.. {
            let permit = match is_request {
                true => Ok(limiter.request_permit(caller, Some(peer))),
                false => limiter.answer_permit(caller, peer).map(Option::unwrap),
            };
            match permit.and_then(|mut permit| limiter.hold(&mut permit, MIB).map(|()| permit)) {
                Ok(permit) => held.push(permit),
                Err(refused) => return (number, whose::<()>(Err(refused)).0),
            }
        }
        unreachable!()
    };
    let connection = PeerInfo::default;
    let result = |number, whose: &str| (number, whose.to_owned());
    for (is_request, of_visitor, of_connection, of_account) in [(true, 2, 4, 32), (false, 4, 16, 32)] {
        let shared = connection();
        assert_eq!(fill(is_request, &visitor_of(1, "one"), &shared), result(of_visitor, "caller"));
        assert_eq!(fill(is_request, &admin(2), &shared), result(of_connection - of_visitor, "connection"));
        assert_eq!(fill(is_request, &visitor_of(1, "one"), &connection()), result(0, "caller"));
        let mut others = 0;
        while others < of_account - of_visitor {
            others += fill(is_request, &admin(1), &connection()).0;
        }
        assert_eq!(fill(is_request, &admin(1), &connection()), result(0, "account"));
        for _ in 0..10 {
            fill(is_request, &admin(3), &connection());
        }
        assert_eq!(fill(is_request, &admin(4), &connection()).1, "replica");
    }
    let mut small = Vec::new();
    while let Ok(permit) = limiter.answer_permit(&visitor_of(5, "one"), &connection()) {
        small.push(limiter.hold_answer(permit.unwrap(), SMALL_MESSAGE).unwrap());
    }
    assert_eq!(small.len(), 4 * MIB / SMALL_MESSAGE, "small answers are not refused, but the visitor's next call is");
    let mut nested = limiter.request_permit(&Caller::service("any"), Some(&connection()));
    assert!(limiter.hold(&mut nested, MIB).is_ok(), "a request of a service has room");
    drop(held);
    let large = limiter.answer_permit(&visitor_of(1, "one"), &connection()).unwrap().unwrap();
    assert!(limiter.hold_answer(large, 5 * MIB).is_ok(), "one answer alone has room");
}

//! The consumer `bot-session.account_states`, and what it stops: rules X2, B4.

use std::time::Duration;

use frontdesk_db::AccountId;
use frontdesk_proto::{
    conversation::internal::v1::IdleOutcome,
    event::v1::{AccountState, AccountStateChanged, AccountStateConfirmed, Event},
};
use frontdesk_testkit::{Mode, new_id, on_both_modes, wait_until};

use crate::{
    fixture::{Fixture, event, new_account},
    flows::flow,
    timeouts::{Asked, serve_idle, timed_out},
};

on_both_modes!(
    x2_b4_no_timeout_closes_a_chat_of_a_suspended_account,
    x2_the_rows_of_an_account_that_has_ended_are_erased_and_no_others,
);

const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);
/// How long after an account has ended its rows are erased.
const ERASED_AFTER: Duration = Duration::from_secs(60);

/// The service has handled a change of the account's state.
async fn change(fixture: &Fixture, account: AccountId, state: AccountState, version: i32) {
    let changed = AccountStateChanged { account_job_id: new_id().to_string(), state: state.into() };
    fixture.publish_all(&[Event { version, ..event(account, &changed) }]).await;
    fixture.settled().await;
}

async fn x2_b4_no_timeout_closes_a_chat_of_a_suspended_account(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let asked = Asked::default();
    serve_idle(&fixture, &asked, Some((IdleOutcome::Closed, None)));
    let (ends, stays) = (new_account(), new_account());
    let bot = fixture.create_bot(ends, flow()).await;
    let suspended = fixture.start_chat(ends, &bot, Some(HALF_AN_HOUR)).await;
    let bot = fixture.create_bot(stays, flow()).await;
    let other = fixture.start_chat(stays, &bot, Some(HALF_AN_HOUR)).await;

    change(&fixture, ends, AccountState::Suspended, 1).await;
    fixture.clock.advance(HALF_AN_HOUR + Duration::from_secs(1)).unwrap();
    timed_out(&fixture, &other).await;
    assert_eq!(asked.times(&suspended), 0);

    change(&fixture, ends, AccountState::Active, 2).await;
    timed_out(&fixture, &suspended).await;
}

async fn x2_the_rows_of_an_account_that_has_ended_are_erased_and_no_others(mode: Mode) {
    let fixture = Fixture::start(mode).await;
    let (ends, stays) = (new_account(), new_account());
    let bot = fixture.create_bot(ends, flow()).await;
    fixture.start_chat(ends, &bot, None).await;
    let other = fixture.create_bot(stays, flow()).await;
    fixture.start_chat(stays, &other, None).await;
    change(&fixture, ends, AccountState::Suspended, 1).await;
    change(&fixture, ends, AccountState::Ended, 2).await;
    fixture.clock.advance(ERASED_AFTER).unwrap();
    let left = async |table: &str, account: AccountId| {
        let account = match mode {
            Mode::Embedded => format!("x'{}'", account.0.simple()),
            Mode::Distributed => format!("'{account}'"),
        };
        fixture.count(&format!("{table} WHERE account_id = {account}")).await
    };
    wait_until("the confirmation of the erasure", || async {
        fixture.events::<AccountStateConfirmed>().await.len() == 2
    })
    .await;
    for table in ["bots", "bot_flows", "bot_sessions", "requests"] {
        assert_eq!(left(table, ends).await, 0, "{table}");
    }
    for table in ["bots", "bot_flows", "bot_sessions", "requests"] {
        assert!(left(table, stays).await > 0, "{table}");
    }
    let confirmed = fixture.events::<AccountStateConfirmed>().await;
    let versions: Vec<i32> = confirmed.iter().map(|event| event.state_version).collect();
    assert_eq!(versions, [1, 2]);
    // An older change, and the same again, change nothing.
    change(&fixture, ends, AccountState::Suspended, 1).await;
    change(&fixture, ends, AccountState::Ended, 2).await;
    assert_eq!(fixture.events::<AccountStateConfirmed>().await.len(), 2);
    // An event that comes late makes no row.
    let late = fixture.new_chat(ends, &bot, None);
    fixture.publish(ends, &late.started).await;
    fixture.settled().await;
    assert_eq!((left("bot_sessions", ends).await, fixture.dead_letters().await.len()), (0, 0));
}

//! How long it takes to settle many timeouts that are due at once. A measurement: see docs/measurements.md.

use std::time::Instant;

use frontdesk_proto::conversation::internal::v1::{
    CloseIdleConversationsRequest, CloseIdleConversationsResponse, IdleOutcome, IdleResult,
};
use frontdesk_testkit::Mode;
use tonic::Request;

use crate::fixture::Fixture;

/// Number of sessions inserted by one statement.
const CHUNK: usize = 100_000;

/// Inserts open sessions of many accounts whose next check is at this time (microseconds).
async fn insert(fixture: &Fixture, sessions: usize, check_at: i64) {
    let mut rest = sessions;
    while rest > 0 {
        let rows = rest.min(CHUNK);
        fixture
            .execute(&format!(
                "INSERT INTO bot_sessions (id, account_id, bot_id, conversation_id, status, flow, last_sequence, turn, \
                    timeout_us, started_at, deadline_at, ask_at, version, flow_version) \
                 SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'OPEN', '', 0, 1, \
                    60000000, {check_at} - 60000000, {check_at}, {check_at}, 1, 1 FROM generate_series(1, {rows})"
            ))
            .await;
        rest -= rows;
    }
}

#[allow(clippy::print_stdout, reason = "the figures are the purpose")]
async fn settle(fixture: &Fixture, sessions: usize) {
    let now = fixture.clock.now().0;
    insert(fixture, sessions, now - 1).await;
    let started = Instant::now();
    let due = format!("bot_sessions WHERE status = 'OPEN' AND ask_at IS NOT NULL AND ask_at < {}", now + 60_000_000);
    while fixture.count(&due).await > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (took, calls) = (started.elapsed(), fixture.fake.calls::<CloseIdleConversationsRequest>());
    println!("{sessions} due at once: settled after {took:?}, {calls} calls so far");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of minutes"]
async fn b4_many_timeouts_due_at_once_beside_a_million_sessions() {
    let fixture = Fixture::start(Mode::Distributed).await;
    fixture.fake.on(|request: Request<CloseIdleConversationsRequest>| {
        let results = request.into_inner().conversations.into_iter().map(|idle| IdleResult {
            conversation_id: idle.conversation_id,
            outcome: IdleOutcome::Closed.into(),
            idle_time: None,
        });
        Ok(CloseIdleConversationsResponse { results: results.collect() })
    });
    settle(&fixture, 500).await;
    insert(&fixture, 1_000_000, fixture.clock.now().0 + 36_000_000_000).await;
    fixture.execute("ANALYZE bot_sessions").await;
    for sessions in [500, 500, 50_000] {
        settle(&fixture, sessions).await;
    }
}

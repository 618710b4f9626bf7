//! Durations of lookups, which must not reveal that an id exists.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use frontdesk_tests::{
    TestSuite, call_raw,
    fixture::{Declared, Fixture, methods, strings, with},
    new_id,
};
use prost_reflect::{MessageDescriptor, Value, prost::Message};
use tonic::Code;

use super::is_id;

/// A coarse comparison: a lookup that reads another account's row before it refuses would take as long as one that
/// succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_an_id_of_another_account_takes_no_longer_than_an_unknown_one() {
    const CALLS: usize = 200;
    const FLOOR: Duration = Duration::from_micros(400);
    let suite = TestSuite::start().await;
    let (one, two) = (suite.account().await, suite.account().await);
    tokio::join!(one.fallback_sender(), two.fallback_sender());
    let (ours, theirs) = tokio::join!(Fixture::new(one, "ourword"), Fixture::new(two, "theirword"));
    let one_id =
        |input: &MessageDescriptor| input.fields().filter(|field| is_id(field.name()) && !field.is_list()).count() == 1;
    let looked_up: Vec<Declared> = methods()
        .into_iter()
        .filter(|method| method.method.name().starts_with("Get") && one_id(&method.method.input()))
        .collect();
    assert!(looked_up.len() >= 8);
    let mut worst = HashMap::new();
    for method in &looked_up {
        let principal = method.principals[0];
        let caller = ours.caller(principal);
        let field_path = strings(&ours.request(&method.method)).remove(0);
        let time = async |id: &str| {
            let message = with(&ours.request(&method.method), &field_path, &Value::String(id.to_owned()));
            let began = Instant::now();
            let answer = call_raw(&caller, &method.path, ours.call(principal, &message.encode_to_vec())).await;
            assert_eq!(answer.unwrap_err().code(), Code::NotFound, "{}", method.path);
            began.elapsed()
        };
        // Up to three rounds, since other programs share the machine.
        let mut apart = Duration::MAX;
        for _ in 0..3 {
            let (mut foreign, mut absent) = (Vec::new(), Vec::new());
            for call in 0..CALLS {
                let (id, other) = (&theirs.ids[field_path[0].name()], new_id().to_string());
                if call % 2 == 0 {
                    foreign.push(time(id).await);
                    absent.push(time(&other).await);
                } else {
                    absent.push(time(&other).await);
                    foreign.push(time(id).await);
                }
            }
            let (foreign, absent) = (median(foreign), median(absent));
            let (short, long) = (foreign.min(absent), foreign.max(absent));
            apart = apart.min(long - short);
            worst.insert(method.method.name().to_owned(), (foreign, absent));
            if long <= short.mul_f64(1.5) || long - short < FLOOR {
                apart = Duration::ZERO;
                break;
            }
        }
        assert_eq!(apart, Duration::ZERO, "{}: {:?}", method.path, worst[method.method.name()]);
    }
    println!("medians of {CALLS} calls, for ids of another account and unknown ids: {worst:?}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

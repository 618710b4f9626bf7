//! Twenty equal calls at once: every method that changes something, by the descriptors, takes effect once.

use frontdesk_tests::{
    TestSuite,
    fixture::{Declared, Fixture, methods},
    reason,
};
use futures::future::join_all;
use prost_reflect::DynamicMessage;
use tonic::{Code, Status};

use super::repeats::{accepted, call, changes_without_request_id, fixture, lasting};

/// Number of calls at once.
const CALLS: usize = 20;

/// The answers to equal calls at once.
async fn answers(
    fixture: &Fixture,
    declared: &Declared,
    request: &DynamicMessage,
) -> Vec<Result<DynamicMessage, Status>> {
    join_all((0..CALLS).map(|_| call(fixture, declared, declared.principals[0], request))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_of_twenty_calls_at_once_with_one_request_id_each_gets_the_answer_of_one() {
    let suite = TestSuite::start().await;
    let fixture = fixture(&suite).await;
    let mut called = 0;
    for declared in methods() {
        let (name, at) = (declared.method.name(), &declared.path);
        // It would end the account of all other calls; the service's own tests call it twenty times at once.
        if declared.method.input().get_field_by_name("request_id").is_none() || name == "EndAccount" {
            continue;
        }
        let request = accepted(&fixture, &declared).await;
        let mut results = Vec::new();
        for answer in answers(&fixture, &declared, &request).await {
            results.push(lasting(&answer.unwrap_or_else(|status| panic!("{at}: {status:?}"))));
        }
        assert!(results.iter().all(|result| *result == results[0]), "{at}: {results:?}");
        called += 1;
    }
    assert!(called > 25, "{called}");
}

/// The versions of the resources in a response. Those that also change without a call are left out.
fn versions(response: &DynamicMessage) -> Vec<String> {
    let resources = response.fields().filter_map(|(field, value)| match field.name() {
        "conversation" => None,
        _ => value.as_message(),
    });
    resources
        .filter_map(|resource| resource.get_field_by_name("version").map(|version| format!("{version:?}")))
        .collect()
}

/// In which turn a method is called: what was deleted or deactivated comes back afterwards.
fn turn(method: &str) -> usize {
    ["Delete", "Undelete", "Deactivate", "Reactivate"]
        .iter()
        .position(|begin| method.starts_with(begin))
        .map_or(0, |position| position + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_of_twenty_calls_at_once_without_a_request_id_one_changes_a_resource() {
    let suite = TestSuite::start().await;
    let fixture = fixture(&suite).await;
    let mut changes = changes_without_request_id();
    changes.sort_by_key(|declared| turn(declared.method.name()));
    let mut versioned = Vec::new();
    for declared in &changes {
        let at = &declared.path;
        let request = fixture.request(&declared.method);
        let mut outcomes = Vec::new();
        for answer in answers(&fixture, declared, &request).await {
            outcomes.push(match answer {
                Ok(response) => Ok(versions(&response)),
                Err(status) => {
                    assert_eq!(status.code(), Code::FailedPrecondition, "{at}: {status:?}");
                    Err(reason(&status))
                }
            });
        }
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{at}: {outcomes:?}");
        if outcomes[0].as_ref().is_ok_and(|versions| !versions.is_empty()) {
            versioned.push(declared.method.name());
        }
    }
    println!("{versioned:?}");
    // Thirteen kinds of resources are updated; six of them are deleted and undeleted.
    assert!(versioned.len() >= 25, "{versioned:?}");
}

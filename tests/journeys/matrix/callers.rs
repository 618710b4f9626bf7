//! Kinds of callers that methods admit.

use std::time::Duration;

use frontdesk_auth::CallerKind;
use frontdesk_proto::auth::v1::Principal;
use frontdesk_tests::{
    As, TestSuite, call_raw,
    fixture::{Declared, methods},
    new_id, reason,
};
use tonic::{Code, Request};
use tonic_types::StatusExt;

const KINDS: [Principal; 6] =
    [Principal::Visitor, Principal::Agent, Principal::Bot, Principal::Service, Principal::Admin, Principal::Widget];

/// Every kind of caller sends an empty request: its refusal shows whether the caller was admitted.
#[tokio::test]
async fn s1_every_method_is_refused_to_kinds_of_callers_that_it_does_not_declare() {
    let suite = TestSuite::start().await;
    let (account, other) = (suite.account().await, suite.account().await);
    let subject = new_id().to_string();
    let minted = |kind: CallerKind, change: &dyn Fn(&mut frontdesk_auth::Claims)| {
        let subject = if kind == CallerKind::Visitor { "v" } else { &subject };
        let mut claims = account.keys.claims(account.id, kind, subject, Duration::from_secs(600));
        change(&mut claims);
        account.keys.mint(&claims).unwrap()
    };
    let kind = |principal: Principal| {
        [
            CallerKind::Visitor,
            CallerKind::Agent,
            CallerKind::Bot,
            CallerKind::Service,
            CallerKind::Admin,
            CallerKind::Widget,
        ]
        .into_iter()
        .find(|kind| kind.principal() == principal)
        .unwrap()
    };
    // For every kind of caller: an expired token, one that is not valid yet, one with the signature of another token.
    let mut strangers = vec![("no token", account.without_token()), ("not a token", account.with_token("not.a.token"))];
    for kind in KINDS.map(kind) {
        let past = minted(kind, &|claims| (claims.nbf, claims.exp) = (claims.nbf - 900, claims.nbf - 300));
        let early = minted(kind, &|claims| (claims.nbf, claims.exp) = (claims.nbf + 300, claims.exp + 900));
        let (good, another) = (minted(kind, &|_| {}), minted(kind, &|claims| claims.account = other.id));
        let (head, _) = another.rsplit_once('.').unwrap();
        let patched = format!("{head}.{}", good.rsplit_once('.').unwrap().1);
        strangers.push(("an expired token", account.with_token(&past)));
        strangers.push(("a token of tomorrow", account.with_token(&early)));
        strangers.push(("another token's signature", account.with_token(&patched)));
    }
    let all = account.keys.claims(account.id, CallerKind::Admin, "a", Duration::from_secs(60)).permissions;
    let known: Vec<(Principal, As)> = KINDS
        .into_iter()
        .map(|principal| {
            let permit = |claims: &mut frontdesk_auth::Claims| claims.permissions = all.clone();
            (principal, account.with_token(&minted(kind(principal), &permit)))
        })
        .collect();
    let mut calls = 0_usize;
    for Declared { path, principals, permission, .. } in methods() {
        for (who, caller) in &strangers {
            let refused = call_raw(caller, &path, Request::new(Vec::new())).await.unwrap_err();
            let refusal = (refused.code(), reason(&refused));
            assert_eq!(refusal, (Code::Unauthenticated, "NOT_AUTHENTICATED".into()), "{path} with {who}");
            calls += 1;
        }
        for (principal, caller) in &known {
            let refusal = call_raw(caller, &path, Request::new(Vec::new()))
                .await
                .err()
                .map(|status| (status.code(), reason(&status)));
            let code = refusal.as_ref().map(|(code, _)| *code);
            calls += 1;
            if principals.contains(principal) {
                let passed = !matches!(
                    code,
                    Some(Code::Unauthenticated | Code::Unimplemented | Code::PermissionDenied | Code::Internal)
                );
                assert!(passed, "{path} as {principal:?}: {refusal:?}");
            } else {
                assert_eq!(refusal, Some((Code::PermissionDenied, "NOT_PERMITTED".into())), "{path} as {principal:?}");
            }
        }
        for principal in principals.iter().filter(|principal| [Principal::Agent, Principal::Admin].contains(principal))
        {
            if permission.is_empty() {
                continue;
            }
            let kind = kind(*principal);
            let without = minted(kind, &|claims| {
                claims.permissions = all.iter().filter(|one| **one != permission).cloned().collect()
            });
            let only = minted(kind, &|claims| claims.permissions = vec![permission.clone()]);
            let refused = call_raw(&account.with_token(&without), &path, Request::new(Vec::new())).await.unwrap_err();
            let details = refused.get_details_error_info().unwrap();
            assert_eq!(
                (refused.code(), details.metadata["permission"].as_str()),
                (Code::PermissionDenied, permission.as_str()),
                "{path}"
            );
            let code = call_raw(&account.with_token(&only), &path, Request::new(Vec::new()))
                .await
                .err()
                .map(|status| status.code());
            assert!(!matches!(code, Some(Code::PermissionDenied | Code::Unauthenticated)), "{path} with {permission}");
            calls += 2;
        }
    }
    println!("{calls} calls of {} methods", methods().len());
}

//! Authenticates the caller of a call: by a token, or as a service by its connection.

use std::sync::atomic::Ordering;

use frontdesk_api::ApiError;
use frontdesk_auth::{ACCOUNT_HEADER, ACTOR_HEADER, Actor, Caller, CallerKind, Identity, TokenError};
use frontdesk_db::AccountId;
use frontdesk_proto::error::v1::Reason;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use tonic::Code;
use uuid::Uuid;

use super::limiter::Limiter;
use crate::PeerInfo;

/// The caller of a call with these headers on this connection. Fails with UNAUTHENTICATED, or UNAVAILABLE when the token cannot be
/// verified now. When its address sends too many tokens that are not valid, it closes the connection, or fails with
/// RESOURCE_EXHAUSTED for a token that has to be verified where the connection has carried a valid one.
pub(super) async fn authenticate(
    identity: &Identity,
    limiter: &Limiter,
    headers: &HeaderMap,
    peer: Option<&PeerInfo>,
) -> Result<Caller, ApiError> {
    let Some(token) = bearer_token(headers)? else {
        let service = peer.and_then(|peer| peer.service.as_deref());
        return service
            .map(Caller::service)
            .ok_or_else(|| unauthenticated("send a token in the metadata: authorization: Bearer <token>"));
    };
    let caller = match peer.map(|peer| limiter.check_new_token(peer)) {
        None | Some(Ok(())) => identity.authenticate(token).await,
        Some(Err(refusal)) => match identity.find_verified(token).await {
            Ok(None) => return Err(refusal),
            Ok(Some(caller)) => Ok(caller),
            Err(error) => Err(error),
        },
    };
    match (&caller, peer) {
        (Ok(_), Some(peer)) => peer.is_authenticated.store(true, Ordering::Relaxed),
        (Err(TokenError::Invalid(_) | TokenError::UnknownKey), Some(peer)) => limiter.count_invalid_token(peer),
        _ => {}
    }
    caller.map_err(|error| match error {
        TokenError::Invalid(_) | TokenError::UnknownKey | TokenError::NotInForce(_) => {
            unauthenticated(&error.to_string())
        }
        TokenError::Unavailable(_) => {
            tracing::warn!(%error, "a token cannot be verified");
            ApiError::unavailable("your token cannot be verified now; try again")
        }
    })
}

/// The token in the headers. None: there is none.
fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(unauthenticated("the authorization metadata must be sent once; this call has it more than once"));
    }
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, token) = token.ok_or_else(|| unauthenticated("the authorization metadata must be: Bearer <token>"))?;
    Ok(Some(token.trim()))
}

/// Reads for which account and actor a service acts. These headers count for services only (rule S5).
pub(super) fn apply_on_behalf_of(caller: &mut Caller, headers: &HeaderMap) -> Result<(), ApiError> {
    if caller.kind != CallerKind::Service {
        return Ok(());
    }
    if let Some(account) = headers.get(ACCOUNT_HEADER) {
        let account = account.to_str().ok().and_then(|text| text.parse::<Uuid>().ok());
        caller.account = AccountId(account.ok_or_else(|| unauthenticated("x-frontdesk-account must be a UUID"))?);
    }
    if let Some(actor) = headers.get(ACTOR_HEADER) {
        let actor =
            actor.to_str().ok().and_then(|text| percent_decode_str(text).decode_utf8().ok()?.parse::<Actor>().ok());
        caller.actor = actor.ok_or_else(|| unauthenticated("x-frontdesk-actor must be kind:id"))?;
    }
    Ok(())
}

fn unauthenticated(message: &str) -> ApiError {
    ApiError::shared(Code::Unauthenticated, Reason::NotAuthenticated, message)
}

//! Authenticates the caller of a call: by a token, or as a service by its connection.

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
/// verified now. Closes the connection when its address sends too many tokens that are not valid.
pub(super) async fn authenticate(
    identity: &Identity,
    limiter: &Limiter,
    headers: &HeaderMap,
    peer: Option<&PeerInfo>,
) -> Result<Caller, ApiError> {
    let Some(token) = headers.get(http::header::AUTHORIZATION) else {
        let service = peer.and_then(|peer| peer.service.as_deref());
        return service
            .map(Caller::service)
            .ok_or_else(|| unauthenticated("send a token in the metadata: authorization: Bearer <token>"));
    };
    let token = token
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .ok_or_else(|| unauthenticated("the authorization metadata must be: Bearer <token>"))?
        .1;
    identity.authenticate(token.trim()).await.map_err(|error| match error {
        TokenError::Invalid(_) | TokenError::UnknownKey => {
            if let Some(peer) = peer {
                limiter.count_invalid_token(peer);
            }
            unauthenticated(&error.to_string())
        }
        TokenError::Unavailable(_) => {
            tracing::warn!(%error, "a token cannot be verified");
            ApiError::unavailable("your token cannot be verified now; try again")
        }
    })
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

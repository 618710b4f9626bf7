//! Calls to our other services: as a service, for an account and an actor, with a deadline and the trace.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use frontdesk_auth::{ACCOUNT_HEADER, ACTOR_HEADER, AccountId, Actor, Keys, Kind};
use frontdesk_clock::Time;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{PeerError, Replicas, Tls, WithinProcess, deadline};

const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// Before and after now: replicas' clocks may be far apart, and whoever can mint such a token has the key anyway.
const TOKEN_VALID: Duration = Duration::from_secs(24 * 3600);

/// What a header cannot hold, or would lose; and the sign that stands for it.
const NOT_IN_A_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// A token, and when to make a new one.
type Minted = (MetadataValue<Ascii>, Time);

/// Another service of ours.
#[derive(Clone)]
pub struct Peer {
    replicas: Replicas,
    me: &'static str,
    /// The development key, where services are known by its tokens; elsewhere the connection says who calls.
    keys: Option<Keys>,
    token: Arc<Mutex<Option<Minted>>>,
}

impl Peer {
    /// A service that runs in this process, called by the service named `me`.
    pub fn within(process: &WithinProcess, me: &'static str) -> Self {
        Self { replicas: Replicas::within(process, me), keys: None, me, token: Arc::default() }
    }

    /// The service whose replicas are at these addresses, called by the service named `me`: it is known by its certificate
    /// where there is one, else by tokens of the development key.
    pub fn at(addresses: &str, me: &'static str, tls: Option<&Tls>, keys: Option<&Keys>) -> Result<Self, PeerError> {
        // Whom a certificate makes known sends no token.
        let keys = keys.filter(|_| !addresses.contains("https://")).cloned();
        Ok(Self { replicas: Replicas::new(addresses, tls)?, keys, me, token: Arc::default() })
    }

    /// A channel on which every call is for this account and actor.
    pub fn acting_for(&self, account: AccountId, actor: &Actor) -> InterceptedService<Replicas, ActingFor> {
        let acting = ActingFor { peer: self.clone(), account: account.to_string(), actor: actor.to_string() };
        InterceptedService::new(self.replicas.clone(), acting)
    }

    /// A channel on which every call is for this account by the service itself.
    pub fn for_account(&self, account: AccountId) -> InterceptedService<Replicas, ActingFor> {
        self.acting_for(account, &Actor { kind: Kind::Service, id: self.me.to_owned() })
    }

    fn token(&self) -> Result<Option<MetadataValue<Ascii>>, Status> {
        let Some(keys) = &self.keys else { return Ok(None) };
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let now = keys.clock().now();
        match &*token {
            Some((token, renew_at)) if now < *renew_at => Ok(Some(token.clone())),
            _ => {
                let mut claims = keys.claims(AccountId(Uuid::nil()), Kind::Service, self.me, TOKEN_VALID);
                claims.nbf -= i64::try_from(TOKEN_VALID.as_secs()).unwrap_or(0);
                let minted = keys.mint(&claims).map_err(|error| Status::internal(error.to_string()))?;
                let minted: MetadataValue<Ascii> =
                    format!("Bearer {minted}").parse().map_err(|_| Status::internal("a token that is no metadata"))?;
                *token = Some((minted.clone(), now.plus(TOKEN_VALID / 2)));
                Ok(Some(minted))
            }
        }
    }
}

/// Adds to each call who calls, for whom, by when and in which trace.
#[derive(Clone)]
pub struct ActingFor {
    peer: Peer,
    account: String,
    actor: String,
}

impl Interceptor for ActingFor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let ascii = |text: &str| text.parse().map_err(|_| Status::internal("an id that is no metadata"));
        // Who waits for us waits no longer than this; then the answer would find nobody.
        request.set_timeout(deadline::left().map_or(CALL_DEADLINE, |left| left.min(CALL_DEADLINE)));
        let token = self.peer.token()?;
        let metadata = request.metadata_mut();
        if let Some(token) = token {
            metadata.insert("authorization", token);
        }
        metadata.insert(ACCOUNT_HEADER, ascii(&self.account)?);
        metadata.insert(ACTOR_HEADER, ascii(&utf8_percent_encode(&self.actor, NOT_IN_A_HEADER).to_string())?);
        let traceparent = frontdesk_telemetry::traceparent();
        if !traceparent.is_empty() {
            metadata.insert("traceparent", ascii(&traceparent)?);
        }
        Ok(request)
    }
}

/// True: a service refused with this reason.
pub fn refused_with(status: &Status, reason: &str) -> bool {
    status.get_details_error_info().is_some_and(|info| info.reason == reason)
}

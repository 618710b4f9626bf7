//! Another service of ours, as its caller sees it: calls carry who calls, for which account and actor, a deadline, and the trace.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use frontdesk_api::deadlines;
use frontdesk_auth::{ACCOUNT_HEADER, ACTOR_HEADER, Actor, CallerKind, DevelopmentKey};
use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use frontdesk_transport::{InProcessConnector, Tls};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
};
use uuid::Uuid;

use crate::{Balancer, PeerError};

/// Time limit of a call to another service.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a token of this service is valid, before and after it was signed: the clocks of replicas may differ widely, and only a
/// holder of the development key can sign one.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);

/// Characters that are percent-encoded in metadata, which cannot hold them, and the percent sign.
const ENCODED_IN_METADATA: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// A token, and when to sign a new one.
type CachedToken = (MetadataValue<Ascii>, Time);

/// Another service of ours.
#[derive(Clone)]
pub struct Peer {
    balancer: Balancer,
    /// Name of the service that calls.
    caller: &'static str,
    /// The development key, where services are authenticated by its tokens. None: the connection authenticates the caller.
    keys: Option<DevelopmentKey>,
    token: Arc<Mutex<Option<CachedToken>>>,
}

impl Peer {
    /// A service in this process, called by the service named `caller`.
    pub fn in_process(connector: &InProcessConnector, caller: &'static str) -> Self {
        Self { balancer: Balancer::in_process(connector, caller), caller, keys: None, token: Arc::default() }
    }

    /// A service with replicas at these addresses, called by the service named `caller`, which is authenticated by its certificate
    /// where the addresses are https, else by tokens of the development key.
    pub fn remote(
        addresses: &str,
        caller: &'static str,
        tls: Option<&Tls>,
        keys: Option<&DevelopmentKey>,
    ) -> Result<Self, PeerError> {
        let keys = keys.filter(|_| !addresses.contains("https://")).cloned();
        Ok(Self { balancer: Balancer::try_new(addresses, tls)?, caller, keys, token: Arc::default() })
    }

    /// A channel whose calls are for this account and actor.
    pub fn acting_for(&self, account: AccountId, actor: &Actor) -> InterceptedService<Balancer, CallContext> {
        let context = CallContext { peer: self.clone(), account: account.to_string(), actor: actor.to_string() };
        InterceptedService::new(self.balancer.clone(), context)
    }

    /// A channel whose calls are for this account, by the calling service itself.
    pub fn for_account(&self, account: AccountId) -> InterceptedService<Balancer, CallContext> {
        self.acting_for(account, &Actor { kind: CallerKind::Service, id: self.caller.to_owned() })
    }

    /// The token of the calling service; signed again after half of its time.
    fn token(&self) -> Result<Option<MetadataValue<Ascii>>, Status> {
        let Some(keys) = &self.keys else { return Ok(None) };
        let mut cached = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let now = keys.clock().now();
        if let Some((token, renew_at)) = &*cached
            && now < *renew_at
        {
            return Ok(Some(token.clone()));
        }
        let mut claims = keys.claims(AccountId(Uuid::nil()), CallerKind::Service, self.caller, TOKEN_TTL);
        claims.nbf -= i64::try_from(TOKEN_TTL.as_secs()).unwrap_or(0);
        let token = keys.mint(&claims).map_err(|error| Status::internal(error.to_string()))?;
        let token = metadata(&format!("Bearer {token}"))?;
        *cached = Some((token.clone(), now.plus(TOKEN_TTL / 2)));
        Ok(Some(token))
    }
}

/// Adds to each call who calls, for whom, the deadline and the trace.
#[derive(Clone)]
pub struct CallContext {
    peer: Peer,
    account: String,
    actor: String,
}

impl Interceptor for CallContext {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // A nested call ends with the call that waits for it.
        request.set_timeout(deadlines::remaining().map_or(CALL_TIMEOUT, |left| left.min(CALL_TIMEOUT)));
        let token = self.peer.token()?;
        let headers = request.metadata_mut();
        if let Some(token) = token {
            headers.insert("authorization", token);
        }
        headers.insert(ACCOUNT_HEADER, metadata(&self.account)?);
        headers.insert(ACTOR_HEADER, metadata(&utf8_percent_encode(&self.actor, ENCODED_IN_METADATA).to_string())?);
        let traceparent = frontdesk_telemetry::traceparent();
        if !traceparent.is_empty() {
            headers.insert("traceparent", metadata(&traceparent)?);
        }
        Ok(request)
    }
}

fn metadata(text: &str) -> Result<MetadataValue<Ascii>, Status> {
    text.parse().map_err(|_| Status::internal("a value that gRPC metadata cannot hold"))
}

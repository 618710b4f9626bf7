//! A service, as its callers see it: each call carries the caller, the account and actor that it acts for, a deadline, and the trace.

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

/// A service that this one calls.
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
        InterceptedService::new(self.balancer.clone(), self.context(account, actor))
    }

    /// A channel whose calls are for this account, by the calling service itself.
    pub fn for_account(&self, account: AccountId) -> InterceptedService<Balancer, CallContext> {
        self.acting_for(account, &Actor { kind: CallerKind::Service, id: self.caller.to_owned() })
    }

    fn context(&self, account: AccountId, actor: &Actor) -> CallContext {
        CallContext { peer: self.clone(), account: account.to_string(), actor: actor.to_string() }
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

/// Adds the caller, the account and actor, the deadline and the trace to each call.
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

#[cfg(test)]
mod tests {
    use frontdesk_api::deadlines::{CallDeadlines, StreamEndReason};
    use frontdesk_clock::Clock;
    use tokio::time::Instant;
    use tonic::metadata::MetadataMap;

    use super::*;

    /// The metadata of a call for account 7 by an agent with an unusual id.
    fn call(peer: &Peer) -> MetadataMap {
        let actor = Actor { kind: CallerKind::Agent, id: "100 % é".into() };
        let mut context = peer.context(AccountId(Uuid::from_u128(7)), &actor);
        context.call(Request::new(())).unwrap().metadata().clone()
    }

    fn timeout(metadata: &MetadataMap) -> Duration {
        let micros = metadata.get("grpc-timeout").unwrap().to_str().unwrap().strip_suffix('u');
        Duration::from_micros(micros.unwrap().parse().unwrap())
    }

    #[tokio::test]
    async fn s5_a_call_carries_account_and_actor_and_no_token_where_the_connection_authenticates() {
        let metadata = call(&Peer::in_process(&InProcessConnector::new().0, "assignment"));
        assert_eq!(metadata.get(ACCOUNT_HEADER).unwrap(), Uuid::from_u128(7).to_string().as_str());
        assert_eq!(metadata.get(ACTOR_HEADER).unwrap(), "agent:100%20%25%20%C3%A9");
        assert!(metadata.get("authorization").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn r3_a_nested_call_ends_with_the_call_that_waits_for_it() {
        let peer = Peer::in_process(&InProcessConnector::new().0, "assignment");
        assert_eq!(timeout(&call(&peer)), CALL_TIMEOUT);
        for (left, nested) in [(Duration::from_secs(3), Duration::from_secs(3)), (CALL_TIMEOUT * 2, CALL_TIMEOUT)] {
            let end = Instant::now() + left;
            let deadlines = CallDeadlines { answer: end, stream: end, stream_end: StreamEndReason::Deadline };
            assert_eq!(timeout(&deadlines::scope(deadlines, async { call(&peer) }).await), nested);
        }
    }

    #[tokio::test]
    async fn s5_with_the_development_key_calls_carry_a_token_of_the_service() {
        let folder = tempfile::tempdir().unwrap();
        let key = DevelopmentKey::load_or_create(&folder.path().join("key"), &Clock::system()).unwrap();
        let peer = Peer::remote("http://127.0.0.1:1", "assignment", None, Some(&key)).unwrap();
        let [first, second] = [call(&peer), call(&peer)].map(|metadata| metadata.get("authorization").unwrap().clone());
        assert_eq!(first, second, "it is signed once");
        let caller = key.verify(first.to_str().unwrap().strip_prefix("Bearer ").unwrap()).unwrap();
        assert_eq!((caller.kind, caller.actor.id.as_str()), (CallerKind::Service, "assignment"));
    }
}

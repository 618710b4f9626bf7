//! A bucket of an S3-compatible object store.

use std::{
    fs, io,
    net::IpAddr,
    ops::Range,
    time::{Duration, SystemTime},
};

use frontdesk_db::AccountId;
use frontdesk_settings::Secret;
use futures::{StreamExt, stream::BoxStream};
use http::Uri;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, ObjectMeta, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use uuid::Uuid;

use super::{ObjectKey, maybe_left};

/// How long the server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may take to answer a request, with up to a part in it, and to send the next bytes of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of times that a failed request is repeated.
const MAX_RETRIES: usize = 3;
/// How long after its beginning a failed request is repeated: the client waits for it.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// A bucket, and how it is reached.
pub(crate) struct Bucket {
    pub(crate) name: String,
    /// Address of the server. Empty: that of Amazon in the region.
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: Secret,
    /// A PEM file with certificate authorities to trust besides the system's. Empty: none.
    pub(crate) ca_path: String,
}

impl Bucket {
    /// Its store. No request is made. The error begins with the name of the setting that cannot be used.
    pub(super) fn open(&self) -> Result<AmazonS3, String> {
        if self.access_key_id.is_empty() || self.secret_access_key.is_empty() {
            return Err("access_key_id and secret_access_key must be set".into());
        }
        let retry =
            RetryConfig { backoff: BackoffConfig::default(), max_retries: MAX_RETRIES, retry_timeout: RETRY_TIMEOUT };
        let mut store = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key_id)
            .with_secret_access_key(self.secret_access_key.expose())
            .with_client_options(self.client_options()?)
            .with_retry(retry)
            // Not every server has a request that deletes several objects.
            .with_disable_bulk_delete(true);
        if !self.endpoint.is_empty() {
            store = store.with_endpoint(&self.endpoint);
        }
        store.build().map_err(|error| format!("bucket: {error}"))
    }

    fn client_options(&self) -> Result<ClientOptions, String> {
        // A download has no time limit here: a slow client has its own.
        let mut options = ClientOptions::new()
            .with_allow_http(is_without_tls(&self.endpoint)?)
            .with_timeout_disabled()
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(READ_TIMEOUT);
        if !self.ca_path.is_empty() {
            let invalid = |reason: String| format!("ca_path {}: {reason}", self.ca_path);
            let pem = fs::read(&self.ca_path).map_err(|error| invalid(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| invalid(error.to_string()))?;
            if certificates.is_empty() {
                return Err(invalid("it has no certificate in PEM".into()));
            }
            for certificate in certificates {
                options = options.with_root_certificate(certificate);
            }
        }
        Ok(options)
    }
}

/// Whether the endpoint is reached without TLS, which it may be on this machine only.
fn is_without_tls(endpoint: &str) -> Result<bool, String> {
    if endpoint.is_empty() {
        return Ok(false);
    }
    let uri = endpoint.parse::<Uri>().unwrap_or_default();
    let has_password = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) if !has_password => Ok(false),
        (Some("http"), Some(host)) if !has_password && is_loopback(host) => Ok(true),
        _ => Err("endpoint: must be an https address such as https://s3.example:9000, or an http address on this machine: what people \
                  attach travels to it"
            .into()),
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The objects that uploads may have left ([`maybe_left`]). A bucket lists its objects in the order of their paths, so those of an
/// attachment together.
pub(super) async fn list_left(
    mut objects: BoxStream<'static, object_store::Result<ObjectMeta>>,
    ages: &Range<Duration>,
) -> io::Result<Vec<ObjectKey>> {
    let (mut left, mut of_attachment) = (Vec::new(), Vec::<(ObjectKey, SystemTime)>::new());
    while let Some(object) = objects.next().await {
        let object = object.map_err(io::Error::other)?;
        // What else is in the bucket stays.
        let Some(key) = key(&object.location) else { continue };
        if of_attachment.first().is_some_and(|(first, _)| first.attachment != key.attachment) {
            left.extend(maybe_left(std::mem::take(&mut of_attachment), ages));
        }
        of_attachment.push((key, object.last_modified.into()));
    }
    left.extend(maybe_left(of_attachment, ages));
    Ok(left)
}

fn key(path: &Path) -> Option<ObjectKey> {
    let ids: Option<Vec<Uuid>> = path.parts().map(|part| Uuid::parse_str(part.as_ref()).ok()).collect();
    let [account, attachment, object]: [Uuid; 3] = ids?.try_into().ok()?;
    Some(ObjectKey { account: AccountId(account), attachment, object })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};

    use super::{
        super::{
            Kind, Objects,
            tests::{key, write},
        },
        *,
    };

    #[tokio::test]
    async fn i25_of_the_objects_in_a_bucket_those_that_uploads_may_have_left_are_listed() {
        let store = Arc::new(InMemory::new());
        let objects = Objects { store: store.clone(), kind: Kind::Bucket };
        for (attachment, object) in [(1, 1), (2, 1), (2, 2), (3, 1)] {
            write(&objects, key(attachment, object)).await.complete().await.unwrap();
        }
        store.put(&Path::from("somebody/else"), "x".into()).await.unwrap();
        let ages = Duration::ZERO..Duration::ZERO;
        assert_eq!(list_left(store.list(None), &ages).await.unwrap(), [key(2, 1), key(2, 2)]);
        let ages = Duration::ZERO..Duration::MAX;
        assert_eq!(list_left(store.list(None), &ages).await.unwrap().len(), 4);
        assert_eq!(objects.remove_parts().await.unwrap(), [], "they may be of uploads in progress");
    }

    #[test]
    fn s4_an_endpoint_beyond_this_machine_is_reached_with_tls_only() {
        for (endpoint, without_tls) in [
            ("", false),
            ("https://s3.example:9000", false),
            ("http://localhost:9000", true),
            ("http://127.0.0.1:9000/", true),
            ("http://[::1]:9000", true),
        ] {
            assert_eq!(is_without_tls(endpoint), Ok(without_tls), "{endpoint}");
        }
        for endpoint in ["http://s3.example", "s3.example", "https://key:secret@s3.example", "ftp://localhost", "x y"] {
            let refused = is_without_tls(endpoint).unwrap_err();
            assert!(refused.starts_with("endpoint: must be an https address"), "{endpoint}: {refused}");
        }
    }

    #[test]
    fn s4_a_bucket_without_keys_or_with_an_unreadable_authority_is_refused() {
        let bucket = |access_key_id: &str, ca_path: &str| Bucket {
            name: "files".into(),
            endpoint: String::new(),
            region: "us-east-1".into(),
            access_key_id: access_key_id.into(),
            secret_access_key: "secret".to_owned().into(),
            ca_path: ca_path.into(),
        };
        let refused = |bucket: Bucket| bucket.open().map(drop).unwrap_err();
        assert!(refused(bucket("", "")).starts_with("access_key_id"));
        assert!(refused(bucket("key", "/nowhere.pem")).starts_with("ca_path /nowhere.pem: "));
    }
}

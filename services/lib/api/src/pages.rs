//! Page tokens: where the next page begins, signed and bound to caller, method and filter.

use std::time::Duration;

use frontdesk_auth::{Caller, Keyring};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tonic::Status;

use crate::{ApiError, FieldError};

/// How long a page token is valid.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// Number of rows of a page when the request does not say.
const DEFAULT_PAGE_SIZE: u64 = 50;

/// Signs and verifies page tokens.
#[derive(Clone)]
pub struct Pages(Keyring);

/// The requested page: `size` rows after `cursor`.
#[derive(Debug)]
pub struct Page<C> {
    /// The last row of the previous page. None: the first page.
    pub cursor: Option<C>,
    /// Maximum number of rows.
    pub size: u64,
    /// What the page token is bound to.
    audience: String,
}

impl Pages {
    /// Page tokens signed with the installation's secret.
    pub fn new(keyring: Keyring) -> Self {
        Self(keyring)
    }

    /// Reads which page a list request asks for. `filter` is the request without its page token and size.
    ///
    /// Fails with INVALID_ARGUMENT when the token is not one of the same caller, method and filter, or has expired.
    pub fn read_request<C: DeserializeOwned, M: prost::Message + prost::Name>(
        &self,
        caller: &Caller,
        filter: &M,
        page_size: i32,
        page_token: &str,
    ) -> Result<Page<C>, Status> {
        let audience = audience(caller, filter);
        let cursor = match page_token {
            "" => None,
            token => Some(self.0.open(token, &audience).map_err(|_| invalid_token())?),
        };
        let size = u64::try_from(page_size).ok().filter(|size| *size > 0).unwrap_or(DEFAULT_PAGE_SIZE);
        Ok(Page { cursor, size, audience })
    }

    /// Removes the extra row, which the query read to find out whether another page follows, and returns that page's token;
    /// empty on the last page.
    pub fn next_page_token<C: Serialize, T>(
        &self,
        page: Page<C>,
        rows: &mut Vec<T>,
        cursor: impl Fn(&T) -> C,
    ) -> Result<String, Status> {
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        if rows.len() <= size {
            return Ok(String::new());
        }
        rows.truncate(size);
        let Some(last) = rows.last() else { return Ok(String::new()) };
        self.0.sign(&page.audience, TOKEN_TTL, &cursor(last)).map_err(|error| ApiError::internal(&error).into())
    }
}

/// A digest of caller, method and filter: the token of another list is not valid here.
fn audience<M: prost::Message + prost::Name>(caller: &Caller, filter: &M) -> String {
    let mut digest = Sha256::new();
    for part in [M::full_name().as_bytes(), caller.account.0.as_bytes(), caller.actor.to_string().as_bytes()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.update(filter.encode_to_vec());
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn invalid_token() -> ApiError {
    let remedy = "must be the next_page_token of the same call with the same filters, at most a day old; \
                  leave it empty to begin with the first page";
    ApiError::fields(vec![FieldError::new("page_token", remedy)])
}

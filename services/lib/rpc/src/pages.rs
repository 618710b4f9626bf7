//! Page tokens: where the next page begins, signed and bound to caller, method and filter.

use std::time::Duration;

use frontdesk_auth::{Caller, Keyring};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tonic::Status;

use crate::{Field, Refusal};

const VALID: Duration = Duration::from_secs(24 * 3600);

/// Makes and reads page tokens.
#[derive(Clone)]
pub struct Pages(Keyring);

/// What page is asked for: after `cursor`, of `size` rows.
#[derive(Debug)]
pub struct Page<C> {
    /// The last row of the page before; None: the first page.
    pub cursor: Option<C>,
    /// So many rows.
    pub size: u64,
    audience: String,
}

impl Pages {
    /// Page tokens signed with the installation's secret.
    pub fn new(keyring: Keyring) -> Self {
        Self(keyring)
    }

    /// Reads what page a list call asks for. `filter` is the request without its page token and size.
    pub fn open<C: DeserializeOwned, M: prost::Message + prost::Name>(
        &self,
        caller: &Caller,
        filter: &M,
        page_size: i32,
        page_token: &str,
    ) -> Result<Page<C>, Status> {
        let mut bound = Sha256::new();
        for part in [M::full_name().as_bytes(), caller.account.0.as_bytes(), caller.actor.to_string().as_bytes()] {
            bound.update((part.len() as u64).to_be_bytes());
            bound.update(part);
        }
        bound.update(filter.encode_to_vec());
        let audience: String = bound.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let cursor = if page_token.is_empty() {
            None
        } else {
            let cursor = self.0.open(page_token, &audience).map_err(|_| {
                let remedy = "must be the next_page_token of the same call with the same filters, at most a day old; \
                              leave it empty to begin anew";
                Refusal::fields(vec![Field::new("page_token", remedy)])
            })?;
            Some(cursor)
        };
        let size = if page_size == 0 { 50 } else { u64::try_from(page_size).unwrap_or(50) };
        Ok(Page { cursor, size, audience })
    }

    /// Cuts the extra row off that was read to know whether there is more, and makes the token of the next page.
    pub fn close<C: Serialize, T>(
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
        self.0.sign(&page.audience, VALID, &cursor(last)).map_err(|error| Refusal::internal(&error).into())
    }
}

//! Page tokens: where the next page begins, signed and bound to caller, method and filter.

use std::time::Duration;

use frontdesk_auth::{Caller, InstallationSecret};
use frontdesk_db::AccountId;
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tonic::Status;

use crate::{ApiError, FieldError};

/// How long a page token or a cursor is valid.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 3600);
/// How long a cursor of an account is valid: what it names is gone long before.
const ACCOUNT_CURSOR_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Number of rows of a page when the request does not say.
const DEFAULT_PAGE_SIZE: usize = 50;
/// Maximum number of rows of a page.
const MAX_PAGE_SIZE: usize = 200;
/// Maximum size of the rows of a page (bytes), unless one row alone is larger.
const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Number of rows of a page: the requested one, reduced to `max`; `default` if it is 0.
pub fn page_size(requested: i32, default: usize, max: usize) -> usize {
    usize::try_from(requested).ok().filter(|size| *size > 0).map_or(default, |size| size.min(max))
}

/// Signs and verifies page tokens.
#[derive(Clone)]
pub struct Pages(InstallationSecret);

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
    pub fn new(installation_secret: InstallationSecret) -> Self {
        Self(installation_secret)
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
            token => Some(self.0.verify(token, &audience).map_err(|_| invalid_token())?),
        };
        let size = self::page_size(page_size, DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE) as u64;
        Ok(Page { cursor, size, audience })
    }

    /// The signer of the cursors of a watch. `filter` is its request without the cursor.
    pub fn cursor_signer<M: prost::Message + prost::Name>(&self, caller: &Caller, filter: &M) -> CursorSigner {
        let remedy = "must be a cursor of the same inbox for the same caller, at most a day old; list again, and watch with \
                      its watch_cursor";
        CursorSigner { secret: self.0.clone(), audience: audience(caller, filter), valid: TOKEN_TTL, remedy }
    }

    /// The signer of cursors that each caller of the account may use, with any filter and at any time. `of`: what they are cursors of.
    pub fn account_cursor_signer(&self, account: AccountId, of: &str) -> CursorSigner {
        let remedy =
            "must be a cursor that the same method sent in the same account, unchanged; leave it empty to begin anew";
        let audience = digest([b"cursor of an account".as_slice(), of.as_bytes(), account.0.as_bytes()], &[]);
        CursorSigner { secret: self.0.clone(), audience, valid: ACCOUNT_CURSOR_TTL, remedy }
    }

    /// Removes the extra row, which the query read to find out whether another page follows, and returns that page's token;
    /// empty on the last page.
    pub fn next_page_token<C: Serialize, T>(
        &self,
        page: Page<C>,
        rows: &mut Vec<T>,
        cursor: impl Fn(&T) -> C,
    ) -> Result<String, Status> {
        self.next_page_token_within(page, rows, |_| 0, cursor)
    }

    /// The same, and ends the page before 1 MiB, at the earliest after its first row. `bytes` is the size of a row.
    pub fn next_page_token_within<C: Serialize, T>(
        &self,
        page: Page<C>,
        rows: &mut Vec<T>,
        bytes: impl Fn(&T) -> usize,
        cursor: impl Fn(&T) -> C,
    ) -> Result<String, Status> {
        let mut total = 0;
        let fitting = rows.iter().take_while(|row| {
            total += bytes(row);
            total <= MAX_PAGE_BYTES
        });
        let size = fitting.count().max(1).min(usize::try_from(page.size).unwrap_or(usize::MAX));
        if rows.len() <= size {
            return Ok(String::new());
        }
        rows.truncate(size);
        let Some(last) = rows.last() else { return Ok(String::new()) };
        self.page_token(&page, &cursor(last))
    }

    /// The token of a page that begins after `cursor`, with the filters of `page`: for a query that says itself where it ended.
    pub fn page_token<C: Serialize>(&self, page: &Page<C>, cursor: &C) -> Result<String, Status> {
        self.0.sign(&page.audience, TOKEN_TTL, cursor).map_err(|error| ApiError::internal(&error).into())
    }
}

/// Signs and verifies the cursors of the watches of one caller, method and filter, or of one account.
pub struct CursorSigner {
    secret: InstallationSecret,
    audience: String,
    /// How long a cursor is valid.
    valid: Duration,
    /// What a cursor must be.
    remedy: &'static str,
}

impl CursorSigner {
    /// The cursor as the client sends it back.
    pub fn sign<C: Serialize>(&self, cursor: &C) -> Result<String, Status> {
        self.secret.sign(&self.audience, self.valid, cursor).map_err(|error| ApiError::internal(&error).into())
    }

    /// The cursor that the client sent back. None: it is empty.
    ///
    /// Fails with INVALID_ARGUMENT when it is not one of this signer, or has expired.
    pub fn verify<C: DeserializeOwned>(&self, cursor: &str) -> Result<Option<C>, Status> {
        if cursor.is_empty() {
            return Ok(None);
        }
        let verified = self.secret.verify(cursor, &self.audience);
        verified.map(Some).map_err(|_| ApiError::fields(vec![FieldError::new("cursor", self.remedy)]).into())
    }
}

/// A digest of caller, method and filter: the token of another list is not valid here.
fn audience<M: prost::Message + prost::Name>(caller: &Caller, filter: &M) -> String {
    let actor = caller.actor.to_string();
    digest([M::full_name().as_bytes(), caller.account.0.as_bytes(), actor.as_bytes()], &filter.encode_to_vec())
}

/// A digest of the parts, each with its length, and of the rest, in hexadecimal digits.
fn digest(parts: [&[u8]; 3], rest: &[u8]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.update(rest);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn invalid_token() -> ApiError {
    let remedy = "must be the next_page_token of the same call by the same caller with the same filters, at most a day old; \
                  leave it empty to begin with the first page";
    ApiError::fields(vec![FieldError::new("page_token", remedy)])
}

#[cfg(test)]
mod tests {
    use frontdesk_auth::DevelopmentKey;
    use frontdesk_clock::Clock;
    use frontdesk_proto::{assignment::v1::ListAgentsRequest, botsession::v1::ListBotsRequest};
    use uuid::Uuid;

    use super::*;

    fn pages() -> Pages {
        let folder = tempfile::tempdir().unwrap();
        let keys = DevelopmentKey::load_or_create(&folder.path().join("key"), &Clock::system()).unwrap();
        Pages::new(keys.installation_secret().clone())
    }

    fn caller(account: u128) -> Caller {
        Caller { account: AccountId(Uuid::from_u128(account)), ..Caller::service("test") }
    }

    #[test]
    fn c9_pages_continue_after_the_last_row_until_there_are_no_more() {
        let (pages, caller, filter) = (pages(), caller(1), ListBotsRequest::default());
        let (mut token, mut all) = (String::new(), Vec::new());
        loop {
            let page = pages.read_request::<u64, _>(&caller, &filter, 2, &token).unwrap();
            assert_eq!(page.size, 2);
            let after = page.cursor.unwrap_or(0);
            let mut rows: Vec<u64> = (after + 1..=5).take(3).collect();
            token = pages.next_page_token(page, &mut rows, |row| *row).unwrap();
            all.extend(rows);
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(all, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn c9_a_page_size_above_the_maximum_is_reduced_and_a_page_ends_at_its_size_in_bytes() {
        assert_eq!([0, 7, 5_000, -1].map(|requested| page_size(requested, 50, 200)), [50, 7, 200, 50]);
        let (pages, filter) = (pages(), ListBotsRequest::default());
        let page = || pages.read_request::<usize, _>(&caller(1), &filter, 10_000, "").unwrap();
        assert_eq!(page().size, MAX_PAGE_SIZE as u64);
        let next =
            |rows: &mut Vec<usize>| pages.next_page_token_within(page(), rows, |bytes| *bytes, |row| *row).unwrap();
        for (sizes, kept) in [
            (vec![MAX_PAGE_BYTES / 2, MAX_PAGE_BYTES / 2, 1], 2),
            (vec![MAX_PAGE_BYTES + 1, 1], 1),
            (vec![MAX_PAGE_BYTES + 1], 1),
            (vec![1, 1], 2),
        ] {
            let (mut rows, all) = (sizes.clone(), sizes.len());
            let token = next(&mut rows);
            assert_eq!((rows.len(), token.is_empty()), (kept, kept == all), "{sizes:?}");
        }
    }

    #[test]
    fn c9_a_page_token_is_valid_for_the_same_caller_method_and_filter_only() {
        let (pages, filter) = (pages(), ListBotsRequest::default());
        let page = pages.read_request::<u64, _>(&caller(1), &filter, 0, "").unwrap();
        assert_eq!((page.cursor, page.size), (None, DEFAULT_PAGE_SIZE as u64));
        let token = pages.next_page_token(page, &mut (1..=51).collect(), |row: &u64| *row).unwrap();
        let read = |caller, filter: &ListBotsRequest, token: &str| {
            pages.read_request::<u64, _>(&caller, filter, 0, token).map(|page| page.cursor)
        };
        assert_eq!(read(caller(1), &filter, &token).unwrap(), Some(50));
        let other_actor = Caller::service("other");
        let other_actor = Caller { actor: other_actor.actor, ..caller(1) };
        let other_filter = ListBotsRequest { page_size: 7, ..filter.clone() };
        for (caller, filter, token) in [
            (caller(2), &filter, token.as_str()),
            (other_actor, &filter, token.as_str()),
            (caller(1), &other_filter, token.as_str()),
            (caller(1), &filter, "no token"),
        ] {
            let status = read(caller, filter, token).unwrap_err();
            assert!(status.message().contains("page_token: must be the next_page_token"), "{status:?}");
        }
        let other_method = pages.read_request::<u64, _>(&caller(1), &ListAgentsRequest::default(), 0, &token);
        assert!(other_method.is_err());
    }

    #[test]
    fn s2_a_cursor_of_an_account_is_valid_in_it_for_what_it_was_signed_for_only() {
        let pages = pages();
        let signer = |account: u128, of: &str| pages.account_cursor_signer(AccountId(Uuid::from_u128(account)), of);
        let cursor = signer(1, "these").sign(&7).unwrap();
        assert_eq!(signer(1, "these").verify::<i64>(&cursor).unwrap(), Some(7));
        assert_eq!(signer(1, "these").verify::<i64>("").unwrap(), None);
        for other in [signer(2, "these"), signer(1, "those")] {
            let status = other.verify::<i64>(&cursor).unwrap_err();
            assert!(status.message().contains("cursor: must be a cursor that the same method sent"), "{status:?}");
        }
    }

    #[test]
    fn s8_no_page_token_that_another_made_is_accepted() {
        const PIECES: &[&str] = &[".", "eyJ", "eyJhbGciOiJIUzI1NiJ9", "e30", "=", "-", "_", "AAAA", "null"];
        let (caller, filter) = (caller(1), ListBotsRequest::default());
        let pages = std::panic::AssertUnwindSafe(pages());
        frontdesk_fuzz::check!().with_generator(frontdesk_fuzz::text(PIECES, 24)).for_each(|token| {
            let read = pages.read_request::<serde_json::Value, _>(&caller, &filter, 2, token);
            assert_eq!(read.is_ok(), token.is_empty(), "{token}");
        });
    }
}

//! What an issuer publishes, for its operator.

use tokio_util::task::TaskTracker;

use crate::{
    issuer::Issuer,
    settings::{IdentityError, IssuerSettings},
};

/// The key set of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKeys {
    /// Number of keys that tokens can be signed with.
    pub usable: usize,
    /// Number of keys that are ignored: of another algorithm, for another use, or too weak.
    pub ignored: usize,
    /// The header Date of the answer. None: the set is in a file, or the answer has none.
    pub date: Option<String>,
}

/// Reads the key set of the issuer. Fails for settings that cannot work, for a source that does not answer, and for a set without a
/// usable key.
pub async fn inspect_issuer(settings: &IssuerSettings) -> Result<IssuerKeys, IdentityError> {
    let issuer = Issuer::try_new(settings, &TaskTracker::new()).map_err(IdentityError)?;
    let set = issuer.read_keys().await.map_err(|error| IdentityError(error.to_string()))?;
    Ok(IssuerKeys { usable: set.keys.len(), ignored: set.ignored, date: set.date })
}

//! Which accounts may have endpoints. Within one process the bus asks for each event, so that it does not store those of other accounts.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use frontdesk_db::AccountId;

/// The accounts that have endpoints, or had some since the start of the process. Clones share them. They are loaded only where one process
/// writes the database: elsewhere it is not known which accounts have endpoints.
#[derive(Clone, Default)]
pub(crate) struct WebhookAccounts(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    is_loaded: bool,
    accounts: HashSet<AccountId>,
}

impl WebhookAccounts {
    /// Returns whether the account may have endpoints: not, only if it is known that it has none.
    pub(crate) fn may_have_endpoints(&self, account: AccountId) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !known.is_loaded || known.accounts.contains(&account)
    }

    /// Returns whether they were loaded.
    pub(crate) fn is_loaded(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_loaded
    }

    /// Adds the accounts that the database has.
    pub(crate) fn load(&self, accounts: Vec<AccountId>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.accounts.extend(accounts);
        known.is_loaded = true;
    }

    /// Adds an account before its endpoint is committed, so that no event is missed.
    pub(crate) fn add(&self, account: AccountId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).accounts.insert(account);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn i17_an_account_has_no_endpoints_only_if_that_is_known() {
        let [ours, added, other] = [1, 2, 3].map(|number| AccountId(Uuid::from_u128(number)));
        let accounts = WebhookAccounts::default();
        assert!(accounts.may_have_endpoints(other) && !accounts.is_loaded());
        accounts.add(added);
        accounts.load(vec![ours]);
        assert!(accounts.may_have_endpoints(ours) && accounts.may_have_endpoints(added));
        assert!(!accounts.may_have_endpoints(other) && accounts.is_loaded());
    }
}

//! The end of an account: whether an account is in use ([`crate::Db::account_state`]), and all its rows, which are exported
//! ([`list_account_rows`]) and erased ([`erase_account_rows`]) by a list of tables ([`AccountTable`]).

mod erase;
mod rows;
mod state;
mod table;

pub use erase::erase_account_rows;
pub use rows::{AccountRowCursor, AccountRows, list_account_rows};
pub(crate) use state::AccountStates;
pub use state::{
    ACCOUNT_STATES, AccountRecord, AccountState, accounts_not_in_use, accounts_to_erase, find_account_for_update,
    lock_account, save_account,
};
pub use table::{AccountTable, ChildTable};

#[cfg(test)]
mod tests;

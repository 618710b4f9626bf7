//! How many bytes of attachments may be stored (rule C5).

/// Limits of stored bytes. 0: there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageLimits {
    /// Maximum number of bytes that a visitor uploads for one chat.
    pub(crate) per_chat: i64,
    /// Maximum number of bytes of an account, of its visitors and its team.
    pub(crate) per_account: i64,
}

/// The part of an account's storage that is left to its team: one in this number of bytes. Anonymous visitors announce files without
/// limit, and must not keep the team from attaching any.
const TEAMS_PART: i64 = 10;

impl StorageLimits {
    /// The limits of a visitor's file.
    pub(crate) fn of_visitors(self) -> Self {
        Self { per_account: self.per_account - self.per_account / TEAMS_PART, ..self }
    }
}

/// What has a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StorageOwner {
    Chat,
    Account,
}

impl StorageOwner {
    /// As errors spell it: add, never rename.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "CHAT",
            Self::Account => "ACCOUNT",
        }
    }
}

/// A file is refused: with it, more bytes would be used than the limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageFull {
    pub(crate) owner: StorageOwner,
    /// Maximum number of bytes.
    pub(crate) max: i64,
    /// Number of bytes that are used without the file.
    pub(crate) used: i64,
}

impl StorageLimits {
    /// Requires that a file of this size fits beside the bytes that are used.
    pub(crate) fn check(&self, owner: StorageOwner, used: i64, size: i64) -> Result<(), StorageFull> {
        let max = match owner {
            StorageOwner::Chat => self.per_chat,
            StorageOwner::Account => self.per_account,
        };
        if max > 0 && used.saturating_add(size) > max { Err(StorageFull { owner, max, used }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s4_a_file_fits_up_to_the_limit_and_zero_is_no_limit() {
        let limits = StorageLimits { per_chat: 10, per_account: 0 };
        assert_eq!(limits.check(StorageOwner::Chat, 6, 4), Ok(()));
        let full = StorageFull { owner: StorageOwner::Chat, max: 10, used: 7 };
        assert_eq!(limits.check(StorageOwner::Chat, 7, 4), Err(full));
        assert_eq!(limits.check(StorageOwner::Account, i64::MAX, 1), Ok(()));
    }
}

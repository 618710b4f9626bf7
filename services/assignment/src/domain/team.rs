//! A group of agents.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use uuid::Uuid;

use super::Rejection;

/// Maximum number of members of a team.
pub(crate) const MAX_MEMBERS: i32 = 500;

/// A group of agents. Who its members are is stored beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Team {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    /// The account's own id of the team. Empty: none.
    pub(crate) external_id: String,
    pub(crate) member_count: i32,
    /// Number of the team's events; also the etag.
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    /// When the team was last changed, members included.
    pub(crate) updated_at: Time,
    /// None: the team is not deleted.
    pub(crate) deleted_at: Option<Time>,
}

/// New values of an edit. None: the field keeps its value.
#[derive(Clone, Debug, Default)]
pub(crate) struct TeamChange {
    pub(crate) name: Option<String>,
    pub(crate) external_id: Option<String>,
}

impl Team {
    /// Returns a value that changes with every change of the team.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Edits the team; an empty `etag` edits unconditionally. Returns whether anything changed: the repeat of an edit that took
    /// effect changes nothing, and succeeds whatever its etag (rule C12).
    pub(crate) fn update(&mut self, change: TeamChange, etag: &str, now: Time) -> Result<bool, Rejection> {
        self.require_not_deleted()?;
        let TeamChange { name, external_id } = change;
        let name = name.unwrap_or_else(|| self.name.clone());
        let external_id = external_id.unwrap_or_else(|| self.external_id.clone());
        if (&name, &external_id) == (&self.name, &self.external_id) {
            return Ok(false);
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(Rejection::EtagMismatch("team"));
        }
        (self.name, self.external_id) = (name, external_id);
        self.changed(now);
        Ok(true)
    }

    /// Counts agents who become members, and members who are none any more. Returns whether there are any.
    pub(crate) fn change_members(&mut self, added: usize, removed: usize, now: Time) -> Result<bool, Rejection> {
        self.require_not_deleted()?;
        if added == 0 && removed == 0 {
            return Ok(false);
        }
        let count = |agents: usize| i32::try_from(agents).unwrap_or(i32::MAX);
        let members = self.member_count.saturating_add(count(added));
        if members > MAX_MEMBERS {
            return Err(Rejection::TeamFull);
        }
        self.member_count = (members - count(removed)).max(0);
        self.changed(now);
        Ok(true)
    }

    /// Deletes the team. Returns false when it is deleted already.
    pub(crate) fn delete(&mut self, now: Time) -> bool {
        if self.deleted_at.is_some() {
            return false;
        }
        self.deleted_at = Some(now);
        self.changed(now);
        true
    }

    /// Undoes the deletion. Returns false when the team is not deleted.
    pub(crate) fn undelete(&mut self, now: Time) -> bool {
        if self.deleted_at.is_none() {
            return false;
        }
        self.deleted_at = None;
        self.changed(now);
        true
    }

    fn require_not_deleted(&self) -> Result<(), Rejection> {
        if self.deleted_at.is_none() { Ok(()) } else { Err(Rejection::TeamDeleted) }
    }

    fn changed(&mut self, now: Time) {
        self.version += 1;
        self.updated_at = self.updated_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sales() -> Team {
        Team {
            id: Uuid::from_u128(1),
            account: AccountId(Uuid::from_u128(9)),
            name: "Sales".into(),
            external_id: String::new(),
            member_count: 0,
            version: 1,
            created_at: Time(0),
            updated_at: Time(0),
            deleted_at: None,
        }
    }

    fn rename(name: &str) -> TeamChange {
        TeamChange { name: Some(name.into()), ..TeamChange::default() }
    }

    #[test]
    fn c12_an_edit_whose_content_is_there_succeeds_whatever_its_etag() {
        let mut team = sales();
        assert_eq!(team.update(rename("Sales"), "7", Time(1)), Ok(false));
        assert_eq!(team.update(rename("Support"), "1", Time(2)), Ok(true));
        assert_eq!((team.etag().as_str(), team.updated_at), ("2", Time(2)));
        let before = team.clone();
        assert_eq!(team.update(rename("Support"), "1", Time(3)), Ok(false), "a repeat with the old etag");
        assert_eq!(team.update(rename("Sales"), "1", Time(3)), Err(Rejection::EtagMismatch("team")));
        assert_eq!(team, before);
    }

    #[test]
    fn a_team_has_a_maximum_of_members_and_a_refused_change_changes_nothing() {
        let mut team = sales();
        assert_eq!(team.change_members(0, 0, Time(1)), Ok(false));
        assert_eq!(team.change_members(500, 0, Time(1)), Ok(true));
        let full = team.clone();
        assert_eq!(team.change_members(1, 0, Time(2)), Err(Rejection::TeamFull));
        assert_eq!(team, full);
        assert_eq!(team.change_members(0, 2, Time(3)), Ok(true));
        assert_eq!((team.member_count, team.version, team.updated_at), (498, 3, Time(3)));
    }

    #[test]
    fn a_deleted_team_does_not_change_until_it_is_undeleted() {
        let mut team = sales();
        assert!(!team.undelete(Time(1)));
        assert!(team.delete(Time(2)));
        assert!(!team.delete(Time(3)), "a repeat changes nothing");
        assert_eq!((team.version, team.deleted_at), (2, Some(Time(2))));
        assert_eq!(team.update(rename("Support"), "", Time(4)), Err(Rejection::TeamDeleted));
        assert_eq!(team.change_members(1, 0, Time(4)), Err(Rejection::TeamDeleted));
        assert!(team.undelete(Time(5)));
        assert_eq!((team.version, team.updated_at, team.deleted_at), (3, Time(5), None));
    }
}

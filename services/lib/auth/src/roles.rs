//! Roles: named sets of permissions, as data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{access::AccessMap, caller::CallerKind};

/// Roles by name, each with its permissions. A role in the settings is added to the default roles, or replaces the one of its
/// name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles(#[serde(deserialize_with = "with_defaults")] BTreeMap<String, BTreeSet<String>>);

fn with_defaults<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, BTreeSet<String>>, D::Error> {
    let mut roles = Roles::default().0;
    roles.extend(BTreeMap::deserialize(deserializer)?);
    Ok(roles)
}

/// A role has a permission that no method requires, so it is misspelt.
#[derive(Debug, thiserror::Error)]
#[error("identity.roles.{role} has the permission {permission}, which no method requires; there are: {known}")]
pub struct UnknownPermission {
    role: String,
    permission: String,
    known: String,
}

impl Default for Roles {
    fn default() -> Self {
        // A file of this crate, which a test reads too.
        Self(toml::from_str(include_str!("roles.toml")).unwrap_or_default())
    }
}

impl Roles {
    /// The permissions of these roles together. An unknown role has none.
    pub fn permissions<'a>(&self, roles: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        roles.into_iter().filter_map(|role| self.0.get(role)).flatten().cloned().collect()
    }

    /// The role of a caller whose token names no role. Visitors, bots and services have none: their kind decides.
    pub fn default_for(kind: CallerKind) -> Option<&'static str> {
        match kind {
            CallerKind::Agent => Some("agent"),
            CallerKind::Admin => Some("administrator"),
            CallerKind::Visitor | CallerKind::Bot | CallerKind::Service | CallerKind::Widget => None,
        }
    }

    /// Checks that each permission of each role is required by some method.
    pub fn check(&self, access: &AccessMap) -> Result<(), UnknownPermission> {
        let known: BTreeSet<&str> =
            access.iter().map(|(_, access)| access.permission()).filter(|permission| !permission.is_empty()).collect();
        for (role, permissions) in &self.0 {
            if let Some(permission) = permissions.iter().find(|permission| !known.contains(permission.as_str())) {
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                return Err(UnknownPermission { role: role.clone(), permission: permission.clone(), known });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_roles_have_only_permissions_that_methods_require() {
        let (roles, access) = (Roles::default(), AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap());
        roles.check(&access).unwrap();
        let administrator = roles.permissions(["administrator"]);
        let missing: Vec<_> = access
            .iter()
            .map(|(_, access)| access.permission())
            .filter(|permission| !permission.is_empty() && !administrator.contains(*permission))
            .collect();
        assert!(missing.is_empty(), "an administrator has every permission: {missing:?}");
        assert!(roles.permissions(["supervisor"]).is_superset(&roles.permissions(["agent"])));
        assert!(roles.permissions(["nobody", ""]).is_empty());

        let more: Roles = toml::from_str("night = ['conversations.read']\nsupervisor = []").unwrap();
        assert_eq!(more.permissions(["night"]).len(), 1);
        assert!(more.permissions(["supervisor"]).is_empty() && !more.permissions(["agent"]).is_empty());
        let misspelt: Roles = toml::from_str("agent = ['conversation.read']").unwrap();
        let refused = misspelt.check(&access).unwrap_err().to_string();
        assert!(refused.contains("conversation.read") && refused.contains("conversations.read"), "{refused}");
    }
}

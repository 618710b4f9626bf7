//! Roles: names for sets of permissions, as data.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{AccessMap, CallerKind};

/// Roles by name, each with its permissions. What the settings name is added to the usual ones, or takes their place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles(#[serde(deserialize_with = "beside_the_usual")] BTreeMap<String, BTreeSet<String>>);

fn beside_the_usual<'de, D: Deserializer<'de>>(of: D) -> Result<BTreeMap<String, BTreeSet<String>>, D::Error> {
    let mut roles = Roles::default().0;
    roles.extend(BTreeMap::deserialize(of)?);
    Ok(roles)
}

/// A role permits what no method asks for: a slip of the pen.
#[derive(Debug, thiserror::Error)]
#[error("identity.roles.{role} has the permission {permission}, which no method asks for; there are: {known}")]
pub struct UnknownPermission {
    role: String,
    permission: String,
    known: String,
}

impl Default for Roles {
    fn default() -> Self {
        // Our own file, which a test reads.
        Self(toml::from_str(include_str!("roles.toml")).unwrap_or_default())
    }
}

impl Roles {
    /// What these roles permit together. Of a name that nobody defined: nothing.
    pub fn permissions<'a>(&self, roles: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
        roles.into_iter().filter_map(|role| self.0.get(role)).flatten().cloned().collect()
    }

    /// The role of a caller whose token names none. Visitors, bots and services have none: their kind decides.
    pub fn default_for(kind: CallerKind) -> Option<&'static str> {
        match kind {
            CallerKind::Agent => Some("agent"),
            CallerKind::Admin => Some("administrator"),
            CallerKind::Visitor | CallerKind::Bot | CallerKind::Service => None,
        }
    }

    /// Every permission of every role is one that some method asks for.
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
    fn s1_roles_are_data_and_hold_what_methods_ask_for() {
        let (roles, access) = (Roles::default(), AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap());
        roles.check(&access).unwrap();
        let administrator = roles.permissions(["administrator"]);
        let missing: Vec<_> = access
            .iter()
            .map(|(_, access)| access.permission())
            .filter(|asked| !asked.is_empty() && !administrator.contains(*asked))
            .collect();
        assert!(missing.is_empty(), "an administrator may everything: {missing:?}");
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

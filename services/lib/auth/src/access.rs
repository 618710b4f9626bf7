//! The access that the protos declare for each method.

use std::collections::HashMap;

use frontdesk_proto::auth::v1::Principal;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

use crate::caller::{Caller, CallerKind};

/// What a method requires of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    principals: Vec<Principal>,
    permission: String,
    streams: bool,
    audited: bool,
    limited_by_address: bool,
    serves_ended_accounts: bool,
}

impl Access {
    /// Checks whether this caller may call the method. The error says what the method requires.
    pub fn check(&self, caller: &Caller) -> Result<(), String> {
        if !self.principals.contains(&caller.kind.principal()) {
            let kinds: Vec<String> = self.principals.iter().map(|principal| kind_name(*principal)).collect();
            return Err(format!(
                "this method is for {}; your token is of kind {}",
                kinds.join(", "),
                caller.kind.as_str()
            ));
        }
        if self.lacks_permission(caller) {
            return Err(format!("this method needs the permission {}, which your token lacks", self.permission));
        }
        Ok(())
    }

    /// Whether the caller is of a kind that may call the method, but lacks its permission. Visitors, bots and services need none:
    /// their kind decides.
    pub fn lacks_permission(&self, caller: &Caller) -> bool {
        let kind = caller.kind.principal();
        let needs_permission = matches!(kind, Principal::Agent | Principal::Admin) && !self.permission.is_empty();
        self.principals.contains(&kind) && needs_permission && !caller.permissions.contains(&self.permission)
    }

    /// The permission that the method requires of agents and administrators; empty: none.
    pub fn permission(&self) -> &str {
        &self.permission
    }

    /// Whether the method is server-streaming.
    pub fn streams(&self) -> bool {
        self.streams
    }

    /// Whether its calls are recorded in the audit log.
    pub fn audited(&self) -> bool {
        self.audited
    }

    /// Whether this caller's calls of the method count toward the rate of their address: widgets and anonymous visitors cost nothing to
    /// make (rule S6).
    pub fn limited_by_address(&self, caller: &Caller) -> bool {
        self.limited_by_address && (caller.kind == CallerKind::Widget || caller.is_anonymous_visitor())
    }

    /// Whether the method is served for an account that is suspended or has ended.
    pub fn serves_ended_accounts(&self) -> bool {
        self.serves_ended_accounts
    }

    /// The kinds of callers that may call the method.
    pub fn principals(&self) -> &[Principal] {
        &self.principals
    }
}

/// `PRINCIPAL_AGENT` as tokens spell it: `agent`.
fn kind_name(principal: Principal) -> String {
    principal.as_str_name().trim_start_matches("PRINCIPAL_").to_ascii_lowercase()
}

/// A method declares no access: the server must not start (rule S1).
#[derive(Debug, thiserror::Error)]
#[error("{0} declares no access: add the option (frontdesk.auth.v1.access) to it in its .proto")]
pub struct UndeclaredMethod(pub String);

/// The access of every method, by its path `/package.Service/Method`.
#[derive(Clone, Debug)]
pub struct AccessMap(HashMap<String, Access>);

impl AccessMap {
    /// Reads the declarations of every method from the encoded descriptors of the contract.
    pub fn try_new(descriptors: &[u8]) -> Result<Self, UndeclaredMethod> {
        let pool = DescriptorPool::decode(descriptors).map_err(|error| UndeclaredMethod(error.to_string()))?;
        let extension = pool
            .get_extension_by_name("frontdesk.auth.v1.access")
            .ok_or_else(|| UndeclaredMethod("frontdesk.auth.v1.access".into()))?;
        let mut map = HashMap::new();
        for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let access = match method.options().get_extension(&extension).as_ref() {
                Value::Message(access) => read(access, method.is_server_streaming()),
                _ => None,
            };
            let access = access.ok_or_else(|| UndeclaredMethod(method.full_name().to_owned()))?;
            map.insert(format!("/{}/{}", method.parent_service().full_name(), method.name()), access);
        }
        Ok(Self(map))
    }

    /// The access of the method at `path`. None: there is no such method.
    pub fn find(&self, path: &str) -> Option<&Access> {
        self.0.get(path)
    }

    /// The names of a service's methods, in order; empty: there is no such service.
    pub fn methods(&self, service: &str) -> Vec<&str> {
        let of_service =
            |path: &'_ String| path.strip_prefix('/')?.strip_prefix(service)?.strip_prefix('/').map(str::len);
        let methods = self.0.keys().filter_map(|path| of_service(path).map(|length| &path[path.len() - length..]));
        let mut methods: Vec<&str> = methods.collect();
        methods.sort_unstable();
        methods
    }

    /// The paths of all methods with their access.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Access)> {
        self.0.iter().map(|(path, access)| (path.as_str(), access))
    }
}

fn read(access: &DynamicMessage, streams: bool) -> Option<Access> {
    let principals = access.get_field_by_name("principals")?;
    let principals: Vec<Principal> = principals
        .as_list()?
        .iter()
        .filter_map(|value| Principal::try_from(value.as_enum_number()?).ok())
        .filter(|principal| *principal != Principal::Unspecified)
        .collect();
    let permission = access.get_field_by_name("permission")?.as_str()?.to_owned();
    let audited = access.get_field_by_name("audited")?.as_bool()?;
    let limited_by_address = access.get_field_by_name("limited_by_address")?.as_bool()?;
    let serves_ended_accounts = access.get_field_by_name("serves_ended_accounts")?.as_bool()?;
    (!principals.is_empty()).then_some(Access {
        principals,
        permission,
        streams,
        audited,
        limited_by_address,
        serves_ended_accounts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_every_method_of_the_contract_declares_its_access() {
        let map = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        assert!(map.iter().count() > 40);
        let change = map.find("/frontdesk.conversation.internal.v1.ArbiterService/ChangeAssignee").unwrap();
        assert_eq!(change.principals, [Principal::Service]);
    }

    #[test]
    fn s1_only_callers_of_a_kind_that_may_call_a_method_can_lack_its_permission() {
        let map = AccessMap::try_new(frontdesk_proto::DESCRIPTORS).unwrap();
        let mark = map.find("/frontdesk.conversation.v1.ThreadService/MarkRead").unwrap();
        let of_kind = |kind| {
            let service = Caller::service("test");
            Caller { kind, ..service }
        };
        assert!(mark.lacks_permission(&of_kind(CallerKind::Agent)));
        for kind in [CallerKind::Admin, CallerKind::Visitor, CallerKind::Service] {
            assert!(!mark.lacks_permission(&of_kind(kind)), "{kind:?}");
        }
    }

    #[test]
    fn s1_a_method_that_declares_no_access_is_refused() {
        // The contract without the options of the first method of each service.
        let mut pool = prost_reflect::prost_types::FileDescriptorSet::default();
        let full = DescriptorPool::decode(frontdesk_proto::DESCRIPTORS).unwrap();
        pool.file = full.file_descriptor_protos().cloned().collect();
        for service in pool.file.iter_mut().flat_map(|file| &mut file.service) {
            service.method[0].options = None;
        }
        let bytes = prost_reflect::prost::Message::encode_to_vec(&pool);
        assert!(AccessMap::try_new(&bytes).unwrap_err().to_string().contains("declares no access"));
    }
}

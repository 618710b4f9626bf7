//! What reflection shows: the contract that programs may call.

use std::borrow::Cow;

use frontdesk_proto::DESCRIPTORS;
use prost::{DecodeError, Message, bytes::Bytes};
use prost_types::FileDescriptorProto;

/// Part of the package names of calls between the services.
pub(crate) const INTERNAL: &str = ".internal.";

/// What reflection shows.
pub(crate) struct Reflection {
    /// Names of the gRPC services that it lists.
    pub names: Vec<&'static str>,
    /// The encoded descriptors.
    pub descriptors: Cow<'static, [u8]>,
}

/// A `FileDescriptorSet` whose files stay encoded: decoding them would drop their options.
#[derive(Clone, PartialEq, Message)]
struct EncodedFiles {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    file: Vec<Bytes>,
}

impl Reflection {
    /// The contract, of which these services are served; without its internal packages, unless the development key is
    /// accepted.
    pub(crate) fn of(served: &[&'static str], development: bool) -> Result<Self, DecodeError> {
        if development {
            return Ok(Self { names: served.to_vec(), descriptors: DESCRIPTORS.into() });
        }
        let mut files = EncodedFiles::decode(DESCRIPTORS)?;
        let mut public = Vec::new();
        for file in files.file {
            if !FileDescriptorProto::decode(file.clone())?.package().contains(INTERNAL) {
                public.push(file);
            }
        }
        files.file = public;
        let names = served.iter().copied().filter(|name| !name.contains(INTERNAL)).collect();
        Ok(Self { names, descriptors: files.encode_to_vec().into() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use prost_types::FileDescriptorSet;

    use super::*;

    fn packages(descriptors: &[u8]) -> Vec<String> {
        let set = FileDescriptorSet::decode(descriptors).unwrap();
        set.file.iter().map(|file| file.package().to_owned()).collect()
    }

    #[test]
    fn s1_internal_packages_are_shown_in_development_only() {
        let served = ["frontdesk.conversation.internal.v1.ArbiterService", "frontdesk.conversation.v1.ThreadService"];
        let development = Reflection::of(&served, true).unwrap();
        let production = Reflection::of(&served, false).unwrap();
        assert_eq!((development.names, production.names), (served.to_vec(), served[1..].to_vec()));
        let (all, public) = (packages(&development.descriptors), packages(&production.descriptors));
        let internal = all.iter().filter(|package| package.contains(INTERNAL)).count();
        assert!(internal > 0 && public.iter().all(|package| !package.contains(INTERNAL)));
        assert_eq!(public.len(), all.len() - internal);
        // The options are kept: callers read the access of a method and the rules of a field from them.
        let file = EncodedFiles::decode(production.descriptors.as_ref()).unwrap().file.remove(0);
        assert!(EncodedFiles::decode(DESCRIPTORS).unwrap().file.contains(&file));
    }
}

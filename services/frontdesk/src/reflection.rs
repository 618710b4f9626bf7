//! What reflection shows: the contract that programs may call.

use std::borrow::Cow;

use frontdesk_proto::DESCRIPTORS;
use prost::{
    DecodeError, Message,
    bytes::{Buf, Bytes},
    encoding::{DecodeContext, decode_key, skip_field},
};
use prost_types::FileDescriptorProto;

/// Part of the package names of calls between the services.
pub(crate) const INTERNAL: &str = ".internal.";
/// What the package names of the contract begin with.
const CONTRACT: &str = "frontdesk.";
/// Number of the field `source_code_info` of a `FileDescriptorProto`: the comments.
const SOURCE_CODE_INFO: u32 = 9;

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
    /// accepted. Files that are not the contract's are shown without their comments, which are most of their size: anyone may ask
    /// for them.
    pub(crate) fn of(served: &[&'static str], development: bool) -> Result<Self, DecodeError> {
        let mut files = EncodedFiles::decode(DESCRIPTORS)?;
        let mut shown = Vec::new();
        for file in files.file {
            let descriptor = FileDescriptorProto::decode(file.clone())?;
            let package = descriptor.package();
            if !package.starts_with(CONTRACT) {
                shown.push(without_comments(&file)?);
            } else if development || !package.contains(INTERNAL) {
                shown.push(file);
            }
        }
        files.file = shown;
        let names = served.iter().copied().filter(|name| development || !name.contains(INTERNAL)).collect();
        Ok(Self { names, descriptors: files.encode_to_vec().into() })
    }
}

/// An encoded file without its comments; everything else as it is.
fn without_comments(file: &Bytes) -> Result<Bytes, DecodeError> {
    let (mut rest, mut kept) = (file.clone(), Vec::new());
    while rest.has_remaining() {
        let field = rest.clone();
        let (number, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
        if number != SOURCE_CODE_INFO {
            kept.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    Ok(kept.into())
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
    fn s4_files_that_are_not_the_contracts_are_shown_without_comments_and_otherwise_unchanged() {
        let full = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let shown = Reflection::of(&[], true).unwrap();
        let encoded = EncodedFiles::decode(shown.descriptors.as_ref()).unwrap();
        let shown = FileDescriptorSet::decode(shown.descriptors.as_ref()).unwrap();
        for (mut file, (shown, encoded)) in full.file.into_iter().zip(shown.file.into_iter().zip(encoded.file)) {
            if !file.package().starts_with(CONTRACT) {
                file.source_code_info = None;
                assert!(encoded.len() < 64 * 1024, "{}: {} bytes", file.name(), encoded.len());
            }
            assert_eq!(file, shown);
        }
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

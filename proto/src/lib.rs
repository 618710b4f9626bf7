//! The contract: the messages, clients and servers of `proto/`, the validation of their fields, the normalisation of their
//! texts, and the descriptors that the server enforces and serves by reflection. Nothing else.
#![allow(clippy::all, missing_docs, rustdoc::all)]

pub mod characters;
mod field_description;
mod normalize;

/// The whole contract as an encoded `FileDescriptorSet`, with comments and options.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

pub use field_description::FieldDescription;
pub use normalize::{Normalize, normalized_line, says_something, visible_line};
pub use prost_protovalidate::{Validate, ValidationError, Violation};

include!(concat!(env!("OUT_DIR"), "/validate_impl.rs"));

/// The packages, named as in the protos.
pub mod frontdesk {
    pub mod actor {
        pub mod v1 {
            tonic::include_proto!("frontdesk.actor.v1");
        }
    }
    pub mod assignment {
        pub mod internal {
            pub mod v1 {
                tonic::include_proto!("frontdesk.assignment.internal.v1");
            }
        }
        pub mod v1 {
            tonic::include_proto!("frontdesk.assignment.v1");
        }
    }
    pub mod auth {
        pub mod v1 {
            tonic::include_proto!("frontdesk.auth.v1");
        }
    }
    pub mod botsession {
        pub mod internal {
            pub mod v1 {
                tonic::include_proto!("frontdesk.botsession.internal.v1");
            }
        }
        pub mod v1 {
            tonic::include_proto!("frontdesk.botsession.v1");
        }
    }
    pub mod conversation {
        pub mod internal {
            pub mod v1 {
                tonic::include_proto!("frontdesk.conversation.internal.v1");
            }
        }
        pub mod v1 {
            tonic::include_proto!("frontdesk.conversation.v1");
        }
    }
    pub mod dev {
        pub mod v1 {
            tonic::include_proto!("frontdesk.dev.v1");
        }
    }
    pub mod error {
        pub mod v1 {
            tonic::include_proto!("frontdesk.error.v1");
        }
    }
    pub mod event {
        pub mod v1 {
            tonic::include_proto!("frontdesk.event.v1");
        }
    }
    pub mod notification {
        pub mod internal {
            pub mod v1 {
                tonic::include_proto!("frontdesk.notification.internal.v1");
            }
        }
        pub mod v1 {
            tonic::include_proto!("frontdesk.notification.v1");
        }
        pub mod v1beta1 {
            tonic::include_proto!("frontdesk.notification.v1beta1");
        }
    }
    pub mod text {
        pub mod v1 {
            tonic::include_proto!("frontdesk.text.v1");
        }
    }
    pub mod watch {
        pub mod v1 {
            tonic::include_proto!("frontdesk.watch.v1");
        }
    }
}

pub use frontdesk::{actor, assignment, auth, botsession, conversation, dev, error, event, notification, text, watch};

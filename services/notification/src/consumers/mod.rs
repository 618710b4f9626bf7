//! Reactions to the events of other services, one file each.

mod contact_erasures;
mod decide_transcripts;
mod notify_agents;
mod queue_webhooks;

pub(crate) use contact_erasures::ContactErasures;
pub(crate) use decide_transcripts::DecideTranscripts;
pub(crate) use notify_agents::NotifyOfConversations;
pub(crate) use queue_webhooks::QueueWebhooks;

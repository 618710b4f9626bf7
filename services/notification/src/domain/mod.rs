//! The rules: what is decided at a close, how a delivery goes on after an attempt, which limits mails have, when a sender
//! address may be used, what a transcript shows of a thread, and how events are sent to endpoints of webhooks. No I/O, no clock.

mod address_code;
mod agent_mail;
mod bounce;
mod close;
mod code;
mod contact;
mod delivery;
mod delivery_status;
mod event_order;
mod excerpt;
mod mail_limits;
mod message;
mod requester;
mod retry_policy;
mod sender;
mod suppression;
mod transcript;
mod transcript_decision;
mod transcript_template;
mod turns;
mod webhook_delivery;
mod webhook_endpoint;
mod webhook_slots;
mod webhook_turns;

pub(crate) use address_code::{AddressCode, CodeOutcome};
pub(crate) use agent_mail::{AgentMail, Notice, NotificationPreferences};
pub(crate) use bounce::{Bounce, BounceKind};
pub(crate) use close::{ConversationClose, DecisionFacts};
pub(crate) use contact::Contact;
pub(crate) use delivery::Delivery;
pub(crate) use delivery_status::{AttemptOutcome, Claim, DeliveryEvent, DeliveryFilter, DeliveryKind, DeliveryStatus};
pub(crate) use event_order::{EventOrder, OrderTerms};
pub(crate) use excerpt::Excerpt;
pub(crate) use mail_limits::{
    AutomaticCounts, AutomaticLimits, Counted, DAY, HOUR, LimitScope, MailLimit, MailLimitReached, mailbox,
};
pub(crate) use message::{Attachment, Author, Block, File, Insert, InsertContent, Message, Span};
pub(crate) use requester::Requester;
pub(crate) use retry_policy::RetryPolicy;
pub(crate) use sender::{Sender, SenderChange, SenderEdited, SenderUnavailable};
pub(crate) use suppression::{Suppression, SuppressionReason, address_hash, address_hashes, blames_recipient};
pub(crate) use transcript::{Content, Transcript, TranscriptLine, VisitorName, link, zone};
pub(crate) use transcript_decision::{SkipReason, TranscriptDecision, decide, explain};
pub(crate) use transcript_template::{TemplateChange, TemplateEdited, TranscriptTemplate};
pub(crate) use turns::{MailQueue, Turns, recipient_domain};
pub(crate) use webhook_delivery::{
    QueuedEvent, ReplaySpan, WebhookDelivery, WebhookDeliveryStatus, WebhookOutcome, WebhookPolicy,
};
pub(crate) use webhook_endpoint::{SecretVersion, WebhookEndpoint, WebhookEndpointChange, WebhookEndpointEdited};
pub(crate) use webhook_slots::{DueEndpoint, WebhookSlots};

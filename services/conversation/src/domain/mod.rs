//! The rules of conversations, contacts, channels, inserts, attachments and tickets: what may happen and what follows. No I/O and no clock; times
//! and ids are arguments. Start reading in `conversation.rs`.

mod account_settings;
mod actor;
mod administrator;
mod agent;
mod append_message;
mod attachment;
mod attachment_storage;
mod bot;
mod channel;
mod closing_facts;
mod contact;
mod contact_export;
mod contact_job;
mod conversation;
mod conversation_event;
mod entry;
mod export_record;
mod file_name;
mod file_type;
mod insert;
mod merged_contact;
mod new_conversation;
mod opening_hours;
mod placeholders;
mod queue;
mod read_state;
mod rejection;
mod rich_text;
mod search_query;
mod search_words;
mod signal;
mod status;
mod team;
mod ticket;
mod visitor;
mod visitor_key;

pub(crate) use account_settings::{AccountSettings, AccountSettingsUpdate, SettingRefusal};
pub(crate) use actor::{Actor, ActorKind, Owner, OwnerKind, TeamMember};
pub(crate) use administrator::Administrator;
pub(crate) use agent::{Agent, RosterState};
pub(crate) use append_message::{AppendMessage, Context};
pub(crate) use attachment::{
    Attachment, AttachmentPolicy, AttachmentRejection, AttachmentStatus, FileRefusal, MAX_UNSENT, Received,
    SentAttachment, time_limit,
};
pub(crate) use attachment_storage::{StorageFull, StorageLimits, StorageOwner};
pub(crate) use bot::Bot;
pub(crate) use channel::{AnonymousVisitors, Channel, ChannelChange, ChannelUpdate, NotAdmitted};
pub(crate) use closing_facts::{ClosingFacts, ClosingSnapshot};
pub(crate) use contact::{Contact, ContactEmail, ContactUpdate, MAX_PROPERTIES_SIZE, NewEmail, Taken};
pub(crate) use contact_export::{ExportFile, FILE_LIFETIME};
pub(crate) use contact_job::{ContactJob, ContactJobKind, ContactJobStatus};
pub(crate) use conversation::{BotSession, Conversation, OwnerChange};
pub(crate) use conversation_event::{AssigneeChanged, AssignmentCause, Closed, ConversationEvent, Routing};
pub(crate) use entry::{Button, ChosenButton, Content, Entry, ErasedKind, Mention, Message, TicketChange};
pub(crate) use export_record::{ExportHead, RecordPage, record_time};
pub(crate) use file_name::{content_disposition, plain_file_name};
pub(crate) use file_type::{HEAD_BYTES, media_type_of_bytes, media_type_of_name, usual_media_type};
pub(crate) use insert::{Insert, InsertChange, InsertContent, InsertUpdate, SentInsert, search_words};
pub(crate) use merged_contact::{MergeLimit, MergedContact};
pub(crate) use new_conversation::{Greeting, MAX_CONVERSATION_PROPERTIES_SIZE, NewConversation, StartContext};
pub(crate) use opening_hours::{OpenState, OpeningHours};
pub(crate) use placeholders::{PlaceholderValues, placeholder_errors};
pub(crate) use queue::{AboutPlace, QueuedConversation};
pub(crate) use read_state::ReadState;
pub(crate) use rejection::{CodeRefusal, IdleRejection, Rejection};
pub(crate) use rich_text::{Block, Line, RichText, Span};
pub(crate) use search_query::{MAX_QUERY_WORDS, QueryError, SearchQuery, Snippet};
pub(crate) use search_words::indexed_words;
pub(crate) use signal::{Author, Signal, VisitorMarks};
pub(crate) use status::{CloseReason, Status};
pub(crate) use team::{Membership, Team};
pub(crate) use ticket::{Ticket, TicketStatus, TicketUpdate};
pub(crate) use visitor::{AnswerEffect, NewLink, Visitor, VisitorLink, apply_answer};
pub(crate) use visitor_key::VisitorKey;

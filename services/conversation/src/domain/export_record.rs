//! The records of the file of an export (rule X2): JSON objects, whose field `record` says what each is. They are described in
//! `docs/contact-export.md`: add records and fields, never rename.

use frontdesk_clock::Time;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Actor, Attachment, ClosingSnapshot, Contact, ContactEmail, Conversation, Entry, MergedContact, Ticket, Visitor,
    VisitorLink, VisitorMarks,
};

/// Version of the format. It rises when a reader of an earlier version would read a record wrongly.
const FORMAT_VERSION: i32 = 1;

/// Records that another service delivered.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordPage {
    pub(crate) records: Vec<Value>,
    /// Token of the next page. Empty: this is the last one.
    pub(crate) next_page_token: String,
}

/// What the first record says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExportHead {
    pub(crate) job: Uuid,
    pub(crate) contact: Uuid,
    /// When the attempt began that wrote the file.
    pub(crate) began_at: Time,
}

impl ExportHead {
    pub(crate) fn export_record(&self) -> Value {
        json!({
            "record": "export",
            "format_version": FORMAT_VERSION,
            "contact_job_id": self.job,
            "contact_id": self.contact,
            "create_time": record_time(self.began_at),
        })
    }

    /// The last record, without which the file is not complete. `records`: number of those before it.
    pub(crate) fn end_record(records: u64) -> Value {
        json!({ "record": "end", "records": records })
    }
}

impl Contact {
    pub(crate) fn export_record(&self) -> Value {
        let emails: Vec<Value> = self.emails.iter().map(ContactEmail::export_value).collect();
        json!({
            "record": "contact",
            "contact_id": self.id,
            "external_id": self.external_id,
            "name": self.name,
            "phone": self.phone,
            "time_zone": self.time_zone,
            "language": self.language,
            "owner_agent_id": self.owner,
            "properties": self.properties,
            "emails": emails,
            "create_time": record_time(self.created_at),
            "update_time": record_time(self.updated_at),
        })
    }
}

impl ContactEmail {
    fn export_value(&self) -> Value {
        json!({ "email": self.address, "verified": self.verified, "add_time": record_time(self.added_at) })
    }
}

impl MergedContact {
    pub(crate) fn export_record(&self) -> Value {
        json!({
            "record": "merged_contact",
            "contact_id": self.source_id,
            "external_id": self.external_id,
            "other_values": self.other_values,
            "merge_time": record_time(self.merged_at),
        })
    }
}

impl Visitor {
    pub(crate) fn export_record(&self) -> Value {
        json!({
            "record": "visitor",
            "visitor_id": self.id,
            "contact_id": self.contact_id,
            "name": self.name,
            "email": self.address,
            // False: the visitor typed an address of the contact, which proves nothing.
            "is_verified": self.link == VisitorLink::Verified,
        })
    }
}

impl Conversation {
    pub(crate) fn export_record(&self, marks: VisitorMarks) -> Value {
        let context = &self.context;
        let start = json!({
            "page_url": context.page_url,
            "page_title": context.page_title,
            "language": context.language,
            "time_zone": context.time_zone,
            "properties": context.properties,
        });
        let session = self.bot_session.as_ref();
        json!({
            "record": "conversation",
            "conversation_id": self.id,
            "channel_id": self.channel_id,
            "contact_id": self.contact_id,
            "visitor_id": self.visitor_id,
            "visitor_name": self.visitor_name,
            "unusable_token_email": self.unusable_token_email,
            "status": self.status.as_str(),
            "start": start,
            "previous_conversation_id": self.previous_id,
            "assignee": self.owner,
            "epoch": self.epoch,
            "bot_session_id": session.map(|session| session.id),
            "last_sequence": self.last_sequence,
            "visitor_marks": marks,
            "close_number": self.close_number,
            "close_reason": self.close_reason,
            "close_time": self.closed_at.map(record_time),
            "create_time": record_time(self.created_at),
            "last_visitor_activity_time": record_time(self.last_visitor_activity_at),
            "last_activity_time": record_time(self.last_activity_at),
        })
    }
}

impl ClosingSnapshot {
    pub(crate) fn export_record(&self) -> Value {
        let facts = &self.facts;
        json!({
            "record": "close",
            "conversation_id": self.conversation_id,
            "close_number": self.close_number,
            "contact_id": self.contact_id,
            "recipient_email": facts.recipient,
            "recipient_verified": facts.recipient_verified,
            "had_bot_session": self.had_bot_session,
            "had_agent": self.had_agent,
            "had_ticket": facts.had_ticket,
            "transcript_enabled": facts.transcript_enabled,
            "channel_language": facts.channel_language,
            "account_language": facts.account_language,
            "last_sequence": self.last_sequence,
        })
    }
}

impl Entry {
    pub(crate) fn export_record(&self) -> Value {
        json!({
            "record": "entry",
            "conversation_id": self.conversation_id,
            "sequence": self.sequence,
            "visitor_sequence": self.visitor_sequence,
            // False: only the team sees it, such as a comment.
            "is_visible_to_visitor": self.visitor_sequence.is_some(),
            "author": actor(&self.author),
            "content": self.content,
            "create_time": record_time(self.created_at),
        })
    }
}

impl Ticket {
    pub(crate) fn export_record(&self) -> Value {
        json!({
            "record": "ticket",
            "ticket_id": self.id,
            "conversation_id": self.conversation_id,
            "contact_id": self.contact_id,
            "subject": self.subject,
            "status": self.status.as_str(),
            "url": self.url,
            "create_time": record_time(self.created_at),
            "update_time": record_time(self.updated_at),
        })
    }
}

impl Attachment {
    /// `url`: a link to the bytes. None: there are none.
    pub(crate) fn export_record(&self, url: Option<&str>) -> Value {
        json!({
            "record": "attachment",
            "attachment_id": self.id,
            "conversation_id": self.conversation_id,
            "uploader": actor(&self.uploader),
            "status": self.status.as_str(),
            "file_name": self.file_name,
            "media_type": self.media_type,
            "size_bytes": self.size,
            "sha256": self.sha256,
            "url": url,
            "create_time": record_time(self.created_at),
            "send_time": self.sent_at.map(record_time),
        })
    }
}

fn actor(actor: &Actor) -> Value {
    json!({ "kind": actor.kind.as_str(), "id": actor.id })
}

/// A time as records have it: RFC 3339, in UTC.
pub(crate) fn record_time(time: Time) -> String {
    time.to_utc().to_rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Content;

    #[test]
    fn x2_an_entry_is_exported_with_its_content_and_whether_the_visitor_sees_it() {
        let entry = |visitor_sequence, content| Entry {
            conversation_id: Uuid::from_u128(1),
            sequence: 7,
            visitor_sequence,
            author: Actor::visitor("v"),
            content,
            request_id: Some("secret".into()),
            created_at: Time(1_000_000),
        };
        let message = entry(Some(3), Content::text("hello".to_owned())).export_record();
        let expected = json!({
            "record": "entry",
            "conversation_id": "00000000-0000-0000-0000-000000000001",
            "sequence": 7,
            "visitor_sequence": 3,
            "is_visible_to_visitor": true,
            "author": { "kind": "VISITOR", "id": "v" },
            "content": { "type": "message", "text": "hello" },
            "create_time": "1970-01-01T00:00:01+00:00",
        });
        assert_eq!(message, expected);
        let comment = entry(None, Content::Comment { text: "note".into(), mentions: Vec::new() }).export_record();
        assert_eq!(
            (&comment["is_visible_to_visitor"], &comment["content"]["type"]),
            (&json!(false), &json!("comment"))
        );
    }
}

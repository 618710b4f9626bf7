//! Inserts, for the team and for visitors.

use frontdesk_api::FieldError;
use frontdesk_proto::{
    conversation::v1::{self as pb, create_insert_request, update_insert_request},
    says_something,
};
use jiff::civil::Date;

use super::version;
use crate::domain::{Insert, InsertContent, SentInsert, placeholder_errors};

/// The content as the oneof of a response. All these oneofs have the same cases.
macro_rules! pb_content {
    ($content:expr, $response:ident) => {{
        use pb::$response::Content as C;
        match $content.clone() {
            InsertContent::Snippet { text } => Some(C::Snippet(pb::Snippet { text })),
            InsertContent::Document { url, file_name } => Some(C::Document(pb::Document { url, file_name })),
            InsertContent::Meeting { url, duration_minutes } => Some(C::Meeting(pb::Meeting { url, duration_minutes })),
            InsertContent::KnowledgeArticle { url, summary } => {
                Some(C::KnowledgeArticle(pb::KnowledgeArticle { url, summary }))
            }
            InsertContent::Quote { number, amount, currency_code, expire_date, url } => {
                let total = Some(pb::Money { amount, currency_code });
                Some(C::Quote(pb::Quote { number, total, expire_date, url }))
            }
            InsertContent::Video { source_url, thumbnail_url, media_type } => {
                Some(C::Video(pb::Video { source_url, thumbnail_url, media_type }))
            }
            InsertContent::Unknown => None,
        }
    }};
}

/// The content in the oneof of a request. All these oneofs have the same cases.
macro_rules! content {
    ($content:expr, $request:ident) => {{
        use $request::Content as C;
        match $content {
            C::Snippet(pb::Snippet { text }) => InsertContent::Snippet { text },
            C::Document(pb::Document { url, file_name }) => InsertContent::Document { url, file_name },
            C::Meeting(pb::Meeting { url, duration_minutes }) => InsertContent::Meeting { url, duration_minutes },
            C::KnowledgeArticle(pb::KnowledgeArticle { url, summary }) => {
                InsertContent::KnowledgeArticle { url, summary }
            }
            C::Quote(pb::Quote { number, total, expire_date, url }) => {
                let pb::Money { amount, currency_code } = total.unwrap_or_default();
                InsertContent::Quote { number, amount, currency_code, expire_date, url }
            }
            C::Video(pb::Video { source_url, thumbnail_url, media_type }) => {
                InsertContent::Video { source_url, thumbnail_url, media_type }
            }
        }
    }};
}

pub(crate) fn insert(insert: &Insert) -> pb::Insert {
    pb::Insert {
        id: insert.id.to_string(),
        shortcut: insert.shortcut.clone(),
        title: insert.title.clone(),
        tags: insert.tags.clone(),
        content: pb_content!(insert.content, insert),
        create_time: Some(insert.created_at.to_proto()),
        update_time: Some(insert.updated_at.to_proto()),
        delete_time: insert.deleted_at.map(|time| time.to_proto()),
        version: version(insert.version),
        etag: insert.etag(),
    }
}

/// An insert of a message, for the team.
pub(super) fn sent_insert(sent: &SentInsert) -> pb::SentInsert {
    pb::SentInsert {
        insert_id: sent.insert_id.to_string(),
        title: sent.title.clone(),
        plain_text: sent.plain_text.clone(),
        content: pb_content!(sent.content, sent_insert),
    }
}

/// An insert of a message, as the visitor sees it. The title of a snippet is for the team.
pub(super) fn chat_insert(sent: &SentInsert) -> pb::ChatInsert {
    let is_snippet = matches!(sent.content, InsertContent::Snippet { .. });
    pb::ChatInsert {
        title: if is_snippet { String::new() } else { sent.title.clone() },
        plain_text: sent.plain_text.clone(),
        content: pb_content!(sent.content, chat_insert),
    }
}

/// The content of a new insert.
pub(crate) fn new_insert_content(
    content: Option<create_insert_request::Content>,
) -> Result<InsertContent, Vec<FieldError>> {
    let content = content.ok_or_else(|| vec![FieldError::new("content", "is required")])?;
    checked(content!(content, create_insert_request))
}

/// The new content of an insert. None: unchanged.
pub(crate) fn changed_insert_content(
    content: Option<update_insert_request::Content>,
) -> Result<Option<InsertContent>, Vec<FieldError>> {
    content.map(|content| checked(content!(content, update_insert_request))).transpose()
}

/// The content, unless it violates a rule that the protos cannot state.
fn checked(content: InsertContent) -> Result<InsertContent, Vec<FieldError>> {
    let errors: Vec<_> = match &content {
        InsertContent::Snippet { text } if !says_something(text) => {
            vec![FieldError::new("snippet.text", "must say something: it holds only spaces and invisible characters")]
        }
        InsertContent::Snippet { text } => {
            let errors = placeholder_errors(text).into_iter();
            errors.map(|error| FieldError::new("snippet.text", error)).collect()
        }
        InsertContent::Quote { expire_date, .. } if !expire_date.is_empty() && expire_date.parse::<Date>().is_err() => {
            vec![FieldError::new("quote.expire_date", "must be a day of the calendar, such as 2026-12-31, or empty")]
        }
        _ => Vec::new(),
    };
    if errors.is_empty() { Ok(content) } else { Err(errors) }
}

/// The kind in a filter, as rows spell it.
pub(crate) fn insert_kind(kind: pb::InsertKind) -> String {
    kind.as_str_name().trim_start_matches("INSERT_KIND_").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_kinds_are_spelled_alike_in_rows_and_in_the_contract() {
        let (url, none) = (String::new, String::new);
        for (kind, content) in [
            (pb::InsertKind::Snippet, InsertContent::Snippet { text: none() }),
            (pb::InsertKind::Document, InsertContent::Document { url: url(), file_name: none() }),
            (pb::InsertKind::Meeting, InsertContent::Meeting { url: url(), duration_minutes: 0 }),
            (pb::InsertKind::KnowledgeArticle, InsertContent::KnowledgeArticle { url: url(), summary: none() }),
            (
                pb::InsertKind::Quote,
                InsertContent::Quote {
                    number: none(),
                    amount: none(),
                    currency_code: none(),
                    expire_date: none(),
                    url: url(),
                },
            ),
            (
                pb::InsertKind::Video,
                InsertContent::Video { source_url: url(), thumbnail_url: url(), media_type: none() },
            ),
        ] {
            assert_eq!(insert_kind(kind), content.kind());
        }
    }
}

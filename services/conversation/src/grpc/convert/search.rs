//! Searches.

use frontdesk_proto::conversation::v1 as pb;
use tonic::Status;
use uuid::Uuid;

use super::{counter, inbox_row, invalid};
use crate::{
    domain::{Conversation, MAX_QUERY_WORDS, QueryError, SearchQuery, Snippet},
    queries::FoundConversations,
};

/// The query in the field `query`.
pub(crate) fn search_query(text: &str) -> Result<SearchQuery, Status> {
    SearchQuery::parse(text).map_err(|error| match error {
        QueryError::NoWord => invalid("query", "must have a letter or a digit"),
        QueryError::TooManyWords => invalid(
            "query",
            &format!(
                "must have at most {MAX_QUERY_WORDS} words; of scripts without spaces, such as Chinese, each pair of neighbouring characters is one"
            ),
        ),
    })
}

/// A conversation that a search found. `agent`: the caller, as in [`inbox_row`].
pub(crate) fn found(of: &Conversation, found: &FoundConversations, agent: Option<Uuid>) -> pb::ConversationMatch {
    let entries = found.snippets.get(&of.id).into_iter().flatten();
    pb::ConversationMatch {
        row: Some(inbox_row(of, &found.inbox, agent)),
        entries: entries.map(|(sequence, snippet)| entry_match(*sequence, snippet)).collect(),
    }
}

fn entry_match(sequence: i64, snippet: &Snippet) -> pb::EntryMatch {
    // A snippet is short.
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let range = |(start, length): &(usize, usize)| pb::TextRange { start: number(*start), length: number(*length) };
    pb::EntryMatch {
        sequence: counter(sequence),
        snippet: snippet.text.clone(),
        ranges: snippet.ranges.iter().map(range).collect(),
    }
}

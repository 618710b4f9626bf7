//! Inserts: what a team keeps ready to send (rule C6). A message gets a copy, which later changes of the insert do not change.

use frontdesk_clock::Time;
use frontdesk_db::AccountId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::PlaceholderValues;

/// An insert of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Insert {
    pub(crate) id: Uuid,
    pub(crate) account: AccountId,
    /// Of the account's inserts that are not deleted, one has it. Empty: none.
    pub(crate) shortcut: String,
    pub(crate) title: String,
    pub(crate) tags: Vec<String>,
    pub(crate) content: InsertContent,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    /// None: the insert is not deleted.
    pub(crate) deleted_at: Option<Time>,
    /// Number of the insert's events; also its etag.
    pub(crate) version: i64,
}

/// What an insert sends. Optional texts are empty when they are not given. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum InsertContent {
    /// In the library the text has placeholders, in a message they are filled.
    Snippet {
        text: String,
    },
    Document {
        url: String,
        file_name: String,
    },
    /// `duration_minutes`: 0 is not given.
    Meeting {
        url: String,
        duration_minutes: i32,
    },
    KnowledgeArticle {
        url: String,
        summary: String,
    },
    /// `amount`: a decimal number. `currency_code`: ISO 4217. `expire_date`: year, month and day, as in 2026-12-31.
    Quote {
        number: String,
        amount: String,
        currency_code: String,
        expire_date: String,
        url: String,
    },
    Video {
        source_url: String,
        thumbnail_url: String,
        media_type: String,
    },
    /// Content of a later release, which a replica of this one cannot show.
    #[serde(other)]
    Unknown,
}

/// An insert of a message, as it was when the message was posted. Stored as JSON: add, never rename.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SentInsert {
    pub(crate) insert_id: Uuid,
    pub(crate) title: String,
    pub(crate) plain_text: String,
    pub(crate) content: InsertContent,
}

/// What an update changes. None: unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct InsertUpdate {
    pub(crate) shortcut: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) content: Option<InsertContent>,
}

/// The change of an insert, which decides its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InsertChange {
    Updated,
    Deleted,
    Undeleted,
}

impl Insert {
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    /// The insert after the update. None: the update changes nothing.
    pub(crate) fn updated(&self, update: InsertUpdate) -> Option<Self> {
        let after = Self {
            shortcut: update.shortcut.unwrap_or_else(|| self.shortcut.clone()),
            title: update.title.unwrap_or_else(|| self.title.clone()),
            tags: update.tags.unwrap_or_else(|| self.tags.clone()),
            content: update.content.unwrap_or_else(|| self.content.clone()),
            ..self.clone()
        };
        (after != *self).then_some(after)
    }

    /// Deletes the insert: no message is posted with it any more. None: it was deleted before.
    pub(crate) fn delete(&mut self, now: Time) -> Option<InsertChange> {
        if self.is_deleted() {
            return None;
        }
        self.deleted_at = Some(now);
        Some(InsertChange::Deleted)
    }

    /// Undoes the deletion. None: the insert is not deleted.
    pub(crate) fn undelete(&mut self) -> Option<InsertChange> {
        self.deleted_at.take().map(|_| InsertChange::Undeleted)
    }

    /// What searches compare, in lower case: the tags as lines, and the words of shortcut, title and tags, each after a space.
    pub(crate) fn search_text(&self) -> String {
        let mut text = String::from("\n");
        for tag in &self.tags {
            text.push_str(&tag.to_lowercase());
            text.push('\n');
        }
        for word in [&self.shortcut, &self.title].into_iter().chain(&self.tags).flat_map(|text| search_words(text)) {
            text.push(' ');
            text.push_str(&word);
        }
        text
    }

    /// The copy for a message, with the names of the placeholders that have no value.
    pub(crate) fn freeze(self, values: &PlaceholderValues) -> (SentInsert, Vec<String>) {
        let (content, missing) = match self.content {
            InsertContent::Snippet { text } => {
                let (text, missing) = values.fill(&text);
                (InsertContent::Snippet { text }, missing)
            }
            content => (content, Vec::new()),
        };
        let plain_text = content.plain_text(&self.title);
        (SentInsert { insert_id: self.id, title: self.title, plain_text, content }, missing)
    }
}

/// The words of a text, in lower case: what stands between other characters than letters and digits.
pub(crate) fn search_words(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let words = text.split(|character: char| !character.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

impl InsertContent {
    /// Its kind, as rows spell it: add, never rename.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Snippet { .. } => "SNIPPET",
            Self::Document { .. } => "DOCUMENT",
            Self::Meeting { .. } => "MEETING",
            Self::KnowledgeArticle { .. } => "KNOWLEDGE_ARTICLE",
            Self::Quote { .. } => "QUOTE",
            Self::Video { .. } => "VIDEO",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The content as text with line breaks, for transcripts and for clients that do not know its kind.
    fn plain_text(&self, title: &str) -> String {
        let unless_empty = |text: &str, shown: String| if text.is_empty() { String::new() } else { shown };
        match self {
            Self::Snippet { text } => text.clone(),
            Self::Document { url, file_name } => {
                format!("{title}{}: {url}", unless_empty(file_name, format!(" ({file_name})")))
            }
            Self::Meeting { url, duration_minutes: 0 } => format!("{title}: {url}"),
            Self::Meeting { url, duration_minutes } => format!("{title} ({duration_minutes} min): {url}"),
            Self::KnowledgeArticle { url, summary } => {
                format!("{title}: {url}{}", unless_empty(summary, format!("\n{summary}")))
            }
            Self::Quote { number, amount, currency_code, expire_date, url } => {
                let valid_until = unless_empty(expire_date, format!(", valid until {expire_date}"));
                let link = unless_empty(url, format!(" {url}"));
                format!("Quote {number}: {} {currency_code}{valid_until}{link}", grouped(amount))
            }
            Self::Video { source_url, .. } => format!("{title}: {source_url}"),
            Self::Unknown => title.to_owned(),
        }
    }
}

/// A decimal number with a comma between thousands.
fn grouped(amount: &str) -> String {
    let digits = amount.find('.').unwrap_or(amount.len());
    let mut text = String::new();
    for (place, character) in amount.chars().enumerate() {
        if 0 < place && place < digits && (digits - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c6_each_kind_has_a_plain_text() {
        let url = || "https://shop.example/x".to_owned();
        let quote = |amount: &str, expire_date: &str, url: String| InsertContent::Quote {
            number: "Q-17".into(),
            amount: amount.into(),
            currency_code: "EUR".into(),
            expire_date: expire_date.into(),
            url,
        };
        for (content, plain_text) in [
            (InsertContent::Snippet { text: "a\nb".into() }, "a\nb"),
            (InsertContent::Document { url: url(), file_name: "x.pdf".into() }, "T (x.pdf): https://shop.example/x"),
            (InsertContent::Document { url: url(), file_name: String::new() }, "T: https://shop.example/x"),
            (InsertContent::Meeting { url: url(), duration_minutes: 30 }, "T (30 min): https://shop.example/x"),
            (InsertContent::Meeting { url: url(), duration_minutes: 0 }, "T: https://shop.example/x"),
            (InsertContent::KnowledgeArticle { url: url(), summary: "S".into() }, "T: https://shop.example/x\nS"),
            (
                quote("1200.00", "2026-12-31", url()),
                "Quote Q-17: 1,200.00 EUR, valid until 2026-12-31 https://shop.example/x",
            ),
            (quote("999.5", "", String::new()), "Quote Q-17: 999.5 EUR"),
            (quote("123456789", "", String::new()), "Quote Q-17: 123,456,789 EUR"),
            (quote("0", "", String::new()), "Quote Q-17: 0 EUR"),
            (
                InsertContent::Video { source_url: url(), thumbnail_url: String::new(), media_type: String::new() },
                "T: https://shop.example/x",
            ),
        ] {
            assert_eq!(content.plain_text("T"), plain_text);
            let json = serde_json::to_string(&content).unwrap();
            assert_eq!(serde_json::from_str::<InsertContent>(&json).unwrap(), content, "{json}");
        }
        assert_eq!(serde_json::from_str::<InsertContent>(r#"{"kind":"poll","x":1}"#).unwrap(), InsertContent::Unknown);
    }

    #[test]
    fn c6_words_are_letters_and_digits_in_lower_case() {
        assert_eq!(search_words("Order.Status-2 (Ärger!)"), ["order", "status", "2", "ärger"]);
        assert_eq!(search_words(" %_ "), Vec::<String>::new());
    }
}

//! How an account writes its transcripts in a language, in the place of the shipped template (rule T6).

use std::collections::BTreeMap;

use frontdesk_clock::Time;
use frontdesk_db::AccountId;

/// What an account has in the place of a shipped template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TranscriptTemplate {
    pub(crate) account: AccountId,
    /// BCP 47 tag in lower case.
    pub(crate) language: String,
    /// Source of the HTML part. Empty: the shipped one.
    pub(crate) html: String,
    /// Source of the plain text part. Empty: the shipped one.
    pub(crate) text: String,
    /// Texts by their names. Without one: that of the shipped language, else the English one.
    pub(crate) words: BTreeMap<String, String>,
    /// Rises with each change, also when it is deleted; also the etag. 0: there never was one.
    pub(crate) version: i64,
    pub(crate) updated_at: Time,
}

/// The fields to change. None, and a word that is not named: unchanged. An empty text: back to the shipped one.
#[derive(Clone, Debug, Default)]
pub(crate) struct TemplateChange {
    pub(crate) html: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) words: BTreeMap<String, String>,
}

/// The template was edited since the caller read it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TemplateEdited;

impl TranscriptTemplate {
    /// Returns the template of an account that has none.
    pub(crate) fn shipped(account: AccountId, language: String) -> Self {
        let (html, text, words) = (String::new(), String::new(), BTreeMap::new());
        Self { account, language, html, text, words, version: 0, updated_at: Time(0) }
    }

    /// Returns the etag.
    pub(crate) fn etag(&self) -> String {
        self.version.to_string()
    }

    /// Returns whether nothing is the account's own.
    pub(crate) fn is_shipped(&self) -> bool {
        self.html.is_empty() && self.text.is_empty() && self.words.is_empty()
    }

    /// Returns the template after the change.
    pub(crate) fn with(&self, change: TemplateChange) -> Self {
        let mut changed = self.clone();
        changed.html = change.html.unwrap_or(changed.html);
        changed.text = change.text.unwrap_or(changed.text);
        changed.words.extend(change.words);
        changed.words.retain(|_, word| !word.is_empty());
        changed
    }

    /// Takes the content of `changed`; an empty `etag` takes it unconditionally. Returns false when it has this content already, whatever
    /// the etag.
    pub(crate) fn update(&mut self, changed: Self, etag: &str, now: Time) -> Result<bool, TemplateEdited> {
        if changed == *self {
            return Ok(false);
        }
        if !etag.is_empty() && etag != self.etag() {
            return Err(TemplateEdited);
        }
        *self = Self { version: self.version + 1, updated_at: now, ..changed };
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn template() -> TranscriptTemplate {
        TranscriptTemplate::shipped(AccountId(Uuid::from_u128(1)), "de".into())
    }

    fn words(words: &[(&str, &str)]) -> BTreeMap<String, String> {
        words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect()
    }

    #[test]
    fn t6_a_change_keeps_what_it_does_not_name_and_an_empty_text_is_the_shipped_one() {
        let first = TemplateChange {
            html: Some("<p>".into()),
            words: words(&[("you", "Sie"), ("team", "Team")]),
            ..TemplateChange::default()
        };
        let first = template().with(first);
        assert!(!first.is_shipped() && first.text.is_empty());
        let second = first.with(TemplateChange { words: words(&[("team", "")]), ..TemplateChange::default() });
        assert_eq!((second.html.as_str(), &second.words), ("<p>", &words(&[("you", "Sie")])));
        let none = TemplateChange { html: Some(String::new()), words: words(&[("you", "")]), text: None };
        assert!(second.with(none).is_shipped());
    }

    #[test]
    fn c12_an_update_with_the_same_content_succeeds_with_an_old_etag_and_another_is_refused() {
        let mut template = template();
        let changed = template.with(TemplateChange { text: Some("a".into()), ..TemplateChange::default() });
        assert_eq!(template.update(changed, "0", Time(1)), Ok(true));
        assert_eq!(template.update(template.clone(), "0", Time(2)), Ok(false));
        let other = template.with(TemplateChange { text: Some("b".into()), ..TemplateChange::default() });
        assert_eq!(template.update(other, "0", Time(3)), Err(TemplateEdited));
        assert_eq!((template.version, template.updated_at), (1, Time(1)));
    }
}

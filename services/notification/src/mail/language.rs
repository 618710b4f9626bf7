//! The languages of the mails: a file of `languages/` each, with all words, and how dates and numbers are written.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::civil::Date;
use serde::Deserialize;

use super::{ComposeError, TemplateFault};
use crate::domain::TranscriptTemplate;

/// Tags and files of the languages. The first is the language of a mail when no other is known.
const FILES: [(&str, &str); 2] = [("en", include_str!("languages/en.toml")), ("it", include_str!("languages/it.toml"))];

static LANGUAGES: LazyLock<Result<Vec<Language>, ComposeError>> = LazyLock::new(|| {
    let parse = |&(tag, file): &(&str, &str)| match toml::from_str(file) {
        Ok(words) => Ok(Language { tag: tag.to_owned(), words, html: String::new(), text: String::new() }),
        Err(error) => Err(ComposeError(format!("the language file {tag}.toml cannot be read: {error}"))),
    };
    FILES.iter().map(parse).collect()
});

/// A language with its words, and with what an account has in the place of the shipped templates.
#[derive(Clone, Debug)]
pub(crate) struct Language {
    /// BCP 47 tag.
    pub(crate) tag: String,
    pub(super) words: Words,
    /// Source of the HTML part. Empty: the shipped one.
    pub(super) html: String,
    /// Source of the plain text part. Empty: the shipped one.
    pub(super) text: String,
}

/// The texts of a language; a file without one of them cannot be read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    decimal_mark: String,
    thousands_mark: String,
    weekdays: [String; 7],
    months: [String; 12],
    date: String,
    date_with_weekday: String,
    pub(super) subject_to_visitor: String,
    pub(super) subject_to_other: String,
    pub(super) preheader_to_visitor: String,
    pub(super) preheader_to_other: String,
    pub(super) messages_one: String,
    pub(super) messages_other: String,
    pub(super) when: String,
    pub(super) began_on: String,
    pub(super) reason_to_visitor: String,
    pub(super) reason_to_other: String,
    pub(super) you: String,
    pub(super) visitor: String,
    pub(super) agent: String,
    pub(super) an_agent: String,
    pub(super) team: String,
    pub(super) bot: String,
    pub(super) label_visitor: String,
    pub(super) label_team: String,
    pub(super) label_bot: String,
    pub(super) joined: String,
    pub(super) ended: String,
    pub(super) ended_inactive: String,
    pub(super) reopened: String,
    pub(super) omitted_one: String,
    pub(super) omitted_other: String,
    pub(super) whole_chat: String,
    pub(super) document: String,
    pub(super) meeting: String,
    pub(super) article: String,
    pub(super) video: String,
    pub(super) quote: String,
    pub(super) minutes_one: String,
    pub(super) minutes_other: String,
    pub(super) total: String,
    amount: String,
    pub(super) valid_until: String,
    pub(super) file: String,
    bytes_one: String,
    bytes_other: String,
    kibibytes: String,
    mebibytes: String,
    pub(super) link_works_until: String,
    pub(super) no_longer_available: String,
    pub(super) sender_code_subject: String,
    pub(super) sender_code_request: String,
    pub(super) sender_code_validity: String,
    pub(super) visitor_code_subject: String,
    pub(super) visitor_code_request: String,
    pub(super) visitor_code_validity: String,
    pub(super) notice_subject: String,
    pub(super) mentioned_one: String,
    pub(super) mentioned_other: String,
    pub(super) assigned_one: String,
    pub(super) assigned_other: String,
    pub(super) open_conversation: String,
    pub(super) notice_reason: String,
}

/// Returns the language of a mail: that of the first tag that has a file, else English. `pt-BR` has the file of `pt` when there is none
/// of its own.
pub(crate) fn language(tags: &[&str]) -> Result<&'static Language, ComposeError> {
    let languages = LANGUAGES.as_ref().map_err(Clone::clone)?;
    let find = |tag: &str| languages.iter().find(|language| language.tag.eq_ignore_ascii_case(tag));
    let known = tags.iter().find_map(|tag| find(tag).or_else(|| find(tag.split('-').next().unwrap_or_default())));
    known.or(languages.first()).ok_or_else(|| ComposeError("there is no language".into()))
}

/// Returns the account's own language that a transcript is written in, of those with these tags. None: a shipped one comes first.
pub(crate) fn own_language<'a>(own: &'a [String], tags: &[&str]) -> Option<&'a str> {
    for tag in tags.iter().flat_map(|tag| [*tag, tag.split('-').next().unwrap_or_default()]) {
        if let Some(found) = own.iter().find(|own| own.eq_ignore_ascii_case(tag)) {
            return Some(found.as_str());
        }
        if is_language(&tag.to_ascii_lowercase()) {
            return None;
        }
    }
    None
}

/// Returns whether mails can be written in the language of this tag.
pub(crate) fn is_language(tag: &str) -> bool {
    FILES.iter().any(|(known, _)| *known == tag)
}

/// Returns the tags of all languages.
pub(crate) fn languages() -> String {
    FILES.map(|(tag, _)| tag).join(", ")
}

/// Beginnings of the names of texts that only mails of the installation have.
const OF_INSTALLATION: [&str; 6] =
    ["sender_code", "visitor_code", "notice", "mentioned", "assigned", "open_conversation"];

/// Returns the file of the language with this tag, of its language without a region, else the English one.
fn file(tag: &str) -> &'static str {
    let find = |tag: &str| FILES.iter().find(|(known, _)| *known == tag).map(|(_, file)| *file);
    find(tag).or_else(|| find(tag.split('-').next().unwrap_or_default())).unwrap_or(FILES[0].1)
}

/// Returns the shipped texts of transcripts, by their names: those that an account can replace. Lists have a comma between their items.
pub(crate) fn shipped_words(tag: &str) -> BTreeMap<String, String> {
    let table: toml::Table = toml::from_str(file(tag)).unwrap_or_default();
    let word = |value: &toml::Value| match value {
        toml::Value::Array(items) => items.iter().filter_map(|item| item.as_str()).collect::<Vec<_>>().join(", "),
        value => value.as_str().unwrap_or_default().to_owned(),
    };
    table
        .iter()
        .filter(|(name, _)| !is_of_installation(name))
        .map(|(name, value)| (name.clone(), word(value)))
        .collect()
}

fn is_of_installation(name: &str) -> bool {
    OF_INSTALLATION.iter().any(|beginning| name.starts_with(beginning))
}

/// Puts the account's word in the place of the shipped one.
fn replace_word(table: &mut toml::Table, name: &str, word: &str) -> Result<(), String> {
    let shipped = table.get_mut(name).filter(|_| !is_of_installation(name));
    match shipped {
        None => Err(format!("there is no text {name} in transcripts; GetTranscriptTemplate has all in shipped_words")),
        Some(toml::Value::Array(items)) => {
            let own: Vec<&str> = word.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
            if own.len() != items.len() {
                return Err(format!("{name} must have {} items with commas between them", items.len()));
            }
            *items = own.into_iter().map(|item| toml::Value::String(item.to_owned())).collect();
            Ok(())
        }
        Some(shipped) => {
            let known = names_in(shipped.as_str().unwrap_or_default());
            if let Some(unknown) = names_in(word).into_iter().find(|name| !known.contains(name)) {
                return Err(format!("{name} has no value {{{unknown}}}; the shipped text has: {}", known.join(", ")));
            }
            *shipped = toml::Value::String(word.to_owned());
            Ok(())
        }
    }
}

/// Returns the names in braces of a pattern.
fn names_in(pattern: &str) -> Vec<&str> {
    pattern.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default()).collect()
}

impl Language {
    /// Returns the language of an account's template: the shipped words of its tag with the account's in their place. A word that cannot be
    /// used is left out, and returned: it was saved with another release.
    pub(crate) fn of_template(template: &TranscriptTemplate) -> Result<(Self, Vec<TemplateFault>), ComposeError> {
        let unreadable =
            |error: toml::de::Error| ComposeError(format!("the words of a language cannot be read: {error}"));
        let mut table: toml::Table = toml::from_str(file(&template.language)).map_err(unreadable)?;
        let mut faults = Vec::new();
        for (name, word) in &template.words {
            if let Err(problem) = replace_word(&mut table, name, word) {
                faults.push(TemplateFault { field: "words", line: 0, problem });
            }
        }
        let words = toml::Value::Table(table).try_into().map_err(unreadable)?;
        let (tag, html, text) = (template.language.clone(), template.html.clone(), template.text.clone());
        Ok((Self { tag, words, html, text }, faults))
    }

    /// Returns whether a template of an account renders a part.
    pub(crate) fn has_own_template(&self) -> bool {
        !self.html.is_empty() || !self.text.is_empty()
    }

    /// Returns `3 March 2026`.
    pub(super) fn date(&self, date: Date) -> String {
        self.dated(&self.words.date, date)
    }

    /// Returns `Tuesday, 3 March 2026`.
    pub(super) fn date_with_weekday(&self, date: Date) -> String {
        self.dated(&self.words.date_with_weekday, date)
    }

    fn dated(&self, pattern: &str, date: Date) -> String {
        let nth = |names: &[String], place: i8| {
            usize::try_from(place).ok().and_then(|place| names.get(place)).cloned().unwrap_or_default()
        };
        let weekday = nth(&self.words.weekdays, date.weekday().to_monday_zero_offset());
        let month = nth(&self.words.months, date.month() - 1);
        let (day, year) = (date.day().to_string(), date.year().to_string());
        fill(pattern, &[("weekday", &weekday), ("day", &day), ("month", &month), ("year", &year)])
    }

    /// Returns a decimal number such as `1200.50` with the marks of the language.
    pub(super) fn number(&self, decimal: &str) -> String {
        let (whole, decimals) = decimal.split_once('.').unwrap_or((decimal, ""));
        let mut number = String::new();
        for (place, digit) in whole.chars().enumerate() {
            if 0 < place && (whole.len() - place).is_multiple_of(3) {
                number.push_str(&self.words.thousands_mark);
            }
            number.push(digit);
        }
        if !decimals.is_empty() {
            number.push_str(&self.words.decimal_mark);
            number.push_str(decimals);
        }
        number
    }

    /// Returns `1 message` or `2 messages`, of such a pair of texts.
    pub(super) fn counted(&self, count: usize, one: &str, other: &str) -> String {
        if count == 1 { one.to_owned() } else { fill(other, &[("count", &self.number(&count.to_string()))]) }
    }

    /// Returns `1,200.50 EUR`.
    pub(super) fn amount(&self, amount: &str, currency: &str) -> String {
        fill(&self.words.amount, &[("number", &self.number(amount)), ("currency", currency)])
    }

    /// Returns the size of a file, such as `12 KiB`.
    pub(super) fn size(&self, bytes: i32) -> String {
        let (count, pattern) = match bytes {
            1 => (1, &self.words.bytes_one),
            bytes if bytes < 1_024 => (bytes, &self.words.bytes_other),
            bytes if bytes < 1_024 * 1_024 => (bytes / 1_024, &self.words.kibibytes),
            bytes => (bytes / (1_024 * 1_024), &self.words.mebibytes),
        };
        fill(pattern, &[("count", &self.number(&count.to_string()))])
    }
}

/// Returns the pattern with a value in place of each name in braces. Braces in a value are text.
pub(super) fn fill(pattern: &str, values: &[(&str, &str)]) -> String {
    let (mut text, mut rest) = (String::with_capacity(pattern.len()), pattern);
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
    {
        text.push_str(before);
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            text.push_str(value);
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    /// The names in braces of each text of a file.
    fn names(file: &str) -> Vec<(String, BTreeSet<String>)> {
        let table: toml::Table = toml::from_str(file).unwrap();
        let names = |text: &str| {
            text.split('{').skip(1).map(|rest| rest.split_once('}').expect("a closing brace").0.to_owned()).collect()
        };
        table.iter().map(|(key, value)| (key.clone(), value.as_str().map(names).unwrap_or_default())).collect()
    }

    #[test]
    fn t6_each_language_has_every_text_with_the_same_names_and_each_file_is_a_language() {
        assert!(LANGUAGES.as_ref().is_ok_and(|languages| languages.len() == FILES.len()), "{:?}", *LANGUAGES);
        for (tag, file) in FILES {
            assert_eq!(names(file), names(FILES[0].1), "{tag}");
        }
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mail/languages");
        let files: BTreeSet<String> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let known: BTreeSet<String> = FILES.iter().map(|(tag, _)| format!("{tag}.toml")).collect();
        assert_eq!(files, known, "add the file to FILES");
    }

    #[test]
    fn t6_the_first_language_that_there_is_counts_and_else_english() {
        let tag = |tags: &[&str]| language(tags).unwrap().tag.as_str();
        assert_eq!(tag(&["it", "en"]), "it");
        assert_eq!(tag(&["", "tlh", "IT-ch", "en"]), "it");
        assert_eq!(tag(&["../it", "{it}"]), "en");
        assert_eq!(tag(&[]), "en");
        assert!(is_language("it") && !is_language("tlh") && languages().contains("en, it"));
    }

    #[test]
    fn t6_dates_numbers_amounts_and_sizes_are_written_as_in_the_language() {
        let (en, it) = (language(&["en"]).unwrap(), language(&["it"]).unwrap());
        assert_eq!(en.date_with_weekday(date("2026-03-03")), "Tuesday, 3 March 2026");
        assert_eq!(it.date_with_weekday(date("2026-03-01")), "domenica 1 marzo 2026");
        assert_eq!(
            (en.date(date("2026-12-31")), it.date(date("2026-12-31"))),
            ("31 December 2026".into(), "31 dicembre 2026".into())
        );
        assert_eq!(en.amount("1234567.50", "EUR"), "1,234,567.50 EUR");
        assert_eq!(it.amount("1234567.50", "EUR"), "1.234.567,50 EUR");
        assert_eq!((it.amount("999", "EUR"), it.amount("0.5", "EUR")), ("999 EUR".into(), "0,5 EUR".into()));
        let sizes = [1, 512, 12_500, 26_214_400].map(|bytes| it.size(bytes));
        assert_eq!(sizes, ["1 byte", "512 byte", "12 KiB", "25 MiB"]);
        assert_eq!(en.counted(1, "1 message", "{count} messages"), "1 message");
        assert_eq!(it.counted(10_000, "1 messaggio", "{count} messaggi"), "10.000 messaggi");
    }

    #[test]
    fn t7_a_value_is_never_a_pattern() {
        let filled = fill("{a} and {b}", &[("a", "{b} {"), ("b", "}{a}")]);
        assert_eq!(filled, "{b} { and }{a}");
    }

    fn template(language: &str, words: &[(&str, &str)]) -> TranscriptTemplate {
        let account = frontdesk_db::AccountId(uuid::Uuid::from_u128(1));
        let words = words.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect();
        TranscriptTemplate { words, ..TranscriptTemplate::shipped(account, language.to_owned()) }
    }

    #[test]
    fn t6_an_account_has_words_of_its_own_in_any_language() {
        let months =
            "Januar, Februar, M\u{E4}rz, April, Mai, Juni, Juli, August, September, Oktober, November, Dezember";
        let german = template("de", &[("months", months), ("date", "{day}. {month} {year}"), ("you", "Sie")]);
        let (german, faults) = Language::of_template(&german).unwrap();
        assert_eq!((german.date(date("2026-03-03")).as_str(), faults), ("3. M\u{E4}rz 2026", Vec::new()));
        assert_eq!((german.words.you.as_str(), german.words.team.as_str(), german.tag.as_str()), ("Sie", "Team", "de"));
        let (swiss, _) = Language::of_template(&template("it-ch", &[])).unwrap();
        assert_eq!(swiss.words.months[0], "gennaio");
        assert_eq!(shipped_words("it-ch")["months"].split(", ").count(), 12);
    }

    #[test]
    fn t6_a_word_that_cannot_be_used_is_named_with_its_remedy() {
        for (name, word, part) in [
            ("yuo", "Sie", "no text yuo"),
            ("visitor_code_request", "Give it to me: {address}", "no text visitor_code_request"),
            ("weekdays", "Montag, Dienstag", "7 items"),
            ("joined", "{nmae} ist da", "{nmae}; the shipped text has: name"),
        ] {
            let (_, faults) = Language::of_template(&template("de", &[(name, word)])).unwrap();
            assert!(faults.len() == 1 && faults[0].problem.contains(part), "{faults:?}");
        }
    }

    #[test]
    fn t6_an_accounts_language_comes_where_its_tag_is_named_before_a_shipped_one() {
        let own = ["de".to_owned(), "it".to_owned()];
        assert_eq!(own_language(&own, &["de-CH", "en"]), Some("de"));
        assert_eq!(own_language(&own, &["", "tlh", "IT", "en"]), Some("it"));
        assert_eq!(own_language(&own, &["en", "de"]), None);
        assert_eq!(own_language(&[], &["de", "en"]), None);
    }
}

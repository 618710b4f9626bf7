//! A text in several languages.

/// A text in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalizedText {
    /// BCP 47 tag.
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Returns the text in this language, otherwise the first one with the same primary subtag, otherwise the first one. `language`: a BCP
/// 47 tag, or empty. Case makes no difference. Empty: there are no texts.
pub(crate) fn text_in<'a>(texts: &'a [LocalizedText], language: &str) -> &'a str {
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let same = texts.iter().find(|text| text.language.eq_ignore_ascii_case(language));
    let chosen = same.or_else(|| texts.iter().find(|text| primary(&text.language) == primary(language)));
    chosen.or(texts.first()).map(|text| text.text.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a4_a_visitor_gets_the_text_in_their_language_or_the_nearest_one() {
        let texts = ["en", "pt-PT", "pt-BR", "de"]
            .map(|language| LocalizedText { language: language.into(), text: format!("in {language}") });
        for (language, text) in [
            ("de", "in de"),
            ("PT-br", "in pt-BR"),
            ("pt", "in pt-PT"),
            ("de-AT", "in de"),
            ("fr", "in en"),
            ("", "in en"),
        ] {
            assert_eq!(text_in(&texts, language), text, "{language}");
        }
        assert_eq!(text_in(&[], "de"), "");
    }
}

//! Invisible and directional characters, and line breaks: the one list of them, for normalisation, names, subjects and mail
//! headers.
#![warn(clippy::all, missing_docs)]

/// True: the character sets the direction of the text around it, so that the text can read as something else.
///
/// The marks, the embeddings and overrides, and the isolates of the Unicode Bidirectional Algorithm, with their ends.
pub fn is_directional(character: char) -> bool {
    matches!(character, '\u{061C}' | '\u{200E}' | '\u{200F}') || is_override(character) || is_isolate(character)
}

/// True: the character takes no room, so that two texts that look the same are not. Includes the directional characters.
///
/// The default-ignorable characters of Unicode, the byte order mark, and the fillers and the empty Braille pattern, which are shown as
/// nothing.
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// True: the zero-width space or the byte order mark. No language needs them within a word, unlike the joiners.
pub fn is_zero_width(character: char) -> bool {
    matches!(character, '\u{200B}' | '\u{FEFF}')
}

/// True: the character ends a line, also by the rules of Unicode.
pub fn is_line_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// An embedding or an override of the direction, or the end of one.
pub(crate) fn is_override(character: char) -> bool {
    matches!(character, '\u{202A}'..='\u{202E}')
}

/// An isolate of the direction, or the end of one.
pub(crate) fn is_isolate(character: char) -> bool {
    matches!(character, '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directional_and_zero_width_characters_are_invisible_and_letters_are_not() {
        for character in '\0'..=char::MAX {
            let hidden = is_directional(character) || is_zero_width(character);
            assert!(!hidden || is_invisible(character), "{character:?}");
            assert!(!is_invisible(character) || !is_line_break(character), "{character:?}");
        }
        assert!(!"Ada Amélie שלום 日本 👩 e\u{301}".contains(is_invisible));
    }
}

//! Lists of words, which the environment writes in one text: `#[serde(deserialize_with = "frontdesk_settings::list::deserialize")]`.

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged, expecting = "it must be a list of texts, or one text with commas between them")]
enum Words {
    List(Vec<String>),
    Text(String),
}

/// Reads a list, or a text with commas between the words. An empty text is an empty list.
pub fn deserialize<'de, D: Deserializer<'de>, L: From<Vec<String>>>(deserializer: D) -> Result<L, D::Error> {
    Ok(match Words::deserialize(deserializer)? {
        Words::List(words) => words,
        Words::Text(text) => {
            text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        }
    }
    .into())
}

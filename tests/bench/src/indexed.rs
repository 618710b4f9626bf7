//! Conversations whose entries are indexed for searches: the rows of their words are inserted as the entries are, since the worker that
//! indexes entries yields to other work.

use crate::fixture::{ACCOUNT, AGENT, CHANNEL};

/// A text without spaces, whose pairs of neighbours are words of the index.
pub const UNSPACED: &str = "搜索订单";
/// Number of entries that have the rare word.
const RARE: u32 = 100;

/// Conversations with entries that have words. SQL expressions are of `number`, that of the conversation, and `sequence`.
pub struct Indexed {
    /// Fourth group of the hexadecimal digits of their ids, which are above those of the conversations of `fixture`: pages begin with
    /// these.
    group: &'static str,
    conversations: u32,
    entries: u32,
    /// SQL of the text, as JSON has it.
    text: String,
    words: Vec<Word>,
}

/// A word, as SQL of its bytes, and of the condition that an entry has it.
struct Word {
    bytes: String,
    condition: String,
}

/// This number of conversations with ten entries each: `order`, `about` and `brakes` are in all of them, a number in one, `axle` in
/// [`RARE`], and [`UNSPACED`] in each twentieth.
pub fn conversations(conversations: u32) -> Indexed {
    let number = "(number::bigint * 10 + sequence)";
    let is_rare = format!("(sequence = 10 AND number % {} = 0)", (conversations / RARE).max(1));
    let is_unspaced = format!("({number} % 20 = 0)");
    // In ASCII: whatever the encoding of the connection is.
    let escaped: String = UNSPACED.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let text = format!(
        "'Order ' || {number} || ' about brakes' || CASE WHEN {is_unspaced} THEN ' {escaped}' ELSE '' END ||
            CASE WHEN {is_rare} THEN ' axle' ELSE '' END"
    );
    let mut words: Vec<Word> = ["about", "brakes", "order"].map(|word| Word::new(word, "TRUE")).into();
    words.push(Word { bytes: format!("convert_to({number}::text, 'UTF8')"), condition: "TRUE".into() });
    words.push(Word::new("axle", &is_rare));
    let characters = UNSPACED.chars().map(String::from);
    words.extend(characters.chain(pairs(UNSPACED)).map(|word| Word::new(&word, &is_unspaced)));
    Indexed { group: "e000", conversations, entries: 10, text, words }
}

/// One conversation with this number of entries of about a thousand characters, which all have `entry` and `thread`, and their
/// sequence.
pub fn thread(entries: u32) -> Indexed {
    let text = "'Entry ' || sequence || ' of a long thread' || repeat(' about the brakes', 56)".to_owned();
    let words = ["a", "about", "brakes", "entry", "long", "of", "the", "thread"];
    let mut words: Vec<Word> = words.map(|word| Word::new(word, "TRUE")).into();
    words.push(Word { bytes: "convert_to(sequence::text, 'UTF8')".into(), condition: "TRUE".into() });
    Indexed { group: "f000", conversations: 1, entries, text, words }
}

/// The pairs of neighbours of a text.
pub fn pairs(text: &str) -> impl Iterator<Item = String> {
    let characters: Vec<char> = text.chars().collect();
    let pairs: Vec<String> = characters.windows(2).map(|pair| pair.iter().collect()).collect();
    pairs.into_iter()
}

/// SQL of the bytes of a word.
pub fn bytes(word: &str) -> String {
    let digits: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("'\\x{digits}'::bytea")
}

impl Word {
    fn new(word: &str, condition: &str) -> Self {
        Self { bytes: bytes(word), condition: condition.to_owned() }
    }
}

impl Indexed {
    /// Id of the first conversation.
    pub fn first_id(&self) -> String {
        format!("00000000-0000-7000-{}-100000000001", self.group)
    }

    /// The statements that store them, and bring the planner's statistics and the visibility of rows up to date, as on a server that
    /// runs for a while. The marks come first: then the worker that indexes finds nothing to do.
    pub fn statements(&self) -> Vec<String> {
        let Self { group, conversations, entries, text, words } = self;
        let id = format!("('00000000-0000-7000-{group}-' || (100000000000 + number)::text)::uuid");
        let us = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let numbers = format!("generate_series(1, {conversations}) AS number");
        let all = format!("{numbers}, generate_series(1, {entries}) AS sequence");
        let mut statements = vec![
            format!(
                "INSERT INTO search_marks (conversation_id, account_id, sequence)
                SELECT {id}, '{ACCOUNT}', {entries} FROM {numbers}"
            ),
            format!(
                "INSERT INTO conversations (id, account_id, channel_id, visitor_id, status, page_url, page_title, assignee_kind,
                    assignee_id, epoch, bot_in_charge, had_agent, last_sequence, last_visitor_sequence, close_number, created_at,
                    last_visitor_activity_at, last_activity_at, version)
                SELECT {id}, '{ACCOUNT}', '{CHANNEL}', 'indexed-{group}-' || number, 'OPEN', 'https://shop.example/page',
                    'The page', 'AGENT', '{AGENT}', 2, FALSE, TRUE, {entries}, {entries}, 0, {us}, {us}, {us}, 0
                FROM {numbers}"
            ),
            format!(
                "INSERT INTO entries (conversation_id, sequence, visitor_sequence, account_id, author_kind, author_id, content,
                    created_at)
                SELECT {id}, sequence, sequence, '{ACCOUNT}', 'AGENT', '{AGENT}',
                    '{{\"type\":\"message\",\"text\":\"' || {text} || '\"}}', {us}
                FROM {all}"
            ),
        ];
        statements.extend(words.iter().map(|Word { bytes, condition }| {
            format!(
                "INSERT INTO search_words (account_id, word, conversation_id, sequence)
                SELECT '{ACCOUNT}', {bytes}, {id}, sequence FROM {all} WHERE {condition}"
            )
        }));
        statements.extend(["VACUUM (ANALYZE)".to_owned(), "CHECKPOINT".to_owned()]);
        statements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_written_in_ascii() {
        assert_eq!(bytes("ab"), r"'\x6162'::bytea");
        assert_eq!(pairs(UNSPACED).map(|pair| bytes(&pair)).next().unwrap(), r"'\xe6909ce7b4a2'::bytea");
        let statements = conversations(1_000).statements();
        assert!(statements.iter().all(|statement| statement.is_ascii()));
        assert!(statements.iter().any(|statement| statement.contains(r"\u641c\u7d22")));
    }
}

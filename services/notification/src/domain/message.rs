//! A message of a transcript: its text, and what was sent with it (rules C4 to C6, T6).

/// Author of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Author {
    /// A visitor without a name who is the recipient.
    You,
    /// A visitor without a name, to other recipients.
    #[default]
    UnnamedVisitor,
    Visitor,
    Agent,
    /// An administrator or a back end of the account.
    Team,
    Bot,
}

impl Author {
    /// Its kind in templates and in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::You | Self::UnnamedVisitor | Self::Visitor => "visitor",
            Self::Agent | Self::Team => "agent",
            Self::Bot => "bot",
        }
    }
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) author: Author,
    /// Empty: the mail has a word for the author, in its language.
    pub(crate) name: String,
    /// The plain text. Empty: there are inserts or attachments only.
    pub(crate) text: String,
    /// The text with its formatting. Empty: the text is plain.
    pub(crate) rich_text: Vec<Block>,
    pub(crate) buttons: Vec<String>,
    pub(crate) inserts: Vec<Insert>,
    pub(crate) attachments: Vec<Attachment>,
}

impl Message {
    /// Returns whether it is its plain text, and nothing else.
    pub(crate) fn is_plain(&self) -> bool {
        self.rich_text.is_empty() && self.buttons.is_empty() && self.inserts.is_empty() && self.attachments.is_empty()
    }
}

/// A block of a rich text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Paragraph(Vec<Span>),
    List { numbered: bool, items: Vec<Vec<Span>> },
}

/// A part of a line whose characters look alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) bold: bool,
    pub(crate) italic: bool,
    /// The address that it leads to. Empty: it is no link.
    pub(crate) link: String,
}

/// An insert, as it was when the message was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Insert {
    pub(crate) title: String,
    /// Empty: it has no page.
    pub(crate) url: String,
    pub(crate) plain_text: String,
    pub(crate) content: InsertContent,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InsertContent {
    /// The plain text says it all: a snippet, or a kind of a later release.
    Text,
    /// `file_name` may be empty.
    Document {
        file_name: String,
    },
    /// 0 minutes: not given.
    Meeting {
        minutes: i32,
    },
    /// `summary` may be empty.
    Article {
        summary: String,
    },
    /// `expire_date` as year, month and day, or empty.
    Quote {
        number: String,
        amount: String,
        currency: String,
        expire_date: String,
    },
    Video,
}

impl InsertContent {
    /// Its kind in JSON.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Document { .. } => "document",
            Self::Meeting { .. } => "meeting",
            Self::Article { .. } => "article",
            Self::Quote { .. } => "quote",
            Self::Video => "video",
        }
    }
}

/// An attachment, as it was when the message was posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) id: String,
    pub(crate) file_name: String,
    pub(crate) media_type: String,
    pub(crate) bytes: i32,
    pub(crate) file: File,
}

/// Where the bytes of an attachment are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// Behind this link, until the transcript's links end.
    Link(String),
    /// In the installation, which has no public address for links.
    NotLinked,
    /// They were removed.
    Removed,
}

//! The words that rows hold.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    Open,
    Closed,
}

/// Why a conversation was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum CloseReason {
    Agent,
    VisitorInactive,
    BotCompleted,
}

impl CloseReason {
    /// As refusals tell it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "AGENT",
            Self::VisitorInactive => "VISITOR_INACTIVE",
            Self::BotCompleted => "BOT_COMPLETED",
        }
    }
}

/// Who greets the visitor of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Greeter {
    Bot,
    Routing,
    Nobody,
}

/// How a visitor came to their contact (rule X1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Link {
    /// It is theirs: by a signed token, an agent's word, or because it was made for them.
    Own,
    /// They typed an address that it has: for the team's eyes only.
    Typed,
}

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TicketStatus {
    Open,
    Closed,
}

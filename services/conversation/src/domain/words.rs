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

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum TicketStatus {
    Open,
    Closed,
}

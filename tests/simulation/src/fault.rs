//! Faults that are planted to see that the simulation finds them.

use crate::{
    Failure,
    commands::Command,
    world::{BOT_SESSION, CONVERSATION, World, literal},
};

/// A fault of the services, which the simulation imitates by changing rows between turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A takeover leaves the bot's session in charge.
    TakeoverKeepsSession,
    /// The inactivity of a visitor counts from the start of the chat, whatever they wrote since.
    TimeoutIgnoresMessages,
    /// The mark of a handled event is lost, and the event comes again.
    HandledMarksAreLost,
    /// The relay marks events that it does not publish.
    RelayLosesEvents,
    /// Consumers acknowledge events that they do not handle.
    ConsumersLoseEvents,
    /// A mail that was sent is sent again.
    MailsAreSentAgain,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 6] = [
        Self::TakeoverKeepsSession,
        Self::TimeoutIgnoresMessages,
        Self::HandledMarksAreLost,
        Self::RelayLosesEvents,
        Self::ConsumersLoseEvents,
        Self::MailsAreSentAgain,
    ];

    /// The rules of which at least one is violated when the fault is found.
    pub fn rules(self) -> &'static [&'static str] {
        match self {
            Self::TakeoverKeepsSession => &["I5", "I6"],
            Self::TimeoutIgnoresMessages => &["I7"],
            Self::HandledMarksAreLost => &["I17"],
            Self::RelayLosesEvents | Self::ConsumersLoseEvents => &["I17", "I18", "I12"],
            Self::MailsAreSentAgain => &["I10"],
        }
    }
}

impl World {
    /// Changes the rows after an acknowledged command, as its fault would.
    pub(crate) async fn plant(&self, command: &Command) -> Result<(), Failure> {
        match (self.fault, command) {
            (Some(Fault::TakeoverKeepsSession), Command::TakeOver { chat, .. }) => {
                let row = format!("id = {} AND status = 'OPEN' AND bot_session_id IS NOT NULL", literal(chat.parse()?));
                self.execute(CONVERSATION, &format!("UPDATE conversations SET bot_in_charge = TRUE WHERE {row}")).await
            }
            (Some(Fault::TimeoutIgnoresMessages), Command::Send { chat, .. }) => {
                let id = literal(chat.parse()?);
                let row = format!("last_visitor_activity_at = created_at WHERE id = {id}");
                self.execute(CONVERSATION, &format!("UPDATE conversations SET {row}")).await?;
                let session = format!("ask_at = 0 WHERE conversation_id = {id} AND status = 'OPEN'");
                self.execute(BOT_SESSION, &format!("UPDATE bot_sessions SET {session}")).await
            }
            _ => Ok(()),
        }
    }
}

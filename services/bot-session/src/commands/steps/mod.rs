//! Steps of [`super::take_turns`].

mod perform_actions;
mod turn_guard;
mod visitor_messages;

pub(super) use perform_actions::perform_actions;
pub(crate) use turn_guard::TurnGuards;
pub(super) use visitor_messages::VisitorMessages;

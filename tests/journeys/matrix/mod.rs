//! Every method that the running servers describe by reflection, for every kind of caller, with ids of their own
//! account, of another account, and unknown ones.

mod callers;
mod comparable;
mod contract;
mod foreign_ids;
mod inactive_agents;
mod services;
mod timing;

/// Id fields that name no resource.
const NOT_RESOURCES: [&str; 9] = [
    "request_id",
    "id",
    "button_id",
    "step_id",
    "next_step_id",
    "fallback_step_id",
    "external_id",
    "mail_message_id",
    "visitor_id",
];

fn is_id(name: &str) -> bool {
    name == "id" || name.ends_with("_id") || name.ends_with("_ids")
}

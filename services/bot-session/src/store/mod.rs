//! What the database holds. Every query is of one account, except the timers' claims.

pub(crate) mod bots;
#[allow(unreachable_pub, reason = "sea-orm derives public items of rows")]
mod entity;
pub(crate) mod sessions;
pub(crate) mod timers;

use std::time::Duration;

use sea_orm::DbErr;

use crate::domain::{Flow, Timeout};

fn micros(timeout: Timeout) -> Option<i64> {
    timeout.map(|timeout| i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX))
}

fn timeout(micros: Option<i64>) -> Timeout {
    micros.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

fn write_flow(flow: &Flow) -> Result<String, DbErr> {
    serde_json::to_string(flow).map_err(|error| DbErr::Type(error.to_string()))
}

fn read_flow(text: &str) -> Result<Flow, DbErr> {
    serde_json::from_str(text).map_err(|error| DbErr::Type(format!("a flow cannot be read: {error}")))
}

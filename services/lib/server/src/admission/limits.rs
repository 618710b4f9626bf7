//! Settings of the limits: what one process carries, and what one caller may ask of it.

use serde::{Deserialize, Serialize};

/// Limits of one process. A rate of 0: no limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Maximum number of connections.
    pub connections: usize,
    /// Maximum number of connections from one address (of IPv6: from one /64).
    pub connections_per_address: usize,
    /// Maximum number of concurrent calls and streams on one connection: a client that needs more opens another one.
    pub streams_per_connection: u32,
    /// Whether control frames (pings, settings, resets, window updates) are limited on each connection. Turn it off where a gateway
    /// in front of this process ends the clients' HTTP/2.
    pub control_frames: bool,
    /// Maximum number of calls in progress; open streams do not count.
    pub in_flight: usize,
    /// Part of the calls in progress that visitors may have, and of an account's part that its visitors may have, in percent: the rest is
    /// for the team while they flood.
    pub visitor_share: u32,
    /// Maximum number of open streams.
    pub streams: usize,
    /// Maximum number of open `Watch` calls of the health service, which need no token.
    pub health_watches: usize,
    /// The same from one address (of IPv6: from one /64).
    pub health_watches_per_address: usize,
    /// Maximum number of open reflection streams, which need no token.
    pub reflection_streams: usize,
    /// The same from one address (of IPv6: from one /64).
    pub reflection_streams_per_address: usize,
    /// Maximum number of bytes of answers that wait for their clients to read them: beyond it answers of more than 64 KiB are refused.
    pub unread_bytes: usize,
    /// Part of the open streams, of the unread answers and of the large requests that are arriving which one account may have, in
    /// percent.
    pub account_share: u32,
    /// Maximum number of open streams of one visitor; 0: no limit.
    pub visitor_streams: usize,
    /// Calls per second of one visitor.
    pub visitor_rate: u32,
    /// Calls per second of one agent.
    pub agent_rate: u32,
    /// Calls per second of one bot.
    pub bot_rate: u32,
    /// Calls per second of one administrator, which is often the platform's back end.
    pub admin_rate: u32,
    /// Calls per second of all callers of one account together, without its visitors.
    pub account_rate: u32,
    /// Calls per second of all visitors of one account together.
    pub account_visitor_rate: u32,
    /// Calls per minute from one address (of IPv6: from one /64) that create anonymous visitors or start their chats; 0: no limit.
    pub anonymous_visitor_rate: u32,
    /// CORS preflights per second from one address (of IPv6: from one /64), which carry no token; 0: no limit.
    pub preflight_rate: u32,
    /// Requests of plain HTTP per second from one address (of IPv6: from one /64), which upload and download files; 0: no limit.
    pub http_rate: u32,
    /// Tokens per second from one address (of IPv6: from one /64) that are not valid, without those that have expired; 0: no limit.
    pub invalid_token_rate: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 1_000,
            streams_per_connection: 100,
            control_frames: true,
            in_flight: 256,
            visitor_share: 75,
            streams: 20_000,
            health_watches: 1_000,
            health_watches_per_address: 50,
            reflection_streams: 16,
            reflection_streams_per_address: 4,
            unread_bytes: 256 * 1024 * 1024,
            account_share: 50,
            visitor_streams: 20,
            visitor_rate: 20,
            agent_rate: 100,
            bot_rate: 200,
            admin_rate: 200,
            account_rate: 2_000,
            account_visitor_rate: 2_000,
            anonymous_visitor_rate: 60,
            preflight_rate: 100,
            http_rate: 100,
            invalid_token_rate: 1_000,
        }
    }
}

/// A limit of 0, with which the server would refuse every call.
#[derive(Debug, thiserror::Error)]
#[error("limits.{0} must be at least 1: with 0 every call is refused")]
pub struct LimitError(&'static str);

impl LimitSettings {
    /// Fails with the first setting that would refuse every call.
    pub fn check(&self) -> Result<(), LimitError> {
        let capacities = [
            ("connections", self.connections),
            ("connections_per_address", self.connections_per_address),
            ("streams_per_connection", self.streams_per_connection as usize),
            ("in_flight", self.in_flight),
            ("streams", self.streams),
            ("health_watches", self.health_watches),
            ("health_watches_per_address", self.health_watches_per_address),
            ("reflection_streams", self.reflection_streams),
            ("reflection_streams_per_address", self.reflection_streams_per_address),
            ("unread_bytes", self.unread_bytes),
            ("account_share", self.account_share as usize),
            ("visitor_share", self.visitor_share as usize),
        ];
        let zero = capacities.into_iter().find(|(_, capacity)| *capacity == 0);
        zero.map_or(Ok(()), |(setting, _)| Err(LimitError(setting)))
    }

    /// The part of a maximum that one account may have; at least 1. Without a limit if it may have all: what is full then is the whole.
    pub(super) fn account_part(&self, max: usize) -> usize {
        match self.account_share as usize {
            100 => usize::MAX,
            share => (max / 100).saturating_mul(share) + (max % 100 * share).div_ceil(100),
        }
    }

    /// The part of a maximum that the visitors of one account may have; at least 1.
    pub(super) fn visitor_part(&self, max: usize) -> usize {
        match self.visitor_share {
            100 => usize::MAX,
            _ => self.share_of_visitors(self.account_part(max).min(max)),
        }
    }

    /// Maximum number of calls in progress that visitors may have; at least 1.
    pub(super) fn max_visitor_calls(&self) -> usize {
        self.share_of_visitors(self.in_flight)
    }

    fn share_of_visitors(&self, max: usize) -> usize {
        let share = self.visitor_share as usize;
        ((max / 100).saturating_mul(share) + (max % 100 * share).div_ceil(100)).max(1)
    }

    /// Without the limits of single callers and accounts, to measure what the process itself carries.
    pub fn without_caller_limits(self) -> Self {
        Self {
            account_share: 100,
            visitor_share: 100,
            visitor_streams: 0,
            visitor_rate: 0,
            agent_rate: 0,
            bot_rate: 0,
            admin_rate: 0,
            account_rate: 0,
            account_visitor_rate: 0,
            anonymous_visitor_rate: 0,
            preflight_rate: 0,
            http_rate: 0,
            invalid_token_rate: 0,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_would_refuse_every_call_is_refused() {
        assert!(LimitSettings::default().check().is_ok());
        let error = LimitSettings { streams: 0, ..LimitSettings::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "limits.streams must be at least 1: with 0 every call is refused");
        let unlimited = LimitSettings::default().without_caller_limits();
        assert!(unlimited.check().is_ok() && unlimited.account_rate == 0, "a rate of 0 is no limit");
    }
}

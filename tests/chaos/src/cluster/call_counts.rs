//! The calls that the replicas counted in their metrics.

use std::collections::BTreeMap;

use super::{Cluster, Failure};

/// Number of calls by method and status code.
pub type CallCounts = BTreeMap<String, BTreeMap<String, u64>>;

/// What the replicas counted up to a time.
pub struct Counted {
    /// Number of starts of each replica: each begins at 0.
    starts: Vec<u32>,
    calls: CallCounts,
}

impl Cluster {
    /// Reads what the replicas have counted.
    pub async fn counted(&self) -> Result<Counted, Failure> {
        let mut calls = CallCounts::new();
        for replica in &self.replicas {
            for (method, code, count) in replica.metrics().await?.lines().filter_map(call_count) {
                *calls.entry(method).or_default().entry(code).or_default() += count;
            }
        }
        Ok(Counted { starts: self.replicas.iter().map(|replica| replica.starts).collect(), calls })
    }
}

impl Counted {
    /// The calls since an earlier time. Empty: a replica was started meanwhile, and what it had counted before is lost.
    pub fn since(self, earlier: &Self) -> CallCounts {
        if self.starts != earlier.starts {
            return CallCounts::new();
        }
        let mut calls = self.calls;
        for (method, codes) in &earlier.calls {
            for (code, before) in codes {
                if let Some(count) = calls.get_mut(method).and_then(|codes| codes.get_mut(code)) {
                    *count -= before;
                }
            }
        }
        calls
    }
}

/// Method, code and number of a line of the metrics that counts calls.
fn call_count(line: &str) -> Option<(String, String, u64)> {
    let series = line.strip_prefix("rpc_server_call_duration_seconds_count{")?;
    let (labels, count) = series.rsplit_once("} ")?;
    let label = |name: &str| {
        let mut pairs = labels.split("\",").filter_map(|pair| pair.split_once("=\""));
        pairs.find(|(of, _)| *of == name).map(|(_, value)| value.trim_end_matches('"').to_owned())
    };
    Some((label("rpc_method")?, label("rpc_response_status_code")?, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "rpc_server_call_duration_seconds_count{rpc_method=\"a.B/C\",rpc_response_status_code=\"OK\",\
                        rpc_system_name=\"grpc\",otel_scope_name=\"frontdesk\"} 7";

    #[test]
    fn calls_are_counted_between_two_times_unless_a_replica_was_started() {
        assert_eq!(call_count(LINE), Some(("a.B/C".into(), "OK".into(), 7)));
        assert_eq!(call_count("rpc_server_call_duration_seconds_sum{rpc_method=\"a.B/C\"} 7"), None);
        let counted = |starts, ok| Counted {
            starts: vec![starts],
            calls: [("a.B/C".to_owned(), [("OK".to_owned(), ok)].into())].into(),
        };
        assert_eq!(counted(1, 9).since(&counted(1, 7))["a.B/C"]["OK"], 2);
        assert!(counted(2, 9).since(&counted(1, 7)).is_empty());
    }
}

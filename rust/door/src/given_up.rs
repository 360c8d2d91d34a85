//! Streams that a peer opens and gives up.

use tokio::time::Instant;

/// Counts streams opened and given up as a bucket that leaks: a burst of `reset_streams_max`, and ten times as many per
/// second. A client that hedges stays far below; one that only opens and resets, which costs it nothing and us a call
/// each, loses its connection. h2's own counters see only resets that come before we looked at the stream.
pub(crate) struct GivenUp {
    level: f64,
    at: Instant,
}

impl GivenUp {
    const REFILL_PER_SECOND: f64 = 10.0;

    pub fn new(now: Instant) -> GivenUp {
        GivenUp { level: 0.0, at: now }
    }

    /// True: too many.
    pub fn add(&mut self, streams: usize, burst_max: usize, now: Instant) -> bool {
        let leaked = now.duration_since(self.at).as_secs_f64() * Self::REFILL_PER_SECOND * burst_max as f64;
        self.level = (self.level - leaked).max(0.0) + streams as f64;
        self.at = now;
        self.level > burst_max as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn bursts_are_cut_and_a_steady_rate_is_not() {
        let start = Instant::now();
        let mut flood = GivenUp::new(start);
        assert!(!flood.add(100, 100, start));
        assert!(flood.add(1, 100, start));
        let mut steady = GivenUp::new(start);
        for millisecond in 0..10_000 {
            assert!(!steady.add(1, 100, start + Duration::from_millis(millisecond)));
        }
    }
}

//! When the buffers of a sound card were recorded: by the card's own pace, and what was lost between them by their numbers.

/// Arrivals that differ more than this from the card's pace are a break, ns.
const BREAK_NS: i64 = 100_000_000;
/// Share of the difference between arrival and pace by which the pace is corrected: the jitter of the callbacks is averaged out, and a card whose
/// clock is wrong by some parts in ten thousand is followed.
const CORRECTION: i64 = 64;

/// Stamps of one stream of numbered buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamps {
    /// Number and time in ns of the next buffer.
    next: Option<(u64, i64)>,
}

/// Where a buffer lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped {
    /// Time of its first sample, ns.
    pub stamp_ns: i64,
    /// Buffers that were lost before it.
    pub lost: u64,
}

impl Stamps {
    /// Takes buffer number `sequence` of `frames` samples per channel, recorded at about `recorded_ns` as far as the callback could tell.
    pub fn next(&mut self, sequence: u64, recorded_ns: i64, frames: usize, rate: u32) -> Stamped {
        let (lost, stamp_ns) = match self.next {
            Some((expected, pace_ns)) => {
                let lost = sequence.saturating_sub(expected);
                let off_ns = recorded_ns - pace_ns;
                // Lost buffers are missing time, which the pace knows nothing of.
                let broken = lost > 0 || off_ns.abs() > BREAK_NS;
                (lost, if broken { recorded_ns } else { pace_ns + off_ns / CORRECTION })
            }
            None => (0, recorded_ns),
        };
        let length_ns = (frames as f64 / f64::from(rate.max(1)) * 1e9).round() as i64;
        self.next = Some((sequence.saturating_add(1), stamp_ns + length_ns));
        Stamped { stamp_ns, lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn late_callbacks_do_not_shake_the_stamps_and_a_slow_card_is_followed() {
        let mut stamps = Stamps::default();
        let mut before: Option<i64> = None;
        for k in 0..3_000_i64 {
            // Buffers of 10 ms from a card whose second lasts 1.0003 s; callbacks up to 6 ms late.
            let recorded = k * 10_003_000 + (k * 7_919 % 7) * MS;
            let s = stamps.next(k as u64, recorded, 480, 48_000);
            assert_eq!(s.lost, 0);
            assert!((s.stamp_ns - recorded).abs() < 8 * MS, "{k}");
            if let Some(before) = before {
                let step = s.stamp_ns - before;
                assert!((step - 10 * MS).abs() < MS / 4, "{k}: a step of {step} ns");
            }
            before = Some(s.stamp_ns);
        }
    }

    #[test]
    fn what_is_lost_is_counted_and_its_time_is_left_out() {
        let mut stamps = Stamps::default();
        assert_eq!(stamps.next(0, 5 * MS, 480, 48_000), Stamped { stamp_ns: 5 * MS, lost: 0 });
        assert_eq!(stamps.next(1, 15 * MS, 480, 48_000), Stamped { stamp_ns: 15 * MS, lost: 0 });
        assert_eq!(stamps.next(5, 55 * MS, 480, 48_000), Stamped { stamp_ns: 55 * MS, lost: 3 });
        // A card that stopped for a second and lost nothing.
        assert_eq!(stamps.next(6, 1_065 * MS, 480, 48_000), Stamped { stamp_ns: 1_065 * MS, lost: 0 });
        // A rate of none and numbers that go back do no harm.
        assert_eq!(stamps.next(2, 0, 0, 0).lost, 0);
    }
}

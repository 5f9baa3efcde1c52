//! How well scores tell two classes apart: error rates over thresholds, and the rate at which both errors are equal.

/// Error rates at one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// A score from here on counts as the same.
    pub threshold: f32,
    /// Share of scores of the same that lie below, 0..1.
    pub miss: f64,
    /// Share of scores of others that lie at or above, 0..1.
    pub false_accept: f64,
}

/// Error rates at one threshold; a class without scores has no errors.
pub fn rates_at(same: &[f32], other: &[f32], threshold: f32) -> Rates {
    let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
    Rates {
        threshold,
        miss: share(same.iter().filter(|s| **s < threshold).count(), same.len()),
        false_accept: share(other.iter().filter(|s| **s >= threshold).count(), other.len()),
    }
}

/// Error rates at every score as threshold, by rising threshold (the curve of a detection error trade-off).
pub fn curve(same: &[f32], other: &[f32]) -> Vec<Rates> {
    let sorted = |scores: &[f32]| {
        let mut s = scores.to_vec();
        s.sort_by(f32::total_cmp);
        s
    };
    let (same, other) = (sorted(same), sorted(other));
    let mut thresholds: Vec<f32> = same.iter().chain(&other).copied().collect();
    thresholds.sort_by(f32::total_cmp);
    thresholds.dedup();
    thresholds
        .into_iter()
        .map(|threshold| Rates {
            threshold,
            miss: same.partition_point(|s| *s < threshold) as f64 / same.len().max(1) as f64,
            false_accept: (other.len() - other.partition_point(|s| *s < threshold)) as f64 / other.len().max(1) as f64,
        })
        .collect()
}

/// Where misses and false accepts are as equal as they get; `None` without scores of both classes. The rate is the mean of the two.
pub fn equal_error(same: &[f32], other: &[f32]) -> Option<(f64, f32)> {
    if same.is_empty() || other.is_empty() {
        return None;
    }
    let best = curve(same, other)
        .into_iter()
        .min_by(|a, b| (a.miss - a.false_accept).abs().total_cmp(&(b.miss - b.false_accept).abs()))?;
    Some((f64::midpoint(best.miss, best.false_accept), best.threshold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_equal_error_rate_is_that_of_the_overlap() {
        let same = [0.9, 0.8, 0.7, 0.4];
        let other = [0.1, 0.2, 0.3, 0.75];
        assert_eq!(equal_error(&same, &other), Some((0.25, 0.7)));
        assert_eq!(equal_error(&[0.9, 0.8], &[0.1, 0.2]), Some((0.0, 0.8)));
        assert_eq!(equal_error(&[], &other), None);
        let rates = rates_at(&same, &other, 0.75);
        assert_eq!((rates.miss, rates.false_accept), (0.5, 0.25));
        let all = curve(&same, &other);
        assert_eq!((all.len(), all[0].miss, all[0].false_accept), (8, 0.0, 1.0));
        assert!(all.windows(2).all(|w| w[0].miss <= w[1].miss && w[0].false_accept >= w[1].false_accept));
        assert!(all.iter().all(|r| *r == rates_at(&same, &other, r.threshold)));
    }
}

//! From candidates to objects.

use super::boxes::iou;

/// What a decoder found, before anything is left out but weak scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Number of the class in the network's output.
    pub class: usize,
    /// The network's score.
    pub score: f32,
    /// Left, top, right and bottom edge in pixels of the network's input; may lie outside.
    pub edges: [f32; 4],
}

/// Sorts by falling score; equal scores keep the order of the network's output.
pub fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// Non-maximum suppression: of two boxes of one class that overlap by more than `iou_threshold`, the weaker goes. At most `limit` stay, the
/// strongest.
pub fn suppress(mut candidates: Vec<Candidate>, iou_threshold: f32, limit: usize) -> Vec<Candidate> {
    sort(&mut candidates);
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.len() == limit {
            break;
        }
        if !kept.iter().any(|k| k.class == candidate.class && iou(&k.edges, &candidate.edges) > iou_threshold) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(class: usize, score: f32, left: f32) -> Candidate {
        Candidate { class, score, edges: [left, 10.0, left + 20.0, 30.0] }
    }

    #[test]
    fn suppression_is_per_class_and_limited() {
        let all = vec![
            candidate(41, 0.6, 10.0),
            candidate(41, 0.9, 11.0),
            candidate(45, 0.7, 10.0),
            candidate(41, 0.55, 70.0),
            candidate(16, 0.4, 50.0),
        ];
        let kept =
            |limit| -> Vec<(usize, f32)> { suppress(all.clone(), 0.6, limit).iter().map(|c| (c.class, c.score)).collect() };
        assert_eq!(kept(2), [(41, 0.9), (45, 0.7)]);
        assert_eq!(kept(9), [(41, 0.9), (45, 0.7), (41, 0.55), (16, 0.4)]);
        assert!(kept(0).is_empty());
    }

    #[test]
    fn a_suppressed_box_suppresses_nothing() {
        // A hides B, B would hide C; C stays.
        let chain = vec![candidate(0, 0.9, 0.0), candidate(0, 0.8, 6.0), candidate(0, 0.7, 12.0)];
        assert_eq!(suppress(chain, 0.5, 9).iter().map(|c| c.score).collect::<Vec<_>>(), [0.9, 0.7]);
    }
}

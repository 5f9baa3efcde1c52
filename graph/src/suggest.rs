//! "Did you mean ...?": the nearest known name to a mistyped one.

/// Edits between two words: insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j - 1] + cost).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

/// The known name nearest to `word`, if it is near enough to be what was meant: a third of its letters may be wrong, at least two, never all.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let letters = word.chars().count();
    let limit = (letters / 3).max(2).min(letters.saturating_sub(1));
    known
        .into_iter()
        .map(|name| (distance(&lower, &name.to_lowercase()), name))
        .filter(|(d, name)| {
            let name = name.to_lowercase();
            *d <= limit || (lower.len() > 3 && (name.starts_with(&lower) || name.ends_with(&format!("_{lower}"))))
        })
        .min_by(|x, y| x.0.cmp(&y.0).then_with(|| x.1.cmp(y.1)))
        .map(|(_, name)| name)
}

/// `; did you mean `x`?` or nothing, to end an error sentence with.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn distance_is_a_metric_on_short_words(a in "[a-d]{0,6}", b in "[a-d]{0,6}") {
            let d = distance(&a, &b);
            prop_assert_eq!(d, distance(&b, &a));
            prop_assert_eq!(d == 0, a == b);
            prop_assert!(d <= a.len().max(b.len()));
            prop_assert!(d >= a.len().abs_diff(b.len()));
        }
    }

    #[test]
    fn distance_of_textbook_pairs() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ca", "ac"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn nearest_is_found_or_nothing_is_said() {
        let known = ["camera", "lidar", "battery", "capacity_wh"];
        assert_eq!(nearest("camrea", known), Some("camera"));
        assert_eq!(nearest("capacity", known), Some("capacity_wh"));
        assert_eq!(nearest("zzzzzzz", known), None);
        assert_eq!(nearest("x", ["ab", "y"]), None);
        assert_eq!(hint("Lidra", known), "; did you mean `lidar`?");
    }
}

//! The assignment of rows to columns at the least cost.

/// For each row its column, so that the sum of `cost - limit` over the pairs is as small as it can be; a pair that costs `limit` or more is
/// not made. `cost` is row by row, `rows x columns`; a cost that is not a number is one that is never paid. Of equal solutions, always
/// the same one.
///
/// The shortest augmenting path algorithm (Jonker and Volgenant 1987, in the form with potentials), of the order rows^2 x columns.
pub fn assign(cost: &[f64], rows: usize, columns: usize, limit: f64) -> Vec<Option<usize>> {
    if rows > columns {
        let turned: Vec<f64> = (0..columns * rows).map(|n| cost[n % rows * columns + n / rows]).collect();
        let mut out = vec![None; rows];
        for (column, row) in assign(&turned, columns, rows, limit).into_iter().enumerate() {
            if let Some(row) = row {
                out[row] = Some(column);
            }
        }
        return out;
    }
    // What is not worth while costs as much as no pair: nothing.
    let gain = |row: usize, column: usize| (cost[row * columns + column] - limit).min(0.0);
    let worth = |row: usize, column: usize| gain(row, column) < 0.0;
    // Rows and columns count from 1; 0 stands for none.
    let (mut row_potential, mut column_potential) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut owner = vec![0_usize; columns + 1];
    for row in 1..=rows {
        let mut shortest = vec![f64::INFINITY; columns + 1];
        let (mut visited, mut before) = (vec![false; columns + 1], vec![0_usize; columns + 1]);
        owner[0] = row;
        let mut at = 0;
        while owner[at] != 0 {
            visited[at] = true;
            let from = owner[at];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for column in (1..=columns).filter(|column| !visited[*column]) {
                let reduced = gain(from - 1, column - 1) - row_potential[from] - column_potential[column];
                if reduced < shortest[column] {
                    (shortest[column], before[column]) = (reduced, at);
                }
                if shortest[column] < step {
                    (step, next) = (shortest[column], column);
                }
            }
            for column in 0..=columns {
                if visited[column] {
                    row_potential[owner[column]] += step;
                    column_potential[column] -= step;
                } else {
                    shortest[column] -= step;
                }
            }
            at = next;
        }
        while at != 0 {
            owner[at] = owner[before[at]];
            at = before[at];
        }
    }
    let mut out = vec![None; rows];
    for column in 1..=columns {
        if let Some(row) = owner[column].checked_sub(1).filter(|row| worth(*row, column - 1)) {
            out[row] = Some(column - 1);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The best sum by trying everything.
    fn least(cost: &[f64], columns: usize, row: usize, rows: usize, used: &mut Vec<bool>, limit: f64) -> f64 {
        if row == rows {
            return 0.0;
        }
        let mut best = least(cost, columns, row + 1, rows, used, limit);
        for column in 0..columns {
            if !used[column] && cost[row * columns + column] < limit {
                used[column] = true;
                best = best.min(cost[row * columns + column] - limit + least(cost, columns, row + 1, rows, used, limit));
                used[column] = false;
            }
        }
        best
    }

    #[test]
    fn a_known_matrix() {
        // 4 + 3 + 2 on the other diagonal's neighbours: the least of all six.
        let cost = [4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, 2.0, 2.0];
        assert_eq!(assign(&cost, 3, 3, 100.0), [Some(1), Some(0), Some(2)]);
        assert_eq!(assign(&cost, 3, 3, 1.0), [None, Some(1), None]);
        assert_eq!(assign(&[], 0, 3, 1.0), []);
        assert_eq!(assign(&[], 2, 0, 1.0), [None, None]);
        assert_eq!(assign(&[f64::NAN, 0.5], 2, 1, 1.0), [None, Some(0)]);
    }

    proptest! {
        #[test]
        fn it_is_as_cheap_as_can_be(rows in 0_usize..5, columns in 0_usize..6, seed in proptest::collection::vec(0.0_f64..1.0, 30), limit in 0.1_f64..1.2) {
            let cost = &seed[..rows * columns];
            let found = assign(cost, rows, columns, limit);
            let sum: f64 = found.iter().enumerate().filter_map(|(r, c)| Some(cost[r * columns + (*c)?] - limit)).sum();
            let mut taken: Vec<usize> = found.iter().flatten().copied().collect();
            let count = taken.len();
            taken.sort_unstable();
            taken.dedup();
            prop_assert_eq!(taken.len(), count, "a column has one row");
            prop_assert!((sum - least(cost, columns, 0, rows, &mut vec![false; columns], limit)).abs() < 1e-9);
        }
    }
}

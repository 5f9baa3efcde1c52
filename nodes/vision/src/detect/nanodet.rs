//! NanoDet and NanoDet-Plus.
//!
//! Source: RangiLyu, "NanoDet" (Generalized Focal Loss head: Li et al. 2020). Per cell of each level the class scores, after the sigmoid, and
//! per side of the box a distribution over bins: the side's distance from the cell's reference point is the expectation of the bin's number
//! times the stride.

use models::TensorView;
use ndarray::{ArrayView2, Axis, s};

use super::{Candidate, Context, DecodeError};

/// Candidates from the scores `[1,N,classes]` and distributions `[1,N,4 bins]` of each level, found by their shapes, or from one output
/// `[1,N,classes + 4 bins]` with all levels one after the other.
pub(super) fn decode(outputs: &[(&str, TensorView<'_>)], context: &Context<'_>) -> Result<Vec<Candidate>, DecodeError> {
    let classes = context.classes;
    let cells: Vec<usize> = context.levels().map(|(columns, rows, _)| columns * rows).collect();
    let all: usize = cells.iter().sum();
    let wrong = || {
        let levels = cells.iter().map(|n| format!("[1,{n},{classes}] and [1,{n},4 x bins]")).collect::<Vec<_>>().join(", ");
        context.wrong(outputs, format!("{levels}; or [1,{all},{classes} + 4 x bins]"))
    };
    let planes: Vec<ArrayView2<'_, f32>> = outputs.iter().filter_map(|(_, view)| super::rows_of(view)).collect();
    let bins_of = |columns: usize| (columns % 4 == 0 && columns >= 8).then_some(columns / 4);
    let mut candidates = Vec::new();
    if let Some(joined) = planes.iter().find(|p| p.nrows() == all && bins_of(p.ncols().saturating_sub(classes)).is_some()) {
        let mut first = 0;
        for ((columns, _, stride), count) in context.levels().zip(&cells) {
            let level = joined.slice(s![first..first + count, ..]);
            let (scores, sides) = level.split_at(Axis(1), classes);
            collect(scores, sides, stride, columns, context, &mut candidates);
            first += count;
        }
        return Ok(candidates);
    }
    for ((columns, _, stride), count) in context.levels().zip(&cells) {
        let level: Vec<&ArrayView2<'_, f32>> = planes.iter().filter(|p| p.nrows() == *count).collect();
        let at = level.iter().position(|p| p.ncols() == classes).ok_or_else(wrong)?;
        let sides = level.iter().enumerate().find(|(n, p)| *n != at && bins_of(p.ncols()).is_some()).ok_or_else(wrong)?.1;
        collect(*level[at], **sides, stride, columns, context, &mut candidates);
    }
    Ok(candidates)
}

/// One candidate per cell: its best class, if that is good enough.
fn collect(
    scores: ArrayView2<'_, f32>,
    sides: ArrayView2<'_, f32>,
    stride: f32,
    columns: usize,
    context: &Context<'_>,
    candidates: &mut Vec<Candidate>,
) {
    let bins = sides.ncols() / 4;
    for (cell, row) in scores.rows().into_iter().enumerate() {
        if row.as_slice().is_some_and(|row| !reaches(row, context.threshold)) {
            continue;
        }
        let Some((class, score)) = super::best(row.iter().copied()) else { continue };
        if !(score >= context.threshold) {
            continue;
        }
        let center = |n: usize| (n as f32 + context.cell_offset) * stride;
        let (cx, cy) = (center(cell % columns), center(cell / columns));
        let side = |n: usize| expectation(sides.row(cell).slice(s![n * bins..(n + 1) * bins]).iter().copied()) * stride;
        candidates.push(Candidate { class, score, edges: [cx - side(0), cy - side(1), cx + side(2), cy + side(3)] });
    }
}

/// Whether any value is at least the threshold. Has no branches, as nearly all cells see nothing.
fn reaches(values: &[f32], threshold: f32) -> bool {
    let (blocks, rest) = values.as_chunks::<16>();
    let mut any = [false; 16];
    for block in blocks {
        any.iter_mut().zip(block).for_each(|(any, v)| *any |= *v >= threshold);
    }
    any.contains(&true) || rest.iter().any(|v| *v >= threshold)
}

/// Mean bin number under the softmax of the values.
fn expectation(values: impl Iterator<Item = f32> + Clone) -> f32 {
    let largest = values.clone().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0_f32, 0.0_f32);
    for (bin, value) in values.enumerate() {
        let weight = (value - largest).exp();
        sum += weight;
        weighted += weight * bin as f32;
    }
    weighted / sum
}

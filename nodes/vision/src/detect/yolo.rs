//! YOLOX, and YOLOv8 with its successors of the same head.

use models::TensorView;

use super::{Candidate, Context, DecodeError};

/// YOLOX (Ge et al. 2021; output of its `export_onnx.py`): one output `[1,N,5 + classes]`, per cell of all levels the centre's offset from the
/// cell in cells, the logarithms of width and height in cells, objectness and class scores after their sigmoids. The score is the product
/// of objectness and class score. Without strides the boxes are centre and size in pixels already (`--decode_in_inference`).
pub(super) fn yolox(outputs: &[(&str, TensorView<'_>)], context: &Context<'_>) -> Result<Vec<Candidate>, DecodeError> {
    let columns = 5 + context.classes;
    let cells: usize = context.levels().map(|(wide, high, _)| wide * high).sum();
    let fits = |rows: usize| context.strides.is_empty() || rows == cells;
    let found = outputs.iter().filter_map(|(_, view)| super::rows_of(view)).find(|p| p.ncols() == columns && fits(p.nrows()));
    let rows = found.ok_or_else(|| {
        let count = if context.strides.is_empty() { "N".to_owned() } else { cells.to_string() };
        context.wrong(outputs, format!("[1,{count},{columns}]"))
    })?;
    // The cell and stride of each row; without strides, the corner and a stride of 1.
    let grid = context.levels().flat_map(|(wide, high, stride)| (0..wide * high).map(move |n| (n % wide, n / wide, stride)));
    let mut grid = grid.chain(std::iter::repeat((0, 0, 1.0)));
    let mut candidates = Vec::new();
    for row in rows.rows() {
        let (column, line, stride) = grid.next().unwrap_or((0, 0, 1.0));
        let objectness = row[4];
        // No class score is above 1.
        if !(objectness >= context.threshold) {
            continue;
        }
        let Some((class, score)) = super::best(row.iter().skip(5).copied()) else { continue };
        let score = objectness * score;
        if !(score >= context.threshold) {
            continue;
        }
        let size = |v: f32| if context.strides.is_empty() { v } else { v.exp() * stride };
        let center = [(row[0] + column as f32) * stride, (row[1] + line as f32) * stride];
        candidates.push(Candidate { class, score, edges: edges(center, [size(row[2]), size(row[3])]) });
    }
    Ok(candidates)
}

/// YOLOv8 (Ultralytics; also v9, 11 and 12 as exported without NMS): one output `[1,4 + classes,N]`, per box centre, width and height in pixels of
/// the input and class scores after the sigmoid.
pub(super) fn yolo_v8(outputs: &[(&str, TensorView<'_>)], context: &Context<'_>) -> Result<Vec<Candidate>, DecodeError> {
    let lines = 4 + context.classes;
    let found = outputs.iter().filter_map(|(_, view)| super::rows_of(view)).find(|p| p.nrows() == lines);
    let table = found.ok_or_else(|| context.wrong(outputs, format!("[1,{lines},N]")))?;
    // Class by class, as the table lies in memory.
    let mut best = vec![(f32::NEG_INFINITY, 0_u32); table.ncols()];
    for (class, scores) in table.rows().into_iter().skip(4).enumerate() {
        for (best, score) in best.iter_mut().zip(scores) {
            if *score > best.0 {
                *best = (*score, class as u32);
            }
        }
    }
    let mut candidates = Vec::new();
    for (n, (score, class)) in best.into_iter().enumerate().filter(|(_, (score, _))| *score >= context.threshold) {
        let edges = edges([table[[0, n]], table[[1, n]]], [table[[2, n]], table[[3, n]]]);
        candidates.push(Candidate { class: class as usize, score, edges });
    }
    Ok(candidates)
}

/// Edges of a box from its centre and size.
pub(super) fn edges([x, y]: [f32; 2], [width, height]: [f32; 2]) -> [f32; 4] {
    [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
}

//! DETR and its successors: RT-DETR, D-FINE, RF-DETR. A set of boxes, each object once, so nothing is suppressed.
//!
//! Three forms of output are told apart by their shapes, as the projects export them to ONNX:
//! - scores `[1,N]`, labels `[1,N]` (integers) and boxes `[1,N,4]`: edges in pixels of the size given as input `orig_target_sizes` (width,
//!   height) (RT-DETR and D-FINE, `tools/export_onnx.py`); that size is always the input's own, so the boxes are in its pixels;
//! - logits `[1,N,classes]` and boxes `[1,N,4]`, centre and size as shares of the input (RT-DETR and D-FINE of the transformers library, RF-DETR):
//!   a sigmoid per class, so that one box may be several things (Zhao et al. 2023, post-processing: the best pairs of box and class);
//! - logits `[1,N,classes + 1]`, the last for "no object": a softmax (Carion et al. 2020).

use models::TensorView;
use ndarray::{ArrayView2, Axis, Ix2};

use super::yolo::edges;
use super::{Candidate, Context, DecodeError};

pub(super) fn decode(outputs: &[(&str, TensorView<'_>)], context: &Context<'_>) -> Result<Vec<Candidate>, DecodeError> {
    let classes = context.classes;
    let wrong = || {
        context.wrong(
            outputs,
            format!(
                "scores [1,N], labels [1,N] and boxes [1,N,4]; or logits [1,N,{classes}] or [1,N,{}] and boxes [1,N,4]",
                classes + 1
            ),
        )
    };
    let tables: Vec<(&str, ArrayView2<'_, f32>)> =
        outputs.iter().filter_map(|(name, view)| Some((*name, super::rows_of(view)?))).collect();
    let flat = |view: &TensorView<'_>| matches!(view.shape(), [1, _]);
    let scores = outputs.iter().find_map(|(_, view)| match view {
        TensorView::F32(a) if flat(view) => a.view().into_dimensionality::<Ix2>().ok(),
        _ => None,
    });
    let mut candidates = Vec::new();
    if let Some(scores) = scores {
        let labels: Vec<i64> = outputs.iter().find_map(|(_, view)| integers(view).filter(|_| flat(view))).ok_or_else(wrong)?;
        let scores = scores.index_axis(Axis(0), 0).to_owned();
        let boxes = tables.iter().map(|(_, t)| t).find(|b| b.ncols() == 4 && b.nrows() == scores.len()).ok_or_else(wrong)?;
        if labels.len() != scores.len() {
            return Err(wrong());
        }
        for (n, (score, label)) in scores.iter().zip(labels).enumerate().filter(|(_, (score, _))| **score >= context.threshold) {
            let class =
                usize::try_from(label).ok().filter(|c| *c < classes).ok_or(DecodeError::Class { class: label, classes })?;
            candidates.push(Candidate { class, score: *score, edges: [0, 1, 2, 3].map(|i| boxes[[n, i]]) });
        }
        return Ok(candidates);
    }
    // Where there are four classes (or three and none) the logits look the same, so a name counts first.
    let four = |t: &ArrayView2<'_, f32>| t.ncols() == 4;
    let named = tables.iter().position(|(name, t)| four(t) && (name.contains("box") || *name == "dets"));
    let at = named.or_else(|| tables.iter().rposition(|(_, t)| four(t))).ok_or_else(wrong)?;
    let boxes = tables[at].1;
    let others = || tables.iter().enumerate().filter(|(n, (_, t))| *n != at && t.nrows() == boxes.nrows()).map(|(_, (_, t))| t);
    let of_width = |columns: usize| others().find(|t| t.ncols() == columns);
    let (logits, softmax) = match (of_width(classes), of_width(classes + 1)) {
        (Some(logits), _) => (logits, false),
        (None, Some(logits)) => (logits, true),
        (None, None) => return Err(wrong()),
    };
    let (width, height) = (context.width as f32, context.height as f32);
    let box_of = |n: usize| {
        let [x, y, w, h] = [0, 1, 2, 3].map(|i| boxes[[n, i]]);
        edges([x * width, y * height], [w * width, h * height])
    };
    for (n, row) in logits.rows().into_iter().enumerate() {
        if softmax {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = row.iter().map(|v| (v - largest).exp()).sum();
            let Some((class, logit)) = super::best(row.iter().take(classes).copied()) else { continue };
            let score = (logit - largest).exp() / sum;
            if score >= context.threshold {
                candidates.push(Candidate { class, score, edges: box_of(n) });
            }
        } else {
            for (class, logit) in row.iter().enumerate() {
                let score = 1.0 / (1.0 + (-logit).exp());
                if score >= context.threshold {
                    candidates.push(Candidate { class, score, edges: box_of(n) });
                }
            }
        }
    }
    Ok(candidates)
}

fn integers(view: &TensorView<'_>) -> Option<Vec<i64>> {
    match view {
        TensorView::I64(a) => Some(a.iter().copied().collect()),
        TensorView::I32(a) => Some(a.iter().map(|v| i64::from(*v)).collect()),
        TensorView::F32(_) => None,
    }
}

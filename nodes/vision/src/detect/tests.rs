//! Each decoder on outputs whose meaning is worked out by hand, and on outputs that mean nothing.

use models::{PictureFit, PlaneOrder};
use ndarray::ArrayD;

use super::*;

const BINS: usize = 11;

fn input(side: u32) -> PictureInput {
    PictureInput {
        width: side,
        height: side,
        order: PlaneOrder::Rgb,
        mean: [0.0; 3],
        deviation: [1.0; 3],
        fit: PictureFit::Stretch,
        pad: 114,
    }
}

fn detector(decoder: &str, side: u32) -> Detector {
    Detector::new(decoder, input(side), DetectorOptions::default(), LabelSet::coco80()).unwrap()
}

fn read(detector: &Detector, outputs: &[(&str, ArrayD<f32>)]) -> Result<Vec<DetectedObject>, DecodeError> {
    let views: Vec<(&str, TensorView<'_>)> = outputs.iter().map(|(name, a)| (*name, TensorView::F32(a.view()))).collect();
    read_views(detector, &views, &DetectorSettings::default())
}

fn read_views(
    detector: &Detector,
    views: &[(&str, TensorView<'_>)],
    settings: &DetectorSettings,
) -> Result<Vec<DetectedObject>, DecodeError> {
    let side = detector.input().width;
    detector.read(views, &Placement { left: 0, top: 0, width: side, height: side }, settings)
}

fn assert_box(object: &DetectedObject, side: f32, pixels: [f32; 4]) {
    for (edge, expected) in object.bounding_box.edges().into_iter().zip(pixels) {
        assert!((edge * side - expected).abs() < 1e-3, "{object:?} is not at {pixels:?}");
    }
}

/// Outputs of NanoDet with one cell of the middle level set: class 41 (cup), all sides at bin `bin`.
fn nanodet(cell: usize, score: f32, bin: usize) -> Vec<(&'static str, ArrayD<f32>)> {
    let mut outputs = Vec::new();
    for (n, name) in [(52_usize, "a"), (26, "b"), (13, "c")] {
        outputs.push((name, ArrayD::zeros(vec![1, n * n, 80])));
    }
    for (n, name) in [(52_usize, "d"), (26, "e"), (13, "f")] {
        outputs.push((name, ArrayD::zeros(vec![1, n * n, 4 * BINS])));
    }
    outputs[1].1[[0, cell, 41]] = score;
    for side in 0..4 {
        outputs[4].1[[0, cell, side * BINS + bin]] = 50.0;
    }
    outputs
}

#[test]
fn nanodet_decodes_a_box_from_its_cell() {
    // Row 3, column 5 of stride 16: centre (88, 56); three bins of 16 to each side.
    let found = read(&detector("nanodet", 416), &nanodet(3 * 26 + 5, 0.8, 3)).unwrap();
    assert_eq!((found.len(), &*found[0].label), (1, "cup"));
    assert_box(&found[0], 416.0, [40.0, 8.0, 136.0, 104.0]);
}

#[test]
fn nanodet_reads_one_joined_output_as_well() {
    let outputs = nanodet(3 * 26 + 5, 0.8, 3);
    let mut joined = ArrayD::zeros(vec![1, 2704 + 676 + 169, 80 + 4 * BINS]);
    let mut first = 0;
    for level in 0..3 {
        let (scores, sides) = (&outputs[level].1, &outputs[level + 3].1);
        let count = scores.shape()[1];
        joined.slice_mut(ndarray::s![.., first..first + count, ..80]).assign(scores);
        joined.slice_mut(ndarray::s![.., first..first + count, 80..]).assign(sides);
        first += count;
    }
    let detector = detector("nanodet", 416);
    assert_eq!(read(&detector, &[("output", joined)]).unwrap(), read(&detector, &outputs).unwrap());
}

#[test]
fn a_box_that_sticks_out_is_cut_at_the_edge() {
    let found = read(&detector("nanodet", 416), &nanodet(0, 0.8, 10)).unwrap();
    assert_box(&found[0], 416.0, [0.0, 0.0, 168.0, 168.0]);
}

#[test]
fn scores_are_filtered_at_the_threshold_and_never_raised_to_it() {
    let detector = detector("nanodet", 416);
    assert!(read(&detector, &nanodet(0, 0.499, 3)).unwrap().is_empty());
    assert_eq!(read(&detector, &nanodet(0, 0.5, 3)).unwrap()[0].confidence, 0.5);
    let outputs = nanodet(0, 0.3, 3);
    let views: Vec<(&str, TensorView<'_>)> = outputs.iter().map(|(name, a)| (*name, TensorView::F32(a.view()))).collect();
    let settings = DetectorSettings { confidence_threshold: 0.2, ..DetectorSettings::default() };
    assert_eq!(read_views(&detector, &views, &settings).unwrap()[0].confidence, 0.3);
}

#[test]
fn yolox_decodes_cells_and_logarithms() {
    // 64 x 64: 64 cells of stride 8, 16 of stride 16, 4 of stride 32. Cell (2, 1) of stride 16 is row 64 + 1 * 4 + 2.
    let mut output = ArrayD::zeros(vec![1, 84, 85]);
    let row = [0.5, 0.25, 2.0_f32.ln(), 0.0, 0.9];
    row.iter().enumerate().for_each(|(n, v)| output[[0, 70, n]] = *v);
    output[[0, 70, 5 + 2]] = 0.8;
    let found = read(&detector("yolox", 64), &[("output", output)]).unwrap();
    assert_eq!((found.len(), &*found[0].label), (1, "car"));
    assert!((found[0].confidence - 0.72).abs() < 1e-6, "objectness times class");
    // Centre (2.5, 1.25) cells of 16, size 2 x 1 cells.
    assert_box(&found[0], 64.0, [24.0, 12.0, 56.0, 28.0]);
}

#[test]
fn yolox_without_strides_has_pixels_already() {
    let options = DetectorOptions { strides: vec![], ..DetectorOptions::default() };
    let detector = Detector::new("yolox", input(64), options, LabelSet::coco80()).unwrap();
    let mut output = ArrayD::zeros(vec![1, 7, 85]);
    [32.0, 20.0, 16.0, 8.0, 1.0, 0.9].iter().enumerate().for_each(|(n, v)| output[[0, 3, n]] = *v);
    let found = read(&detector, &[("output", output)]).unwrap();
    assert_eq!((found.len(), &*found[0].label), (1, "person"));
    assert_box(&found[0], 64.0, [24.0, 16.0, 40.0, 24.0]);
}

#[test]
fn yolo_v8_reads_columns() {
    let mut output = ArrayD::zeros(vec![1, 84, 30]);
    [32.0, 20.0, 16.0, 8.0].iter().enumerate().for_each(|(n, v)| output[[0, n, 17]] = *v);
    output[[0, 4 + 16, 17]] = 0.6;
    output[[0, 4 + 15, 17]] = 0.7;
    let found = read(&detector("yolo_v8", 64), &[("output0", output)]).unwrap();
    assert_eq!((found.len(), &*found[0].label, found[0].confidence), (1, "cat", 0.7), "the best class of a box");
    assert_box(&found[0], 64.0, [24.0, 16.0, 40.0, 24.0]);
}

/// Logits below the threshold but for box 1: two classes by sigmoid, or one by softmax.
fn detr(columns: usize, logits: &[(usize, f32)]) -> Vec<(&'static str, ArrayD<f32>)> {
    let mut scores = ArrayD::from_elem(vec![1, 3, columns], -9.0_f32);
    logits.iter().for_each(|(class, logit)| scores[[0, 1, *class]] = *logit);
    let mut boxes = ArrayD::from_elem(vec![1, 3, 4], 0.5_f32);
    [0.5, 0.25, 0.5, 0.25].iter().enumerate().for_each(|(n, v)| boxes[[0, 1, n]] = *v);
    vec![("logits", scores), ("pred_boxes", boxes)]
}

#[test]
fn detr_reads_logits_by_sigmoid_and_suppresses_nothing() {
    let found = read(&detector("detr", 64), &detr(80, &[(0, 3.0_f32.ln()), (16, 1.0)])).unwrap();
    assert_eq!(found.iter().map(|o| &*o.label).collect::<Vec<_>>(), ["person", "dog"]);
    assert!((found[0].confidence - 0.75).abs() < 1e-6 && (found[1].confidence - 1.0 / (1.0 + (-1.0_f32).exp())).abs() < 1e-6);
    assert_box(&found[0], 64.0, [16.0, 8.0, 48.0, 24.0]);
}

#[test]
fn detr_with_no_object_is_read_by_softmax() {
    // Box 1: class 16 with the weight 3, "no object" with 1, the others with nearly none.
    let found = read(&detector("detr", 64), &detr(81, &[(16, 3.0_f32.ln()), (80, 0.0)])).unwrap();
    assert_eq!((found.len(), &*found[0].label), (1, "dog"));
    assert!((found[0].confidence - 0.75).abs() < 0.005, "{found:?}");
}

#[test]
fn detr_reads_the_exported_triple() {
    let scores = ndarray::arr2(&[[0.9_f32, 0.2, 0.6]]).into_dyn();
    let labels = ndarray::arr2(&[[41_i64, 7, 0]]).into_dyn();
    let mut boxes = ArrayD::zeros(vec![1, 3, 4]);
    [8.0, 16.0, 40.0, 48.0].iter().enumerate().for_each(|(n, v)| boxes[[0, 0, n]] = *v);
    [60.0, 60.0, 90.0, 90.0].iter().enumerate().for_each(|(n, v)| boxes[[0, 2, n]] = *v);
    let views = |labels: &'static str| -> Vec<(&str, &ArrayD<f32>)> { vec![(labels, &boxes), ("scores", &scores)] };
    let mut outputs: Vec<(&str, TensorView<'_>)> =
        views("boxes").into_iter().map(|(n, a)| (n, TensorView::F32(a.view()))).collect();
    outputs.push(("labels", TensorView::I64(labels.view())));
    let found = read_views(&detector("detr", 64), &outputs, &DetectorSettings::default()).unwrap();
    assert_eq!(found.iter().map(|o| &*o.label).collect::<Vec<_>>(), ["cup", "person"]);
    assert_box(&found[0], 64.0, [8.0, 16.0, 40.0, 48.0]);
    assert_box(&found[1], 64.0, [60.0, 60.0, 64.0, 64.0]);
    let beyond = ndarray::arr2(&[[80_i64, 7, 0]]).into_dyn();
    outputs[2] = ("labels", TensorView::I64(beyond.view()));
    let error = read_views(&detector("detr", 64), &outputs, &DetectorSettings::default()).unwrap_err();
    assert_eq!(error, DecodeError::Class { class: 80, classes: 80 });
}

#[test]
fn no_more_than_max_objects_come_out_and_the_best_of_them() {
    let settings = DetectorSettings { max_objects: 2, ..DetectorSettings::default() };
    let scores = ndarray::arr2(&[[0.6_f32, 0.9, 0.7]]).into_dyn();
    let labels = ndarray::arr2(&[[1_i64, 2, 3]]).into_dyn();
    let boxes = ArrayD::from_shape_fn(vec![1, 3, 4], |i| if i[2] < 2 { 1.0_f32 } else { 9.0 });
    let views = [
        ("boxes", TensorView::F32(boxes.view())),
        ("scores", TensorView::F32(scores.view())),
        ("labels", TensorView::I64(labels.view())),
    ];
    let found = read_views(&detector("detr", 64), &views, &settings).unwrap();
    assert_eq!(found.iter().map(|o| o.confidence).collect::<Vec<_>>(), [0.9, 0.7]);
}

#[test]
fn numbers_that_are_none_are_dropped() {
    let nanodet_detector = detector("nanodet", 416);
    assert!(read(&nanodet_detector, &nanodet(0, f32::NAN, 3)).unwrap().is_empty());
    let mut outputs = nanodet(0, 0.9, 3);
    outputs[4].1.fill(f32::NAN);
    assert!(read(&nanodet_detector, &outputs).unwrap().is_empty());
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for (decoder, shapes) in [
            ("yolox", vec![vec![1, 84, 85]]),
            ("yolo_v8", vec![vec![1, 84, 30]]),
            ("detr", vec![vec![1, 3, 80], vec![1, 3, 4]]),
            ("detr", vec![vec![1, 3, 81], vec![1, 3, 4]]),
            ("nanodet", vec![vec![1, 84, 80 + 44]]),
        ] {
            let outputs: Vec<(&str, ArrayD<f32>)> = shapes.into_iter().map(|s| ("x", ArrayD::from_elem(s, value))).collect();
            assert_eq!(read(&detector(decoder, 64), &outputs).unwrap(), [], "{decoder} {value}");
        }
    }
}

#[test]
fn another_shape_is_an_error_that_says_what_was_expected() {
    let cases: [(&str, Vec<Vec<usize>>, &str); 9] = [
        (
            "nanodet",
            vec![vec![1, 64, 80], vec![1, 64, 44], vec![1, 16, 80], vec![1, 16, 44], vec![1, 5, 80], vec![1, 4, 44]],
            "[1,4,80]",
        ),
        ("nanodet", vec![], "nothing that can be read"),
        ("yolox", vec![vec![1, 83, 85]], "[1,84,85]"),
        ("yolox", vec![vec![2, 84, 85]], "`x` [2, 84, 85]"),
        ("yolo_v8", vec![vec![1, 30, 84]], "[1,84,N]"),
        ("yolo_v8", vec![vec![84, 30]], "[1,84,N]"),
        ("detr", vec![vec![1, 3, 80]], "boxes [1,N,4]"),
        ("detr", vec![vec![1, 3, 79], vec![1, 3, 4]], "[1,N,81]"),
        ("detr", vec![vec![1, 3, 80], vec![1, 2, 4]], "boxes [1,N,4]"),
    ];
    for (decoder, shapes, expected) in cases {
        let outputs: Vec<(&str, ArrayD<f32>)> = shapes.into_iter().map(|s| ("x", ArrayD::zeros(s))).collect();
        let text = read(&detector(decoder, 64), &outputs).unwrap_err().to_string();
        assert!(text.contains(expected) && text.contains(decoder), "{text}");
    }
    // No boxes at all is no error.
    assert_eq!(read(&detector("yolo_v8", 64), &[("x", ArrayD::zeros(vec![1, 84, 0]))]).unwrap(), []);
}

#[test]
fn an_unknown_decoder_is_named_with_the_known_ones() {
    let error = Detector::new("yolo_v99", input(64), DetectorOptions::default(), LabelSet::coco80()).unwrap_err().to_string();
    assert!(error.contains("yolo_v99") && error.contains("nanodet, yolox, yolo_v8, detr"), "{error}");
    let options = DetectorOptions { strides: vec![], ..DetectorOptions::default() };
    assert!(matches!(Detector::new("nanodet", input(64), options, LabelSet::coco80()), Err(DetectorError::NoStrides)));
}

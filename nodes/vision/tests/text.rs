//! The sentence encoder against ONNX Runtime and the tokenizers package in Python (`tests/data/sentences.py`), and searches by words.

use models::Priority;
use models::testing::broker_or_skip;
use omnimind_vision::classify::cosine;
use omnimind_vision::search::{Label, text_similarity};
use omnimind_vision::text::TextEncoder;
use serde_json::Value;

fn encoder() -> Option<TextEncoder> {
    let broker = broker_or_skip(&["onnxruntime", "minilm_l6_v2"])?;
    Some(TextEncoder::load(broker, "minilm_l6_v2", 1, Priority::MISSION).unwrap())
}

#[test]
fn tokens_and_vectors_are_those_of_python() {
    let Some(mut encoder) = encoder() else { return };
    let golden: Vec<Value> = serde_json::from_str(include_str!("data/sentences.json")).unwrap();
    assert!(golden.len() >= 9);
    for sample in golden {
        let text = sample["text"].as_str().unwrap();
        let ids: Vec<u64> = sample["ids"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
        assert_eq!(encoder.tokens(text).unwrap().into_iter().map(u64::from).collect::<Vec<_>>(), ids, "{text}");
        let vector: Vec<f32> = sample["vector"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        let found = encoder.embed(text).unwrap();
        assert_eq!(found.len(), 384);
        assert!(cosine(&found, &vector) > 0.9999, "{text}: {}", cosine(&found, &vector));
    }
}

#[test]
fn words_are_near_what_they_mean() {
    let Some(mut encoder) = encoder() else { return };
    for (words, near, far) in [
        ("a mug of coffee", "cup", "car"),
        ("where is the sofa", "couch", "traffic light"),
        ("a furry pet", "cat", "laptop"),
        ("bike", "bicycle", "person"),
    ] {
        let mut similarity = |label: &str| {
            let label = Label { text: label.to_owned(), confidence: 0.6 };
            let vector = encoder.embed(&label.text).unwrap();
            text_similarity(&encoder.embed(words).unwrap(), &[label], &[vector]).unwrap().0
        };
        let (near_score, far_score) = (similarity(near), similarity(far));
        assert!(near_score > far_score + 0.1, "{words}: {near} {near_score}, {far} {far_score}");
    }
}

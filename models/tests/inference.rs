//! The broker with the catalogue's real networks. Skipped, saying so, where they are not in the cache.

use models::testing::broker_or_skip;
use models::{Broker, BrokerConfig, InferError, LoadError, Priority, Store, StoreError, Tensor};
use ndarray::{Array4, ArrayD};

const NET: &str = "efficientnet_lite0";

/// A picture of smooth stripes.
fn stripes() -> Tensor {
    Array4::from_shape_fn((1, 3, 224, 224), |(_, c, y, x)| ((x as f32) / 20.0 + c as f32).sin() + (y as f32) / 224.0).into()
}

#[test]
fn a_network_is_loaded_once_and_counts_its_requests() {
    let Some(_) = broker_or_skip(&[NET]) else { return };
    let broker = Broker::new(Store::open().unwrap(), BrokerConfig::default());
    let model = broker.load(NET).unwrap();
    let same = broker.load("efficientnet_lite0/model").unwrap();
    assert_eq!((model.name(), model.device()), (NET, "cpu"));
    assert_eq!(model.inputs()[0].shape, [1, 3, 224, 224]);
    let a = broker.infer(&model, Priority::MISSION, vec![("image", stripes())]).unwrap();
    let b = broker.infer(&same, Priority::SAFETY, vec![("image", stripes())]).unwrap();
    assert_eq!(a.f32("logits").unwrap().shape(), [1, 1000]);
    let missing = a.f32("nothing").unwrap_err().to_string();
    assert_eq!(missing, "the model gave no output `nothing`; it gave: logits, embedding");
    assert_eq!(a.tensors(), b.tensors(), "the same input gives the same output, bit for bit");
    let s = &broker.statistics()[0];
    assert_eq!((s.model.as_str(), s.requests, s.refused), (NET, 2, 0));
    assert!(s.memory_bytes >= 9_000_000 && s.p50_ms > 0.0 && s.p99_ms >= s.p50_ms);
}

#[test]
fn the_number_of_threads_does_not_change_the_result() {
    let Some(_) = broker_or_skip(&[NET]) else { return };
    let broker = Broker::new(Store::open().unwrap(), BrokerConfig::default());
    let run = |threads| {
        let model = broker.load_with_threads(NET, threads).unwrap();
        broker.infer(&model, Priority::MISSION, vec![("image", stripes())]).unwrap().tensors()
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn wrong_inputs_are_refused_in_words() {
    let Some(broker) = broker_or_skip(&[NET]) else { return };
    let model = broker.load(NET).unwrap();
    let small = || Tensor::from(ArrayD::<f32>::zeros(vec![1, 3, 8, 8]));
    let cases: [(Vec<(&str, Tensor)>, &str); 4] = [
        (vec![], "`image` is missing"),
        (vec![("image", stripes()), ("extra", small())], "no input `extra`"),
        (vec![("image", small())], "shape"),
        (vec![("image", ArrayD::<i64>::zeros(vec![1, 3, 224, 224]).into())], "f32, not i64"),
    ];
    for (inputs, expected) in cases {
        let error = broker.infer(&model, Priority::MISSION, inputs).unwrap_err();
        assert!(matches!(error, InferError::Input { .. }) && error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn every_network_of_the_catalogue_loads() {
    let all = ["nanodet_g_416", "efficientnet_lite0", "resemblyzer_ge2e", "moonshine_tiny_en"];
    let Some(broker) = broker_or_skip(&all) else { return };
    for key in
        ["nanodet_g_416", "efficientnet_lite0", "resemblyzer_ge2e", "moonshine_tiny_en/encoder", "moonshine_tiny_en/decoder"]
    {
        let model = broker.load(key).unwrap();
        assert!(!model.inputs().is_empty() && !model.outputs().is_empty(), "{key}");
    }
    all.iter().for_each(|model| broker.store().verify(model).unwrap());
}

#[test]
fn a_memory_limit_refuses_what_does_not_fit() {
    let Some(_) = broker_or_skip(&[NET]) else { return };
    let config = BrokerConfig { memory_limit_bytes: Some(1_000_000), ..BrokerConfig::default() };
    let error = Broker::new(Store::open().unwrap(), config).load(NET).unwrap_err();
    assert!(matches!(error, LoadError::MemoryLimit { free_bytes: 1_000_000, .. }), "{error}");
}

#[test]
fn a_model_that_is_not_in_the_cache_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(models::Catalogue::built_in().unwrap(), folder.path().to_owned());
    let error = Broker::new(store, BrokerConfig::default()).load("moonshine_tiny_en/encoder").unwrap_err();
    assert!(matches!(error, LoadError::Store(StoreError::Missing { .. })));
    assert!(error.to_string().contains("omnimind models fetch"), "{error}");
}

#[test]
fn a_file_that_is_no_network_is_refused() {
    let Some(_) = broker_or_skip(&[]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    std::fs::write(&file, b"abc").unwrap();
    let yaml = format!(
        "version: 1\nmodels:\n  a:\n    task: t\n    version: '1'\n    licence: MIT\n    origin: here\n    files:\n      - {{name: model, path: '{}', sha256: {}, bytes: 3}}\n",
        file.display(),
        models::sha256_hex(&file).unwrap()
    );
    let shared = Store::open().unwrap();
    let catalogue = models::Catalogue::built_in().unwrap().merged(models::Catalogue::parse(&yaml, "test").unwrap());
    let error = Broker::new(Store::new(catalogue, shared.cache().to_owned()), BrokerConfig::default()).load("a").unwrap_err();
    assert!(matches!(error, LoadError::Model { .. }), "{error}");
}

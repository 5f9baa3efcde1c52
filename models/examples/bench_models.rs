//! Milliseconds per inference of each loaded network of the catalogue, at one and two threads, on zeros.
//! `cargo run --release -p omnimind-models --example bench_models`

use models::{BarProgress, Broker, Priority, Tensor};
use ndarray::ArrayD;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::shared()?;
    broker.store().ensure(&["nanodet_g_416", "efficientnet_lite0", "resemblyzer_ge2e"], &mut BarProgress::default())?;
    println!("{:<24}{:>8}{:>10}{:>10}{:>12}", "model", "threads", "p50 ms", "p99 ms", "memory MB");
    for name in ["nanodet_g_416", "efficientnet_lite0", "resemblyzer_ge2e"] {
        for threads in [1, 2] {
            let model = broker.load_with_threads(name, threads)?;
            let port = model.inputs()[0].clone();
            // A speech window has 160 steps; every other open dimension is the batch.
            let shape: Vec<usize> =
                port.shape.iter().enumerate().map(|(n, d)| usize::try_from(*d).unwrap_or(if n == 1 { 160 } else { 1 })).collect();
            for _ in 0..50 {
                let zeros = Tensor::from(ArrayD::<f32>::zeros(shape.clone()));
                broker.infer(&model, Priority::MISSION, vec![(&port.name, zeros)])?;
            }
        }
    }
    for s in broker.statistics() {
        println!("{:<32}{:>10.1}{:>10.1}{:>12.1}", s.model, s.p50_ms, s.p99_ms, s.memory_bytes as f64 / 1e6);
    }
    Ok(())
}

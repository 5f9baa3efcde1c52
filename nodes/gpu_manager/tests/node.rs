//! The node on a bench.

use std::time::Duration;

use graph::Level;
use graph::testing::Bench;
use models::testing::broker_or_skip;
use models::{Priority, Tensor};
use msgs::omnimind_msgs::msg::{GpuDevices, GpuLeases};
use ndarray::ArrayD;
use omnimind_gpu_manager::GpuManager;

#[test]
fn devices_are_told_every_second_with_a_note() {
    let mut bench = Bench::new();
    bench.add::<GpuManager>(&[]).unwrap();
    bench.run_for(Duration::from_millis(3010));
    let told = bench.take::<GpuDevices>("gpu/devices");
    assert_eq!(told.len(), 3);
    let cpu = &told[0].devices[0];
    assert_eq!(cpu.device_id, "cpu");
    assert!(cpu.memory_total > 0 && cpu.memory_used <= cpu.memory_total && (0.0..=1.0).contains(&cpu.utilization));
    assert!(told[0].note.contains("CPU"), "{}", told[0].note);
    assert_eq!(told[0].header.stamp.sec, 1);
    assert_eq!(bench.status("gpu_manager", "devices").unwrap().0, Level::Ok);
}

#[test]
fn loaded_models_are_told_with_what_they_did() {
    let Some(broker) = broker_or_skip(&["resemblyzer_ge2e"]) else { return };
    let model = broker.load("resemblyzer_ge2e").unwrap();
    let mels = Tensor::from(ArrayD::<f32>::zeros(vec![1, 160, 40]));
    broker.infer(&model, Priority::BACKGROUND, vec![("mels", mels)]).unwrap();
    broker.infer(&model, Priority::BACKGROUND, vec![]).unwrap_err();
    let mut bench = Bench::new();
    bench.add::<GpuManager>(&[]).unwrap();
    bench.run_for(Duration::from_millis(1010));
    let told = bench.take::<GpuLeases>("gpu/leases");
    let lease = told[0].leases.iter().find(|l| l.model == "resemblyzer_ge2e").expect("the loaded model");
    assert_eq!((lease.device_id.as_str(), lease.requests, lease.refused), ("cpu", 1, 1));
    assert!(lease.memory > 0 && lease.p50_ms > 0.0 && told[0].queued == 0);
    let (level, text) = bench.status("gpu_manager", "broker").unwrap();
    assert!(level == Level::Warn && text.contains("1 requests"), "{text}");
}

#[test]
fn little_room_is_a_warning() {
    let mut bench = Bench::new();
    bench.add::<GpuManager>(&[("memory_warning", 0.0.into())]).unwrap();
    bench.run_for(Duration::from_millis(1010));
    assert_eq!(bench.status("gpu_manager", "memory").unwrap().0, Level::Warn);
}

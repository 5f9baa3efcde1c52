//! From the broker's words to messages.

use models::ModelStatistics;
use models::devices::Device;
use msgs::omnimind_msgs::msg::{GpuDevice, GpuLease};

/// One device as a message. What is not known is NaN.
pub fn device_msg(device: &Device) -> GpuDevice {
    let or_nan = |v: Option<f64>| v.map_or(f32::NAN, |v| v as f32);
    GpuDevice {
        device_id: device.id.clone(),
        name: device.name.clone(),
        status: device.status.as_str().to_owned(),
        memory_total: device.memory_total_bytes,
        memory_used: device.memory_used_bytes,
        utilization: device.utilization as f32,
        temperature: or_nan(device.temperature_c),
        power: or_nan(device.power_w),
        compute_capability: device.compute_capability.clone(),
    }
}

/// One loaded model as a message.
pub fn lease_msg(s: &ModelStatistics) -> GpuLease {
    GpuLease {
        model: s.model.clone(),
        version: s.version.clone(),
        device_id: s.device.clone(),
        memory: s.memory_bytes,
        requests: s.requests,
        refused: s.refused,
        p50_ms: s.p50_ms as f32,
        p99_ms: s.p99_ms as f32,
        queue_ms: s.queue_ms as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use models::devices::DeviceStatus;

    #[test]
    fn what_is_not_known_is_nan() {
        let device = Device {
            id: "cuda:0".into(),
            name: "card".into(),
            status: DeviceStatus::Busy,
            memory_total_bytes: 8,
            memory_used_bytes: 3,
            utilization: 0.95,
            temperature_c: None,
            power_w: Some(41.5),
            compute_capability: "8.6".into(),
        };
        let message = device_msg(&device);
        assert!(message.temperature.is_nan() && message.power == 41.5);
        assert_eq!((message.status.as_str(), message.memory_total, message.memory_used), ("busy", 8, 3));
    }

    #[test]
    fn a_lease_carries_the_counts() {
        let s = ModelStatistics { model: "net".into(), requests: 7, refused: 2, p99_ms: 9.5, ..ModelStatistics::default() };
        let message = lease_msg(&s);
        assert_eq!((message.model.as_str(), message.requests, message.refused, message.p99_ms), ("net", 7, 2, 9.5));
    }
}

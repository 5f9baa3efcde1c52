//! The gpu_manager node.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, Param, Publisher, Qos, Setup, SetupError};
use models::Broker;
use models::devices::{DeviceMonitor, DeviceStatus};
use msgs::omnimind_msgs::msg::{GpuDevices, GpuLeases};

use crate::convert::{device_msg, lease_msg};

/// Publishes `gpu/devices` and `gpu/leases` once a second. No graphics card is a normal case, explained in `note`.
pub struct GpuManager {
    devices: Publisher<GpuDevices>,
    leases: Publisher<GpuLeases>,
    memory_warning: Param<f64>,
    monitor: DeviceMonitor,
    broker: Option<Arc<Broker>>,
    refused: u64,
}

impl Node for GpuManager {
    const NAME: &'static str = "gpu_manager";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let memory_warning = s
            .param("memory_warning", 0.9)
            .range(0.0, 1.0)
            .describe("warn when a device's memory is used to more than this share")
            .declare()?;
        let devices = s.publisher("gpu/devices", Qos::state())?;
        let leases = s.publisher("gpu/leases", Qos::state())?;
        s.timer(Duration::from_secs(1), Self::tick)?;
        Ok(Self { devices, leases, memory_warning, monitor: DeviceMonitor::new(), broker: None, refused: 0 })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        match Broker::shared() {
            Ok(broker) => self.broker = Some(broker),
            Err(error) => ctx.status(Level::Error, "broker", error.to_string()),
        }
        ctx.info(self.monitor.note());
        Ok(())
    }
}

impl GpuManager {
    fn tick(&mut self, ctx: &mut Context) -> HandlerResult {
        let stamp = ctx.now().to_msg();
        let sample = self.monitor.sample();
        let full = sample.iter().find(|d| {
            d.memory_total_bytes > 0 && d.memory_used_bytes as f64 > self.memory_warning.get() * d.memory_total_bytes as f64
        });
        match full {
            Some(d) => ctx.status(
                Level::Warn,
                "memory",
                format!("{}: {} of {} MB in use", d.id, d.memory_used_bytes >> 20, d.memory_total_bytes >> 20),
            ),
            None => ctx.status(Level::Ok, "memory", "every device has room"),
        }
        match sample.iter().find(|d| d.status == DeviceStatus::Error) {
            Some(d) => ctx.status(Level::Error, "devices", format!("{} ({}) does not answer", d.id, d.name)),
            None => ctx.status(Level::Ok, "devices", self.monitor.note()),
        }
        let mut devices =
            GpuDevices { devices: sample.iter().map(device_msg).collect(), note: self.monitor.note(), ..Default::default() };
        devices.header.stamp = stamp.clone();
        self.devices.publish(ctx, devices);
        let Some(broker) = &self.broker else { return Ok(()) };
        let statistics = broker.statistics();
        let mut leases = GpuLeases {
            leases: statistics.iter().map(lease_msg).collect(),
            queued: u32::try_from(broker.waiting()).unwrap_or(u32::MAX),
            ..Default::default()
        };
        leases.header.stamp = stamp;
        self.leases.publish(ctx, leases);
        let refused: u64 = statistics.iter().map(|s| s.refused).sum();
        let new = refused.saturating_sub(self.refused);
        self.refused = refused;
        if new > 0 {
            ctx.status(Level::Warn, "broker", format!("{new} requests refused or failed in the last second"));
        } else {
            ctx.status(Level::Ok, "broker", format!("{} models loaded, {} MB", statistics.len(), broker.memory_bytes() >> 20));
        }
        Ok(())
    }
}

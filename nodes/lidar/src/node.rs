//! The node: `device/scan` in, `scan` out.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Level, Node, Param, Publisher, Qos, Setup, SetupError, Watchdog};
use msgs::sensor_msgs::msg::LaserScan;

use crate::scan::{ScanGeometry, sanitise};

/// Checks a scan and writes its ranges in the words of REP 117.
pub struct Lidar {
    max_erroneous: Param<f64>,
    out: Publisher<LaserScan>,
    watchdog: Watchdog,
}

impl Node for Lidar {
    const NAME: &'static str = "lidar";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let max_erroneous = s
            .param("max_erroneous", 0.3)
            .range(0.0, 1.0)
            .describe("share of erroneous beams above which a scan is refused")
            .declare()?;
        let watchdog = Watchdog::declare(s, "device/scan", 0.5)?;
        s.subscribe("device/scan", Qos::sensor_data(), Self::on_raw)?;
        s.timer(Duration::from_millis(100), |node: &mut Self, ctx| {
            node.watchdog.check(ctx);
            Ok(())
        })?;
        Ok(Self { max_erroneous, out: s.publisher("scan", Qos::sensor_data())?, watchdog })
    }
}

impl Lidar {
    fn on_raw(&mut self, ctx: &mut Context, raw: Arc<LaserScan>) -> HandlerResult {
        self.watchdog.feed(ctx);
        let geometry = ScanGeometry {
            angle_min: raw.angle_min.into(),
            angle_max: raw.angle_max.into(),
            angle_increment: raw.angle_increment.into(),
            range_min: raw.range_min.into(),
            range_max: raw.range_max.into(),
        };
        let mut scan = (*raw).clone();
        match sanitise(&geometry, &mut scan.ranges, self.max_erroneous.get()) {
            Ok(report) => {
                ctx.status(Level::Ok, "scan", format!("{} of {} beams valid", report.valid, scan.ranges.len()));
                self.out.publish(ctx, scan);
            }
            Err(error) => ctx.status(Level::Warn, "scan", error.to_string()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use graph::testing::Bench;

    fn scan(ranges: Vec<f32>) -> LaserScan {
        let angle_increment = std::f32::consts::TAU / 360.0;
        let angle_max = angle_increment * 359.0;
        LaserScan { angle_max, angle_increment, range_min: 0.164, range_max: 12.0, ranges, ..LaserScan::default() }
    }

    #[test]
    fn ranges_are_rewritten_after_rep_117_and_a_scan_of_the_wrong_size_is_refused() {
        let mut bench = Bench::new();
        bench.add::<Lidar>(&[]).unwrap();
        let mut ranges = vec![2.0; 360];
        (ranges[0], ranges[1], ranges[2]) = (0.1, 20.0, -1.0);
        bench.publish("device/scan", scan(ranges));
        bench.publish("device/scan", scan(vec![1.0; 7]));
        bench.run_for(Duration::from_millis(10));
        let out = bench.take::<LaserScan>("scan");
        assert_eq!(out.len(), 1);
        assert_eq!(&out[0].ranges[..2], [f32::NEG_INFINITY, f32::INFINITY]);
        assert!(out[0].ranges[2].is_nan());
        assert!(bench.status("lidar", "scan").unwrap().1.contains("7 ranges"));
    }
}

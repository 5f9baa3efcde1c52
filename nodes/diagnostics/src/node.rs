//! The node: /diagnostics in, /diagnostics_agg and /diagnostics_toplevel_state out.

use std::sync::Arc;
use std::time::Duration;

use graph::{Context, HandlerResult, Node, ParamValue, Publisher, Qos, Setup, SetupError};
use msgs::diagnostic_msgs::msg::{DiagnosticArray, DiagnosticStatus};
use msgs::std_msgs::msg::Header;

use crate::groups::{Aggregator, Setting, default_rules, rules};

/// Groups what all nodes say of themselves. Its rules are parameters `analyzers.<id>.…` as in the files of diagnostic_aggregator; without any they
/// are OmniMind's own.
pub struct DiagnosticAggregator {
    groups: Aggregator,
    /// Names of the parameters that hold the rules.
    given: Vec<String>,
    all: Publisher<DiagnosticArray>,
    top: Publisher<DiagnosticStatus>,
}

impl Node for DiagnosticAggregator {
    const NAME: &'static str = "diagnostic_aggregator";

    fn setup(s: &mut Setup<Self>) -> Result<Self, SetupError> {
        let rate =
            s.param("pub_rate", 1.0).unit("Hz").range(0.01, 100.0).describe("how often it reports").read_only().declare()?;
        let path = s.param("path", String::new()).describe("in front of the names of groups").read_only().declare()?;
        let given = s.given_params();
        s.accept_undeclared_params();
        let mut settings = Vec::new();
        for (name, value) in given.iter().filter(|(name, _)| name != "use_sim_time") {
            settings.push((name.as_str(), setting(name, value).map_err(|reason| s.failed(reason))?));
        }
        let own =
            if settings.is_empty() { default_rules() } else { rules(settings).map_err(|error| s.failed(error.to_string()))? };
        s.subscribe("/diagnostics", Qos::reliable(100), |node: &mut Self, ctx, report: Arc<DiagnosticArray>| {
            let now = ctx.now().as_secs_f64();
            report.status.iter().for_each(|status| node.groups.hear(status, now));
            Ok(())
        })?;
        s.timer(Duration::from_secs_f64(1.0 / rate.get()), Self::report)?;
        Ok(Self {
            groups: Aggregator::new(&path.get(), own),
            given: given.into_iter().map(|(name, _)| name).collect(),
            all: s.publisher("/diagnostics_agg", Qos::reliable(1))?,
            top: s.publisher("/diagnostics_toplevel_state", Qos::reliable(1))?,
        })
    }

    fn start(&mut self, ctx: &mut Context) -> HandlerResult {
        // They were read in the set-up, before they were parameters: they are not forgotten ones.
        self.given.iter().for_each(|name| drop(ctx.param(name)));
        Ok(())
    }
}

impl DiagnosticAggregator {
    fn report(&mut self, ctx: &mut Context) -> HandlerResult {
        let (status, top) = self.groups.report(ctx.now().as_secs_f64());
        let header = Header { stamp: ctx.now().to_msg(), frame_id: String::new() };
        self.all.publish(ctx, DiagnosticArray { header, status });
        self.top.publish(ctx, top);
        Ok(())
    }
}

fn setting(name: &str, value: &ParamValue) -> Result<Setting, String> {
    Ok(match value {
        ParamValue::String(word) => Setting::Words(vec![word.clone()]),
        ParamValue::StringArray(words) => Setting::Words(words.clone()),
        ParamValue::Integer(number) => Setting::Number(*number as f64),
        ParamValue::Double(number) => Setting::Number(*number),
        _ => return Err(format!("`{name}` is to be words or a number")),
    })
}

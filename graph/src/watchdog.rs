//! Notices when an input falls silent.

use crate::context::Context;
use crate::diagnostics::Level;
use crate::error::SetupError;
use crate::node::{Node, Setup};
use crate::param::Param;
use crate::time::Time;

/// Watches one input: says on /diagnostics when nothing has come for longer than the node's parameter `timeout_s`.
pub struct Watchdog {
    input: &'static str,
    timeout_s: Param<f64>,
    last: Option<Time>,
    stale: bool,
}

impl Watchdog {
    /// Declares the parameter `timeout_s` with a default for `input`.
    ///
    /// # Errors
    /// A value out of range.
    pub fn declare<N: Node>(setup: &mut Setup<N>, input: &'static str, default_s: f64) -> Result<Self, SetupError> {
        let timeout_s = setup
            .param("timeout_s", default_s)
            .unit("s")
            .range(0.01, 3600.0)
            .describe(format!("silence of {input} after which it is called stale"))
            .declare()?;
        Ok(Self { input, timeout_s, last: None, stale: false })
    }

    /// Something came.
    pub fn feed(&mut self, ctx: &mut Context) {
        self.last = Some(ctx.now());
        if self.stale {
            self.stale = false;
            ctx.status(Level::Ok, self.input, "heard again");
        }
    }

    /// Called from a timer. Returns whether the input is stale.
    pub fn check(&mut self, ctx: &mut Context) -> bool {
        // Before the first message the wait counts from the first check.
        let last = *self.last.get_or_insert(ctx.now());
        let silence_s = ctx.now().seconds_since(last);
        if silence_s > self.timeout_s.get() {
            self.stale = true;
            ctx.status(Level::Stale, self.input, format!("nothing heard for {silence_s:.1} s"));
        }
        self.stale
    }
}

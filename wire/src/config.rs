//! How to reach the others.

use crate::error::OpenError;
use zenoh::Config;

/// Where the wire connects and how much it may use. [`WireConfig::default`] is rmw_zenoh's: a router on loopback, domain 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireConfig {
    /// ROS domain, 0 to 232.
    pub domain: u32,
    /// The router's endpoint.
    pub router: String,
    /// Start a router at that endpoint if none is there, and again if it goes away.
    pub embed_router: bool,
    /// Where other peers reach this session directly; a port of 0 is chosen by the system.
    pub listen: String,
    /// Hand large samples to peers on this host in shared memory.
    pub shared_memory: bool,
    /// Samples from this size on go through shared memory, bytes.
    pub shared_memory_threshold: usize,
    /// Security enclave, as advertised.
    pub enclave: String,
    /// Further settings of Zenoh, as `path=json` (the form of `ZENOH_CONFIG_OVERRIDE`).
    pub overrides: Vec<(String, String)>,
    /// A Zenoh configuration file to start from, if any (`ZENOH_SESSION_CONFIG_URI`).
    pub session_file: Option<String>,
    /// The same for the embedded router (`ZENOH_ROUTER_CONFIG_URI`).
    pub router_file: Option<String>,
}

impl Default for WireConfig {
    fn default() -> Self {
        Self {
            domain: 0,
            router: "tcp/127.0.0.1:7447".into(),
            embed_router: true,
            listen: "tcp/127.0.0.1:0".into(),
            shared_memory: true,
            shared_memory_threshold: 32 << 10,
            enclave: "/".into(),
            overrides: Vec::new(),
            session_file: None,
            router_file: None,
        }
    }
}

impl WireConfig {
    /// The default with `ROS_DOMAIN_ID`, `ZENOH_SESSION_CONFIG_URI`, `ZENOH_ROUTER_CONFIG_URI` and `ZENOH_CONFIG_OVERRIDE` applied.
    /// An override of `connect/endpoints` names the router.
    ///
    /// # Errors
    /// [`OpenError::Config`] if one of them cannot be understood.
    pub fn from_env() -> Result<Self, OpenError> {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, OpenError> {
        let mut config = Self::default();
        if let Some(domain) = variable("ROS_DOMAIN_ID") {
            let parsed = domain.parse().ok().filter(|d| *d <= 232);
            config.domain = parsed.ok_or_else(|| OpenError::Config(format!("ROS_DOMAIN_ID `{domain}` is not 0 to 232")))?;
        }
        config.session_file = variable("ZENOH_SESSION_CONFIG_URI");
        config.router_file = variable("ZENOH_ROUTER_CONFIG_URI");
        for setting in variable("ZENOH_CONFIG_OVERRIDE").unwrap_or_default().split(';').filter(|s| !s.trim().is_empty()) {
            let (path, value) = setting
                .split_once('=')
                .ok_or_else(|| OpenError::Config(format!("ZENOH_CONFIG_OVERRIDE: `{setting}` is not `path=value`")))?;
            let (path, value) = (path.trim(), value.trim());
            if path == "connect/endpoints" {
                config.router = first_endpoint(value)?;
            } else {
                config.overrides.push((path.to_owned(), value.to_owned()));
            }
        }
        Ok(config)
    }

    /// Settings of the embedded router.
    pub(crate) fn router_config(&self) -> Result<Config, OpenError> {
        let mut config = base(self.router_file.as_deref())?;
        set(&mut config, "mode", "\"router\"")?;
        set(&mut config, "listen/endpoints", &format!("[{:?}]", self.router))?;
        set(&mut config, "connect/endpoints", "[]")?;
        self.common(&mut config)?;
        // Neighbours on a host share memory with each other, not through the router. And two sessions of one process that hold each
        // other's segments would leave them behind.
        set(&mut config, "transport/shared_memory/enabled", "false")?;
        Ok(config)
    }

    /// Settings of a session that takes part: rmw_zenoh's `DEFAULT_RMW_ZENOH_SESSION_CONFIG.json5`.
    pub(crate) fn peer_config(&self) -> Result<Config, OpenError> {
        let mut config = base(self.session_file.as_deref())?;
        set(&mut config, "mode", "\"peer\"")?;
        set(&mut config, "connect/endpoints", &format!("[{:?}]", self.router))?;
        set(&mut config, "connect/timeout_ms", "5000")?;
        set(&mut config, "connect/exit_on_failure", "true")?;
        set(&mut config, "listen/endpoints", &format!("[{:?}]", self.listen))?;
        self.common(&mut config)?;
        // For this session's own eyes: who listens to what, also without a token (`neighbours.rs`).
        set(&mut config, "adminspace/enabled", "true")?;
        self.apply_overrides(&mut config)?;
        Ok(config)
    }

    /// Settings of a session that only looks and calls.
    pub(crate) fn client_config(&self) -> Result<Config, OpenError> {
        let mut config = base(self.session_file.as_deref())?;
        set(&mut config, "mode", "\"client\"")?;
        set(&mut config, "connect/endpoints", &format!("[{:?}]", self.router))?;
        set(&mut config, "connect/timeout_ms", "5000")?;
        set(&mut config, "connect/exit_on_failure", "true")?;
        self.common(&mut config)?;
        self.apply_overrides(&mut config)?;
        Ok(config)
    }

    fn common(&self, config: &mut Config) -> Result<(), OpenError> {
        set(config, "scouting/multicast/enabled", "false")?;
        set(config, "scouting/gossip/enabled", "true")?;
        set(config, "timestamping/enabled", "true")?;
        set(config, "queries_default_timeout", "600000")?;
        set(config, "transport/unicast/open_timeout", "4000")?;
        let shm = "transport/shared_memory";
        set(config, &format!("{shm}/enabled"), &self.shared_memory.to_string())?;
        // Publishers place their samples themselves, see `pool.rs`: Zenoh's own pool may be used again while somebody looks at it.
        set(config, &format!("{shm}/transport_optimization/messages"), "[]")
    }

    fn apply_overrides(&self, config: &mut Config) -> Result<(), OpenError> {
        self.overrides.iter().try_for_each(|(path, value)| set(config, path, value))
    }

    /// `host:port` of the router, if its endpoint is a TCP one.
    pub(crate) fn router_address(&self) -> Option<&str> {
        self.router.strip_prefix("tcp/").map(|rest| rest.split(['#', '?']).next().unwrap_or(rest))
    }
}

/// The first of a list of endpoints in JSON, which is all that is needed to find the others.
fn first_endpoint(list: &str) -> Result<String, OpenError> {
    let first = list.split('"').nth(1).filter(|endpoint| endpoint.contains('/'));
    first.map(str::to_owned).ok_or_else(|| OpenError::Config(format!("connect/endpoints: `{list}` is not a list of endpoints")))
}

fn base(file: Option<&str>) -> Result<Config, OpenError> {
    match file {
        None => Ok(Config::default()),
        Some(uri) => {
            let path = uri.strip_prefix("file://").unwrap_or(uri);
            Config::from_file(path).map_err(|e| OpenError::Config(format!("{path}: {e}")))
        }
    }
}

fn set(config: &mut Config, path: &str, value: &str) -> Result<(), OpenError> {
    config.insert_json5(path, value).map_err(|e| OpenError::Config(format!("{path} = {value}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_rmw_zenoh_is_understood() {
        let variable = |name: &str| match name {
            "ROS_DOMAIN_ID" => Some("7".to_owned()),
            "ZENOH_CONFIG_OVERRIDE" => Some(
                "scouting/gossip/enabled=false;listen/endpoints=[\"tcp/[::]:0\"];connect/endpoints=[\"tcp/127.0.0.1:7460\"]"
                    .to_owned(),
            ),
            _ => None,
        };
        let config = WireConfig::from_variables(variable).expect("valid");
        assert_eq!(config.domain, 7);
        assert_eq!(config.overrides.len(), 2);
        assert_eq!(config.router, "tcp/127.0.0.1:7460");
        config.peer_config().expect("Zenoh takes it");
        let error = WireConfig::from_variables(|name| (name == "ROS_DOMAIN_ID").then(|| "900".to_owned())).expect_err("range");
        assert!(error.to_string().contains("900"));
    }

    #[test]
    fn a_wrong_override_is_an_error_that_names_it() {
        let config = WireConfig { overrides: vec![("no/such/thing".into(), "1".into())], ..WireConfig::default() };
        assert!(config.peer_config().expect_err("refused").to_string().contains("no/such/thing"));
    }

    #[test]
    fn every_kind_of_session_has_settings_that_zenoh_takes() {
        let config = WireConfig::default();
        config.router_config().expect("router");
        config.peer_config().expect("peer");
        config.client_config().expect("client");
        assert_eq!(config.router_address(), Some("127.0.0.1:7447"));
    }
}

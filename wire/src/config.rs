//! How to reach the others.

use crate::error::OpenError;
use zenoh::Config;

/// What a system without type hashes says (rmw_zenoh: docs/design.md, "Topic and Service name mapping to Zenoh key expressions").
pub const NO_TYPE_HASH: &str = "TypeHashNotSupported";

/// How far nodes are looked for (ROS 2: `ROS_AUTOMATIC_DISCOVERY_RANGE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiscoveryRange {
    /// Nowhere: a graph stays in its process.
    Off,
    /// On this machine. rmw_zenoh's router listens to the network; ours does only if it is told to.
    #[default]
    Localhost,
    /// Everywhere: the embedded router listens on all addresses.
    Subnet,
}

/// Where the wire connects and how much it may use. [`WireConfig::default`] is rmw_zenoh's: a router on loopback, domain 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireConfig {
    /// ROS domain, 0 to 232.
    pub domain: u32,
    /// The router's endpoint.
    pub router: String,
    /// Start a router at that endpoint if none is there, and again if it goes away.
    pub embed_router: bool,
    /// How far nodes are looked for.
    pub range: DiscoveryRange,
    /// How often a router elsewhere is looked for, once a second, before it is an error (`ZENOH_ROUTER_CHECK_ATTEMPTS`): 0 for ever,
    /// less than 0 not at all: the session opens and finds it when it comes.
    pub router_attempts: i32,
    /// Where other peers reach this session directly; a port of 0 is chosen by the system.
    pub listen: String,
    /// Hand large samples to peers on this host in shared memory.
    pub shared_memory: bool,
    /// Samples from this size on go through shared memory, bytes.
    pub shared_memory_threshold: usize,
    /// Samples, requests and answers longer than this are refused when they come over the network, bytes
    /// (`OMNIMIND_MAX_SAMPLE_BYTES`). What Zenoh puts together before is bounded by its own `transport/link/rx/max_message_size`, 1 GiB.
    pub max_sample_bytes: usize,
    /// Whether keys and tokens carry type hashes. Humble has none: `TypeHashNotSupported` stands in their place, and only systems that
    /// say the same hear each other.
    pub type_hashes: bool,
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
            range: DiscoveryRange::Localhost,
            router_attempts: 5,
            listen: "tcp/127.0.0.1:0".into(),
            shared_memory: true,
            shared_memory_threshold: 32 << 10,
            max_sample_bytes: 128 << 20,
            type_hashes: true,
            enclave: "/".into(),
            overrides: Vec::new(),
            session_file: None,
            router_file: None,
        }
    }
}

impl WireConfig {
    /// The default with `ROS_DOMAIN_ID`, `ROS_DISTRO` (`humble`: no type hashes), `ROS_AUTOMATIC_DISCOVERY_RANGE`,
    /// `ZENOH_SESSION_CONFIG_URI`, `ZENOH_ROUTER_CONFIG_URI`, `ZENOH_ROUTER_CHECK_ATTEMPTS`, `OMNIMIND_MAX_SAMPLE_BYTES` and
    /// `ZENOH_CONFIG_OVERRIDE` applied.
    /// An override of `connect/endpoints` names the router.
    ///
    /// # Errors
    /// [`OpenError::Config`] if one of them cannot be understood.
    pub fn from_env() -> Result<Self, OpenError> {
        Self::from_variables(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`WireConfig::from_env`], with other variables than this process's.
    ///
    /// # Errors
    /// As [`WireConfig::from_env`].
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, OpenError> {
        let mut config = Self::default();
        if let Some(domain) = variable("ROS_DOMAIN_ID") {
            let parsed = domain.parse().ok().filter(|d| *d <= 232);
            config.domain = parsed.ok_or_else(|| OpenError::Config(format!("ROS_DOMAIN_ID `{domain}` is not 0 to 232")))?;
        }
        config.type_hashes = variable("ROS_DISTRO").is_none_or(|distro| distro != "humble");
        if let Some(range) = variable("ROS_AUTOMATIC_DISCOVERY_RANGE") {
            config.range = match range.as_str() {
                "OFF" => DiscoveryRange::Off,
                "LOCALHOST" | "SYSTEM_DEFAULT" => DiscoveryRange::Localhost,
                "SUBNET" => DiscoveryRange::Subnet,
                _ => {
                    let allowed = "OFF, LOCALHOST, SUBNET or SYSTEM_DEFAULT";
                    return Err(OpenError::Config(format!("ROS_AUTOMATIC_DISCOVERY_RANGE `{range}` is not {allowed}")));
                }
            };
        }
        if let Some(attempts) = variable("ZENOH_ROUTER_CHECK_ATTEMPTS") {
            let wrong = || OpenError::Config(format!("ZENOH_ROUTER_CHECK_ATTEMPTS `{attempts}` is not a whole number"));
            config.router_attempts = attempts.parse().map_err(|_| wrong())?;
        }
        if let Some(bytes) = variable("OMNIMIND_MAX_SAMPLE_BYTES") {
            let wrong = || OpenError::Config(format!("OMNIMIND_MAX_SAMPLE_BYTES `{bytes}` is not a number of bytes"));
            config.max_sample_bytes = bytes.parse().ok().filter(|bytes| *bytes > 0).ok_or_else(wrong)?;
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

    /// The last chunk of a key for a type with this hash.
    pub(crate) fn hash_chunk<'a>(&self, type_hash: &'a str) -> &'a str {
        if self.type_hashes { type_hash } else { NO_TYPE_HASH }
    }

    /// Settings of the embedded router.
    pub(crate) fn router_config(&self) -> Result<Config, OpenError> {
        let mut config = base(self.router_file.as_deref())?;
        set(&mut config, "mode", "\"router\"")?;
        set(&mut config, "listen/endpoints", &format!("[{:?}]", self.router_listen()))?;
        set(&mut config, "connect/endpoints", "[]")?;
        self.common(&mut config)?;
        // Neighbours on a host share memory with each other, not through the router. And two sessions of one process that hold each
        // other's segments would leave them behind.
        set(&mut config, "transport/shared_memory/enabled", "false")?;
        // As rmw_zenoh's router: it says who is connected (`neighbours.rs`).
        set(&mut config, "adminspace/enabled", "true")?;
        Ok(config)
    }

    /// Settings of a session that takes part: rmw_zenoh's `DEFAULT_RMW_ZENOH_SESSION_CONFIG.json5`.
    pub(crate) fn peer_config(&self) -> Result<Config, OpenError> {
        let mut config = base(self.session_file.as_deref())?;
        set(&mut config, "mode", "\"peer\"")?;
        set(&mut config, "connect/endpoints", &format!("[{:?}]", self.router))?;
        self.patience(&mut config)?;
        set(&mut config, "listen/endpoints", &format!("[{:?}]", self.listen))?;
        self.common(&mut config)?;
        self.apply_overrides(&mut config)?;
        Ok(config)
    }

    /// Settings of a session that only looks and calls.
    pub(crate) fn client_config(&self) -> Result<Config, OpenError> {
        let mut config = base(self.session_file.as_deref())?;
        set(&mut config, "mode", "\"client\"")?;
        set(&mut config, "connect/endpoints", &format!("[{:?}]", self.router))?;
        self.patience(&mut config)?;
        self.common(&mut config)?;
        self.apply_overrides(&mut config)?;
        Ok(config)
    }

    fn patience(&self, config: &mut Config) -> Result<(), OpenError> {
        let timeout_ms = match self.router_attempts {
            0 => -1,
            attempts => i64::from(attempts.max(1)) * 1000,
        };
        set(config, "connect/timeout_ms", &timeout_ms.to_string())?;
        set(config, "connect/exit_on_failure", &(self.router_attempts >= 0).to_string())
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

    /// Where an embedded router listens.
    fn router_listen(&self) -> String {
        let port = self.router_address().and_then(|address| address.rsplit_once(':')).map(|(_, port)| port);
        match (self.range, port) {
            (DiscoveryRange::Subnet, Some(port)) => format!("tcp/[::]:{port}"),
            _ => self.router.clone(),
        }
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
    fn humble_has_no_type_hashes() {
        let config = |distro: &'static str| {
            WireConfig::from_variables(move |name| (name == "ROS_DISTRO").then(|| distro.to_owned())).expect("valid")
        };
        assert_eq!(config("humble").hash_chunk("RIHS01_df66"), "TypeHashNotSupported");
        assert_eq!(config("jazzy").hash_chunk("RIHS01_df66"), "RIHS01_df66");
        assert_eq!(WireConfig::default().hash_chunk("RIHS01_df66"), "RIHS01_df66");
    }

    #[test]
    fn the_range_says_where_the_router_listens_and_attempts_how_long_it_is_looked_for() {
        let of = |pairs: &[(&str, &str)]| {
            WireConfig::from_variables(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        let listen = |config: WireConfig| config.router_config().expect("router").get_json("listen/endpoints").expect("there");
        assert_eq!(listen(of(&[]).expect("default")), r#"["tcp/127.0.0.1:7447"]"#);
        let subnet = of(&[("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")]).expect("valid");
        assert_eq!(listen(subnet), r#"["tcp/[::]:7447"]"#);
        assert_eq!(of(&[("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")]).expect("valid").range, DiscoveryRange::Off);
        let error = of(&[("ROS_AUTOMATIC_DISCOVERY_RANGE", "local")]).expect_err("no such range");
        assert!(error.to_string().contains("LOCALHOST"), "{error}");
        for (attempts, timeout, fatal) in [("3", "3000", "true"), ("0", "-1", "true"), ("-1", "1000", "false")] {
            let config = of(&[("ZENOH_ROUTER_CHECK_ATTEMPTS", attempts)]).expect("valid").peer_config().expect("peer");
            assert_eq!(config.get_json("connect/timeout_ms").expect("there"), timeout, "{attempts}");
            assert_eq!(config.get_json("connect/exit_on_failure").expect("there"), fatal, "{attempts}");
        }
        assert!(of(&[("ZENOH_ROUTER_CHECK_ATTEMPTS", "often")]).is_err());
        assert_eq!(of(&[("OMNIMIND_MAX_SAMPLE_BYTES", "4096")]).expect("valid").max_sample_bytes, 4096);
        for wrong in ["0", "-1", "1 GiB"] {
            assert!(of(&[("OMNIMIND_MAX_SAMPLE_BYTES", wrong)]).expect_err("refused").to_string().contains(wrong));
        }
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

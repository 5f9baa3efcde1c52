//! Key expressions and liveliness tokens (rmw_zenoh: docs/design.md, "Topic and Service name mapping to Zenoh key expressions",
//! "Graph Cache").

use crate::attachment::Gid;
use crate::error::WireError;
use crate::qos::{format_qos, parse_qos};
use graph::Qos;
use graph::transport::{EndpointKind, NodeIdentity};

/// First chunk of every token.
const TOKEN_PREFIX: &str = "@ros2_lv";
/// Stands for an empty namespace or enclave, and for `/` inside names.
const MANGLED_SLASH: char = '%';

/// What a token announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKind {
    /// `NN`
    Node,
    /// `MP`
    Publisher,
    /// `MS`
    Subscription,
    /// `SS`
    Service,
    /// `SC`
    Client,
}

impl EntityKind {
    fn code(self) -> &'static str {
        match self {
            Self::Node => "NN",
            Self::Publisher => "MP",
            Self::Subscription => "MS",
            Self::Service => "SS",
            Self::Client => "SC",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        [Self::Node, Self::Publisher, Self::Subscription, Self::Service, Self::Client].into_iter().find(|k| k.code() == code)
    }
}

impl From<EndpointKind> for EntityKind {
    fn from(kind: EndpointKind) -> Self {
        match kind {
            EndpointKind::Publisher => Self::Publisher,
            EndpointKind::Subscription => Self::Subscription,
            EndpointKind::Service => Self::Service,
            EndpointKind::Client => Self::Client,
        }
    }
}

/// A parsed token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// What it is.
    pub kind: EntityKind,
    /// Zenoh identity of its session, hexadecimal.
    pub session: String,
    /// Number of its node in the session.
    pub node_id: u64,
    /// Its own number in the session.
    pub id: u64,
    /// Namespace of its node, `/` for the root.
    pub namespace: String,
    /// Name of its node.
    pub node: String,
    /// Topic or service with a leading slash; empty for a node.
    pub name: String,
    /// Type as on the wire, e.g. `sensor_msgs::msg::dds_::Image_`; empty for a node.
    pub dds_name: String,
    /// Type hash; empty for a node.
    pub type_hash: String,
    /// Quality of service; `None` for a node.
    pub qos: Option<Qos>,
}

impl Entity {
    /// Fully qualified name of its node.
    pub fn node_name(&self) -> String {
        format!("{}/{}", self.namespace.trim_end_matches('/'), self.node)
    }

    /// ROS name of its type; as on the wire if that is not of the usual form.
    pub fn type_name(&self) -> String {
        msgs::registry::ros_name(&self.dds_name).unwrap_or_else(|| self.dds_name.clone())
    }
}

/// The key on which a topic's samples or a service's requests travel: `<domain>/<name>/<type>/<hash>`.
///
/// # Errors
/// [`WireError::Name`] if the name cannot stand in a key.
pub fn key_expression(domain: u32, name: &str, dds_name: &str, type_hash: &str) -> Result<String, WireError> {
    Ok(format!("{domain}/{}/{dds_name}/{type_hash}", check_name(name)?))
}

/// A key that matches the topic with any type and any hash.
pub(crate) fn any_type_key(domain: u32, name: &str) -> Result<String, WireError> {
    key_expression(domain, name, "*", "*")
}

/// The key that matches every token of a domain.
pub(crate) fn all_tokens(domain: u32) -> String {
    format!("{TOKEN_PREFIX}/{domain}/**")
}

/// The name without its leading slash.
fn check_name(name: &str) -> Result<&str, WireError> {
    let refuse = |reason: &str| WireError::Name { name: name.to_owned(), reason: reason.to_owned() };
    let bare = name.strip_prefix('/').ok_or_else(|| refuse("a fully qualified name begins with `/`"))?;
    if bare.is_empty() || bare.split('/').any(str::is_empty) {
        return Err(refuse("a part between two slashes is empty"));
    }
    if !bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '/') {
        return Err(refuse("only letters, digits, `_` and `/` are allowed"));
    }
    Ok(bare)
}

fn mangle(name: &str) -> String {
    if name.is_empty() { MANGLED_SLASH.to_string() } else { name.replace('/', "%") }
}

fn demangle(chunk: &str) -> String {
    chunk.replace(MANGLED_SLASH, "/")
}

/// The key on which a publisher says that it is alive though it sends nothing: rmw_zenoh has no word for that.
pub(crate) fn alive_key(domain: u32, gid: &Gid) -> String {
    let gid: String = gid.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("@omnimind/{domain}/alive/{gid}")
}

/// The key that matches every publisher's [`alive_key`].
pub(crate) fn alive_keys(domain: u32) -> String {
    format!("@omnimind/{domain}/alive/*")
}

/// Who says that it is alive on this key.
pub(crate) fn parse_alive_key(key: &str) -> Option<Gid> {
    let hex = key.rsplit('/').next().filter(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some(u128::from_str_radix(hex, 16).ok()?.to_be_bytes())
}

/// The token that announces a node.
pub(crate) fn node_token(domain: u32, session: &str, enclave: &str, node: &NodeIdentity) -> String {
    let head = token_head(domain, session, enclave, node, node.id, EntityKind::Node);
    format!("{head}/{}", node.name)
}

fn token_head(domain: u32, session: &str, enclave: &str, node: &NodeIdentity, id: u64, kind: EntityKind) -> String {
    let (enclave, namespace) = (mangle(enclave), mangle(&node.namespace));
    format!("{TOKEN_PREFIX}/{domain}/{session}/{}/{id}/{}/{enclave}/{namespace}", node.id, kind.code())
}

/// What an endpoint's token says.
pub(crate) struct TokenParts<'a> {
    pub kind: EntityKind,
    pub node: &'a NodeIdentity,
    pub id: u64,
    pub name: &'a str,
    pub dds_name: &'a str,
    pub type_hash: &'a str,
    pub qos: &'a Qos,
}

/// The token that announces an endpoint.
pub(crate) fn endpoint_token(domain: u32, session: &str, enclave: &str, parts: &TokenParts<'_>) -> String {
    let head = token_head(domain, session, enclave, parts.node, parts.id, parts.kind);
    let TokenParts { node, name, dds_name, type_hash, qos, .. } = parts;
    format!("{head}/{}/{}/{dds_name}/{type_hash}/{}", node.name, mangle(name), format_qos(qos))
}

/// Reads a token; `None` if it is not one: a chunk is missing, a number or name is none, a policy is unknown. Chunks after the known ones are ignored: newer versions of rmw_zenoh add some.
pub fn parse_token(key: &str) -> Option<Entity> {
    let mut chunks = key.split('/');
    let mut next = || chunks.next();
    if next()? != TOKEN_PREFIX {
        return None;
    }
    let _domain: u32 = next()?.parse().ok()?;
    let session =
        next().filter(|zid| (1..=32).contains(&zid.len()) && zid.bytes().all(|byte| byte.is_ascii_hexdigit()))?.to_owned();
    let node_id = number(next()?)?;
    let id = number(next()?)?;
    let kind = EntityKind::from_code(next()?)?;
    let _enclave = next()?;
    let namespace = demangle(next()?);
    if namespace != "/" {
        check_name(&namespace).ok()?;
    }
    // As ROS 2 allows them.
    let node = next().filter(|name| is_word(name) && !name.starts_with(|first: char| first.is_ascii_digit()))?.to_owned();
    let mut entity = Entity {
        kind,
        session,
        node_id,
        id,
        namespace,
        node,
        name: String::new(),
        dds_name: String::new(),
        type_hash: String::new(),
        qos: None,
    };
    if kind != EntityKind::Node {
        entity.name = demangle(next()?);
        check_name(&entity.name).ok()?;
        entity.dds_name = next().filter(|name| !name.is_empty() && name.split("::").all(is_word))?.to_owned();
        entity.type_hash = next().filter(|hash| is_word(hash))?.to_owned();
        entity.qos = Some(parse_qos(next()?)?);
    }
    Some(entity)
}

/// Digits only: Rust's own parser would take a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talker() -> NodeIdentity {
        NodeIdentity { namespace: "/robot".into(), name: "talker".into(), id: 3 }
    }

    #[test]
    fn keys_are_those_of_the_design_document() {
        let key = key_expression(0, "/robot/chatter", "std_msgs::msg::dds_::String_", "RIHS01_df66").expect("valid");
        assert_eq!(key, "0/robot/chatter/std_msgs::msg::dds_::String_/RIHS01_df66");
    }

    #[test]
    fn names_that_would_be_patterns_are_refused() {
        for name in ["chatter", "/", "//a", "/a/", "/a*", "/a$b", "/a b", "/ä", "/a?b"] {
            assert!(key_expression(0, name, "t", "h").is_err(), "{name}");
        }
    }

    #[test]
    fn tokens_are_those_of_the_design_document_and_read_back() {
        let node = node_token(2, "aac3178e146ba6f1fc6e6a4085e77f21", "/", &talker());
        assert_eq!(node, "@ros2_lv/2/aac3178e146ba6f1fc6e6a4085e77f21/3/3/NN/%/%robot/talker");
        let qos = Qos::reliable(10);
        let parts = TokenParts {
            kind: EntityKind::Publisher,
            node: &talker(),
            id: 10,
            name: "/robot/chatter",
            dds_name: "std_msgs::msg::dds_::String_",
            type_hash: "RIHS01_df66",
            qos: &qos,
        };
        let token = endpoint_token(2, "8b20917502ee955ac4476e0266340d5c", "", &parts);
        assert_eq!(
            token,
            "@ros2_lv/2/8b20917502ee955ac4476e0266340d5c/3/10/MP/%/%robot/talker/%robot%chatter/\
             std_msgs::msg::dds_::String_/RIHS01_df66/::,10:,:,:,,"
        );
        let entity = parse_token(&token).expect("parses");
        assert_eq!((entity.node_id, entity.id, entity.kind), (3, 10, EntityKind::Publisher));
        assert_eq!((entity.namespace.as_str(), entity.node.as_str()), ("/robot", "talker"));
        assert_eq!((entity.name.as_str(), entity.qos), ("/robot/chatter", Some(qos)));
        assert_eq!(parse_token(&format!("{token}/backends:cpu")), Some(entity), "an extra chunk is accepted");
    }

    #[test]
    fn a_publisher_says_on_a_key_of_its_own_that_it_is_alive() {
        let gid = [7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255];
        let key = alive_key(3, &gid);
        assert_eq!(key, "@omnimind/3/alive/070102030405060708090a0b0c0d0eff");
        assert_eq!(parse_alive_key(&key), Some(gid));
        for bad in ["", "@omnimind/3/alive/07", "@omnimind/3/alive/+70102030405060708090a0b0c0d0eff"] {
            assert_eq!(parse_alive_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let good = "@ros2_lv/0/ab/1/2/MP/%/%/n/%t/T_/H/::,10:,:,:,,";
        assert!(parse_token(good).is_some());
        let chunks: Vec<&str> = good.split('/').collect();
        for length in 0..chunks.len() {
            assert_eq!(parse_token(&chunks[..length].join("/")), None, "{length} chunks");
        }
        assert_eq!(parse_token(&good.replace("/MP/", "/XX/")), None);
        for (part, other) in [
            ("/1/2/", "/x/2/"),
            ("/1/2/", "/+1/2/"),
            ("/1/2/", "/99999999999999999999/2/"),
            ("/0/ab/", "/0/zz/"),
            ("/0/ab/", "/0/abababababababababababababababababab/"),
            ("/%t/", "/t/"),
            ("/%t/", "/%%t/"),
            ("/%t/", "/%t%/"),
            ("/%t/", "/%/"),
            ("/%t/", "/%tä/"),
            ("/%/n/", "/%ns%/n/"),
            ("/%/n/", "/%/n m/"),
            ("/%/n/", "/%/n%m/"),
            ("/%/n/", "/%/9n/"),
            ("/T_/", "/T:_/"),
            ("/T_/", "/::T_/"),
            ("/H/", "/H-1/"),
        ] {
            let bad = good.replacen(part, other, 1);
            assert_eq!(parse_token(&bad), None, "{bad}");
        }
    }
}

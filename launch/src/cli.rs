//! The command line's words.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use crate::commands::ComponentCommand;

/// OmniMind: sensors to understanding to safe, energy-aware action.
#[derive(Debug, Parser)]
#[command(name = "omnimind", version, about, long_about = None)]
pub struct Cli {
    /// What to do; nothing: the demo.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the demo: a simulated robot that is told to bring something, and does
    Demo(DemoArgs),
    /// Run a launch file
    Launch(LaunchArgs),
    /// Run one node
    Run(RunArgs),
    /// Nodes of the running graph
    #[command(subcommand)]
    Node(NodeCommand),
    /// Topics of the running graph
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Parameters of running nodes
    #[command(subcommand)]
    Param(ParamCommand),
    /// Services of the running graph
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Nodes that are loaded into a running graph
    #[command(subcommand)]
    Component(ComponentCommand),
    /// The running graph: nodes, edges, rates, and what does not fit together
    Graph(GraphArgs),
    /// Nodes live: rates, latencies, drops, processor, memory
    Top(TopArgs),
    /// Give the running robot a goal in words
    Goal {
        /// For example: bring the cup to the kitchen
        words: Vec<String>,
    },
    /// Where the running robot believes to be, on the map
    Map,
    /// What is wrong: with this machine, with the graph that runs, with a launch file
    Doctor(DoctorArgs),
    /// Install as an ament package, for `ros2 launch omnimind` and `ros2 run omnimind`
    Install(InstallArgs),
    /// Measure this machine
    Bench(BenchArgs),
    /// The other process of `bench`
    #[command(hide = true)]
    BenchPublish(BenchPublishArgs),
    /// Networks: which there are, and their files
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Hear and speak: transcribe, measure and draw sound files, speak texts
    #[command(subcommand)]
    Audio(crate::commands::audio::AudioCommand),
    /// Record, play, look at and recover bags, as `ros2 bag` does
    #[command(subcommand)]
    Bag(crate::commands::bag::BagCommand),
    /// Look at pictures and videos: objects, scene, features, likeness, search
    #[command(subcommand)]
    Vision(crate::commands::vision::VisionCommand),
    /// Carry topics, services and actions to and from another middleware
    #[command(subcommand)]
    Bridge(BridgeCommand),
}

/// `omnimind demo`
#[derive(Debug, Args, Clone)]
pub struct DemoArgs {
    /// Seed of the scenario and of every noise
    #[arg(long)]
    pub seed: Option<i64>,
    /// No full-screen view
    #[arg(long)]
    pub headless: bool,
    /// Simulated seconds per second; 0: as fast as possible
    #[arg(long)]
    pub rate: Option<f64>,
    /// The result as JSON in the last line of standard output
    #[arg(long)]
    pub json: bool,
    /// Show it live in a Rerun viewer that runs on this machine
    #[arg(long)]
    pub rerun: bool,
    /// Folder for recordings
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Another launch file
    #[arg(long, default_value = "demo.yaml")]
    pub launch: String,
    /// End after so many simulated seconds
    #[arg(long)]
    pub duration: Option<f64>,
    /// Stay out of the ROS 2 network
    #[arg(long)]
    pub no_wire: bool,
    /// Further arguments of the launch file, name:=value
    pub arguments: Vec<String>,
}

/// `omnimind launch`
#[derive(Debug, Args)]
pub struct LaunchArgs {
    /// The launch file, or the name of one that comes with OmniMind
    pub file: String,
    /// Its arguments, name:=value
    pub arguments: Vec<String>,
    /// No full-screen view
    #[arg(long)]
    pub headless: bool,
    /// The result as JSON in the last line of standard output
    #[arg(long)]
    pub json: bool,
    /// Folder for recordings
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// End after so many seconds of graph time
    #[arg(long)]
    pub duration: Option<f64>,
    /// Stay out of the ROS 2 network
    #[arg(long)]
    pub no_wire: bool,
    /// Only check the file and show what it would start; with --json as JSON
    #[arg(long)]
    pub check: bool,
    /// Only the nodes of this process group (used for child processes)
    #[arg(long, hide = true)]
    pub process: Option<String>,
}

/// `omnimind run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Node type
    pub node: String,
    /// For vision: a picture or a folder of pictures to analyse instead of listening to a camera
    #[arg(long)]
    pub source: Option<PathBuf>,
    /// Folder for results
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Stay out of the ROS 2 network
    #[arg(long)]
    pub no_wire: bool,
    /// End after so many seconds
    #[arg(long)]
    pub duration: Option<f64>,
    /// As `ros2 run` gives them: --ros-args -r from:=to -p name:=value --params-file F
    #[arg(last = false, trailing_var_arg = true, allow_hyphen_values = true)]
    pub ros_args: Vec<String>,
}

/// `omnimind install`
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The prefix, e.g. ~/.local or /opt/omnimind
    #[arg(long)]
    pub prefix: PathBuf,
    /// Links to this program and this folder instead of copies, for development
    #[arg(long, conflicts_with = "copy")]
    pub link: bool,
    /// Copies: the prefix stands alone (this is so unless --link is given)
    #[arg(long)]
    pub copy: bool,
    /// Remove what was installed there
    #[arg(long, conflicts_with_all = ["link", "copy"])]
    pub remove: bool,
}

/// `omnimind node`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Names of running nodes
    List {
        /// Also hidden ones, whose names begin with an underscore
        #[arg(short = 'a', long)]
        all: bool,
    },
    /// What a running node publishes, hears and serves
    Info {
        /// Its name
        name: String,
    },
    /// Node types of this program
    Types,
    /// The parameters of a node type with their defaults, as a ROS 2 parameter file
    Defaults {
        /// Node type
        node: String,
    },
}

/// `omnimind topic`
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Names of topics
    List {
        /// With types and numbers of publishers and subscriptions
        #[arg(short = 't', long)]
        types: bool,
    },
    /// Print messages as they come
    Echo {
        /// The topic
        topic: String,
        /// End after the first
        #[arg(long)]
        once: bool,
        /// As JSON, a line each
        #[arg(long)]
        json: bool,
        /// Print this many elements of long lists
        #[arg(long, default_value_t = 16)]
        elements: usize,
        /// Give up when nothing comes for so many seconds
        #[arg(long, default_value_t = 10.0)]
        timeout: f64,
    },
    /// Measure how often messages come
    Hz {
        /// The topic
        topic: String,
        /// Seconds to measure
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Publish messages
    Pub {
        /// The topic
        topic: String,
        /// The type, e.g. std_msgs/msg/String
        message_type: String,
        /// The message as YAML, e.g. '{data: hello}'
        #[arg(default_value = "")]
        value: String,
        /// Only one
        #[arg(short = '1', long)]
        once: bool,
        /// Messages per second
        #[arg(short, long, default_value_t = 1.0)]
        rate: f64,
    },
}

/// `omnimind param`
#[derive(Debug, Subcommand)]
pub enum ParamCommand {
    /// A node's parameters with values and descriptions
    List {
        /// The node
        node: String,
    },
    /// One value
    Get {
        /// The node
        node: String,
        /// The parameter
        name: String,
    },
    /// Change a value
    Set {
        /// The node
        node: String,
        /// The parameter
        name: String,
        /// The new value, as YAML
        value: String,
    },
}

/// `omnimind service`
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Names of services
    List,
    /// Call one
    Call {
        /// The service
        service: String,
        /// Its type; nothing: as it is served
        #[arg(long = "type")]
        service_type: Option<String>,
        /// The request as YAML
        #[arg(default_value = "")]
        request: String,
    },
}

/// `omnimind doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// A launch file, to see whether what it means to connect meets
    pub file: Option<String>,
    /// Its arguments, name:=value
    pub arguments: Vec<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Follow the running graph: a line when something goes wrong, and when it is over
    #[arg(long, conflicts_with_all = ["json", "file"])]
    pub watch: bool,
}

/// `omnimind graph`
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// As JSON
    #[arg(long, conflicts_with_all = ["dot", "tui"])]
    pub json: bool,
    /// As Graphviz text, for instance for `dot -Tsvg`
    #[arg(long, conflicts_with = "tui")]
    pub dot: bool,
    /// On the whole screen, to walk through
    #[arg(long)]
    pub tui: bool,
    /// In drawings also topics that every node has, and those of actions
    #[arg(long)]
    pub all: bool,
}

/// `omnimind top`
#[derive(Debug, Args)]
pub struct TopArgs {
    /// One look, as text
    #[arg(long)]
    pub once: bool,
    /// As JSON, a line for each look
    #[arg(long)]
    pub json: bool,
    /// What comes first
    #[arg(long, value_enum, default_value = "busy")]
    pub sort: TopOrder,
}

/// The order of `omnimind top`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TopOrder {
    /// Share of a core that the handlers take
    Busy,
    /// 99th percentile of what comes in, from publish to the start of the handler
    Latency,
    /// 99th percentile of the handlers' times
    Handler,
    /// Messages handled per second
    Rate,
    /// Messages lost
    Dropped,
    /// Name
    Name,
}

/// `omnimind bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure; nothing: all
    #[arg(value_enum)]
    pub parts: Vec<BenchPart>,
    /// Seconds per measurement
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What `omnimind bench` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchPart {
    /// The embedded simulator and its rasteriser
    Simulator,
    /// Messages within a process
    Edge,
    /// Messages between two processes of this host
    Process,
    /// What the graph adds to the models
    Perception,
    /// Memory of the demo, and time to its first plan
    Demo,
}

impl BenchPart {
    /// In the order of the report.
    pub const ALL: [Self; 5] = [Self::Simulator, Self::Edge, Self::Process, Self::Perception, Self::Demo];

    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::Edge => "edge",
            Self::Process => "process",
            Self::Perception => "perception",
            Self::Demo => "demo",
        }
    }
}

/// `omnimind bench-publish`
#[derive(Debug, Args)]
pub struct BenchPublishArgs {
    /// Endpoint of the router
    #[arg(long)]
    pub router: String,
    /// Size of a message
    #[arg(long, default_value_t = 64)]
    pub bytes: i64,
    /// How to publish
    #[arg(long, value_enum)]
    pub how: BenchPublisher,
}

/// How the other process of `bench` publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchPublisher {
    /// A node of a graph
    Graph,
    /// Plain Zenoh, from a buffer
    Plain,
    /// Plain Zenoh, written in shared memory
    Shared,
    /// Plain Zenoh without shared memory
    Tcp,
}

impl BenchPublisher {
    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Plain => "plain",
            Self::Shared => "shared",
            Self::Tcp => "tcp",
        }
    }
}

/// `omnimind models`
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Networks of the catalogue, and whether their files are here
    List,
    /// Get what is missing
    Fetch {
        /// Names; none: all
        names: Vec<String>,
    },
    /// Check the files against their checksums
    Verify {
        /// Names; none: all
        names: Vec<String>,
    },
}

/// `omnimind bridge`
#[derive(Debug, Subcommand)]
pub enum BridgeCommand {
    /// ROS 2 nodes on DDS (needs a build with the feature `dds`)
    Dds(BridgeDdsArgs),
}

/// `omnimind bridge dds`
#[derive(Debug, Args)]
pub struct BridgeDdsArgs {
    /// DDS domain; nothing: ROS_DOMAIN_ID, or 0
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=232))]
    pub domain: Option<u32>,
    /// How far DDS looks for others; nothing: ROS_AUTOMATIC_DISCOVERY_RANGE, or this machine only
    #[arg(long, value_enum)]
    pub range: Option<BridgeRange>,
    /// Only topics, services and actions whose whole name matches this regular expression; may be given several times
    #[arg(long)]
    pub allow: Vec<String>,
    /// Not those whose whole name matches this one
    #[arg(long)]
    pub deny: Vec<String>,
    /// Say every so many seconds what has crossed
    #[arg(long)]
    pub status: Option<f64>,
    /// Only say what would cross
    #[arg(long)]
    pub once_list: bool,
}

/// How far DDS looks for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BridgeRange {
    /// This machine
    Localhost,
    /// Its subnet
    Subnet,
    /// Nobody
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_bench_is_understood_by_its_name() {
        for part in BenchPart::ALL {
            let Some(Command::Bench(args)) = Cli::parse_from(["omnimind", "bench", part.name(), "--json"]).command else {
                panic!("{part:?}")
            };
            assert_eq!((args.parts, args.json), (vec![part], true));
        }
        assert!(Cli::try_parse_from(["omnimind", "bench", "everything"]).is_err());
        for how in [BenchPublisher::Graph, BenchPublisher::Plain, BenchPublisher::Shared, BenchPublisher::Tcp] {
            let words = ["omnimind", "bench-publish", "--router", "tcp/127.0.0.1:1", "--bytes", "64", "--how", how.name()];
            let Some(Command::BenchPublish(args)) = Cli::parse_from(words).command else { panic!("{how:?}") };
            assert_eq!(args.how, how);
        }
    }
}

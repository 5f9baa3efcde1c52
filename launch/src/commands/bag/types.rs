//! What the types of recorded topics consist of: those of this program, those that their publishers tell, and those that nobody tells.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wire::{Client, GraphView};

use crate::foreign::{self, Told};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long after a look in vain is looked again: a node's service may be announced after its publishers.
const AGAIN: Duration = Duration::from_millis(200);
/// So often is looked.
const LOOKS: u32 = 10;
/// When there is nothing to ask.
const IDLE: Duration = Duration::from_secs(3600);

/// What a bag says of a type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schema {
    /// As [`bags::Channel::definition`]; empty if nobody tells it.
    pub definition: Cow<'static, str>,
    /// As [`bags::Channel::type_hash`].
    pub type_hash: String,
}

/// A type that somebody is to be asked for.
struct Wanted {
    name: String,
    hash: String,
    looks: u32,
    /// Nodes that did not tell it.
    asked: BTreeSet<String>,
}

#[derive(Default)]
struct Book {
    /// By name: hashes, and what is known; `None` as long as it is being asked for.
    types: HashMap<String, Vec<(String, Option<Arc<Schema>>)>>,
    wanted: Vec<Wanted>,
    /// Nobody is asked any more.
    closed: bool,
}

/// The types of a recording. One thread asks for them, so that neither the search for topics nor the disk waits for an answer.
#[derive(Default)]
pub(super) struct Types {
    book: Mutex<Book>,
    changed: Condvar,
}

impl Types {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written of a type; `None` as long as it is being asked for, which begins here.
    pub fn schema(&self, name: &str, hash: &str) -> Option<Arc<Schema>> {
        let mut book = self.book();
        if let Some((_, schema)) = book.types.get(name).and_then(|versions| versions.iter().find(|(of, _)| of == hash)) {
            return schema.clone();
        }
        let schema = own(name, hash).or_else(|| book.closed.then(|| unknown(hash))).map(Arc::new);
        book.types.entry(name.to_owned()).or_default().push((hash.to_owned(), schema.clone()));
        if schema.is_none() {
            let (name, hash) = (name.to_owned(), hash.to_owned());
            book.wanted.push(Wanted { name, hash, looks: 0, asked: BTreeSet::new() });
            self.changed.notify_all();
        }
        schema
    }

    /// No definition of the type is waited for any longer. If it comes after all, the next file has it.
    pub fn give_up(&self, name: &str, hash: &str) {
        self.settle(name, hash, unknown(hash));
    }

    fn settle(&self, name: &str, hash: &str, schema: Schema) {
        let mut book = self.book();
        let known = book.types.get_mut(name).and_then(|versions| versions.iter_mut().find(|(of, _)| of == hash));
        if let Some((_, known)) = known {
            *known = Some(Arc::new(schema));
        }
    }

    /// Ends [`Types::learn`] after one more look: what is not known then stays unknown.
    pub fn close(&self) {
        self.book().closed = true;
        self.changed.notify_all();
    }

    /// Asks for what is wanted until [`Types::close`].
    pub fn learn(&self, client: &Client) {
        let look = || client.graph().ok();
        let ask = |node: &str, name: &str, hash: &str| foreign::ask(client, node, name, hash, PATIENCE);
        self.learn_from(look, ask);
    }

    fn learn_from(&self, look: impl Fn() -> Option<GraphView>, ask: impl Fn(&str, &str, &str) -> Result<Told, String>) {
        let mut wanted = Vec::new();
        loop {
            let patience = if wanted.is_empty() { IDLE } else { AGAIN };
            let idle = |book: &mut Book| book.wanted.is_empty() && !book.closed;
            let waited = self.changed.wait_timeout_while(self.book(), patience, idle);
            let (mut book, _) = waited.unwrap_or_else(PoisonError::into_inner);
            wanted.append(&mut book.wanted);
            let last = book.closed;
            drop(book);
            let view = if wanted.is_empty() { None } else { look() };
            wanted.retain_mut(|wanted| {
                wanted.looks += 1;
                let schema = match view.as_ref().map_or(Answer::Later, |view| answer(view, wanted, &ask)) {
                    Answer::Told(node, told) => said(wanted, &node, told),
                    Answer::Later if wanted.looks < LOOKS && !last => return true,
                    Answer::Later | Answer::Refused => {
                        let Wanted { name, hash, .. } = &*wanted;
                        eprintln!("{name} is recorded without its definition: no publisher of it tells one ({hash})");
                        unknown(hash)
                    }
                };
                self.settle(&wanted.name, &wanted.hash, schema);
                false
            });
            if last {
                return;
            }
        }
    }
}

enum Answer {
    /// By this node.
    Told(String, Told),
    /// Everybody was asked.
    Refused,
    /// Somebody who publishes it cannot be asked yet.
    Later,
}

/// Asks the nodes that publish a type and were not asked yet.
fn answer(view: &GraphView, wanted: &mut Wanted, ask: &impl Fn(&str, &str, &str) -> Result<Told, String>) -> Answer {
    let services = view.services();
    let is_served = |name: &str| services.iter().any(|service| service.name == name && !service.sources.is_empty());
    let topics = view.topics();
    let sources = topics.iter().flat_map(|topic| &topic.sources);
    let sources = sources.filter(|source| source.type_name == wanted.name && source.type_hash == wanted.hash);
    let nodes: BTreeSet<&str> = sources.map(|source| source.node.as_str()).collect();
    for node in &nodes {
        if wanted.asked.contains(*node) || !is_served(&foreign::service_of(node)) {
            continue;
        }
        match ask(node, &wanted.name, &wanted.hash) {
            Ok(told) => return Answer::Told((*node).to_owned(), told),
            Err(why) => {
                eprintln!("{why}");
                wanted.asked.insert((*node).to_owned());
            }
        }
    }
    if !nodes.is_empty() && nodes.iter().all(|node| wanted.asked.contains(*node)) { Answer::Refused } else { Answer::Later }
}

/// What is written of a type that a node told, and a word on it.
fn said(Wanted { name, hash, .. }: &Wanted, node: &str, told: Told) -> Schema {
    let differences = foreign::differences(&told.definition);
    if differences.is_empty() {
        eprintln!("{name} is not of this program: its definition comes from {node}");
    } else {
        eprintln!("{name} is of another version than this program's, as {node} tells it: {}", differences.join("; "));
    }
    let Some(text) = told.text else {
        eprintln!("{name} is recorded without its definition: it cannot be written in the message language");
        return unknown(hash);
    };
    // Where the wire has no hashes, the definition says which it is.
    let type_hash = if hash.starts_with("RIHS") { hash.clone() } else { told.definition.hash() };
    Schema { definition: written(text.into()), type_hash }
}

/// The type of this name, if its definition here is the publisher's. Humble's publishers state no hash.
fn own(name: &str, hash: &str) -> Option<Schema> {
    let kind = msgs::registry::find(name).filter(|kind| kind.hash == hash || !hash.starts_with("RIHS"))?;
    Some(Schema { definition: written(kind.definition.into()), type_hash: kind.hash.to_owned() })
}

fn unknown(hash: &str) -> Schema {
    let type_hash = if hash.starts_with("RIHS") { hash.to_owned() } else { String::new() };
    Schema { definition: "".into(), type_hash }
}

/// A type without fields has a definition too.
fn written(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.is_empty() { "\n".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgs::definition::Definition;
    use std::sync::atomic::{AtomicU32, Ordering};

    const SPOT: &str = "demo/msg/Spot";

    /// A graph with nodes that publish a type, some of them with the service.
    fn view(type_hash: &str, nodes: &[(&str, bool)]) -> GraphView {
        let mut tokens = Vec::new();
        for (number, (node, served)) in nodes.iter().enumerate() {
            let head = format!("@ros2_lv/0/{number}abc");
            tokens.push(format!("{head}/1/2/MP/%/%/{node}/%spots/demo::msg::dds_::Spot_/{type_hash}/::,10:,:,:,,"));
            let service = "type_description_interfaces::srv::dds_::GetTypeDescription_/RIHS01_0";
            if *served {
                tokens.push(format!("{head}/1/3/SS/%/%/{node}/%{node}%get_type_description/{service}/::,10:,:,:,,"));
            }
        }
        GraphView::from_tokens(tokens.iter().map(String::as_str))
    }

    fn learned(type_hash: &str, nodes: &[(&str, bool)], tell: impl Fn(&str) -> Result<Told, String>) -> Arc<Schema> {
        let types = Types::default();
        assert_eq!(types.schema(SPOT, type_hash), None);
        types.close();
        types.learn_from(|| Some(view(type_hash, nodes)), |node, _, _| tell(node));
        types.schema(SPOT, type_hash).unwrap()
    }

    fn told() -> Told {
        let definition = Definition::parse(SPOT, "float64 x\n").unwrap();
        Told { text: definition.to_text(), definition }
    }

    #[test]
    fn a_type_that_is_not_here_is_told_by_one_of_its_publishers() {
        let hash = told().definition.hash();
        let asked = AtomicU32::new(0);
        let schema = learned(&hash, &[("mute", false), ("odd", true), ("good", true)], |node| {
            asked.fetch_add(1, Ordering::Relaxed);
            if node == "/good" { Ok(told()) } else { Err(format!("{node} is not asked, or refuses")) }
        });
        assert_eq!((schema.definition.as_ref(), schema.type_hash.as_str()), ("float64 x\n", hash.as_str()));
        assert!(asked.load(Ordering::Relaxed) <= 2, "who has no service is not asked");
        // Without hashes on the wire the bag has the one of the definition.
        assert_eq!(learned(wire::NO_TYPE_HASH, &[("good", true)], |_| Ok(told())).type_hash, hash);
    }

    #[test]
    fn what_nobody_tells_has_its_hash_and_no_definition() {
        let empty = |type_hash: &str| Schema { definition: "".into(), type_hash: type_hash.into() };
        let refuse = |node: &str| Err(format!("{node}: no"));
        assert_eq!(*learned("RIHS01_7", &[("mute", false)], refuse), empty("RIHS01_7"));
        assert_eq!(*learned("RIHS01_7", &[("odd", true)], refuse), empty("RIHS01_7"));
        assert_eq!(*learned(wire::NO_TYPE_HASH, &[], refuse), empty(""));
        let wordless = |_: &str| Ok(Told { text: None, ..told() });
        assert_eq!(*learned("RIHS01_7", &[("odd", true)], wordless), empty("RIHS01_7"));
        // After the end nobody is asked, and nothing waits.
        let types = Types::default();
        types.close();
        assert_eq!(types.schema(SPOT, "RIHS01_7").as_deref(), Some(&empty("RIHS01_7")));
    }

    #[test]
    fn types_of_this_program_are_not_asked_for() {
        let types = Types::default();
        let text = msgs::registry::find("std_msgs/msg/String").unwrap();
        for hash in [text.hash, wire::NO_TYPE_HASH] {
            let schema = types.schema("std_msgs/msg/String", hash).unwrap();
            assert_eq!((schema.definition.as_ref(), schema.type_hash.as_str()), (text.definition, text.hash));
        }
        let empty = msgs::registry::find("std_msgs/msg/Empty").unwrap();
        assert_eq!(types.schema(empty.name, empty.hash).unwrap().definition, "\n", "it is known to have no fields");
        assert_eq!(types.schema("std_msgs/msg/String", "RIHS01_7"), None, "another version is");
        types.give_up("std_msgs/msg/String", "RIHS01_7");
        assert_eq!(types.schema("std_msgs/msg/String", "RIHS01_7").unwrap().definition, "");
    }
}

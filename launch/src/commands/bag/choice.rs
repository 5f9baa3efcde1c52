//! Which topics of a graph are recorded.

use anyhow::{Result, bail};

use super::pattern;
use super::record::RecordArgs;
use crate::remote::full;

/// Which topics are recorded.
pub(super) struct Choice {
    all: bool,
    names: Vec<String>,
    types: Vec<String>,
    include: Option<regex::Regex>,
    exclude: Option<regex::Regex>,
    left_out: Vec<String>,
    left_out_types: Vec<String>,
    hidden: bool,
}

impl Choice {
    pub fn new(args: &RecordArgs) -> Result<Self> {
        let choice = Self {
            all: args.all,
            names: args.topics_positional.iter().chain(&args.topics).map(|t| full(t)).collect(),
            types: args.topic_types.clone(),
            include: pattern(&args.regex)?,
            exclude: pattern(&args.exclude_regex)?,
            left_out: args.exclude_topics.iter().map(|t| full(t)).collect(),
            left_out_types: args.exclude_topic_types.clone(),
            hidden: args.include_hidden_topics,
        };
        if !choice.all && choice.names.is_empty() && choice.types.is_empty() && choice.include.is_none() {
            bail!("what shall be recorded? name topics, or use --all, --topic-types or --regex");
        }
        Ok(choice)
    }

    pub fn takes(&self, topic: &str, type_name: &str) -> bool {
        // A topic that is named is meant, hidden or not.
        if self.names.iter().any(|n| n == topic) {
            return true;
        }
        let hidden = topic.split('/').any(|part| part.starts_with('_'));
        let wanted = self.all
            || self.types.iter().any(|t| t == type_name)
            || self.include.as_ref().is_some_and(|pattern| pattern.is_match(topic));
        wanted
            && (self.hidden || !hidden)
            && !self.left_out.iter().any(|n| n == topic)
            && !self.left_out_types.iter().any(|t| t == type_name)
            && !self.exclude.as_ref().is_some_and(|pattern| pattern.is_match(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RecordArgs,
    }

    fn choice(words: &[&str]) -> Result<Choice> {
        Choice::new(&Line::parse_from([&["record"], words].concat()).args)
    }

    #[test]
    fn topics_are_chosen_as_ros2_bag_record_chooses_them() {
        let takes = |words: &[&str], topic: &str| choice(words).unwrap().takes(topic, "std_msgs/msg/String");
        assert!(takes(&["-a"], "/a") && !takes(&["-a"], "/a/_action/status"));
        assert!(takes(&["-a", "--include-hidden-topics"], "/a/_action/status"));
        assert!(takes(&["a", "/b"], "/a") && takes(&["a", "/b"], "/b") && !takes(&["a"], "/c"));
        assert!(takes(&["-e", "^/cam"], "/camera") && !takes(&["-e", "^/cam"], "/scan"));
        assert!(!takes(&["-a", "-x", "image"], "/image_raw") && takes(&["-a", "-x", "image"], "/scan"));
        assert!(takes(&["--topic-types", "std_msgs/msg/String"], "/x") && !takes(&["--topic-types", "std_msgs/msg/Bool"], "/x"));
        assert!(!takes(&["-a", "--exclude-topics", "/x"], "/x"));
        assert!(!takes(&["-a", "--exclude-topic-types", "std_msgs/msg/String"], "/x"));
        assert!(choice(&[]).err().unwrap().to_string().contains("--all"));
        assert!(choice(&["-e", "("]).err().unwrap().to_string().contains("no regular expression"));
    }
}

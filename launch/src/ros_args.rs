//! The arguments that `ros2 launch` and `ros2 run` give to an executable, understood as rcl understands them
//! (`rcl/src/rcl/arguments.c`; ROS 2 design, "ROS Command Line Arguments"): remappings, parameters, logging, enclave.

mod log;
mod remap;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use log::LogArgs;
pub use remap::{Names, RemapRule, Target};

use crate::file::Value;

/// What the arguments say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RosArgs {
    /// `-r`, in order: of the rules that fit a name the first counts.
    pub remaps: Vec<RemapRule>,
    /// `-p` and `--params-file`, in order: of the values of a parameter the last counts.
    pub parameters: Vec<ParameterSource>,
    /// `-e`
    pub enclave: Option<String>,
    /// `--log-level` and its like.
    pub log: LogArgs,
    /// What does not belong to ROS, in order.
    pub rest: Vec<String>,
}

/// Where parameter values come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ParameterSource {
    /// `--params-file`
    File(PathBuf),
    /// `-p [node:]name:=value`
    Rule {
        /// Only for the node of this name.
        node: Option<String>,
        /// The parameter.
        name: String,
        /// Its value.
        value: Value,
    },
}

/// Why the arguments cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosArgsError {
    /// An option without its value.
    #[error("`{0}` needs a value")]
    Missing(String),
    /// Not of the form `left:=right`.
    #[error("`{option} {text}` is not of the form name:=value")]
    Assignment {
        /// The option.
        option: String,
        /// Its value.
        text: String,
    },
    /// Not a word of ROS: rclcpp ends with the same words.
    #[error("found unknown ROS arguments: '{0}'{1}")]
    Unknown(String, String),
    /// An option whose value does not fit.
    #[error("`{option} {text}`: {reason}")]
    Value {
        /// The option.
        option: String,
        /// Its value.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
}

const OPTIONS: [&str; 13] = [
    "--remap",
    "--param",
    "--params-file",
    "--log-level",
    "--log-config-file",
    "--log-file-name",
    "--enclave",
    "--enable-rosout-logs",
    "--disable-rosout-logs",
    "--enable-stdout-logs",
    "--disable-stdout-logs",
    "--enable-external-lib-logs",
    "--disable-external-lib-logs",
];

/// Parses; outside `--ros-args ... --` everything is `rest`.
///
/// # Errors
/// [`RosArgsError`], for whatever rcl or rclcpp would refuse.
pub fn parse(arguments: &[String]) -> Result<RosArgs, RosArgsError> {
    let mut parsed = RosArgs::default();
    let mut inside = false;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--ros-args" {
            inside = true;
            continue;
        }
        if !inside {
            parsed.rest.push(word.clone());
            continue;
        }
        let mut next = || words.next().cloned().ok_or_else(|| RosArgsError::Missing(word.clone()));
        let wrong = |text: &str, reason: String| RosArgsError::Value { option: word.clone(), text: text.to_owned(), reason };
        match word.as_str() {
            "--" => inside = false,
            "-r" | "--remap" => {
                let text = next()?;
                parsed.remaps.push(RemapRule::parse(&text).map_err(|reason| wrong(&text, reason))?);
            }
            "-p" | "--param" => {
                let text = next()?;
                let (name, value) = assignment(word, &text)?;
                let (node, name) = value::parameter_name(name).map_err(|reason| wrong(&text, reason))?;
                let value = value::parameter(value).map_err(|reason| wrong(&text, reason))?;
                parsed.parameters.push(ParameterSource::Rule { node, name, value });
            }
            "--params-file" => parsed.parameters.push(ParameterSource::File(next()?.into())),
            "--log-level" => {
                let text = next()?;
                parsed.log.level(&text).map_err(|reason| wrong(&text, reason))?;
            }
            "--log-config-file" => {
                let text = next()?;
                return Err(wrong(&text, "a logging library that reads one is not there".into()));
            }
            "--log-file-name" => parsed.log.file_name = Some(next()?).filter(|name| !name.is_empty()),
            "-e" | "--enclave" => {
                let text = next()?;
                remap::absolute(&text).map_err(|reason| wrong(&text, format!("an enclave {reason}")))?;
                parsed.enclave = Some(text);
            }
            "--enable-rosout-logs" => parsed.log.rosout = true,
            "--disable-rosout-logs" => parsed.log.rosout = false,
            "--enable-stdout-logs" => parsed.log.console = true,
            "--disable-stdout-logs" => parsed.log.console = false,
            "--enable-external-lib-logs" => parsed.log.file = Some(true),
            "--disable-external-lib-logs" => parsed.log.file = Some(false),
            _ => return Err(RosArgsError::Unknown(word.clone(), graph::suggest::hint(word, OPTIONS))),
        }
    }
    Ok(parsed)
}

fn assignment<'a>(option: &str, text: &'a str) -> Result<(&'a str, &'a str), RosArgsError> {
    let wrong = || RosArgsError::Assignment { option: option.to_owned(), text: text.to_owned() };
    text.split_once(":=").filter(|(name, _)| !name.is_empty()).ok_or_else(wrong)
}

/// `name:=value` words as launch arguments.
///
/// # Errors
/// [`RosArgsError::Assignment`].
pub fn launch_arguments(words: &[String]) -> Result<BTreeMap<String, Value>, RosArgsError> {
    let pair = |word: &String| assignment("", word).map(|(name, value)| (name.to_owned(), Value::from_text(value)));
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_ros2_launch_passes_is_understood() {
        let line = "--source x.jpg --ros-args -r __node:=eye -r __ns:=/omni -r image:=camera/image --params-file /tmp/p.yaml -p rate:=5 --log-level info -- tail";
        let args = parse(&words(line)).unwrap();
        let names = Names::new("vision", &args.remaps);
        assert_eq!(names.full(), "/omni/eye");
        assert_eq!(names.remaps["/omni/image"], "/omni/camera/image");
        let rule = ParameterSource::Rule { node: None, name: "rate".into(), value: Value::Int(5) };
        assert_eq!(args.parameters, [ParameterSource::File("/tmp/p.yaml".into()), rule]);
        assert_eq!(args.log.threshold("eye"), graph::Severity::Info);
        assert_eq!(args.rest, ["--source", "x.jpg", "tail"]);
    }

    #[test]
    fn what_a_misspelt_option_may_have_meant_is_said() {
        let error = parse(&words("--ros-args --params-fiel x")).unwrap_err();
        assert!(error.to_string().contains("did you mean `--params-file`"), "{error}");
        assert!(launch_arguments(&words("seed=5")).is_err());
    }
}

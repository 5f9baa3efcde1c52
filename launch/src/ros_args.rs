//! The arguments that `ros2 launch` and `ros2 run` give to an executable: `--ros-args -r from:=to -p name:=value
//! --params-file F -r __node:=N -r __ns:=/ns --log-level L [--]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::file::Value;

/// What the arguments say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RosArgs {
    /// `__node`
    pub name: Option<String>,
    /// `__ns`, without slashes at its ends.
    pub namespace: Option<String>,
    /// Other remappings.
    pub remap: Vec<(String, String)>,
    /// `-p name:=value`
    pub parameters: BTreeMap<String, Value>,
    /// `--params-file`
    pub parameter_files: Vec<PathBuf>,
    /// What does not belong to ROS, in order.
    pub rest: Vec<String>,
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
    /// An option that ROS 2 does not have.
    #[error("`{0}` is not a ROS argument")]
    Unknown(String),
}

/// Parses; outside `--ros-args ... --` everything is `rest`.
///
/// # Errors
/// [`RosArgsError`].
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
        let mut value = || words.next().cloned().ok_or_else(|| RosArgsError::Missing(word.clone()));
        match word.as_str() {
            "--" => inside = false,
            "-r" | "--remap" => {
                let text = value()?;
                let (from, to) = assignment(word, &text)?;
                // `node:from:=to` is for one node of several; this process has one.
                let from = from.rsplit_once(':').map_or(from, |(_, from)| from);
                match from {
                    "__node" | "__name" => parsed.name = Some(to.to_owned()),
                    "__ns" => parsed.namespace = Some(to.trim_matches('/').to_owned()),
                    _ => parsed.remap.push((from.to_owned(), to.to_owned())),
                }
            }
            "-p" | "--param" => {
                let text = value()?;
                let (name, text) = assignment(word, &text)?;
                parsed.parameters.insert(name.to_owned(), Value::from_text(text));
            }
            "--params-file" => parsed.parameter_files.push(value()?.into()),
            // Understood by every ROS 2 executable; logging is the launching program's here.
            "--log-level" | "--log-config-file" | "-e" | "--enclave" => drop(value()?),
            "--enable-rosout-logs"
            | "--disable-rosout-logs"
            | "--enable-stdout-logs"
            | "--disable-stdout-logs"
            | "--enable-external-lib-logs"
            | "--disable-external-lib-logs" => {}
            _ => return Err(RosArgsError::Unknown(word.clone())),
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
        assert_eq!(args.name.as_deref(), Some("eye"));
        assert_eq!(args.namespace.as_deref(), Some("omni"));
        assert_eq!(args.remap, [("image".to_owned(), "camera/image".to_owned())]);
        assert_eq!(args.parameters["rate"], Value::Int(5));
        assert_eq!(args.parameter_files, [PathBuf::from("/tmp/p.yaml")]);
        assert_eq!(args.rest, ["--source", "x.jpg", "tail"]);
    }

    #[test]
    fn broken_arguments_are_errors() {
        assert_eq!(parse(&words("--ros-args -r")), Err(RosArgsError::Missing("-r".into())));
        assert!(matches!(parse(&words("--ros-args -p rate=5")), Err(RosArgsError::Assignment { .. })));
        assert_eq!(parse(&words("--ros-args --nonsense")), Err(RosArgsError::Unknown("--nonsense".into())));
        assert!(launch_arguments(&words("seed=5")).is_err());
    }
}

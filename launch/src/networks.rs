//! The networks that a launch file's nodes ask for: fetched and checked before anything moves, because nodes never fetch.

use anyhow::{Context as _, Result};
use models::{BarProgress, Store};

use crate::file::{Launch, NodeSpec, Value};

/// What vision asks for unless its parameters say otherwise, by parameter.
const VISION: [(&str, &str); 6] = [
    ("model", "nanodet_g_416"),
    ("scene_model", "efficientnet_lite0"),
    ("place_model", ""),
    ("text_model", "minilm_l6_v2"),
    ("pair_model", ""),
    ("keypoint_model", "xfeat"),
];
/// What audio asks for, likewise.
const AUDIO: [(&str, &str); 2] = [("stt_model", "moonshine_tiny_en"), ("emotion_model", "")];
/// And to know voices.
const SPEAKERS: &str = omnimind_audio::speaker::MODEL;
/// And for its voice, if that is to be Piper's.
const PIPER: &str = omnimind_audio::tts::piper::MODEL;
/// And to tell voice, if Silero is to.
const SILERO: &str = omnimind_audio::silero::MODEL;

/// Names of the networks that the nodes of `launch` will ask for.
#[must_use]
pub fn needed(launch: &Launch) -> Vec<String> {
    let chosen = |node: &NodeSpec, parameter: &str, default: &str| match node.parameters.get(parameter) {
        Some(Value::Text(name)) => name.clone(),
        _ => default.to_owned(),
    };
    let mut names = Vec::new();
    for node in &launch.nodes {
        match node.type_.as_str() {
            "vision" => names.extend(VISION.map(|(parameter, default)| chosen(node, parameter, default))),
            "audio" => {
                names.extend(AUDIO.map(|(parameter, default)| chosen(node, parameter, default)));
                names.push(SPEAKERS.to_owned());
                if chosen(node, "vad_engine", "") == "silero" {
                    names.push(SILERO.to_owned());
                }
                // A voice that is a file of the user's is not fetched.
                let voice = chosen(node, "tts_voice", "");
                if chosen(node, "tts_engine", "") == "piper" && !voice.ends_with(".onnx") {
                    names.push(if voice.is_empty() { PIPER.to_owned() } else { voice });
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

/// Fetches what is missing, with a progress bar on standard error. With a filled cache this takes milliseconds and no network.
///
/// # Errors
/// What is missing, why it could not be had, and what to do.
pub fn ensure(names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let store = Store::open()?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    store.ensure(&names, &mut BarProgress::default()).context("the networks are not complete")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Options, load_text};
    use crate::registry;

    fn names(text: &str) -> Vec<String> {
        needed(&load_text(std::path::Path::new("test.yaml"), text, &registry::catalogue(), &Options::default()).unwrap())
    }

    #[test]
    fn only_what_the_nodes_ask_for_is_fetched() {
        assert!(names("nodes: [{type: battery}]").is_empty());
        assert_eq!(names("nodes: [{type: vision}]"), ["efficientnet_lite0", "minilm_l6_v2", "nanodet_g_416", "xfeat"]);
        let few = "nodes: [{type: vision, parameters: {scene_model: '', text_model: '', keypoint_model: ''}}]";
        assert_eq!(names(few), ["nanodet_g_416"]);
        assert_eq!(names("nodes: [{type: audio}]"), ["moonshine_tiny_en", "resemblyzer_ge2e"]);
        let piper = names("nodes: [{type: audio, parameters: {tts_engine: piper}}]");
        assert_eq!(piper, ["moonshine_tiny_en", "piper_en_us_joe", "resemblyzer_ge2e"]);
        let silero = names("nodes: [{type: audio, parameters: {vad_engine: silero}}]");
        assert_eq!(silero, ["moonshine_tiny_en", "resemblyzer_ge2e", "silero_vad"]);
        let whisper = names("nodes: [{type: audio, parameters: {stt_model: my_whisper, emotion_model: my_moods}}]");
        assert_eq!(whisper, ["my_moods", "my_whisper", "resemblyzer_ge2e"]);
        let file = names("nodes: [{type: audio, parameters: {tts_engine: piper, tts_voice: my.onnx}}]");
        assert_eq!(file, ["moonshine_tiny_en", "resemblyzer_ge2e"]);
    }
}

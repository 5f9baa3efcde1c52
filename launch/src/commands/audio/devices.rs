//! `omnimind audio devices`

use anyhow::Result;

use super::DevicesArgs;

/// Lists the sound inputs.
#[cfg(feature = "alsa")]
pub fn run(args: &DevicesArgs) -> Result<()> {
    let devices = omnimind_microphone::input_devices()?;
    if args.json {
        let list: Vec<_> = devices
            .iter()
            .map(|d| {
                let (rate, channels, samples) = match &d.format {
                    Some((rate, channels, samples)) => (Some(rate), Some(channels), Some(samples)),
                    None => (None, None, None),
                };
                serde_json::json!({ "name": d.name, "description": d.description, "sample_rate_hz": rate, "channels": channels, "samples": samples })
            })
            .collect();
        println!("{}", serde_json::json!({ "command": "devices", "inputs": list }));
        return Ok(());
    }
    for d in &devices {
        let format = d.format.as_ref().map_or("cannot be opened now".to_owned(), |(rate, channels, samples)| {
            format!("{rate} Hz, {channels} channels, {samples}")
        });
        println!("{:<32} {format:<32} {}", d.name, d.description);
    }
    if devices.is_empty() {
        println!("no sound input");
    }
    Ok(())
}

/// Says what is missing.
#[cfg(not(feature = "alsa"))]
pub fn run(_: &DevicesArgs) -> Result<()> {
    anyhow::bail!("this program was built without sound cards; build it with `--features alsa` (Debian: libasound2-dev)")
}

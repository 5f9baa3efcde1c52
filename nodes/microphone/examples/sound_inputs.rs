//! Lists the sound inputs of this machine, by the names that the parameter `device` takes.
//!
//!     cargo run --release -p omnimind-microphone --features alsa --example sound_inputs

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for device in omnimind_microphone::input_devices()? {
        let format = match device.format {
            Some((rate, channels, samples)) => format!("{rate} Hz, {channels} channels, {samples}"),
            None => "cannot be opened now".to_owned(),
        };
        println!("{:30} {format:40} {}", device.name, device.description);
    }
    Ok(())
}

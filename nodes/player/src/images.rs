//! Compressed images of recordings back into pixels.

use graph::NodeError;
use msgs::sensor_msgs::msg::{CompressedImage, Image};

/// JPEG, PNG or WebP into rgb8.
pub(crate) fn colour(compressed: CompressedImage) -> Result<Image, NodeError> {
    let pixels = pictures::decode(&compressed.data)?;
    let (width, height) = pixels.dimensions();
    Ok(Image {
        header: compressed.header,
        height,
        width,
        encoding: "rgb8".into(),
        is_bigendian: 0,
        step: width * 3,
        data: pixels.into_raw().into(),
    })
}

/// The form of ROS 2's `compressed_depth_image_transport` (format, a, b, then a 16-bit PNG of inverse depth) into 32FC1, m.
/// No distance is NaN, as the transport has it.
pub(crate) fn depth(compressed: CompressedImage) -> Result<Image, NodeError> {
    let bad = |why: &str| NodeError::new(format!("`{}`: {why}", compressed.format));
    if !compressed.format.starts_with("32FC1;") {
        return Err(bad("only compressed depth in 32FC1 is understood"));
    }
    let Some((header, png)) = compressed.data.split_at_checked(12) else { return Err(bad("too short")) };
    let float = |at: usize| f32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (a, b) = (float(4), float(8));
    let pixels = image::load_from_memory_with_format(png, image::ImageFormat::Png)?.into_luma16();
    let (width, height) = pixels.dimensions();
    let metres = pixels.iter().map(|value| if *value == 0 { f32::NAN } else { a / (f32::from(*value) - b) });
    let data = metres.flat_map(f32::to_le_bytes).collect();
    Ok(Image { header: compressed.header, height, width, encoding: "32FC1".into(), is_bigendian: 0, step: width * 4, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_depth_becomes_metres() {
        let mut data = [0_i32.to_le_bytes(), 110_f32.to_le_bytes(), (-10_f32).to_le_bytes()].concat();
        let pixels = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(2, 1, vec![100_u16, 0]).unwrap();
        let mut png = std::io::Cursor::new(Vec::new());
        pixels.write_to(&mut png, image::ImageFormat::Png).unwrap();
        data.extend(png.into_inner());
        let image = depth(CompressedImage {
            format: "32FC1; compressedDepth png".into(),
            data: data.into(),
            ..CompressedImage::default()
        })
        .unwrap();
        let metres: Vec<f32> = image.data.chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        assert!((metres[0] - 1.0).abs() < 1e-6 && metres[1].is_nan());
    }

    #[test]
    fn damage_is_an_error() {
        for (format, data) in [
            ("32FC1; compressedDepth png", vec![0; 5]),
            ("32FC1; compressedDepth png", vec![0; 20]),
            ("16UC1; compressedDepth rvl", vec![0; 20]),
        ] {
            assert!(depth(CompressedImage { format: format.into(), data: data.into(), ..CompressedImage::default() }).is_err());
        }
    }
}

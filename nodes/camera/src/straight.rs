//! Camera pictures straightened by their calibration, as ROS's image_proc does: `image_raw` and `camera_info` become `image_rect`.

use msgs::sensor_msgs::msg::{CameraInfo, Image};
use pictures::rectify::{Lens, RectifyMap};

/// Holds the map of the calibration that was heard last.
#[derive(Debug, Default)]
pub struct Straightener {
    known: Option<(Lens, Result<RectifyMap, String>)>,
}

impl Straightener {
    /// Takes a calibration; the map is made anew only if that has changed.
    ///
    /// # Errors
    /// Why pictures of this camera cannot be straightened.
    pub fn calibrate(&mut self, info: &CameraInfo) -> Result<(), String> {
        let (width, height, model, d) = (info.width, info.height, info.distortion_model.clone(), info.d.clone());
        let lens = Lens { width, height, model, d, k: info.k, r: info.r, p: info.p };
        if self.known.as_ref().is_none_or(|(known, _)| *known != lens) {
            let map = RectifyMap::new(&lens).map_err(|e| e.to_string());
            self.known = Some((lens, map));
        }
        match &self.known {
            Some((_, Err(why))) => Err(why.clone()),
            _ => Ok(()),
        }
    }

    /// The straight picture; `None` before a usable calibration.
    ///
    /// # Errors
    /// The encoding or size does not fit.
    pub fn straighten(&self, image: &Image) -> Result<Option<Image>, String> {
        let Some((_, Ok(map))) = &self.known else { return Ok(None) };
        let channels = match image.encoding.as_str() {
            "rgb8" | "bgr8" => 3,
            "rgba8" | "bgra8" => 4,
            "mono8" => 1,
            other => return Err(format!("pictures of encoding `{other}` are not straightened")),
        };
        let (row, step) = (image.width as usize * channels, image.step as usize);
        if map.size() != (image.width, image.height) {
            return Err(format!(
                "the picture has {} x {} pixels, its calibration is for {:?}",
                image.width,
                image.height,
                map.size()
            ));
        }
        let packed: Vec<u8>;
        let pixels = if step == row {
            &image.data[..]
        } else {
            packed = image.data.chunks(step.max(1)).flat_map(|r| &r[..row.min(r.len())]).copied().collect();
            &packed[..]
        };
        let straight = map.apply_bytes(pixels, channels).map_err(|e| e.to_string())?;
        let step = u32::try_from(row).map_err(|e| e.to_string())?;
        Ok(Some(Image {
            header: image.header.clone(),
            height: image.height,
            width: image.width,
            encoding: image.encoding.clone(),
            is_bigendian: 0,
            step,
            data: straight.into(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{pinhole_info, rgb_message};

    #[test]
    fn a_picture_is_straightened_whatever_its_rows_and_channels() {
        let mut info = pinhole_info(32, 24, 1.2);
        let mut straightener = Straightener::default();
        let pixels: Vec<u8> = (0..32 * 24 * 3).map(|n| (n % 251) as u8).collect();
        let image = rgb_message(32, 24, pixels.clone()).unwrap();
        assert_eq!(straightener.straighten(&image), Ok(None));
        straightener.calibrate(&info).unwrap();
        assert_eq!(straightener.straighten(&image).unwrap().unwrap(), image);
        info.d = vec![-0.3, 0.1, 0.0, 0.0, 0.0];
        straightener.calibrate(&info).unwrap();
        let straight = straightener.straighten(&image).unwrap().unwrap();
        assert_ne!(straight.data, image.data);
        let padded: Vec<u8> = pixels.chunks(96).flat_map(|r| r.iter().copied().chain([9; 4])).collect();
        let wide = Image { step: 100, data: padded.into(), ..image.clone() };
        assert_eq!(straightener.straighten(&wide).unwrap().unwrap(), straight);
        assert!(straightener.straighten(&Image { encoding: "16UC1".into(), ..image.clone() }).is_err());
        assert!(straightener.straighten(&rgb_message(2, 2, vec![0; 12]).unwrap()).is_err());
        info.distortion_model = "thin_prism".into();
        assert!(straightener.calibrate(&info).unwrap_err().contains("thin_prism"));
        assert_eq!(straightener.straighten(&image), Ok(None));
    }
}

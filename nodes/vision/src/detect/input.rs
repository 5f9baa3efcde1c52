//! The picture on its way into a network, and boxes on their way back.

use image::RgbImage;
use models::{PictureFit, PictureInput, PlaneOrder};
use ndarray::Array4;

use super::boxes::BoundingBox;
use crate::frame::{Filter, FrameError, resize};

/// Where the picture lies in the network's input, in pixels of the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Placement {
    /// Where a picture of `width` x `height` lies in the input.
    pub fn of(input: &PictureInput, width: u32, height: u32) -> Self {
        let (wide, high) = (f64::from(input.width), f64::from(input.height));
        let scale = (wide / f64::from(width.max(1))).min(high / f64::from(height.max(1)));
        let size = |length: u32, limit: u32, round: fn(f64) -> f64| (round(f64::from(length) * scale) as u32).clamp(1, limit);
        match input.fit {
            PictureFit::Stretch => Self { left: 0, top: 0, width: input.width, height: input.height },
            // Rounded down as in YOLOX, to the nearest as in YOLOv5 and later.
            PictureFit::LetterboxCorner => Self {
                left: 0,
                top: 0,
                width: size(width, input.width, f64::floor),
                height: size(height, input.height, f64::floor),
            },
            PictureFit::Letterbox => {
                let (width, height) = (size(width, input.width, f64::round), size(height, input.height, f64::round));
                // Of an odd rest, the smaller half is to the left and above.
                Self { left: (input.width - width) / 2, top: (input.height - height) / 2, width, height }
            }
        }
    }

    /// The part inside the picture of a box given by its edges (left, top, right, bottom) in pixels of the input.
    pub fn to_picture(&self, edges: &[f32; 4]) -> Option<BoundingBox> {
        let x = |v: f32| (v - self.left as f32) / self.width as f32;
        let y = |v: f32| (v - self.top as f32) / self.height as f32;
        BoundingBox::from_edges(x(edges[0]), y(edges[1]), x(edges[2]), y(edges[3]))
    }
}

/// The network's input `[1,3,height,width]`, and where the picture lies in it.
///
/// # Errors
/// [`FrameError::Size`] for a picture without pixels.
pub fn prepare(image: &RgbImage, input: &PictureInput) -> Result<(Array4<f32>, Placement), FrameError> {
    if image.width() == 0 || image.height() == 0 {
        return Err(FrameError::Size { width: image.width(), height: image.height() });
    }
    let place = Placement::of(input, image.width(), image.height());
    let small = resize(image, place.width, place.height, Filter::Nearby)?;
    let (pixels, _) = small.as_raw().as_chunks::<3>();
    let (width, height) = (input.width as usize, input.height as usize);
    let mut values = Vec::with_capacity(3 * width * height);
    for plane in 0..3 {
        let channel = if input.order == PlaneOrder::Bgr { 2 - plane } else { plane };
        let scale = 1.0 / input.deviation[plane];
        let offset = -input.mean[plane] * scale;
        let empty = f32::from(input.pad) * scale + offset;
        // A constant channel lets the loop be vectorised.
        let mut fill = |of: fn(&[u8; 3]) -> u8| {
            let level = |p: &[u8; 3]| f32::from(of(p)) * scale + offset;
            if (place.width, place.height) == (input.width, input.height) {
                values.extend(pixels.iter().map(level));
                return;
            }
            let begin = values.len();
            values.resize(begin + place.top as usize * width, empty);
            for row in pixels.chunks_exact(place.width as usize) {
                let end = values.len() + width;
                values.resize(values.len() + place.left as usize, empty);
                values.extend(row.iter().map(level));
                values.resize(end, empty);
            }
            values.resize(begin + width * height, empty);
        };
        match channel {
            0 => fill(|p| p[0]),
            1 => fill(|p| p[1]),
            _ => fill(|p| p[2]),
        }
    }
    let tensor = Array4::from_shape_vec((1, 3, height, width), values).unwrap_or_default();
    Ok((tensor, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn input(width: u32, height: u32, fit: PictureFit) -> PictureInput {
        PictureInput { width, height, order: PlaneOrder::Rgb, mean: [0.0; 3], deviation: [255.0; 3], fit, pad: 114 }
    }

    #[test]
    fn planes_come_in_their_order_and_are_normalised() {
        let nanodet = PictureInput {
            order: PlaneOrder::Bgr,
            mean: [103.53, 116.28, 123.675],
            deviation: [57.375, 57.12, 58.395],
            ..input(416, 416, PictureFit::Stretch)
        };
        let (tensor, place) = prepare(&RgbImage::from_pixel(10, 10, Rgb([255, 0, 10])), &nanodet).unwrap();
        assert_eq!(tensor.shape(), [1, 3, 416, 416]);
        assert_eq!(place, Placement { left: 0, top: 0, width: 416, height: 416 });
        assert!((tensor[[0, 0, 7, 9]] - (10.0 - 103.53) / 57.375).abs() < 1e-6);
        assert!((tensor[[0, 2, 7, 9]] - (255.0 - 123.675) / 58.395).abs() < 1e-6);
    }

    #[test]
    fn a_letterbox_keeps_the_ratio_of_the_sides() {
        // 640 x 480 into 64 x 64: 64 x 48, and 8 rows of grey above and below.
        let image = RgbImage::from_pixel(640, 480, Rgb([255, 51, 0]));
        let (tensor, place) = prepare(&image, &input(64, 64, PictureFit::Letterbox)).unwrap();
        assert_eq!(place, Placement { left: 0, top: 8, width: 64, height: 48 });
        let grey = 114.0 / 255.0;
        for (row, expected) in [(0, grey), (7, grey), (8, 1.0), (55, 1.0), (56, grey), (63, grey)] {
            assert!((tensor[[0, 0, row, 63]] - expected).abs() < 1e-6, "row {row}");
        }
        assert!((tensor[[0, 1, 30, 30]] - 0.2).abs() < 1e-6);
        let (tensor, place) = prepare(&image, &input(64, 64, PictureFit::LetterboxCorner)).unwrap();
        assert_eq!(place, Placement { left: 0, top: 0, width: 64, height: 48 });
        assert!((tensor[[0, 0, 47, 0]] - 1.0).abs() < 1e-6 && (tensor[[0, 0, 48, 0]] - grey).abs() < 1e-6);
        let (_, place) = prepare(&RgbImage::new(30, 41), &input(64, 64, PictureFit::Letterbox)).unwrap();
        // 30 * 64/41 = 46.8: 47 columns, of the 17 left over 8 to the left (ultralytics LetterBox: round(8.5 - 0.1) = 8).
        assert_eq!(place, Placement { left: 8, top: 0, width: 47, height: 64 });
        let (_, place) = prepare(&RgbImage::new(30, 41), &input(64, 64, PictureFit::LetterboxCorner)).unwrap();
        assert_eq!((place.left, place.width), (0, 46), "rounded down, as in YOLOX");
    }

    #[test]
    fn boxes_come_back_to_the_picture() {
        let place = Placement::of(&input(64, 64, PictureFit::Letterbox), 640, 480);
        let b = place.to_picture(&[16.0, 20.0, 48.0, 44.0]).unwrap();
        assert_eq!((b.x, b.y, b.width, b.height), (0.25, 0.25, 0.5, 0.5));
        // What lies in the grey is cut, and is nothing if it lies there alone.
        assert_eq!(place.to_picture(&[0.0, 0.0, 64.0, 20.0]).unwrap().edges(), [0.0, 0.0, 1.0, 0.25]);
        assert_eq!(place.to_picture(&[0.0, 0.0, 64.0, 7.0]), None);
    }

    #[test]
    fn extreme_shapes_have_at_least_a_pixel_and_empty_ones_are_refused() {
        for fit in [PictureFit::Letterbox, PictureFit::LetterboxCorner] {
            let (tensor, place) = prepare(&RgbImage::new(5000, 1), &input(64, 32, fit)).unwrap();
            assert_eq!((tensor.len(), place.width, place.height), (3 * 64 * 32, 64, 1));
        }
        assert!(prepare(&RgbImage::new(0, 5), &input(64, 32, PictureFit::Stretch)).is_err());
    }
}

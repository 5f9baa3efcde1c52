//! H.264 by the crate rust_h264: one sample in, one picture out, in the order of decoding.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use rust_h264::decoder::{ChromaFormat, Decoder, Frame};
use rust_h264::error::DecodeError;
use rust_h264::nal::{NalUnit, NalUnitType, SpsInfo, parse_avcc, parse_avcc_config, parse_sps_info};

use crate::color::{Colors, Planes};
use crate::error::{Refusal, VideoError, damaged};
use crate::source::Limits;

/// A decoder with the stream's parameters.
pub(crate) struct H264 {
    decoder: Decoder,
    /// Parameter sets that were fed, for a decoder that has to begin again.
    parameters: Vec<NalUnit<'static>>,
    length_size: usize,
    colors: Colors,
    size: Option<(u32, u32)>,
}

/// A picture as decoded.
pub(crate) struct Yuv {
    frame: Frame,
    colors: Colors,
}

impl H264 {
    /// From the decoder configuration record (`avcC`, ISO/IEC 14496-15, 5.3.3).
    pub fn new(config: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        let config = parse_avcc_config(config).map_err(damaged)?;
        let mut own = Self {
            decoder: Decoder::new(),
            parameters: Vec::new(),
            length_size: config.length_size,
            colors: Colors::default(),
            size: None,
        };
        for nal in config.sps_nals.iter().chain(&config.pps_nals) {
            own.look_at(nal, limits)?;
            match own.feed(nal) {
                Ok(_) => {}
                Err(Fault::Unsupported(what)) => return Err(Refusal::NotOurs(format!("H.264 with {what}"))),
                Err(Fault::Bad(why)) => return Err(damaged(format!("its H.264 parameters: {why}")).into()),
            }
        }
        Ok(own)
    }

    /// Size of the pictures, if the parameters said so.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    /// Parameters of a sequence are checked before the decoder makes room for its pictures.
    fn look_at(&mut self, nal: &NalUnit, limits: &Limits) -> Result<(), Refusal> {
        if nal.nal_unit_type != NalUnitType::Sps {
            return Ok(());
        }
        let info: SpsInfo = parse_sps_info(nal).map_err(|e| damaged(format!("its H.264 parameters: {e}")))?;
        limits.check(info.coded_width, info.coded_height)?;
        if info.reference_frames > 16 {
            return Err(damaged(format!("its H.264 refers to {} pictures, 16 are possible", info.reference_frames)).into());
        }
        if info.chroma_format == 3 || ![8, 10].contains(&info.bit_depth_luma) || info.bit_depth_luma != info.bit_depth_chroma {
            let depth = info.bit_depth_luma;
            return Err(Refusal::NotOurs(format!("H.264 of profile {} with {depth} bits", info.profile)));
        }
        self.colors = Colors::of(info.matrix, info.full_range);
        self.size = Some((info.width, info.height));
        Ok(())
    }

    /// Decodes a sample.
    ///
    /// # Errors
    /// Outside: the stream is not to be read any further. Inside: this picture is damaged.
    pub fn decode(&mut self, sample: &[u8], limits: &Limits) -> Result<Result<Yuv, String>, VideoError> {
        if !lengths_fit(sample, self.length_size) {
            return Ok(Err("its parts are longer than the whole".to_owned()));
        }
        let mut picture = None;
        let mut fault = None;
        for nal in parse_avcc(sample, self.length_size) {
            match self.look_at(&nal, limits) {
                Ok(()) => {}
                Err(Refusal::Error(error)) => return Err(error),
                Err(Refusal::NotOurs(what)) => return Err(damaged(format!("in its middle begins {what}"))),
            }
            match self.feed(&nal) {
                Ok(frame) => picture = frame.or(picture),
                Err(Fault::Unsupported(why) | Fault::Bad(why)) => fault = Some(why),
            }
        }
        // A sample is a whole picture (14496-15, 5.2.1), so its end is known before the next begins.
        match catch_unwind(AssertUnwindSafe(|| self.decoder.flush())) {
            Ok(last) => picture = last.or(picture),
            Err(_) => {
                self.begin_again();
                fault = Some(FAILED.to_owned());
            }
        }
        Ok(match (picture, fault) {
            (_, Some(why)) => Err(why),
            (None, None) => Err("it holds no picture".to_owned()),
            (Some(frame), None) => Ok(Yuv { frame, colors: self.colors }),
        })
    }

    fn feed(&mut self, nal: &NalUnit) -> Result<Option<Frame>, Fault> {
        let is_parameters = matches!(nal.nal_unit_type, NalUnitType::Sps | NalUnitType::Pps);
        let known = |known: &NalUnit<'_>| known.nal_unit_type == nal.nal_unit_type && known.rbsp == nal.rbsp;
        if is_parameters && !self.parameters.iter().any(known) {
            let rbsp = Cow::Owned(nal.rbsp.to_vec());
            self.parameters.push(NalUnit { nal_ref_idc: nal.nal_ref_idc, nal_unit_type: nal.nal_unit_type, rbsp });
            // The newest count.
            self.parameters.drain(..self.parameters.len().saturating_sub(MOST_PARAMETERS));
        }
        // The decoder is somebody else's, and the bytes may be anybody's.
        match catch_unwind(AssertUnwindSafe(|| self.decoder.decode_nal(nal))) {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(DecodeError::Unsupported(what))) => Err(Fault::Unsupported(what.to_owned())),
            Ok(Err(error)) => Err(Fault::Bad(error.to_string())),
            Err(_) => {
                self.begin_again();
                Err(Fault::Bad(FAILED.to_owned()))
            }
        }
    }

    /// A new decoder with the parameters of the old one. It has no pictures: it decodes from the next sync sample on.
    pub fn begin_again(&mut self) {
        let mut decoder = Decoder::new();
        for nal in &self.parameters {
            if catch_unwind(AssertUnwindSafe(|| decoder.decode_nal(nal).map(drop))).is_err() {
                // These may be what it failed at.
                decoder = Decoder::new();
            }
        }
        self.decoder = decoder;
    }
}

/// Parameter sets that are kept: 32 of a sequence and 256 of pictures are possible, one of each is usual.
const MOST_PARAMETERS: usize = 64;
const FAILED: &str = "the H.264 decoder failed";

enum Fault {
    Unsupported(String),
    Bad(String),
}

/// Whether the lengths before the parts of a sample add up.
fn lengths_fit(mut sample: &[u8], length_size: usize) -> bool {
    while !sample.is_empty() {
        let Some((length, rest)) = sample.split_at_checked(length_size) else { return false };
        let length = length.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte));
        match rest.get(length..) {
            Some(rest) => sample = rest,
            None => return false,
        }
    }
    true
}

impl Yuv {
    /// Red, green, blue. Chroma is taken from the nearest sample, as ffmpeg's default conversion does.
    pub fn to_rgb(&self) -> Result<RgbImage, String> {
        let Frame { width, height, y, u, v, bit_depth, .. } = &self.frame;
        let rows = if self.frame.chroma_format == ChromaFormat::Yuv420 { 2 } else { 1 };
        let planes = Planes { width: *width as usize, height: *height as usize, chroma_rows: rows, planes: [y, u, v] };
        let rgb = if *bit_depth > 8 { self.colors.rgb(&planes.narrow(*bit_depth).borrow()) } else { self.colors.rgb(&planes) };
        rgb.and_then(|pixels| RgbImage::from_raw(*width, *height, pixels))
            .ok_or_else(|| format!("its planes do not fit {width} x {height} pixels"))
    }
}

//! Where the samples of an MP4's track lie and when they are shown: the tables of `stbl`, and fragments (`moof`). ISO/IEC 14496-12, 8.6 to 8.8.

use crate::boxes::Body;
use crate::error::{VideoError, damaged};
use crate::source::Limits;

/// A compressed frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub offset: u64,
    pub size: u32,
    /// Decoding may begin here.
    pub sync: bool,
    /// When it is shown, in the track's ticks, before edits.
    pub pts: i64,
}

/// What fragments of a track have in common (`trex`).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Defaults {
    pub duration: u32,
    pub size: u32,
    pub flags: u32,
}

/// The samples of a track, in the order of decoding.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub list: Vec<Sample>,
    /// Tick at which the last sample's decoding ends.
    end: i64,
    /// Tick at which the showing of the last ends.
    pub shown_until: i64,
}

fn too_many(limits: &Limits) -> VideoError {
    VideoError::TooLarge(format!("more than {} frames", limits.frames))
}

/// A run of equal values: how many, and which.
type Run = (u32, u32);

/// The runs of `stts` and `ctts`.
fn runs(table: Option<Body>) -> Result<Vec<Run>, VideoError> {
    let Some(mut table) = table else { return Ok(Vec::new()) };
    table.version()?;
    (0..table.count(8)?).map(|_| Ok((table.u32()?, table.u32()?))).collect()
}

/// The values of runs, one for each sample; `None` after the last.
fn spread(runs: &[Run]) -> impl Iterator<Item = u32> {
    runs.iter().flat_map(|(count, value)| std::iter::repeat_n(*value, *count as usize))
}

impl Samples {
    /// The samples of a track's table.
    ///
    /// # Errors
    /// [`VideoError`]: entries that contradict each other, or more than the limits allow.
    pub fn of_table(stbl: Body, limits: &Limits) -> Result<Self, VideoError> {
        let sizes = Sizes::read(stbl)?;
        if u64::from(sizes.count) > limits.frames {
            return Err(too_many(limits));
        }
        if sizes.count == 0 {
            return Ok(Self::default());
        }
        let (durations, shifts) = (runs(stbl.child(b"stts"))?, runs(stbl.child(b"ctts"))?);
        let sync = match stbl.child(b"stss") {
            None => None,
            Some(mut table) => {
                table.version()?;
                Some((0..table.count(4)?).map(|_| table.u32()).collect::<Result<Vec<u32>, _>>()?)
            }
        };
        let mut sync_numbers = sync.as_deref().unwrap_or_default().iter().copied().peekable();
        let (mut durations, mut shifts) = (spread(&durations), spread(&shifts));
        let mut out = Self { list: Vec::with_capacity(sizes.count as usize), ..Self::default() };
        let mut place = |number: u32, offset: u64, out: &mut Self| -> Result<u64, VideoError> {
            let size = sizes.at(number)?;
            while sync_numbers.next_if(|s| *s < number + 1).is_some() {}
            // ctts of version 0 is unsigned by the standard, and signed by everybody's reading.
            let shift = shifts.next().unwrap_or(0).cast_signed();
            let sample = Sample {
                offset,
                size,
                sync: sync.is_none() || sync_numbers.peek() == Some(&(number + 1)),
                pts: out.end.saturating_add(i64::from(shift)),
            };
            let duration = durations.next().ok_or_else(|| damaged("its times (`stts`) end before its frames"))?;
            out.end = out.end.saturating_add(i64::from(duration));
            out.shown_until = out.shown_until.max(sample.pts.saturating_add(i64::from(duration)));
            out.list.push(sample);
            Ok(offset.saturating_add(u64::from(size)))
        };
        let chunks = offsets(stbl)?;
        let mut to_chunk = stbl.child(b"stsc").ok_or_else(|| damaged("it has no table of chunks (`stsc`)"))?;
        to_chunk.version()?;
        let groups = (0..to_chunk.count(12)?)
            .map(|_| Ok((to_chunk.u32()?, to_chunk.u32()?, to_chunk.u32()?)))
            .collect::<Result<Vec<_>, VideoError>>()?;
        let mut group = 0;
        let mut number = 0;
        for (chunk, offset) in chunks.into_iter().enumerate() {
            while groups.get(group + 1).is_some_and(|g| u64::from(g.0) <= chunk as u64 + 1) {
                group += 1;
            }
            let (_, per_chunk, _) = *groups.get(group).ok_or_else(|| damaged("its table of chunks (`stsc`) is empty"))?;
            let mut at = offset;
            for _ in 0..per_chunk.min(sizes.count - number) {
                at = place(number, at, &mut out)?;
                number += 1;
            }
        }
        if number < sizes.count {
            Err(damaged(format!("{} of its {} frames are in no chunk", sizes.count - number, sizes.count)))
        } else {
            Ok(out)
        }
    }

    /// Adds the samples of a fragment (`moof`) that are of this track.
    ///
    /// # Errors
    /// [`VideoError`].
    pub fn add_fragment(
        &mut self,
        moof: Body,
        moof_at: u64,
        track: u32,
        defaults: Defaults,
        limits: &Limits,
    ) -> Result<(), VideoError> {
        for traf in moof.children().filter(|b| &b.name() == b"traf") {
            let mut head = traf.child(b"tfhd").ok_or_else(|| damaged("a fragment has no header (`tfhd`)"))?;
            let (_, flags) = head.version()?;
            if head.u32()? != track {
                continue;
            }
            let mut own = defaults;
            let base = if flags & 0x1 != 0 { head.u64()? } else { moof_at };
            if flags & 0x2 != 0 {
                head.u32()?;
            }
            for (bit, value) in [(0x8, &mut own.duration), (0x10, &mut own.size), (0x20, &mut own.flags)] {
                if flags & bit != 0 {
                    *value = head.u32()?;
                }
            }
            if let Some(mut time) = traf.child(b"tfdt") {
                let (version, _) = time.version()?;
                self.end = i64::try_from(time.long(version)?).map_err(|_| damaged("a fragment's time is too large"))?;
            }
            let mut at = base;
            for run in traf.children().filter(|b| &b.name() == b"trun") {
                at = self.add_run(run, base, at, own, limits)?;
            }
        }
        Ok(())
    }

    /// Adds a run (`trun`) and returns where its data end.
    fn add_run(&mut self, mut run: Body, base: u64, mut at: u64, own: Defaults, limits: &Limits) -> Result<u64, VideoError> {
        let (_, flags) = run.version()?;
        let count = run.u32()?;
        if flags & 0x1 != 0 {
            at = base.checked_add_signed(i64::from(run.i32()?)).ok_or_else(|| damaged("a fragment lies before the file"))?;
        }
        let first = if flags & 0x4 != 0 { Some(run.u32()?) } else { None };
        if self.list.len() as u64 + u64::from(count) > limits.frames {
            return Err(too_many(limits));
        }
        for n in 0..count {
            let mut field = |bit: u32, default: u32| if flags & bit != 0 { run.u32() } else { Ok(default) };
            let (duration, size, mut sample_flags) =
                (field(0x100, own.duration)?, field(0x200, own.size)?, field(0x400, own.flags)?);
            let shift = field(0x800, 0)?.cast_signed();
            if let (0, Some(first)) = (n, first) {
                sample_flags = first;
            }
            // sample_is_non_sync_sample
            let sync = sample_flags & 0x1_0000 == 0;
            let pts = self.end.saturating_add(i64::from(shift));
            self.list.push(Sample { offset: at, size, sync, pts });
            self.shown_until = self.shown_until.max(pts.saturating_add(i64::from(duration)));
            self.end = self.end.saturating_add(i64::from(duration));
            at = at.saturating_add(u64::from(size));
        }
        Ok(at)
    }
}

/// Sizes of samples (`stsz`, `stz2`).
struct Sizes<'a> {
    count: u32,
    /// Of all; 0: each has its own.
    same: u32,
    bits: u8,
    table: &'a [u8],
}

impl<'a> Sizes<'a> {
    fn read(stbl: Body<'a>) -> Result<Self, VideoError> {
        let sizes = if let Some(mut table) = stbl.child(b"stsz") {
            table.version()?;
            let (same, count) = (table.u32()?, table.u32()?);
            Self { count, same, bits: 32, table: table.rest() }
        } else if let Some(mut table) = stbl.child(b"stz2") {
            table.version()?;
            let bits = (table.u32()? & 0xFF) as u8;
            Self { count: table.u32()?, same: 0, bits, table: table.rest() }
        } else {
            return Err(damaged("it has no sizes of frames (`stsz`)"));
        };
        if !matches!(sizes.bits, 4 | 8 | 16 | 32) {
            return Err(damaged("its sizes of frames have an odd width"));
        }
        if sizes.same == 0 && u64::from(sizes.count) * u64::from(sizes.bits) > sizes.table.len() as u64 * 8 {
            return Err(damaged("its sizes of frames (`stsz`) are cut off"));
        }
        Ok(sizes)
    }

    fn at(&self, number: u32) -> Result<u32, VideoError> {
        let (n, table) = (number as usize, self.table);
        if self.same != 0 {
            return Ok(self.same);
        }
        match self.bits {
            4 => table.get(n / 2).map(|b| u32::from(if n % 2 == 0 { b >> 4 } else { b & 15 })),
            8 => table.get(n).map(|b| u32::from(*b)),
            16 => table.get(2 * n..2 * n + 2).map(|b| u32::from(u16::from_be_bytes([b[0], b[1]]))),
            _ => table.get(4 * n..4 * n + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])),
        }
        .ok_or_else(|| damaged("its sizes of frames are cut off"))
    }
}

/// Where chunks begin (`stco`, `co64`).
fn offsets(stbl: Body) -> Result<Vec<u64>, VideoError> {
    if let Some(mut table) = stbl.child(b"stco") {
        table.version()?;
        return (0..table.count(4)?).map(|_| table.u32().map(u64::from)).collect();
    }
    let mut table = stbl.child(b"co64").ok_or_else(|| damaged("it has no places of chunks (`stco`)"))?;
    table.version()?;
    (0..table.count(8)?).map(|_| table.u64()).collect()
}

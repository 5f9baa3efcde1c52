//! What the robot is about to say, chunk by chunk.

use std::collections::VecDeque;

/// One text being spoken: samples and how far they are played.
pub(crate) struct Playing<H> {
    pub handle: H,
    pub samples: Vec<f32>,
    pub played: usize,
    pub reason: String,
}

/// Texts waiting and the one being spoken; first come, first served.
pub(crate) struct SpeechQueue<H> {
    waiting: VecDeque<Playing<H>>,
}

/// What to do now.
pub(crate) struct Turn<H> {
    pub chunk: Vec<f32>,
    pub progress: f32,
    pub finished: Option<Playing<H>>,
}

impl<H> SpeechQueue<H> {
    pub fn new() -> Self {
        Self { waiting: VecDeque::new() }
    }

    pub fn push(&mut self, handle: H, samples: Vec<f32>, reason: String) {
        self.waiting.push_back(Playing { handle, samples, played: 0, reason });
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn current(&self) -> Option<&H> {
        self.waiting.front().map(|p| &p.handle)
    }

    /// Takes out the text that `is_it` picks, spoken or not.
    pub fn cancel(&mut self, is_it: impl Fn(&H) -> bool) -> Option<Playing<H>> {
        let at = self.waiting.iter().position(|p| is_it(&p.handle))?;
        self.waiting.remove(at)
    }

    /// The next `n` samples of the text that is being spoken.
    pub fn turn(&mut self, n: usize) -> Option<Turn<H>> {
        let playing = self.waiting.front_mut()?;
        let end = (playing.played + n).min(playing.samples.len());
        let chunk = playing.samples[playing.played..end].to_vec();
        playing.played = end;
        let progress = if playing.samples.is_empty() { 1.0 } else { end as f32 / playing.samples.len() as f32 };
        let finished = if end == playing.samples.len() { self.waiting.pop_front() } else { None };
        Some(Turn { chunk, progress, finished })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_spoken_in_order_and_whole() {
        let mut queue = SpeechQueue::new();
        queue.push(1, vec![0.1; 5], String::new());
        queue.push(2, vec![0.2; 2], String::new());
        let mut spoken = Vec::new();
        let mut finished = Vec::new();
        while let Some(turn) = queue.turn(2) {
            spoken.extend(turn.chunk);
            finished.extend(turn.finished.map(|p| p.handle));
        }
        assert_eq!((spoken, finished), (vec![0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2], vec![1, 2]));
    }

    #[test]
    fn a_cancelled_text_is_gone() {
        let mut queue = SpeechQueue::new();
        queue.push(1, vec![0.1; 5], String::new());
        queue.turn(2);
        assert_eq!(queue.cancel(|h| *h == 1).map(|p| p.played), Some(2));
        assert!(queue.cancel(|h| *h == 1).is_none() && queue.is_empty());
    }
}

//! What the robot is about to say, sentence by sentence and chunk by chunk.

use std::collections::VecDeque;

/// How much a text matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Waits for its turn.
    Normal,
    /// Goes before the normal ones.
    High,
    /// Ends what is being spoken, and is not interrupted.
    Urgent,
}

/// One text: sentences to come, and the samples of the one being spoken.
pub(crate) struct Playing<H> {
    pub handle: H,
    pub rank: Rank,
    pub reason: String,
    sentences: VecDeque<String>,
    /// The sentence of `samples`.
    sentence: String,
    samples: Vec<f32>,
    at: usize,
    /// Samples of all sentences that were played.
    pub played: usize,
    begun: bool,
    finished: Vec<String>,
    length: usize,
}

impl<H> Playing<H> {
    /// A text in sentences; `samples` are those of the first.
    pub fn new(handle: H, rank: Rank, sentences: Vec<String>, samples: Vec<f32>, reason: String) -> Self {
        let length = sentences.iter().map(|s| s.chars().count()).sum();
        let mut sentences = VecDeque::from(sentences);
        let sentence = sentences.pop_front().unwrap_or_default();
        Self { handle, rank, reason, sentences, sentence, samples, at: 0, played: 0, begun: false, finished: Vec::new(), length }
    }

    /// The share of the present sentence that was played.
    fn share(&self) -> f64 {
        if self.samples.is_empty() { 0.0 } else { self.at as f64 / self.samples.len() as f64 }
    }

    /// How much of the text was spoken, 0..1, by letters.
    pub fn progress(&self) -> f32 {
        let done: usize = self.finished.iter().map(|s| s.chars().count()).sum();
        let all = self.length.max(1) as f64;
        ((done as f64 + self.share() * self.sentence.chars().count() as f64) / all).min(1.0) as f32
    }

    /// What was spoken; of the present sentence whole words, by the share of its sound that was played.
    pub fn said(&self) -> String {
        let mut said = self.finished.clone();
        let letters = (self.share() * self.sentence.chars().count() as f64).floor() as usize;
        let mut part = Vec::new();
        let mut used = 0;
        for word in self.sentence.split(' ') {
            used += word.chars().count();
            if used > letters {
                break;
            }
            part.push(word);
            used += 1;
        }
        if !part.is_empty() {
            said.push(part.join(" "));
        }
        said.join(" ")
    }
}

/// Texts waiting and the one being spoken: the urgent before the high before the normal, otherwise first come, first served.
pub(crate) struct SpeechQueue<H> {
    waiting: VecDeque<Playing<H>>,
    limit: usize,
}

/// What to do now.
pub(crate) enum Turn<H> {
    /// Play this.
    Play { chunk: Vec<f32>, progress: f32, finished: Option<Playing<H>> },
    /// Speak this sentence and give its samples to [`SpeechQueue::supply`].
    Speak(String),
}

impl<H> SpeechQueue<H> {
    /// Takes at most `limit` texts, the one being spoken included.
    pub fn new(limit: usize) -> Self {
        Self { waiting: VecDeque::new(), limit }
    }

    /// True when a text of this rank would be refused. Urgent ones may wait beside twice as many others, at least eight.
    pub fn is_full(&self, rank: Rank) -> bool {
        self.waiting.len() >= if rank == Rank::Urgent { (2 * self.limit).max(8) } else { self.limit }
    }

    /// Puts a text in its place. An urgent one ends the lesser one that is being spoken, which is given back.
    pub fn push(&mut self, text: Playing<H>) -> Option<Playing<H>> {
        let begun = |p: &Playing<H>| p.begun;
        let ended = match self.waiting.front() {
            Some(now) if begun(now) && text.rank == Rank::Urgent && now.rank < Rank::Urgent => self.waiting.pop_front(),
            _ => None,
        };
        // What is being spoken goes on.
        let begun = usize::from(self.waiting.front().is_some_and(begun));
        let place = self.waiting.iter().skip(begun).position(|p| p.rank < text.rank).map_or(self.waiting.len(), |i| i + begun);
        self.waiting.insert(place, text);
        ended
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn current(&self) -> Option<&Playing<H>> {
        self.waiting.front()
    }

    /// The text of which something was played already.
    pub fn spoken_now(&self) -> Option<&Playing<H>> {
        self.current().filter(|p| p.begun)
    }

    /// Takes out the text that `is_it` picks, spoken or not.
    pub fn cancel(&mut self, is_it: impl Fn(&H) -> bool) -> Option<Playing<H>> {
        let at = self.waiting.iter().position(|p| is_it(&p.handle))?;
        self.waiting.remove(at)
    }

    /// Takes out everything that may be interrupted, the one being spoken first.
    pub fn interrupt(&mut self) -> Vec<Playing<H>> {
        let (stay, go) = std::mem::take(&mut self.waiting).into_iter().partition::<Vec<_>, _>(|p| p.rank == Rank::Urgent);
        self.waiting = stay.into();
        go
    }

    /// The text being spoken cannot go on.
    pub fn give_up(&mut self) -> Option<Playing<H>> {
        self.waiting.pop_front()
    }

    /// The samples of the sentence that [`Turn::Speak`] asked for.
    pub fn supply(&mut self, samples: Vec<f32>) {
        if let Some(playing) = self.waiting.front_mut() {
            let done = std::mem::take(&mut playing.sentence);
            playing.finished.push(done);
            playing.sentence = playing.sentences.pop_front().unwrap_or_default();
            playing.samples = samples;
            playing.at = 0;
        }
    }

    /// The next `n` samples of the text that is being spoken, or the sentence that is needed for them.
    pub fn turn(&mut self, n: usize) -> Option<Turn<H>> {
        let playing = self.waiting.front_mut()?;
        if playing.at == playing.samples.len()
            && let Some(sentence) = playing.sentences.front()
        {
            return Some(Turn::Speak(sentence.clone()));
        }
        playing.begun = true;
        let end = (playing.at + n).min(playing.samples.len());
        let chunk = playing.samples[playing.at..end].to_vec();
        playing.at = end;
        playing.played += chunk.len();
        let over = end == playing.samples.len() && playing.sentences.is_empty();
        let progress = if over { 1.0 } else { playing.progress() };
        let finished = if over { self.waiting.pop_front() } else { None };
        Some(Turn::Play { chunk, progress, finished })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: i32, rank: Rank, words: &[&str], samples: usize) -> Playing<i32> {
        Playing::new(name, rank, words.iter().map(|w| (*w).to_owned()).collect(), vec![name as f32; samples], String::new())
    }

    /// Plays everything, two samples a turn; sentences have three samples. Gives chunks and who finished, in order.
    fn play(queue: &mut SpeechQueue<i32>) -> (Vec<Vec<f32>>, Vec<i32>) {
        let (mut chunks, mut finished) = (Vec::new(), Vec::new());
        while let Some(turn) = queue.turn(2) {
            match turn {
                Turn::Speak(_) => queue.supply(vec![9.0; 3]),
                Turn::Play { chunk, finished: done, .. } => {
                    chunks.push(chunk);
                    finished.extend(done.map(|p| p.handle));
                }
            }
        }
        (chunks, finished)
    }

    #[test]
    fn texts_are_spoken_in_order_sentence_by_sentence_and_whole() {
        let mut queue = SpeechQueue::new(8);
        queue.push(text(1, Rank::Normal, &["one", "two"], 3));
        queue.push(text(2, Rank::Normal, &["three"], 2));
        let (chunks, finished) = play(&mut queue);
        assert_eq!(chunks, [vec![1.0, 1.0], vec![1.0], vec![9.0, 9.0], vec![9.0], vec![2.0, 2.0]]);
        assert_eq!(finished, [1, 2]);
    }

    #[test]
    fn rank_goes_before_order_and_what_is_spoken_goes_on_until_something_urgent_comes() {
        let mut queue = SpeechQueue::new(8);
        queue.push(text(1, Rank::Normal, &["a"], 4));
        queue.turn(2);
        queue.push(text(2, Rank::Normal, &["b"], 1));
        queue.push(text(3, Rank::High, &["c"], 1));
        queue.push(text(4, Rank::High, &["d"], 1));
        assert_eq!(queue.current().map(|p| p.handle), Some(1));
        let ended = queue.push(text(5, Rank::Urgent, &["e"], 1)).unwrap();
        assert_eq!((ended.handle, ended.played), (1, 2));
        assert!(queue.push(text(6, Rank::Urgent, &["f"], 1)).is_none(), "an urgent text does not end another");
        assert_eq!(play(&mut queue).1, [5, 6, 3, 4, 2]);
    }

    #[test]
    fn the_queue_has_a_limit_and_another_for_urgent_texts() {
        let mut queue = SpeechQueue::new(2);
        queue.push(text(1, Rank::Normal, &["a"], 4));
        assert!(!queue.is_full(Rank::Normal));
        queue.push(text(2, Rank::Normal, &["a"], 4));
        assert!(queue.is_full(Rank::Normal) && queue.is_full(Rank::High) && !queue.is_full(Rank::Urgent));
        for name in 3..9 {
            assert!(!queue.is_full(Rank::Urgent), "{name}");
            queue.push(text(name, Rank::Urgent, &["a"], 4));
        }
        assert!(queue.is_full(Rank::Urgent), "but not without end");
    }

    #[test]
    fn a_cancelled_text_is_gone() {
        let mut queue = SpeechQueue::new(8);
        queue.push(text(1, Rank::Normal, &["a"], 5));
        queue.turn(2);
        assert_eq!(queue.cancel(|h| *h == 1).map(|p| p.played), Some(2));
        assert!(queue.cancel(|h| *h == 1).is_none() && queue.is_empty());
    }

    #[test]
    fn an_interruption_ends_all_but_the_urgent_and_tells_what_was_said() {
        let mut queue = SpeechQueue::new(8);
        queue.push(text(1, Rank::Normal, &["I bring it.", "It is the red cup on the table."], 10));
        queue.push(text(2, Rank::Urgent, &["Careful!"], 1));
        assert_eq!(queue.current().map(|p| p.handle), Some(2), "nothing was spoken yet: the urgent one goes first");
        queue.turn(1);
        queue.turn(10);
        assert!(matches!(queue.turn(1), Some(Turn::Speak(sentence)) if sentence.starts_with("It is")));
        queue.supply(vec![0.0; 100]);
        queue.turn(40);
        queue.push(text(3, Rank::Normal, &["later"], 5));
        let ended = queue.interrupt();
        assert_eq!(ended.iter().map(|p| p.handle).collect::<Vec<_>>(), [1, 3]);
        // 40 of 100 samples are 12 of 31 letters: "It is the" has 9, with "red" 13.
        assert_eq!(ended[0].said(), "I bring it. It is the");
        assert!((ended[0].progress() - (11.0 + 12.4) / 42.0).abs() < 0.01);
        assert_eq!((ended[0].played, ended[1].said().as_str(), ended[1].progress()), (50, "", 0.0));
        assert!(queue.is_empty());
    }
}

//! Words: finding them, cutting a text into chunks at their ends, and counting them in one process.

use crate::report::{Finding, grouped};
use std::collections::HashMap;

/// The tool's own text.
pub const TEXT: &str = include_str!("text.txt");

/// A word: letters and digits, with apostrophes inside but not at its ends. `DON'T` and `don't` are the same.
///
/// Calls `found` with each word's place and the word as it is written.
pub fn words<'t>(text: &'t str, mut found: impl FnMut(usize, &'t str)) {
    let mut begin = None;
    let mut end = |begin: usize, end: usize| {
        let run = &text[begin..end];
        let word = run.trim_start_matches(APOSTROPHES);
        let skipped = run.len() - word.len();
        let word = word.trim_end_matches(APOSTROPHES);
        if !word.is_empty() {
            found(begin + skipped, word);
        }
    };
    for (place, c) in text.char_indices() {
        match (belongs(c), begin) {
            (true, None) => begin = Some(place),
            (false, Some(from)) => {
                end(from, place);
                begin = None;
            }
            _ => {}
        }
    }
    if let Some(from) = begin {
        end(from, text.len());
    }
}

const APOSTROPHES: [char; 2] = ['\'', '’'];

fn belongs(c: char) -> bool {
    c.is_alphanumeric() || APOSTROPHES.contains(&c)
}

/// The word that begins at `place`.
pub fn word_at(text: &str, place: usize) -> Option<&str> {
    let rest = text.get(place..)?;
    let run = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
    Some(run.trim_end_matches(APOSTROPHES))
}

/// Cuts a text at the first end of a word after each `target` bytes; returns the ends of the pieces.
pub fn cut(text: &str, target: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut begin = 0;
    while begin < text.len() {
        let mut end = (begin + target).min(text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        end += text[end..].find(|c| !belongs(c)).unwrap_or(text.len() - end);
        ends.push(end);
        begin = end;
    }
    ends
}

/// How often each word occurs.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
pub struct Counts {
    words: HashMap<Box<str>, u64>,
    lower: String,
}

impl Counts {
    /// Counts a whole text in this process.
    pub fn of(text: &str) -> Self {
        let mut counts = Counts::default();
        words(text, |_, word| counts.add(word, 1));
        counts.lower.clear();
        counts
    }

    /// Adds occurrences of a word.
    pub fn add(&mut self, word: &str, times: u64) {
        let key = lower(word, &mut self.lower);
        match self.words.get_mut(key) {
            Some(count) => *count += times,
            None => drop(self.words.insert(key.into(), times)),
        }
    }

    /// The number of words, repeated ones included.
    pub fn total(&self) -> u64 {
        self.words.values().sum()
    }

    /// The number of different words.
    pub fn distinct(&self) -> usize {
        self.words.len()
    }

    /// The most frequent words; of equally frequent ones the first in the alphabet.
    pub fn top(&self, count: usize) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.words.iter().map(|(word, &times)| (&**word, times)).collect();
        all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all.truncate(count);
        all
    }
}

/// The word in lower case.
pub fn lower<'a>(word: &'a str, buffer: &'a mut String) -> &'a str {
    if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word;
    }
    buffer.clear();
    buffer.extend(word.chars().flat_map(char::to_lowercase));
    buffer
}

/// Checks that the workers' count is that of one process alone, word for word.
pub fn compare(workers: &Counts, alone: &Counts) -> Vec<Finding> {
    let (total, truth) = (workers.total(), alone.total());
    let different =
        alone.words.iter().filter(|&(word, count)| workers.words.get(word) != Some(count)).count()
            + workers.words.keys().filter(|word| !alone.words.contains_key(*word)).count();
    vec![
        Finding::new(
            total == truth && truth > 0,
            format!(
                "{} words counted by the workers, {} by one process alone",
                grouped(total),
                grouped(truth)
            ),
        ),
        Finding::new(
            different == 0,
            format!(
                "{} of {} different words have another count",
                different,
                grouped(alone.distinct() as u64)
            ),
        ),
        Finding::new(workers.top(10) == alone.top(10), "the ten most frequent words are the same"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<&str> {
        let mut list = Vec::new();
        words(text, |place, word| {
            assert_eq!(word_at(text, place), Some(word));
            list.push(word);
        });
        list
    }

    #[test]
    fn words_have_apostrophes_inside_but_not_outside() {
        assert_eq!(
            listed("Don't say 'no', said Ben; 42 times!"),
            ["Don't", "say", "no", "said", "Ben", "42", "times"]
        );
        assert_eq!(listed("l’été -- ''' … naïve"), ["l’été", "naïve"]);
        assert_eq!(listed(""), [""; 0]);
    }

    #[test]
    fn counting_chunks_is_counting_the_whole() {
        let text = format!("{TEXT} l’été {}", "x".repeat(100));
        let whole = Counts::of(&text);
        for target in [1, 7, 64, 4096, 1 << 20] {
            let mut parts = Counts::default();
            let mut begin = 0;
            for end in cut(&text, target) {
                words(&text[begin..end], |_, word| parts.add(word, 1));
                begin = end;
            }
            assert_eq!(begin, text.len());
            assert_eq!(parts.words, whole.words, "chunks of {target}");
        }
    }

    #[test]
    fn the_case_of_letters_does_not_matter() {
        assert_eq!(Counts::of("The the THE Été été").top(9), [("the", 3), ("été", 2)]);
    }

    fn is_right(workers: &Counts, alone: &Counts) -> bool {
        compare(workers, alone).iter().all(|finding| finding.ok)
    }

    #[test]
    fn one_word_lost_doubled_or_changed_is_noticed() {
        let alone = Counts::of(TEXT);
        assert!(is_right(&alone.clone(), &alone));
        for wrong in [
            |counts: &mut Counts| *counts.words.get_mut("the").unwrap() -= 1,
            |counts: &mut Counts| *counts.words.get_mut("the").unwrap() += 1,
            |counts: &mut Counts| {
                *counts.words.get_mut("the").unwrap() -= 1;
                *counts.words.get_mut("a").unwrap() += 1;
            },
            |counts: &mut Counts| counts.words.retain(|word, _| &**word != "the"),
            |counts: &mut Counts| counts.add("neverwritten", 1),
            |counts: &mut Counts| counts.words.clear(),
        ] {
            let mut workers = alone.clone();
            wrong(&mut workers);
            assert!(!is_right(&workers, &alone));
        }
    }

    #[test]
    fn nothing_counted_is_not_right() {
        assert!(!is_right(&Counts::default(), &Counts::default()));
    }
}

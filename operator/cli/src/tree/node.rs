//! A tree of lines that fit a terminal.

use crate::table::{Tone, WIDTH, plain, wrap};

/// Width of the labels.
const LABEL: usize = 13;
/// Most lines of one node; what is longer can be read in the object.
const MOST_LINES: usize = 4;

/// A line with what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    text: String,
    tone: Option<Tone>,
    /// How far further lines of the text are set in.
    hanging: usize,
    children: Vec<Node>,
}

impl Node {
    /// A line.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone: None,
            hanging: 2,
            children: Vec::new(),
        }
    }

    /// A line in a tone.
    #[must_use]
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self::text(text).with_tone(tone)
    }

    /// A line with a label before it.
    #[must_use]
    pub fn labelled(label: &str, text: &str) -> Self {
        Self {
            hanging: LABEL,
            ..Self::text(format!("{label:<LABEL$}{text}"))
        }
    }

    /// The same line in a tone.
    #[must_use]
    pub fn with_tone(mut self, tone: Tone) -> Self {
        self.tone = Some(tone);
        self
    }

    /// Puts a line below this one.
    pub fn push(&mut self, child: Self) {
        self.children.push(child);
    }

    /// Puts lines below this one.
    pub fn extend(&mut self, children: impl IntoIterator<Item = Self>) {
        self.children.extend(children);
    }

    /// The tree, every line ended.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        self.write(&mut text, "", "", colour);
        text
    }

    fn write(&self, text: &mut String, first: &str, rest: &str, colour: bool) {
        let stem = if self.children.is_empty() { "" } else { "│" };
        let room = WIDTH - first.chars().count();
        for (index, line) in self.lines(room).iter().enumerate() {
            // Between a line and its children runs the children's stem.
            let (before, set_in) = if index == 0 {
                (first, String::new())
            } else {
                (rest, format!("{stem:<width$}", width = self.hanging))
            };
            let painted = self.tone.map_or_else(|| line.clone(), |tone| tone.paint(line, colour));
            let whole = format!("{before}{set_in}{painted}");
            text.push_str(whole.trim_end());
            text.push('\n');
        }
        for (index, child) in self.children.iter().enumerate() {
            let last = index + 1 == self.children.len();
            let (corner, stem) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            child.write(text, &format!("{rest}{corner}"), &format!("{rest}{stem}"), colour);
        }
    }

    /// The text in lines: only a text that is too long is broken, so that columns in it stay in line.
    fn lines(&self, room: usize) -> Vec<String> {
        let text = plain(&self.text);
        if text.chars().count() <= room {
            return vec![text];
        }
        let label: String = text.chars().take(self.hanging).collect();
        let body: String = text.chars().skip(self.hanging).collect();
        let mut lines = wrap(&body, room.saturating_sub(self.hanging));
        if lines.len() > MOST_LINES {
            lines.truncate(MOST_LINES);
            if let Some(last) = lines.last_mut() {
                while last.chars().count() + self.hanging >= room {
                    last.pop();
                }
                last.push('…');
            }
        }
        if let Some(first) = lines.first_mut() {
            first.insert_str(0, &label);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_run_past_long_texts_and_end_with_the_last_child() {
        let mut root = Node::text("root");
        let mut long = Node::labelled("label", &"word ".repeat(25));
        long.push(Node::text("child"));
        root.push(long);
        root.push(Node::text("last"));
        let words = |count: usize| vec!["word"; count].join(" ");
        let expected = format!(
            "root\n├─ label        {}\n│  │            {}\n│  └─ child\n└─ last\n",
            words(17),
            words(8)
        );
        assert_eq!(root.render(false), expected);
    }

    #[test]
    fn a_text_without_end_ends() {
        let text = Node::text("x".repeat(5_000)).render(false);
        assert_eq!(text.lines().count(), MOST_LINES);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.ends_with("…\n"), "{text}");
    }
}

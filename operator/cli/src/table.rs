//! Tables of plain text, and colour where a person looks.

use std::io::IsTerminal as _;

use anstyle::{AnsiColor, Style};

/// Whether output may be coloured: a terminal, and nobody said no.
#[must_use]
pub fn coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !refused && std::io::stdout().is_terminal()
}

/// How something went. Always said in words or signs as well: colour alone says nothing to many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Well.
    Good,
    /// Badly.
    Bad,
    /// Not decided.
    Open,
}

impl Tone {
    /// The sign that stands beside the words.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✔",
            Self::Bad => "✖",
            Self::Open => "?",
        }
    }

    /// Text in this tone.
    #[must_use]
    pub fn paint(self, text: &str, colour: bool) -> String {
        if !colour {
            return text.to_owned();
        }
        let colour = match self {
            Self::Good => AnsiColor::Green,
            Self::Bad => AnsiColor::Red,
            Self::Open => AnsiColor::Yellow,
        };
        let style = Style::new().fg_color(Some(colour.into()));
        format!("{}{text}{}", style.render(), style.render_reset())
    }
}

/// Columns as wide as their widest cell, two spaces apart, without trailing spaces.
#[must_use]
pub fn columns(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain(header.get(column).map(|title| title.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut text = line(&mut header.iter().copied());
    for row in rows {
        text.push('\n');
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// Text of at most `limit` characters.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_with_text() {
        let text = columns(
            &["NAME", "STAGE"],
            &[vec!["a".into(), "Shadow".into()], vec!["longer".into(), String::new()]],
        );
        assert_eq!(text, "NAME    STAGE\na       Shadow\nlonger");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn without_colour_the_text_is_plain() {
        assert_eq!(Tone::Bad.paint("x", false), "x");
        assert!(Tone::Bad.paint("x", true).contains("\u{1b}["));
    }
}

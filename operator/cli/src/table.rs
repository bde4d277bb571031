//! Tables of plain text, and colour where a person looks.

use std::io::IsTerminal as _;

use anstyle::{AnsiColor, Style};

/// Widest line of tables and trees, in characters.
pub const WIDTH: usize = 100;
/// A column is cut to this, not further, to make a table fit.
const NARROWEST: usize = 8;

/// Whether somebody looks at the output, and lines can be drawn over.
#[must_use]
pub fn interactive() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether output may be coloured: somebody looks, and nobody said no (<https://no-color.org>).
#[must_use]
pub fn coloured() -> bool {
    interactive() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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
    lay_out(header, rows, &widths(header, rows))
}

/// Columns that fit [`WIDTH`]: the widest ones are cut until they do.
#[must_use]
pub fn fitted(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths = widths(header, rows);
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > WIDTH {
        let widest = widths.iter_mut().max().filter(|width| **width > NARROWEST);
        let Some(widest) = widest else { break };
        *widest -= 1;
    }
    let cells = |row: &Vec<String>| {
        let cut_to = row.iter().zip(&widths);
        cut_to.map(|(cell, width)| cut(cell, *width)).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    lay_out(header, &rows, &widths)
}

fn widths(header: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let width = |(column, title): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        longest.max(title.chars().count())
    };
    header.iter().enumerate().map(width).collect()
}

fn lay_out(header: &[&str], rows: &[Vec<String>], widths: &[usize]) -> String {
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let titles = line(&mut header.iter().copied());
    let lines = rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
    // Without titles there is no line for them.
    let lines: Vec<String> = Some(titles)
        .filter(|titles| !titles.is_empty())
        .into_iter()
        .chain(lines)
        .collect();
    lines.join("\n")
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

/// Text without what moves a terminal's cursor or changes its colours: messages quote what others wrote.
#[must_use]
pub fn plain(text: &str) -> String {
    let harmless = |letter: char| {
        let turns = matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns { ' ' } else { letter }
    };
    text.chars().map(harmless).collect()
}

/// Text in lines of at most `width` characters, broken at spaces where there are some.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut rest: Vec<char> = word.chars().collect();
        let fits = used == 0 || used + 1 + rest.len() <= width;
        if !fits {
            lines.push(String::new());
            used = 0;
        }
        while !rest.is_empty() {
            let Some(line) = lines.last_mut() else { break };
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            let part: Vec<char> = rest.drain(..rest.len().min(width - used)).collect();
            used += part.len();
            line.extend(part);
            if !rest.is_empty() {
                lines.push(String::new());
                used = 0;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn columns_line_up_and_lines_end_with_text() {
        let text = columns(&["NAME", "STAGE"], &[row(&["a", "Shadow"]), row(&["longer", ""])]);
        assert_eq!(text, "NAME    STAGE\na       Shadow\nlonger");
        assert_eq!(columns(&["", ""], &[row(&["a", "b"])]), "a  b");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn a_table_that_is_too_wide_loses_its_widest_cells() {
        let rows = [row(&["name", &"m".repeat(300), &"n".repeat(60), "Shadow"])];
        let text = fitted(&["NAME", "MESSAGE", "REVISION", "STAGE"], &rows);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(
            text.contains("Shadow") && text.contains("name") && text.contains('…'),
            "{text}"
        );
        let narrow = [row(&["a", "b"])];
        assert_eq!(fitted(&["X", "Y"], &narrow), columns(&["X", "Y"], &narrow));
    }

    #[test]
    fn without_colour_the_text_is_plain() {
        assert_eq!(Tone::Bad.paint("x", false), "x");
        assert!(Tone::Bad.paint("x", true).contains("\u{1b}["));
    }

    #[test]
    fn text_of_others_cannot_draw() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb c d");
    }

    #[test]
    fn text_is_broken_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 9), ["one two", "three"]);
        assert_eq!(wrap(&"x".repeat(20), 8), ["xxxxxxxx", "xxxxxxxx", "xxxx"]);
        assert_eq!(wrap("ab xxxxxxxxxxxx cd", 8), ["ab", "xxxxxxxx", "xxxx cd"]);
        assert_eq!(wrap("", 8), [""]);
    }
}

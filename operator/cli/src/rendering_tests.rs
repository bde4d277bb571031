//! What people see, over fixed objects, word by word. After a change on purpose:
//! `PENIN_WRITE_EXPECTED=1 cargo test -p peninctl rendering`, and read the difference.

use std::path::Path;

use jiff::Timestamp;
use penin_api::v1alpha1::{Challenger, PeninCycle};
use serde::de::DeserializeOwned;

use crate::explain::explanation;
use crate::rows::{Columns, ago, table};
use crate::table::WIDTH;
use crate::tree::View;

const TABLE: Columns = Columns {
    namespace: false,
    wide: false,
    header: true,
};

fn now() -> Timestamp {
    "2026-03-01T10:06:00Z".parse().unwrap()
}

fn object<K: DeserializeOwned>(name: &str) -> K {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/objects/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn challengers() -> Vec<Challenger> {
    ["better", "failing", "first", "fresh", "third", "unfair"]
        .map(|name| object(&format!("challenger-{name}")))
        .into()
}

fn expect(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/expected/{name}.txt"));
    if std::env::var_os("PENIN_WRITE_EXPECTED").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{name} has changed. It is now:\n{text}\nexpected was:\n{expected}"
    );
}

fn tree(cycle: &str, challengers: &[Challenger], wide: bool) -> String {
    let cycle: PeninCycle = object(&format!("cycle-{cycle}"));
    let text = View {
        cycle: &cycle,
        challengers,
        now: now(),
        colour: false,
        wide,
    }
    .to_string();
    fits(&text);
    text
}

fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= WIDTH, "too wide: {line}");
        assert_eq!(line.trim_end(), line, "ends with a space");
    }
}

#[test]
fn a_cycle_with_a_challenger_on_live_traffic() {
    expect("tree-canary", &tree("canary", &challengers(), false));
}

#[test]
fn a_cycle_at_rest() {
    expect("tree-idle", &tree("idle", &challengers()[1..3], true));
}

#[test]
fn a_cycle_in_trouble_says_so_first() {
    expect("tree-bad", &tree("bad", &[], false));
}

#[test]
fn a_cycle_that_no_operator_has_seen() {
    expect("tree-new", &tree("new", &[], false));
}

#[test]
fn explanations() {
    for challenger in challengers() {
        let name = challenger.metadata.name.clone().unwrap();
        let text = explanation(&challenger, false);
        fits(&text);
        expect(&format!("explain-{name}"), &text);
    }
}

#[test]
fn tables() {
    let cycles: Vec<PeninCycle> = ["canary", "new"].map(|name| object(&format!("cycle-{name}"))).into();
    let wide = Columns {
        wide: true,
        namespace: true,
        ..TABLE
    };
    let bare = Columns { header: false, ..TABLE };
    let text = [
        table(&cycles, TABLE, now()),
        table(&cycles, wide, now()),
        table(&challengers(), TABLE, now()),
        table(&challengers(), bare, now()),
    ];
    fits(&text[0]);
    fits(&text[2]);
    expect("tables", &(text.join("\n\n") + "\n"));
}

#[test]
fn names_of_any_length_fit_unless_all_is_asked_for() {
    let mut challenger: Challenger = object("challenger-unfair");
    challenger.metadata.name = Some("n".repeat(253));
    challenger.spec.cycle_ref.name = "c".repeat(52);
    fits(&table(std::slice::from_ref(&challenger), TABLE, now()));
    let wide = table(&[challenger], Columns { wide: true, ..TABLE }, now());
    assert!(wide.contains(&"n".repeat(253)), "{wide}");
}

#[test]
fn colour_adds_nothing_but_colour_and_foreign_text_cannot_draw() {
    let mut cycle: PeninCycle = object("cycle-canary");
    let mut challengers = challengers();
    let status = challengers[0].status.as_mut().unwrap();
    status.message = "\u{1b}[2J\u{1b}[31mall is well\u{7}".to_owned();
    cycle.status.as_mut().unwrap().conditions[0].message = "\u{1b}]0;title\u{7}".to_owned();
    let view = |colour| {
        View {
            cycle: &cycle,
            challengers: &challengers,
            now: now(),
            colour,
            wide: false,
        }
        .to_string()
    };
    let (plain, coloured) = (view(false), view(true));
    assert!(!plain.contains(['\u{1b}', '\u{7}']), "{plain}");
    let mut stripped = coloured.replace("\u{1b}[0m", "");
    for colour in ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"] {
        stripped = stripped.replace(colour, "");
    }
    assert_eq!(stripped, plain);
    assert_ne!(coloured, plain);
    let text = explanation(&challengers[0], false);
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text}");
}

#[test]
fn ages_are_those_of_kubectl() {
    let seconds = |seconds: i64| ago(Timestamp::UNIX_EPOCH, Timestamp::from_second(seconds).unwrap());
    let cases = [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (3_600, "60m"),
        (10_800, "3h"),
        (11_100, "3h5m"),
        (86_400, "24h"),
        (180_000, "2d2h"),
        (8_640_000, "100d"),
    ];
    for (age, expected) in cases {
        assert_eq!(seconds(age), expected, "{age} s");
    }
}

//! Keeps the numbers of `docs/engine.md` true: the blocks between `generated` marks are what the code prints.
//!
//! `PENIN_UPDATE_DOCS=1 cargo test -p penin-engine --test docs` writes them anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../examples/cycle/scenario.rs"]
mod scenario;
#[path = "../examples/cycle/table.rs"]
mod table;

use penin_engine::decision::Decision;
use scenario::{Cycle, after_baseline};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/engine.md");

fn block(cycle: &Cycle) -> String {
    format!(
        "\n{}\n\n{}\n```text\n{}```\n\n{}\n",
        table::summary(&cycle.outcome),
        table::gates(&cycle.outcome),
        table::arithmetic(cycle),
        table::events(&cycle.outcome)
    )
}

/// The document with the block of that name replaced.
fn with_block(document: &str, name: &str, block: &str) -> String {
    let open = format!("<!-- generated: {name} -->\n");
    let close = "<!-- /generated -->";
    let start = document.find(&open).expect("an opening mark") + open.len();
    let end = start + document[start..].find(close).expect("a closing mark");
    format!("{}{block}{}", &document[..start], &document[end..])
}

#[test]
fn the_worked_cycles_are_what_the_code_computes() {
    let document = std::fs::read_to_string(PATH).unwrap();
    let promotion = after_baseline(&scenario::promotion()).unwrap();
    let rollback = after_baseline(&scenario::rollback()).unwrap();
    assert_eq!(promotion.outcome.decision, Decision::Promote);
    assert_eq!(rollback.outcome.decision, Decision::Rollback);
    assert_eq!(rollback.before.evolving, rollback.after.evolving);
    let fresh = with_block(&document, "promotion", &block(&promotion));
    let fresh = with_block(&fresh, "rollback", &block(&rollback));
    if std::env::var_os("PENIN_UPDATE_DOCS").is_some() {
        std::fs::write(PATH, &fresh).unwrap();
    }
    assert!(
        fresh == document,
        "docs/engine.md is stale; run this test with PENIN_UPDATE_DOCS=1"
    );
}

#[test]
fn the_decision_table_names_every_reason() {
    let document = std::fs::read_to_string(PATH).unwrap();
    for reason in penin_engine::decision::CycleReason::ALL {
        assert!(document.contains(&format!("`{reason}`")), "{reason} is not explained");
    }
    for decision in Decision::ALL {
        assert!(
            document.contains(&format!("| {decision} |")),
            "{decision} is not explained"
        );
    }
}

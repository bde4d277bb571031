//! Heads of a ledger, growing and shrinking.

use serde_json::{Value, json};

/// An anchor without a head.
pub fn empty() -> Value {
    json!({ "apiVersion": "penin.ai/v1alpha1", "kind": "LedgerAnchor", "metadata": { "name": "ledger" } })
}

fn head(origin: &str, size: &str, root: char, epoch: &str) -> Value {
    json!({ "origin": origin, "size": size, "root": root.to_string().repeat(64), "epoch": epoch })
}

/// Heads that follow each other; the last one is the one that [`shrinks`] starts from.
pub fn growth() -> Vec<Value> {
    vec![
        head("ledger.example", "0", 'e', "1"),
        head("ledger.example", "9", 'a', "1"),
        head("ledger.example", "9", 'a', "1"),
        head("ledger.example", "9", 'a', "2"),
        // 10 follows 9 although the text "10" sorts before "9".
        head("ledger.example", "10", 'b', "10"),
    ]
}

/// Heads that must not follow, and what the refusal says; null is no status at all.
pub fn shrinks() -> Vec<(Value, &'static str)> {
    let without = |field: &str| {
        let mut head = head("ledger.example", "11", 'c', "10");
        head.as_object_mut().unwrap().remove(field);
        head
    };
    vec![
        (head("ledger.example", "9", 'c', "10"), "`status.size` must not fall"),
        (head("ledger.example", "0", 'c', "10"), "`status.size` must not fall"),
        (
            head("ledger.example", "10", 'c', "10"),
            "`status.root` must not change while",
        ),
        (head("ledger.example", "11", 'c', "9"), "`status.epoch` must not fall"),
        (
            head("other.example", "11", 'c', "10"),
            "`status.origin` must not change",
        ),
        (without("origin"), "`status` must have all of"),
        (without("size"), "`status` must have all of"),
        (without("root"), "`status` must have all of"),
        (without("epoch"), "`status` must have all of"),
        (json!({}), "`status` must not be removed"),
        (Value::Null, "`status` must not be removed"),
        (head("ledger.example", "011", 'c', "10"), "status.size"),
        (head("ledger.example", "-1", 'c', "10"), "status.size"),
        (head("ledger.example", "18446744073709551616", 'c', "10"), "status.size"),
        (head("ledger.example", "11", 'C', "10"), "status.root"),
    ]
}

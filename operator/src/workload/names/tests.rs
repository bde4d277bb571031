use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

#[test]
fn a_usual_name_is_kept_whole() {
    assert_eq!(revision_name("shop", &digest(0xab)), "shop-ababababab");
    assert_eq!(cycle_label("shop"), "shop");
    let longest = "s".repeat(52);
    assert_eq!(revision_name(&longest, &digest(1)), format!("{longest}-0101010101"));
    assert_eq!(revision_name(&longest, &digest(1)).len(), 63);
}

#[test]
fn names_that_look_alike_after_cleaning_stay_apart() {
    let cycles = [
        "a.b",
        "a-b",
        "1a",
        "c1a",
        "c-1a",
        &"x".repeat(60),
        &"x".repeat(61),
        &"x".repeat(253),
    ];
    let names: BTreeSet<_> = cycles.iter().map(|cycle| revision_name(cycle, &digest(7))).collect();
    assert_eq!(names.len(), cycles.len(), "{names:?}");
    assert!(revision_name("1a", &digest(7)).starts_with("c1a-"));
    assert!(revision_name("a.b", &digest(7)).starts_with("a-b-"));
    assert_ne!(cycle_label(&"x".repeat(64)), cycle_label(&"x".repeat(65)));
    assert_eq!(cycle_label(&"x".repeat(63)), "x".repeat(63));
}

proptest! {
    #[test]
    fn every_cycle_name_gives_valid_names(
        cycle in "[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?){0,4}",
        byte in any::<u8>(),
    ) {
        let name = revision_name(&cycle, &digest(byte));
        prop_assert!(name.len() <= MAX_LABEL && is_dns_label(&name) && !name.ends_with('-'), "{}", name);
        let label = cycle_label(&cycle);
        prop_assert!(label.len() <= MAX_LABEL, "{}", label);
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        prop_assert!(edge(label.chars().next()) && edge(label.chars().last()), "{}", label);
    }

    /// Two cycles never share a revision's name or a label value, by name alone.
    #[test]
    fn different_cycles_have_different_names(
        one in "[a-z0-9][-a-z0-9.]{0,90}[a-z0-9]",
        other in "[a-z0-9][-a-z0-9.]{0,90}[a-z0-9]",
    ) {
        prop_assume!(one != other);
        prop_assert_ne!(revision_name(&one, &digest(1)), revision_name(&other, &digest(1)));
        prop_assert_ne!(cycle_label(&one), cycle_label(&other));
    }
}

use proptest::prelude::*;
use serde_json::json;

use super::super::fixtures::{any_split, intent, live, stored};
use super::super::intent::Split;
use super::*;

#[test]
fn what_is_missing_is_absent() {
    assert_eq!(observe(&intent(Split::ChampionOnly), None), RouteState::Absent);
}

#[test]
fn what_another_owns_is_foreign() {
    let table = [
        (json!(null), "nobody"),
        (json!([]), "nobody"),
        (
            json!([{ "apiVersion": "v1", "kind": "App", "name": "web", "uid": "u", "controller": true }]),
            "App web (uid u)",
        ),
        (
            json!([{ "apiVersion": "v1", "kind": "App", "name": "web", "uid": "u" }]),
            "App web (uid u)",
        ),
        // A cycle of the same name that was deleted and made anew is another cycle.
        (
            json!([{ "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle", "name": "shop", "uid": "old", "controller": true }]),
            "PeninCycle shop (uid old)",
        ),
        // Our uid without control is a mention, not ownership.
        (
            json!([{ "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle", "name": "shop", "uid": "cycle-uid" }]),
            "PeninCycle shop (uid cycle-uid)",
        ),
    ];
    for (owners, expected) in table {
        let mut route = stored(Split::ChampionOnly);
        route.metadata.owner_references = serde_json::from_value(owners.clone()).unwrap();
        let state = observe(&intent(Split::ChampionOnly), Some(&route));
        assert_eq!(
            state,
            RouteState::Foreign {
                owner: expected.to_owned()
            },
            "{owners}"
        );
    }
}

#[test]
fn a_route_that_is_being_deleted_is_judged_by_what_it_says() {
    let mut route = stored(live(5));
    route.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-24T10:00:00Z")).unwrap();
    assert!(matches!(
        observe(&intent(live(5)), Some(&route)),
        RouteState::Written { .. }
    ));
    assert!(matches!(
        observe(&intent(Split::ChampionOnly), Some(&route)),
        RouteState::Drifted { .. }
    ));
}

proptest! {
    /// What was written is seen as written, and as nothing else's writing.
    #[test]
    fn a_route_says_one_split(split in any_split(), other in any_split()) {
        let state = observe(&intent(split.clone()), Some(&stored(other.clone())));
        // A staged challenger and a former champion under watch make the same route.
        let same = super::super::desired(&intent(split)).spec == super::super::desired(&intent(other)).spec;
        match state {
            RouteState::Written { generation, acceptance } => {
                prop_assert!(same);
                prop_assert_eq!(generation, 7);
                prop_assert!(matches!(acceptance, Acceptance::Pending { .. }), "no gateway has answered");
            }
            RouteState::Drifted { .. } => prop_assert!(!same),
            state => prop_assert!(false, "{:?}", state),
        }
    }
}

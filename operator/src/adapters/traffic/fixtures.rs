//! Routes that the tests of this module share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use penin_api::foreign::HttpRoute;
use penin_api::v1alpha1::cycle::GatewayTraffic;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::rollback::{Exposure, Target, rollback_target};
use super::{LiveWeight, MirrorPercent, NoReadyChampion, RouteIntent, Split, desired};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn gateway(json: &Value) -> GatewayTraffic {
    serde_json::from_value(json.clone()).unwrap()
}

pub(super) fn intent(split: Split) -> RouteIntent {
    let owner = OwnerReference {
        api_version: "penin.ai/v1alpha1".to_owned(),
        kind: "PeninCycle".to_owned(),
        name: "shop".to_owned(),
        uid: "cycle-uid".to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    RouteIntent {
        namespace: "prod".to_owned(),
        name: "shop".to_owned(),
        cycle: "shop".to_owned(),
        owner,
        gateway: gateway(&json!({
            "parentRefs": [{ "name": "gw", "namespace": "edge", "sectionName": "http" }],
            "hostnames": ["shop.example.com"],
            "matches": [{ "path": { "type": "PathPrefix", "value": "/v1" }, "method": "POST", "headers": [{ "name": "X-Tenant", "value": "a" }] }],
        })),
        port: 80,
        champion: "shop-old".to_owned(),
        split,
        warm_token: TOKEN.parse().unwrap(),
    }
}

pub(super) fn proof() -> NoReadyChampion {
    let Target::Challenger(proof) = rollback_target(0, 1, Exposure::HadLive) else {
        panic!("no proof")
    };
    proof
}

pub(super) fn staged() -> Split {
    Split::Staged {
        challenger: "shop-new".to_owned(),
    }
}

pub(super) fn mirroring(percent: u8) -> Split {
    Split::Mirroring {
        challenger: "shop-new".to_owned(),
        percent: MirrorPercent::new(percent).unwrap(),
    }
}

pub(super) fn live(weight: u8) -> Split {
    Split::Live {
        challenger: "shop-new".to_owned(),
        weight: LiveWeight::new(weight).unwrap(),
    }
}

pub(super) fn watching() -> Split {
    Split::Watching {
        previous: "shop-new".to_owned(),
    }
}

pub(super) fn failed_over() -> Split {
    Split::FailedOver {
        challenger: "shop-new".to_owned(),
        because: proof(),
    }
}

/// Every split that can be made.
pub(super) fn any_split() -> impl Strategy<Value = Split> {
    prop_oneof![
        Just(Split::ChampionOnly),
        Just(staged()),
        (1_u8..=100).prop_map(mirroring),
        (1_u8..=5).prop_map(live),
        Just(watching()),
        Just(failed_over()),
    ]
}

/// The route of `split` as a cluster returns it: at generation 7, with defaults and the fields of the server.
pub(super) fn stored(split: Split) -> HttpRoute {
    let mut route = desired(&intent(split));
    route.metadata.generation = Some(7);
    route.metadata.resource_version = Some("41".to_owned());
    route.metadata.uid = Some("route-uid".to_owned());
    route.metadata.creation_timestamp = serde_json::from_value(json!("2026-11-24T10:00:00Z")).unwrap();
    route
}

use proptest::prelude::*;

use super::super::fixtures::{any_split, failed_over, intent, live, mirroring, staged, watching};
use super::*;

#[test]
fn weights_and_percentages_stop_at_their_bounds() {
    for percent in 0..=u8::MAX {
        assert_eq!(
            LiveWeight::new(percent).is_some(),
            (1..=5).contains(&percent),
            "{percent}"
        );
        assert_eq!(
            MirrorPercent::new(percent).is_some(),
            (1..=100).contains(&percent),
            "{percent}"
        );
    }
}

#[test]
fn a_token_is_128_bits_and_never_printed() {
    let token: WarmToken = "0123456789abcdef0123456789abcdef".parse().unwrap();
    assert_eq!(format!("{token:?}"), "WarmToken(..)");
    assert!(!format!("{:?}", intent(staged())).contains("0123456789abcdef"));
    for bad in [
        "",
        "0123456789abcdef",
        "0123456789ABCDEF0123456789abcdef",
        "g123456789abcdef0123456789abcdef",
    ] {
        assert_eq!(bad.parse::<WarmToken>(), Err(WarmTokenError), "{bad}");
    }
}

#[test]
fn splits_say_what_they_are() {
    let table = [
        (Split::ChampionOnly, "champion alone"),
        (staged(), "shop-new at weight 0"),
        (mirroring(20), "20 % mirrored to shop-new"),
        (live(5), "shop-new at weight 5"),
        (watching(), "new champion, shop-new at weight 0"),
        (failed_over(), "shop-new in place of a champion without endpoints"),
    ];
    for (split, text) in table {
        assert_eq!(split.to_string(), text);
    }
}

#[test]
fn a_service_beside_itself_is_one_backend() {
    let mut same = intent(live(5));
    same.champion = "shop-new".to_owned();
    assert_eq!(same.weights(), [("shop-new", Percent::FULL)]);
    same.split = mirroring(20);
    assert_eq!(same.mirror(), None);
}

proptest! {
    /// The second Service has live weight in two splits alone, and never together with a mirror.
    #[test]
    fn only_live_and_failed_over_give_live_weight(split in any_split()) {
        let intent = intent(split.clone());
        let weights = intent.weights();
        let sum: u32 = weights.iter().map(|(_, weight)| u32::from(weight.get())).sum();
        prop_assert_eq!(sum, 100);
        let other = weights.get(1).map_or(0, |(_, weight)| weight.get());
        match split {
            Split::Live { weight, .. } => prop_assert_eq!(other, weight.get()),
            Split::FailedOver { .. } => prop_assert_eq!(other, 100),
            _ => prop_assert_eq!(other, 0),
        }
        prop_assert!(other == 0 || intent.mirror().is_none());
    }
}

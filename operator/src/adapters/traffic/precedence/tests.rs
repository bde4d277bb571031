use serde_json::{Value, json};

use super::*;

fn matched(json: Value) -> HttpRouteMatch {
    serde_json::from_value(json).unwrap()
}

#[test]
fn host_names_overlap_as_the_gateway_api_says() {
    let table = [
        ("a.example.com", "a.example.com", true),
        ("a.example.com", "A.Example.COM", true),
        ("a.example.com", "b.example.com", false),
        ("*.example.com", "a.example.com", true),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", "aexample.com", false),
        ("*.example.com", "*.example.com", true),
        ("*.example.com", "*.b.example.com", true),
        ("*.a.example.com", "*.b.example.com", false),
        ("*.com", "*.example.com", true),
        ("*.ample.com", "*.example.com", false),
    ];
    for (one, two, expected) in table {
        let (one, two) = (Host::parse(one), Host::parse(two));
        assert_eq!(
            (one.overlaps(two), two.overlaps(one)),
            (expected, expected),
            "{one:?} {two:?}"
        );
        assert!(Host::Any.overlaps(one) && one.overlaps(Host::Any));
    }
}

#[test]
fn more_specific_hosts_rank_higher() {
    let order = ["*.example.com", "*.shop.example.com", "a.io", "shop.example.com"];
    let ranks: Vec<_> = order.iter().map(|host| Host::parse(host).rank()).collect();
    assert!(ranks.is_sorted() && Host::Any.rank() < ranks[0]);
}

#[test]
fn paths_overlap_part_by_part() {
    use Path::{Exact, Other, Prefix};
    let table = [
        (Prefix(""), Prefix("/a"), true),
        (Prefix("/a"), Prefix("/a/b"), true),
        (Prefix("/a"), Prefix("/ab"), false),
        (Prefix("/a"), Exact("/a"), true),
        (Prefix("/a"), Exact("/a/"), true),
        (Prefix("/a"), Exact("/ab"), false),
        (Prefix("/a/b"), Exact("/a"), false),
        (Exact("/a"), Exact("/a"), true),
        (Exact("/a"), Exact("/b"), false),
        (Other("/a.*"), Exact("/b"), true),
    ];
    for (one, two, expected) in table {
        assert_eq!(
            (one.overlaps(two), two.overlaps(one)),
            (expected, expected),
            "{one:?} {two:?}"
        );
    }
}

#[test]
fn a_trailing_slash_of_a_prefix_says_nothing() {
    let slash = matched(json!({ "path": { "type": "PathPrefix", "value": "/a/" } }));
    assert_eq!(Path::of(&slash), Path::Prefix("/a"));
    assert_eq!(Path::of(&HttpRouteMatch::default()), Path::Prefix(""));
    assert_eq!(Path::of(&HttpRouteMatch::default()).describe(), "/");
}

#[test]
fn the_order_of_preference_is_the_specifications() {
    let order = [
        json!({}),
        json!({ "queryParams": [{ "name": "q", "value": "1" }] }),
        json!({ "headers": [{ "name": "h", "value": "1" }] }),
        json!({ "headers": [{ "name": "h", "value": "1" }, { "name": "i", "value": "1" }] }),
        json!({ "method": "GET" }),
        json!({ "path": { "value": "/a" } }),
        json!({ "path": { "value": "/a/b" } }),
        json!({ "path": { "type": "RegularExpression", "value": "/.*" } }),
        json!({ "path": { "type": "Exact", "value": "/" } }),
    ];
    let ranks: Vec<_> = order
        .into_iter()
        .map(|json| rank(Host::Name("a"), &matched(json)))
        .collect();
    assert!(ranks.windows(2).all(|pair| pair[0] < pair[1]), "{ranks:?}");
    let exact = matched(json!({ "path": { "type": "Exact", "value": "/a" } }));
    assert!(
        rank(Host::Below(".a"), &exact) < rank(Host::Name("b"), &HttpRouteMatch::default()),
        "hosts come first"
    );
}

#[test]
fn methods_and_headers_keep_matches_apart() {
    let header = |name: &str, value: &str| json!({ "headers": [{ "name": name, "value": value }] });
    let regular = json!({ "headers": [{ "name": "h", "value": "1|2", "type": "RegularExpression" }] });
    let table = [
        (json!({ "method": "GET" }), json!({ "method": "POST" }), false),
        (json!({ "method": "GET" }), json!({ "method": "GET" }), true),
        (json!({ "method": "GET" }), json!({}), true),
        (header("h", "1"), header("H", "2"), false),
        (header("h", "1"), header("H", "1"), true),
        (header("h", "1"), header("i", "2"), true),
        (header("h", "1"), regular, true),
    ];
    for (one, two, expected) in table {
        let (one, two) = (matched(one), matched(two));
        assert_eq!(
            (matches_overlap(&one, &two), matches_overlap(&two, &one)),
            (expected, expected)
        );
    }
}

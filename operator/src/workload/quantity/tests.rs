use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use proptest::prelude::*;

use super::*;

fn spelled(text: &str) -> Result<String, QuantityError> {
    canonical_quantity(&Quantity(text.to_owned())).map(|quantity| quantity.0)
}

/// What `k8s.io/apimachinery` 0.36.3 writes for the same text, exponents and superfluous characters apart.
#[test]
fn spelling_is_that_of_the_api_server() {
    let table = [
        ("0", "0"),
        ("0.0", "0"),
        ("0Ki", "0"),
        ("1", "1"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.5", "1500m"),
        ("100m", "100m"),
        ("0.1m", "100u"),
        ("0.0000000001", "1n"),
        ("1e-400", "1n"),
        ("1000n", "1u"),
        ("1.23456789012", "1234567891n"),
        ("15e2", "1500"),
        ("1Ki", "1Ki"),
        ("1024", "1024"),
        ("1024Ki", "1Mi"),
        ("0.5Ki", "512"),
        ("1.5Ki", "1536"),
        ("1.5Gi", "1536Mi"),
        ("1023Ki", "1023Ki"),
        ("1024Mi", "1Gi"),
        ("0.1Gi", "107374182400m"),
        ("0.0001Ki", "102400u"),
        ("1000k", "1M"),
        ("1500k", "1500k"),
        ("1E", "1E"),
        ("9223372036854775807", "9223372036854775807"),
        ("7Ei", "7Ei"),
        ("2048Ki", "2Mi"),
        ("1025", "1025"),
    ];
    for (text, expected) in table {
        assert_eq!(spelled(text).as_deref(), Ok(expected), "{text}");
    }
    // The server keeps these as they are written; here they get the same spelling as their equals.
    for (text, expected) in [
        ("1e3", "1k"),
        ("12E6", "12M"),
        ("1e0", "1"),
        ("+5", "5"),
        ("5.", "5"),
        ("007Mi", "7Mi"),
    ] {
        assert_eq!(spelled(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_quantity_is_refused() {
    for text in [
        "", " 1", "5 ", "Gi", "e3", "1e", "1ki", "1K", "1e3Ki", ".", "1..2", "1.2.3", "--1", "0x10", "NaN", "inf",
        "1e3.5",
    ] {
        assert_eq!(spelled(text), Err(QuantityError::Malformed), "{text}");
    }
    assert_eq!(spelled(&"1".repeat(65)), Err(QuantityError::Malformed));
    assert_eq!(spelled("-1"), Err(QuantityError::Negative));
    assert_eq!(spelled("-0").as_deref(), Ok("0"));
    for text in [
        "9223372036854775808",
        "8Ei",
        "10E",
        "1e19",
        "1e400",
        "1e99999999999",
        &"9".repeat(60),
    ] {
        let refused = spelled(text);
        assert!(
            matches!(refused, Err(QuantityError::TooLarge | QuantityError::Malformed)),
            "{text} {refused:?}"
        );
    }
}

fn container(name: &str, requests: &[(&str, &str)], limits: &[(&str, &str)]) -> Container {
    let list = |pairs: &[(&str, &str)]| {
        let entry = |(name, amount): &(&str, &str)| ((*name).to_owned(), Quantity((*amount).to_owned()));
        (!pairs.is_empty()).then(|| pairs.iter().map(entry).collect::<BTreeMap<_, _>>())
    };
    let resources = ResourceRequirements {
        requests: list(requests),
        limits: list(limits),
        claims: None,
    };
    Container {
        name: name.to_owned(),
        resources: Some(resources),
        ..Container::default()
    }
}

fn template(containers: Vec<Container>, init: Vec<Container>) -> PodTemplateSpec {
    let spec = PodSpec {
        containers,
        init_containers: Some(init),
        ..PodSpec::default()
    };
    PodTemplateSpec {
        metadata: None,
        spec: Some(spec),
    }
}

#[test]
fn a_pod_requests_the_sum_of_what_runs_all_the_time() {
    let main = container("main", &[("cpu", "500m"), ("memory", "1Gi")], &[("cpu", "2")]);
    let limited = container("limited", &[], &[("cpu", "250m"), ("memory", "512Mi")]);
    let once = container("once", &[("cpu", "64"), ("memory", "64Gi")], &[]);
    let mut sidecar = container("sidecar", &[("cpu", "250m"), ("memory", "512Mi")], &[]);
    sidecar.restart_policy = Some("Always".to_owned());
    let requests = pod_requests(&template(vec![main, limited], vec![once, sidecar])).unwrap();
    assert!((requests.cpu_cores - 1.0).abs() < 1e-12);
    assert!((requests.memory_bytes - 2.0 * f64::from(1 << 30)).abs() < 1e-3);
}

#[test]
fn a_pod_of_unknown_size_requests_nothing_known() {
    let main = container("main", &[("cpu", "1"), ("memory", "1Gi")], &[]);
    let silent = container("silent", &[("cpu", "1")], &[]);
    assert_eq!(pod_requests(&template(vec![main.clone(), silent], vec![])), None);
    let broken = container("broken", &[("cpu", "many"), ("memory", "1Gi")], &[]);
    assert_eq!(pod_requests(&template(vec![main, broken], vec![])), None);
    assert_eq!(pod_requests(&PodTemplateSpec::default()), None);
}

proptest! {
    /// Equal amounts have one spelling, and it is stable.
    #[test]
    fn spelling_is_stable_and_keeps_the_amount(
        text in "[0-9]{1,12}(\\.[0-9]{1,6})?(n|u|m||k|M|G|Ki|Mi|Gi|Ti|e[0-9]|E-[0-9])",
    ) {
        let amount = parse(&text);
        prop_assume!(amount.is_ok());
        let once = spelled(&text).unwrap();
        prop_assert_eq!(spelled(&once), Ok(once.clone()));
        prop_assert_eq!(parse(&once).unwrap().nanos, amount.unwrap().nanos, "{} {}", text, once);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        let _ = parse(&text);
    }
}

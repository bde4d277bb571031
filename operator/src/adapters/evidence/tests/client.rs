//! Whatever a server answers, only a complete success is a value.

use std::time::Duration;

use hyper::header::HeaderValue;

use super::server::{Answer, Server, limits};
use crate::adapters::evidence::answer::AnswerLimits;
use crate::adapters::evidence::prometheus::{Prometheus, QueryLimits};
use crate::scoring::UnknownReason as R;

fn matrix(series: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
}

fn with(extra: &str) -> String {
    format!(r#"{{"status":"success",{extra},"data":{{"resultType":"matrix","result":[]}}}}"#)
}

const ONE: &str = r#"{"metric":{"__name__":"m"},"values":[[1.5,"3"]]}"#;

#[tokio::test]
async fn odd_answers_are_unknown() {
    let many = format!("{}{ONE}", format!("{},", ONE.replace("\"m\"", "\"n\"")).repeat(2));
    let cases: Vec<(Answer, R)> = vec![
        (Answer::new(200, ""), R::Malformed),
        (Answer::new(200, "<html>login</html>"), R::Malformed),
        (Answer::new(200, "null"), R::Malformed),
        (Answer::new(200, "[]"), R::Malformed),
        (Answer::new(200, r#"{"status":"success"}"#), R::Malformed),
        (Answer::new(200, r#"{"status":"success","data":null}"#), R::Malformed),
        (
            Answer::new(
                200,
                r#"{"status":"success","data":{"resultType":"tensor","result":[]}}"#,
            ),
            R::Malformed,
        ),
        (Answer::new(200, &matrix(ONE)[..60]), R::Malformed),
        (Answer::new(200, matrix(r#"{"values":[[1,"3"]]}"#)), R::Malformed),
        (
            Answer::new(200, matrix(r#"{"metric":{},"values":[[1,3]]}"#)),
            R::Malformed,
        ),
        (
            Answer::new(200, matrix(r#"{"metric":{},"values":[[-1,"3"]]}"#)),
            R::Malformed,
        ),
        (
            Answer::new(200, matrix(r#"{"metric":{},"values":[[1e300,"3"]]}"#)),
            R::Malformed,
        ),
        (
            Answer::new(200, matrix(r#"{"metric":{},"values":[[2,"3"],[1,"3"]]}"#)),
            R::Malformed,
        ),
        (
            Answer::new(200, matrix(r#"{"metric":{},"values":[[1,"3"],[1,"3"]]}"#)),
            R::Malformed,
        ),
        (Answer::new(200, matrix(&format!("{ONE},{ONE}"))), R::Ambiguous),
        (Answer::new(200, matrix(&many)), R::TooManySeries),
        (
            Answer::new(
                200,
                matrix(r#"{"metric":{},"values":[[1,"1"],[2,"1"],[3,"1"],[4,"1"]]}"#),
            ),
            R::TooLarge,
        ),
        (Answer::new(200, matrix(&" ".repeat(70_000))), R::TooLarge),
        (
            Answer::new(
                200,
                r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
            ),
            R::WrongType,
        ),
        (
            Answer::new(
                200,
                r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#,
            ),
            R::WrongType,
        ),
        (
            Answer::new(
                200,
                r#"{"status":"success","data":{"resultType":"string","result":[1,"1"]}}"#,
            ),
            R::WrongType,
        ),
        (
            Answer::new(200, with(r#""warnings":["one store did not answer"]"#)),
            R::Warnings,
        ),
        (
            Answer::new(200, with(r#""infos":["PromQL info: ignored histograms in a range"]"#)),
            R::Warnings,
        ),
        (
            Answer::new(200, r#"{"status":"error","errorType":"bad_data","error":"no"}"#),
            R::QueryFailed,
        ),
        (Answer::new(200, r#"{"status":"maybe"}"#), R::QueryFailed),
        (
            Answer::new(
                400,
                r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#,
            ),
            R::QueryFailed,
        ),
        (
            Answer::new(
                422,
                r#"{"status":"error","errorType":"execution","error":"too many samples"}"#,
            ),
            R::QueryFailed,
        ),
        (
            Answer::new(503, r#"{"status":"error","errorType":"timeout","error":"slow"}"#),
            R::QueryFailed,
        ),
        (Answer::new(401, "secret of another server"), R::HttpStatus),
        (Answer::new(404, matrix(ONE)), R::HttpStatus),
        (Answer::new(500, ""), R::HttpStatus),
        (Answer::new(502, "bad gateway"), R::HttpStatus),
        (
            Answer {
                location: Some("http://127.0.0.1:1/".into()),
                ..Answer::new(302, "")
            },
            R::Redirected,
        ),
        (
            Answer {
                location: Some("http://127.0.0.1:1/".into()),
                ..Answer::new(307, matrix(ONE))
            },
            R::Redirected,
        ),
        (
            Answer {
                delay: Duration::from_mins(1),
                ..Answer::new(200, matrix(ONE))
            },
            R::TimedOut,
        ),
    ];
    for (answer, reason) in cases {
        let played = answer.clone();
        let server = Server::start(move |_, _| played.clone()).await;
        let limits = QueryLimits {
            answer: AnswerLimits { series: 2, samples: 3 },
            ..limits()
        };
        let client = Prometheus::new(&server.url(), limits).unwrap();
        let unknown = client.samples("m[1m]", 1_500).await.unwrap_err();
        assert_eq!(unknown.reason, reason, "{answer:?}: {unknown}");
        assert!(!unknown.detail.contains("secret"), "{unknown}");
        let transient = matches!(answer.status, 502 | 503) || reason == R::TimedOut;
        assert_eq!(server.requests(), if transient { 2 } else { 1 }, "{answer:?}");
    }
}

#[tokio::test]
async fn vectors_are_read_as_strictly() {
    let vector =
        |result: &str| format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}}}"#);
    let plain = r#"{"metric":{"a":"1"},"value":[1,"NaN"]}"#;
    let native = r#"{"metric":{"a":"2"},"histogram":[1,{"count":"1","sum":"1"}]}"#;
    let cases = [
        (vector(native), R::WrongType),
        (matrix(ONE), R::WrongType),
        (vector(&format!("{plain},{plain}")), R::Ambiguous),
    ];
    for (body, reason) in cases {
        let played = body.clone();
        let server = Server::start(move |_, _| Answer::new(200, played.clone())).await;
        assert_eq!(
            server.client().vector("m", 0).await.unwrap_err().reason,
            reason,
            "{body}"
        );
    }
    let both = vector(&format!("{plain},{native}"));
    let server = Server::start(move |_, _| Answer::new(200, both.clone())).await;
    let present = server.client().present("m", 0).await.unwrap();
    assert_eq!(present.len(), 2, "for presence, any kind of value counts");
}

#[tokio::test]
async fn what_passes_is_tried_once_more() {
    let server = Server::start(|n, _| {
        if n == 0 {
            Answer::new(503, "")
        } else {
            Answer::new(200, matrix(ONE))
        }
    })
    .await;
    let series = server.client().samples("m[1m]", 1_500).await.unwrap();
    assert_eq!(
        (series[0].samples[0].at_ms, series[0].samples[0].text.as_str()),
        (1_500, "3")
    );
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_question_is_pinned_and_bounded() {
    let info = with(r#""infos":["PromQL info: metric might not be a counter, name does not end in _total"]"#);
    let server = Server::start(move |_, _| Answer::new(200, info.clone())).await;
    let client = server
        .client()
        .with_authorization(HeaderValue::from_static("Bearer token"));
    assert_eq!(
        client.samples(r#"{__name__="a&b=+c"}[1m]"#, 1_700_000_000_007).await,
        Ok(vec![])
    );
    let (headers, form) = server.seen().remove(0);
    let field = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(field("query"), Some(r#"{__name__="a&b=+c"}[1m]"#));
    assert_eq!(field("time"), Some("1700000000.007"));
    assert_eq!(field("timeout"), Some("1500ms"));
    assert_eq!(field("limit"), Some("5000"));
    assert_eq!(headers["authorization"], "Bearer token");
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    // The port was free a moment ago; nothing listens on it.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for address in [format!("http://127.0.0.1:{port}"), format!("https://127.0.0.1:{port}")] {
        let client = Prometheus::new(&address, limits()).unwrap();
        assert_eq!(
            client.samples("m[1m]", 0).await.unwrap_err().reason,
            R::Unreachable,
            "{address}"
        );
    }
    let plain = Server::start(|_, _| Answer::new(200, matrix(ONE))).await;
    let client = Prometheus::new(&format!("https://{}", plain.address), limits()).unwrap();
    assert_eq!(
        client.samples("m[1m]", 0).await.unwrap_err().reason,
        R::Unreachable,
        "a server without TLS"
    );
}

#[test]
fn addresses_are_checked() {
    for bad in [
        "",
        "prometheus:9090",
        "ftp://a",
        "http://",
        "/api",
        "http://u:p@a",
        "http://a?x=1",
        "http://a b",
    ] {
        assert!(Prometheus::new(bad, limits()).is_err(), "{bad}");
    }
    for good in ["http://a", "https://a:9090/", "http://[::1]:9090/prom/eu"] {
        assert!(Prometheus::new(good, limits()).is_ok(), "{good}");
    }
}

use crate::adapters::evidence::collect::{Question, Servers, Sources};
use crate::adapters::evidence::resources::TemplateLimits;
use penin_api::v1alpha1::PeninCycleSpec;

#[tokio::test]
async fn live() {
    let now: u64 = std::fs::read_to_string("/tmp/evid/lab/now").unwrap().trim().parse().unwrap();
    let since: u64 = std::fs::read_to_string("/tmp/evid/lab/since").unwrap().trim().parse().unwrap();
    let born: u64 = std::fs::read_to_string("/tmp/evid/lab/t0").unwrap().trim().parse().unwrap();
    let spec: PeninCycleSpec = serde_json::from_value(serde_json::json!({
        "targetRef": {"kind":"Deployment","name":"shop"},
        "service": {"port":80,"targetPort":8080},
        "traffic": {"gateway": {"parentRefs":[{"name":"edge","namespace":"gateway"}]}},
        "evidence": [
            {"name":"envoy","preset":"EnvoyGateway","prometheus":{"address":"http://127.0.0.1:29090","maxAge":"10s"}},
            {"name":"model","preset":"ModelCounters","prometheus":{"address":"http://127.0.0.1:29090","maxAge":"10s"}},
            {"name":"answers","prometheus":{"address":"http://127.0.0.1:29090","maxAge":"10s"},
             "ratio":{"good":"penin_model_answers_total{penin_ai_revision=\"{{ revision }}\",code=\"200\"}","total":"penin_model_answers_total{penin_ai_revision=\"{{ revision }}\"}"}}],
        "scores": {"linf": {"metrics":[{"name":"accuracy","weight":"3","preset":"Accuracy"},{"name":"success","weight":"1","preset":"SuccessRatio"}]}}
    })).unwrap();
    let sources = Sources::of("shop", &spec, &Servers::default()).unwrap();
    let q = Question { candidate: "shop-v2", reference: Some("shop-v1"), mirrored: false, born_inside: true,
        limits: TemplateLimits { cpu_cores: Some(1.0), memory_bytes: Some(64e6) },
        traffic_since_ms: since, quality_since_ms: born, until_ms: now };
    let started = std::time::Instant::now();
    let e = sources.collect(&q).await;
    println!("took {:?}", started.elapsed());
    match e {
        Ok(e) => {
            println!("{}", serde_json::to_string_pretty(&(&e.candidate, &e.reference)).unwrap());
            println!("bytes {:?}", e.to_bytes().map(|b| b.len()));
            println!("share {:?} between {:?}", e.share(20, 100), e.candidate_requests_between_samples());
            println!("digest {:?}", e.digest());
            let mut q: Vec<_> = e.records.iter().flat_map(|r| r.queries.clone()).collect();
            q.dedup();
            std::fs::write("/tmp/evid/lab/queries.json", serde_json::to_string_pretty(&q).unwrap()).unwrap();
        }
        Err(u) => println!("ERR {u}"),
    }
}

//! Canonical JSON and content hash of one event, beside the plain serializer and the reference canonicalizer on the same value.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark that cannot prepare its data must stop"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use penin_engine::event::{Digest, Event, EventType, canonical, content_hash};
use penin_engine::master::CycleOutcome;

/// The outcome of a promotion without its events: the gates, scores and hashes that its attestation contains.
fn outcome() -> CycleOutcome {
    let config = support::default_config();
    let state = support::with_baseline(&config);
    let (mut outcome, _) = support::cycle(&config, &state, &support::promotable("canary"));
    outcome.events.clear();
    outcome
}

fn one_event(c: &mut Criterion) {
    let outcome = outcome();
    let bytes = canonical(&outcome).unwrap().into_bytes();
    assert_eq!(bytes, serde_json_canonicalizer::to_vec(&outcome).unwrap());
    let mut group = c.benchmark_group("canonical");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("serde_json, not canonical", |b| {
        b.iter(|| serde_json::to_vec(black_box(&outcome)).unwrap());
    });
    group.bench_function("serde_json_canonicalizer", |b| {
        b.iter(|| serde_json_canonicalizer::to_vec(black_box(&outcome)).unwrap());
    });
    group.bench_function("canonical", |b| b.iter(|| canonical(black_box(&outcome)).unwrap()));
    group.bench_function("SHA-256 of the bytes", |b| b.iter(|| Digest::of(black_box(&bytes))));
    group.bench_function("content_hash", |b| {
        b.iter(|| content_hash(black_box(&outcome)).unwrap());
    });
    group.bench_function("Event::new", |b| {
        b.iter(|| Event::new(EventType::MasterEq, 1, black_box(&outcome), outcome.rng_after).unwrap());
    });
    group.finish();
}

criterion_group!(benches, one_event);
criterion_main!(benches);

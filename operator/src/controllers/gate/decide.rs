//! Which gates bind a cycle, what they mean together, and whether one of them can be used: pure.

use kube::ResourceExt as _;
use penin_api::v1alpha1::gate::Enforcement;
use penin_api::v1alpha1::{PeninCycle, PromotionGate, PromotionGateSpec};
use penin_engine::ConfigError;

use crate::controllers::cycle::snapshot::Gates;
use crate::scoring::{Checks, Declared, ScoreSettings, combine as combine_gates, engine_config};

/// Most cycles that a gate's status lists.
pub const MOST_USERS: usize = 100;

/// The gates that bind `cycle`, as the engine's configuration.
#[must_use]
pub fn combine(cycle: &PeninCycle, gates: &[PromotionGate]) -> Gates {
    let (binding, missing) = binding(cycle, gates);
    let answered: Checks = binding
        .iter()
        .map(|_| true)
        .chain(missing.iter().map(|_| false))
        .collect();
    let config = if missing.is_empty() {
        engine_config(&cycle.spec, &binding).map_err(|errors| errors.iter().map(sentence).collect())
    } else {
        Err(missing
            .iter()
            .map(|name| format!("spec.gateRefs: PromotionGate {name} does not exist"))
            .collect())
    };
    Gates {
        config,
        declared: Declared::of(&binding),
        scores: ScoreSettings::of(&cycle.spec.scores),
        names: binding.into_iter().map(|(name, _)| name).collect(),
        missing,
        answered,
    }
}

/// Gates that the cycle names or that bind its namespace, by name; and names that stand for nothing.
fn binding(cycle: &PeninCycle, gates: &[PromotionGate]) -> (Vec<(String, PromotionGateSpec)>, Vec<String>) {
    let mut found: Vec<(String, PromotionGateSpec)> = gates
        .iter()
        .filter(|gate| binds(gate, cycle))
        .map(|gate| (gate.name_any(), gate.spec.clone()))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let missing = cycle.spec.gate_refs.iter().map(|reference| reference.name.clone());
    let missing = missing
        .filter(|name| !found.iter().any(|(known, _)| known == name))
        .collect();
    (found, missing)
}

/// Whether a gate binds a cycle. A gate that is being deleted still does: what it guards is still under way.
#[must_use]
pub fn binds(gate: &PromotionGate, cycle: &PeninCycle) -> bool {
    let named = || {
        cycle
            .spec
            .gate_refs
            .iter()
            .any(|reference| reference.name == gate.name_any())
    };
    gate.namespace() == cycle.namespace() && (gate.spec.enforcement == Enforcement::Namespace || named())
}

/// Whether a gate can be used by itself.
///
/// # Errors
/// What is wrong, with the field's path.
pub fn accepted(gate: &PromotionGate) -> Result<(), String> {
    let alone = [(gate.name_any(), gate.spec.clone())];
    match combine_gates(&alone).and_then(|document| penin_engine::config::Config::from_json(&document)) {
        Ok(_) => Ok(()),
        Err(errors) => Err(errors.iter().map(sentence).collect::<Vec<_>>().join("; ")),
    }
}

fn sentence(error: &ConfigError) -> String {
    format!("{}: must be {}, not {}", error.field, error.bound, error.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gate(name: &str, enforcement: &str, spec: serde_json::Value) -> PromotionGate {
        let mut spec = spec;
        spec["enforcement"] = json!(enforcement);
        serde_json::from_value(json!({
            "apiVersion": "penin.ai/v1alpha1", "kind": "PromotionGate",
            "metadata": {"name": name, "namespace": "shop"}, "spec": spec,
        }))
        .unwrap()
    }

    fn cycle(refs: &[&str]) -> PeninCycle {
        let refs: Vec<_> = refs.iter().map(|name| json!({"name": name})).collect();
        serde_json::from_value(json!({
            "apiVersion": "penin.ai/v1alpha1", "kind": "PeninCycle",
            "metadata": {"name": "adult", "namespace": "shop"},
            "spec": {
                "targetRef": {"kind": "Deployment", "name": "adult"},
                "service": {"port": 80, "targetPort": 8080},
                "traffic": {"gateway": {"parentRefs": [{"name": "edge"}]}},
                "gateRefs": refs,
                "evidence": [{"name": "gateway", "prometheus": {"address": "http://prometheus:9090"}, "preset": "EnvoyGateway"}],
                "scores": {"linf": {"metrics": [{"name": "success", "weight": "1", "preset": "SuccessRatio"}]}},
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_namespace_gate_binds_who_does_not_name_it_and_the_strictest_bound_counts() {
        let gates = [
            gate("loose", "Referenced", json!({"guard": {"ece": {"max": "0.05"}}})),
            gate("strict", "Namespace", json!({"guard": {"ece": {"max": "0.02"}}})),
            gate("other", "Referenced", json!({"guard": {"ece": {"max": "0.001"}}})),
        ];
        let combined = combine(&cycle(&["loose"]), &gates);
        assert_eq!(combined.names, ["loose", "strict"]);
        assert!((combined.config.unwrap().guard.ece_max - 0.02).abs() < 1e-12);
    }

    #[test]
    fn a_gate_that_does_not_exist_is_named_and_nothing_can_be_judged() {
        let combined = combine(&cycle(&["absent"]), &[]);
        assert_eq!(combined.reason(), penin_api::conditions::Reason::GateNotFound);
        assert_eq!(
            combined.config.unwrap_err(),
            ["spec.gateRefs: PromotionGate absent does not exist"]
        );
    }
}

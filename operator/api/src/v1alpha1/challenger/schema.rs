//! Schema of resource amounts, which the derive cannot say.

use schemars::{Schema, SchemaGenerator, json_schema};

/// CEL: only resources that every node has and that give no device.
pub(super) const KNOWN_RESOURCES: &str = "self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'])";
/// CEL: amounts are quantities from zero on; an integer is one, too.
pub(super) const VALID_QUANTITIES: &str =
    "self.all(k, isQuantity(string(self[k])) && !quantity(string(self[k])).isLessThan(quantity('0')))";

/// A map of at most three amounts, each an integer or a short string.
pub(super) fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 3,
        "additionalProperties": { "x-kubernetes-int-or-string": true, "maxLength": 32 },
    })
}

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use serde::{Deserialize, Serialize};

use super::Unknown;

/// Desired state of a [`Gateway`] (Gateway API `v1`).
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "Gateway",
    plural = "gateways",
    namespaced,
    schema = "disabled",
    status = "GatewayStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Class, which says what implements the Gateway.
    pub gateway_class_name: String,
    /// Ports and host names that it serves.
    #[serde(default)]
    pub listeners: Vec<Listener>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A listener of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Name.
    pub name: String,
    /// Host name; any when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Port.
    pub port: i32,
    /// Protocol, such as `HTTP`.
    pub protocol: String,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Observed state of a Gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayStatus {
    /// `Accepted`, `Programmed` and others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What holds for each listener.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<ListenerStatus>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Observed state of a listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// Name of the listener.
    pub name: String,
    /// `Accepted`, `Programmed`, `ResolvedRefs` and others.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Desired state of a [`GatewayClass`] (Gateway API `v1`, of the whole cluster).
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.k8s.io",
    version = "v1",
    kind = "GatewayClass",
    plural = "gatewayclasses",
    schema = "disabled",
    status = "GatewayClassStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClassSpec {
    /// Name of the controller that implements the class.
    pub controller_name: String,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Observed state of a class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayClassStatus {
    /// `Accepted` and others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Features that the controller lists. Some list none although they support many, so absence
    /// means nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_features: Option<Vec<SupportedFeature>>,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// A feature that a controller lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportedFeature {
    /// Name, such as `HTTPRouteRequestMirror`.
    pub name: String,
    /// All other fields.
    #[serde(flatten)]
    pub unknown: Unknown,
}

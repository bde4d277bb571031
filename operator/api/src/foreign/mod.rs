//! Minimal mirrors of kinds that others define.
//!
//! Only fields that the operator reads or writes are typed. All others are kept as they came, so
//! that reading an object and writing it back loses nothing.

mod gateway;
mod httproute;

use std::collections::BTreeMap;

use serde_json::Value;

pub use gateway::{
    Gateway, GatewayClass, GatewayClassSpec, GatewayClassStatus, GatewaySpec, GatewayStatus, Listener, ListenerStatus,
    SupportedFeature,
};
pub use httproute::{
    BackendRef, Fraction, HeaderMatch, HttpRoute, HttpRouteMatch, HttpRouteRule, HttpRouteSpec, HttpRouteStatus,
    MirrorBackendRef, ParentReference, PathValue, RequestMirror, RouteFilter, RouteParentStatus,
};

/// Fields that are not typed here.
pub type Unknown = BTreeMap<String, Value>;

/// API group of the Gateway API.
pub const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

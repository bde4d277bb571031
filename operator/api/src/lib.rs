//! Custom resources of PENIN-Ω: the kinds of the group `penin.ai`, their conditions and values, and
//! mirrors of the Gateway API kinds that the operator uses. No client code.
#![forbid(unsafe_code)]

pub mod conditions;
mod crd;
pub mod foreign;
pub mod names;
mod rules;
pub mod v1alpha1;
pub mod values;

pub use crd::{CRD_FOLDERS, CrdError, crd_files, crds};

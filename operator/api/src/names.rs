//! Names that are part of the API: labels, annotations, finalizers and field managers.
//!
//! Renaming one of them orphans objects that an older operator wrote, so they never change.

/// API group of all kinds.
pub const GROUP: &str = "penin.ai";
/// Version of all kinds.
pub const VERSION: &str = "v1alpha1";
/// Category that lists all kinds at once: `kubectl get penin`.
pub const CATEGORY: &str = "penin";

/// Field manager of everything the operator writes.
pub const FIELD_MANAGER: &str = "penin-operator";

/// Label on every object and pod of a revision: the name of its cycle.
pub const LABEL_CYCLE: &str = "penin.ai/cycle";
/// Label on every object and pod of a revision: the name of the revision.
pub const LABEL_REVISION: &str = "penin.ai/revision";

/// Annotation of a cycle or challenger that asks to abort the challenger in flight.
///
/// The value is an id of the caller's choice, at most [`COMMAND_ID_MAX_LENGTH`] characters; the
/// operator carries out each id once and acknowledges it in `status.lastCommand.id`.
pub const ANNOTATION_ABORT: &str = "penin.ai/abort";
/// Annotation beside [`ANNOTATION_ABORT`]: who asks. It stands in the ledger as the caller wrote it; the chart's
/// admission policy, when it is switched on, refuses any name but the caller's own.
pub const ANNOTATION_ABORT_ACTOR: &str = "penin.ai/abort-actor";
/// Annotation of a challenger whose template failed before: it asks for another try.
///
/// The value is an id of the caller's choice, at most [`COMMAND_ID_MAX_LENGTH`] characters. An id is good for one try of
/// a template: a manifest that is applied again and again does not try it again and again.
pub const ANNOTATION_RETRY: &str = "penin.ai/retry";
/// Characters of a command id that count; what is longer is cut, in the acknowledgement and in comparisons.
pub const COMMAND_ID_MAX_LENGTH: usize = 63;

/// Finalizer of a cycle: traffic goes back to the champion before the cycle disappears.
pub const FINALIZER_CYCLE: &str = "penin.ai/restore-traffic";
/// Finalizer of a challenger: it leaves the route before it disappears.
pub const FINALIZER_CHALLENGER: &str = "penin.ai/withdraw";

/// Template variable of a selector: the namespace of the cycle.
pub const TEMPLATE_NAMESPACE: &str = "{{ namespace }}";
/// Template variable of a selector: the Service of the revision that is measured.
pub const TEMPLATE_SERVICE: &str = "{{ service }}";
/// Template variable of a selector: the revision that is measured.
pub const TEMPLATE_REVISION: &str = "{{ revision }}";

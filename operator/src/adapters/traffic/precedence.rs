//! Which requests two matches share, and which of the two a gateway prefers.
//!
//! The rules are those of the Gateway API's `HTTPRouteSpec.hostnames` and `HTTPRouteRule.matches`.

use penin_api::foreign::{HttpRoute, HttpRouteMatch};

use super::desired::{EXACT, PATH_PREFIX};

/// A host name of a route, or every host of its parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host<'a> {
    /// The route names none.
    Any,
    /// `*.example.com`, without the star: `.example.com`.
    Below(&'a str),
    /// A full name.
    Name(&'a str),
}

impl<'a> Host<'a> {
    fn parse(text: &'a str) -> Self {
        text.strip_prefix('*').map_or(Self::Name(text), Self::Below)
    }

    /// Whether some host name fits both. A wildcard stands for one label or more.
    pub(super) fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Name(one), Self::Name(two)) => one.eq_ignore_ascii_case(two),
            (Self::Below(suffix), Self::Name(name)) | (Self::Name(name), Self::Below(suffix)) => {
                ends_with(name, suffix)
            }
            (Self::Below(one), Self::Below(two)) => ends_with(one, two) || ends_with(two, one),
        }
    }

    /// The larger, the more it is preferred: a full name before any wildcard, then the longer one.
    fn rank(self) -> (usize, usize) {
        match self {
            Self::Any => (0, 0),
            Self::Below(suffix) => (0, suffix.len() + 1),
            Self::Name(name) => (name.len(), name.len()),
        }
    }

    pub(super) fn describe(self) -> String {
        match self {
            Self::Any => "any host".to_owned(),
            Self::Below(suffix) => format!("*{suffix}"),
            Self::Name(name) => name.to_owned(),
        }
    }
}

fn ends_with(name: &str, suffix: &str) -> bool {
    let start = name.len().checked_sub(suffix.len());
    start
        .and_then(|start| name.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// Host names of a route.
pub(super) fn hosts(route: &HttpRoute) -> Vec<Host<'_>> {
    let named: Vec<_> = route.spec.hostnames.iter().map(|host| Host::parse(host)).collect();
    if named.is_empty() { vec![Host::Any] } else { named }
}

/// A path comparison of a match, with the defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path<'a> {
    Prefix(&'a str),
    Exact(&'a str),
    /// A regular expression, or a comparison of the implementation's own.
    Other(&'a str),
}

impl<'a> Path<'a> {
    pub(super) fn of(matched: &'a HttpRouteMatch) -> Self {
        let path = matched.path.as_ref();
        let value = path.and_then(|path| path.value.as_deref()).unwrap_or("/");
        match path.and_then(|path| path.type_.as_deref()).unwrap_or(PATH_PREFIX) {
            PATH_PREFIX => Self::Prefix(value.trim_end_matches('/')),
            EXACT => Self::Exact(value),
            _ => Self::Other(value),
        }
    }

    fn overlaps(self, other: Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(two)) => one == two,
            (Self::Prefix(prefix), Self::Exact(path)) | (Self::Exact(path), Self::Prefix(prefix)) => {
                below(path, prefix)
            }
            (Self::Prefix(one), Self::Prefix(two)) => below(one, two) || below(two, one),
            (Self::Other(_), _) | (_, Self::Other(_)) => true,
        }
    }

    fn rank(self) -> (u8, usize) {
        match self {
            Self::Prefix(prefix) => (0, prefix.len()),
            // Its place among the others is left to the implementation.
            Self::Other(text) => (1, text.len()),
            Self::Exact(path) => (2, path.len()),
        }
    }

    pub(super) fn describe(self) -> String {
        match self {
            Self::Prefix("") => "/".to_owned(),
            Self::Prefix(text) | Self::Exact(text) | Self::Other(text) => text.to_owned(),
        }
    }
}

/// Whether `path` is `prefix` or lies below it, part by part.
fn below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How much a gateway prefers a match at a host, in the order of the specification: host, path, method, number of
/// headers, number of query parameters.
type Rank = ((usize, usize), (u8, usize), bool, usize, usize);

/// The preference of `matched` at `host`. Equal ranks are decided by the routes' age.
pub(super) fn rank(host: Host<'_>, matched: &HttpRouteMatch) -> Rank {
    let query = matched.unknown.get("queryParams").and_then(serde_json::Value::as_array);
    (
        host.rank(),
        Path::of(matched).rank(),
        matched.method.is_some(),
        matched.headers.len(),
        query.map_or(0, Vec::len),
    )
}

/// Whether some request fits both. Query parameters are taken to overlap.
pub(super) fn matches_overlap(one: &HttpRouteMatch, two: &HttpRouteMatch) -> bool {
    let methods = match (&one.method, &two.method) {
        (Some(one), Some(two)) => one == two,
        _ => true,
    };
    methods && headers_overlap(one, two) && Path::of(one).overlaps(Path::of(two))
}

/// A header that both demand with different values keeps them apart.
fn headers_overlap(one: &HttpRouteMatch, two: &HttpRouteMatch) -> bool {
    let exact = |type_: &Option<String>| type_.as_deref().unwrap_or(EXACT) == EXACT;
    let mut pairs = one.headers.iter().flat_map(|a| two.headers.iter().map(move |b| (a, b)));
    !pairs
        .any(|(a, b)| exact(&a.type_) && exact(&b.type_) && a.name.eq_ignore_ascii_case(&b.name) && a.value != b.value)
}

#[cfg(test)]
mod tests;

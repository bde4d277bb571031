//! What a person would ask for first when a test fails.

use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};

use super::scripts::last_bytes;

/// Bounds that keep a failing test's output readable.
const MOST_PODS: u32 = 20;
const MOST_EVENTS: u32 = 50;
const LOG_LINES: i64 = 40;
const LOG_BYTES: usize = 8 * 1024;

/// The pods of a namespace, the end of their containers' logs, its events. What cannot be read is
/// said in place.
pub(super) async fn collect(client: &Client, namespace: &str) -> String {
    let mut text = format!("---- namespace {namespace} ----\n");
    match Api::<Pod>::namespaced(client.clone(), namespace)
        .list(&ListParams::default().limit(MOST_PODS))
        .await
    {
        Ok(pods) => {
            for pod in &pods {
                describe_pod(&mut text, client, namespace, pod).await;
            }
        }
        Err(error) => note(&mut text, &format!("pods: {error}")),
    }
    match Api::<Event>::namespaced(client.clone(), namespace)
        .list(&ListParams::default().limit(MOST_EVENTS))
        .await
    {
        Ok(events) => events.iter().for_each(|event| note(&mut text, &event_line(event))),
        Err(error) => note(&mut text, &format!("events: {error}")),
    }
    text
}

fn note(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn event_line(event: &Event) -> String {
    let object = &event.involved_object;
    format!(
        "event {} {}/{}: {} {}",
        event.type_.as_deref().unwrap_or("-"),
        object.kind.as_deref().unwrap_or("-"),
        object.name.as_deref().unwrap_or("-"),
        event.reason.as_deref().unwrap_or("-"),
        event.message.as_deref().unwrap_or("-"),
    )
}

async fn describe_pod(text: &mut String, client: &Client, namespace: &str, pod: &Pod) {
    let name = pod.name_any();
    let status = pod.status.clone().unwrap_or_default();
    note(
        text,
        &format!("pod {name}: {}", status.phase.as_deref().unwrap_or("no phase yet")),
    );
    for container in status.container_statuses.unwrap_or_default() {
        note(text, &format!("  container {}: {}", container.name, state(&container)));
        append_log(text, client, namespace, &name, &container.name, false).await;
        if container.restart_count > 0 {
            note(text, "  its log before the last restart:");
            append_log(text, client, namespace, &name, &container.name, true).await;
        }
    }
}

fn state(container: &ContainerStatus) -> String {
    let now = container.state.clone().unwrap_or_default();
    let what = match (now.waiting, now.terminated) {
        (Some(waiting), _) => format!(
            "waiting, {} {}",
            waiting.reason.unwrap_or_default(),
            waiting.message.unwrap_or_default()
        ),
        (None, Some(ended)) => format!("ended with {}, {}", ended.exit_code, ended.reason.unwrap_or_default()),
        (None, None) => "running".to_owned(),
    };
    format!(
        "{what}, ready {}, {} restarts",
        container.ready, container.restart_count
    )
}

async fn append_log(text: &mut String, client: &Client, namespace: &str, pod: &str, container: &str, previous: bool) {
    let parameters = LogParams {
        container: Some(container.to_owned()),
        previous,
        tail_lines: Some(LOG_LINES),
        ..LogParams::default()
    };
    match Api::<Pod>::namespaced(client.clone(), namespace)
        .logs(pod, &parameters)
        .await
    {
        Ok(log) => last_bytes(&log, LOG_BYTES)
            .lines()
            .for_each(|line| note(text, &format!("    | {line}"))),
        Err(error) => note(text, &format!("    log: {error}")),
    }
}

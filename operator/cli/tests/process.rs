//! The program as a process: arguments, exit codes, and what it asks an API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod common;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use common::{Ran, Server, failure, list, object, program, run};
use serde_json::{Value, json};

const API: &str = "/apis/penin.ai/v1alpha1";

fn of_namespace(kind: &str) -> String {
    format!("GET {API}/namespaces/demo/{kind}?limit=500")
}

fn one(kind: &str, name: &str) -> String {
    format!("GET {API}/namespaces/demo/{kind}/{name}")
}

fn of_cycle() -> String {
    format!("GET {API}/namespaces/demo/challengers?fieldSelector=spec.cycleRef.name%3Dincome&limit=500")
}

#[track_caller]
fn ended(ran: &Ran, code: i32) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
}

#[test]
fn mistakes_in_the_arguments_end_with_two_and_say_what_to_write() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage: peninctl"),
        (&["frobnicate"], "frobnicate"),
        (&["get"], "<WHAT>"),
        (&["get", "pods"], "use kubectl for other kinds"),
        (&["get", "cycle/"], "no name behind the slash"),
        (&["get", "cycle/a", "b"], "names one object"),
        (&["get", "cycle", "a", "-A"], "cannot be used with"),
        (&["get", "cycles", "-o", "xml"], "xml"),
        (&["get", "cycles", "--timeout", "5s"], "--watch"),
        (&["get", "cycles", "--request-timeout", "soon"], "such as 1h30m"),
        (&["get", "cycles", "--as-group", "g"], "--as <USER>"),
        (&["explain", "challenger"], "a name is missing"),
        (&["explain", "cycle", "income"], "get cycle NAME"),
        (&["abort", "challenger/a", "a"], "no further names"),
        (&["completion", "cobol"], "cobol"),
    ];
    for (arguments, says) in cases {
        let ran = run(arguments, &[]);
        ended(&ran, 2);
        assert!(ran.err.contains(says), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
}

#[test]
fn help_and_version_and_completion_need_no_cluster() {
    let help = run(&["--help"], &[]);
    ended(&help, 0);
    assert!(
        help.out.contains("Exit codes: 0 ok, 1 error, 2 usage, 4 rejected"),
        "{}",
        help.out
    );
    let version = run(&["version"], &[]);
    ended(&version, 0);
    assert_eq!(version.out, format!("peninctl {}\n", env!("CARGO_PKG_VERSION")));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completion", shell], &[]);
        ended(&script, 0);
        assert!(script.out.contains("challenger"), "{shell}");
    }
}

#[test]
fn as_a_plugin_of_kubectl_it_is_called_so() {
    let plugin = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-penin"));
        Ran::from(command.args(arguments).env_clear().output().unwrap())
    };
    let help = plugin(&["get", "--help"]);
    ended(&help, 0);
    assert!(help.out.contains("Usage: kubectl penin get"), "{}", help.out);
    assert_eq!(
        plugin(&["version"]).out,
        format!("kubectl-penin {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let server = Server::start();
    let many: Vec<Value> = (0..200).map(|_| object("challenger-unfair")).collect();
    server.on(&of_namespace("challengers"), &[list(&many, None)]);
    let config = server.config();
    let mut child = program(
        &["get", "challengers", "-o", "json", "--request-timeout", "10m"],
        &[("KUBECONFIG", config.to_str().unwrap())],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap());
    ended(&ran, 0);
    assert_eq!(ran.err, "");
}

#[test]
fn lists_are_read_page_by_page_in_every_format() {
    let server = Server::start();
    let next = format!("GET {API}/namespaces/demo/challengers?limit=500&continue=more");
    server
        .on(
            &of_namespace("challengers"),
            &[list(&[object("challenger-better")], Some("more"))],
        )
        .on(&next, &[list(&[object("challenger-unfair")], None)]);
    let table = server.run(&["get", "challengers"]);
    ended(&table, 0);
    let lines: Vec<&str> = table.out.lines().collect();
    assert_eq!(lines.len(), 3, "{}", table.out);
    assert!(lines[0].starts_with("NAME") && lines[1].starts_with("better") && lines[2].starts_with("unfair"));

    let names = server.run(&["get", "chlr", "-o", "name"]);
    assert_eq!(names.out, "challenger.penin.ai/better\nchallenger.penin.ai/unfair\n");

    let json: Value = serde_json::from_str(&server.run(&["get", "challengers", "-o", "json"]).out).unwrap();
    assert_eq!(
        (json["kind"].as_str(), json["apiVersion"].as_str()),
        (Some("List"), Some("v1"))
    );
    assert_eq!(json["items"][1]["kind"], "Challenger");
    assert_eq!(json["items"][1]["apiVersion"], "penin.ai/v1alpha1");
    assert_eq!(json["items"][1]["status"]["phase"], "Rejected");

    let yaml = server.run(&["get", "challengers", "-o", "yaml"]);
    let read: Value = serde_saphyr::from_str(&yaml.out).unwrap();
    assert_eq!(read, json);
}

#[test]
fn one_object_is_written_alone_and_without_managed_fields() {
    let server = Server::start();
    server.on(&one("penincycles", "income"), &[(200, object("cycle-canary"))]);
    for arguments in [
        ["get", "cycle", "income", "-o", "json"].as_slice(),
        &["get", "cycle/income", "-o", "json"],
    ] {
        let ran = server.run(arguments);
        ended(&ran, 0);
        let json: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(
            (json["kind"].as_str(), json["metadata"]["name"].as_str()),
            (Some("PeninCycle"), Some("income"))
        );
        assert_eq!(json["metadata"].get("managedFields"), None);
    }
}

#[test]
fn namespaces_come_from_flags_then_from_the_context() {
    let server = Server::start();
    let empty = list(&[], None);
    let other = format!("GET {API}/namespaces/other/penincycles?limit=500");
    let all = format!("GET {API}/penincycles?labelSelector=team%3Dranking&limit=500");
    server
        .on(&of_namespace("penincycles"), std::slice::from_ref(&empty))
        .on(&other, std::slice::from_ref(&empty))
        .on(&all, &[list(&[object("cycle-canary")], None)]);
    let ran = server.run(&["get", "cycles"]);
    ended(&ran, 0);
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("", "No resources found in demo namespace.\n")
    );
    for arguments in [
        ["get", "cycles", "-n", "other"],
        ["get", "cycles", "--context", "there"],
    ] {
        assert_eq!(server.run(&arguments).err, "No resources found in other namespace.\n");
    }
    let ran = server.run(&["get", "cycles", "-A", "-l", "team=ranking"]);
    assert!(
        ran.out.starts_with("NAMESPACE") && ran.out.contains("\ndemo "),
        "{}",
        ran.out
    );
    // A list of files, as kubectl has it, and a file that is named.
    let config = server.config();
    let path = config.to_str().unwrap();
    let files = format!("/nowhere:{path}");
    ended(&run(&["get", "cycles"], &[("KUBECONFIG", &files)]), 0);
    ended(&run(&["get", "cycles", "--kubeconfig", path], &[]), 0);
}

#[test]
fn what_the_api_server_refuses_is_said_in_its_words() {
    let server = Server::start();
    let forbidden = failure(
        403,
        "Forbidden",
        "penincycles.penin.ai is forbidden: User \"u\" cannot list",
    );
    server.on(&of_namespace("penincycles"), &[forbidden]).on(
        &of_namespace("challengers"),
        &[failure(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )],
    );
    let ran = server.run(&["get", "cycles"]);
    ended(&ran, 1);
    assert_eq!(
        ran.err,
        "error: from the server (Forbidden): penincycles.penin.ai is forbidden: User \"u\" cannot list\n"
    );
    let ran = server.run(&["get", "challengers"]);
    ended(&ran, 1);
    assert!(ran.err.contains("install the operator's Helm chart"), "{}", ran.err);
    let ran = server.run(&["get", "cycle", "absent"]);
    ended(&ran, 1);
    assert!(ran.err.starts_with("error: from the server (NotFound)"), "{}", ran.err);
}

#[test]
fn no_cluster_and_no_answer_are_told_apart() {
    let ran = run(&["get", "cycles", "--kubeconfig", "/nowhere/config"], &[]);
    ended(&ran, 1);
    assert!(
        ran.err.contains("no Kubernetes configuration") && ran.err.contains("/nowhere/config"),
        "{}",
        ran.err
    );

    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    // Nobody listens on port 1.
    std::fs::write(&config, common::kubeconfig(1)).unwrap();
    let ran = run(&["get", "cycles", "--kubeconfig", config.to_str().unwrap()], &[]);
    ended(&ran, 1);
    assert!(ran.err.contains("the API server cannot be reached"), "{}", ran.err);

    // A server that takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(&config, common::kubeconfig(silent.local_addr().unwrap().port())).unwrap();
    let arguments = [
        "get",
        "cycles",
        "--kubeconfig",
        config.to_str().unwrap(),
        "--request-timeout",
        "200ms",
    ];
    let ran = run(&arguments, &[]);
    ended(&ran, 124);
    assert_eq!(ran.err, "error: the API server did not answer within 200ms\n");
}

#[test]
fn a_named_cycle_is_a_tree_and_nothing_in_it_is_coloured_without_a_terminal() {
    let server = Server::start();
    server
        .on(&one("penincycles", "income"), &[(200, object("cycle-canary"))])
        .on(
            &of_cycle(),
            &[list(&[object("challenger-better"), object("challenger-unfair")], None)],
        );
    let ran = server.run(&["get", "cycle", "income"]);
    ended(&ran, 0);
    assert!(ran.out.starts_with("✔ PeninCycle demo/income: ready\n"), "{}", ran.out);
    assert!(
        ran.out.contains("weight wanted 5%, written 5%, measured 4.872%"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("✖ unfair: Rejected"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn explaining_ends_with_the_verdict() {
    let server = Server::start();
    for (name, code) in [("unfair", 4), ("failing", 4), ("better", 5), ("fresh", 5), ("first", 0)] {
        server.on(
            &one("challengers", name),
            &[(200, object(&format!("challenger-{name}")))],
        );
        let ran = server.run(&["explain", "challenger", name]);
        ended(&ran, code);
        let status = server.run(&["explain", &format!("challenger/{name}"), "-o", "json"]);
        ended(&status, code);
        assert!(serde_json::from_str::<Value>(&status.out).unwrap().is_object());
    }
    let ran = server.run(&["explain", "challenger", "unfair"]);
    assert!(
        ran.out
            .contains("Not promoted because of:\n  ✖ rho_bias is 3.20346, must be < 1.25"),
        "{}",
        ran.out
    );
}

#[test]
fn a_watched_challenger_ends_with_its_life() {
    let server = Server::start();
    let mut ends = object("challenger-better");
    ends["status"]["phase"] = json!("RolledBack");
    ends["metadata"]["resourceVersion"] = json!("300");
    // In between the API server is away: no reason to give up.
    let away = failure(503, "ServiceUnavailable", "away");
    server.on(
        &one("challengers", "better"),
        &[(200, object("challenger-better")), away, (200, ends)],
    );
    let ran = server.run(&["get", "challenger", "better", "-w"]);
    ended(&ran, 4);
    let phases: Vec<&str> = ran
        .out
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .collect();
    assert_eq!(phases, ["PHASE", "Canary", "RolledBack"], "{}", ran.out);
    assert!(
        ran.err.contains("warning: from the server (ServiceUnavailable): away"),
        "{}",
        ran.err
    );

    server.on(&one("challengers", "third"), &[(200, object("challenger-third"))]);
    let ran = server.run(&["get", "challenger", "third", "-w", "--timeout", "100ms"]);
    ended(&ran, 124);
    assert_eq!(ran.err, "error: timed out waiting for challenger third\n");

    server.on(
        &one("challengers", "gone"),
        &[(200, object("challenger-third")), common::missing("gone")],
    );
    let ran = server.run(&["get", "challenger", "gone", "-w"]);
    ended(&ran, 1);
    assert!(ran.err.contains("was deleted"), "{}", ran.err);
}

#[test]
fn a_watched_cycle_is_printed_again_when_it_changes() {
    let server = Server::start();
    let mut later = object("cycle-canary");
    later["metadata"]["resourceVersion"] = json!("1002");
    later["status"]["challenger"]["weight"]["written"] = json!(0);
    server
        .on(
            &one("penincycles", "income"),
            &[
                (200, object("cycle-canary")),
                (200, object("cycle-canary")),
                (200, later),
            ],
        )
        .on(&of_cycle(), &[list(&[object("challenger-better")], None)]);
    let config = server.config();
    let mut child = program(
        &["get", "cycle", "income", "-w", "--request-timeout", "10m"],
        &[("KUBECONFIG", config.to_str().unwrap())],
    )
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().is_some_and(|line| line.contains("written 0%")) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // The second look found nothing new, and nothing was printed for it.
    let heads = lines
        .iter()
        .filter(|line| line.contains("PeninCycle demo/income"))
        .count();
    assert_eq!(heads, 2, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("written 5%")), "{lines:#?}");
}

#[test]
fn an_abort_names_its_author_and_waits_for_the_operator() {
    let server = Server::start();
    let path = format!("{API}/namespaces/demo/challengers/better");
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {},
        "status": {"userInfo": {"username": "alice"}},
    });
    let mut done = object("challenger-better");
    done["status"]["lastCommand"] = json!({"id": "peninctl-201", "verb": "abort", "result": "Completed"});
    server
        .on(
            &format!("GET {path}"),
            &[
                (200, object("challenger-better")),
                (200, object("challenger-better")),
                (200, done),
            ],
        )
        .on(
            "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
            &[(201, review)],
        )
        .on(&format!("PATCH {path}"), &[(200, object("challenger-better"))]);
    let ran = server.run(&["abort", "challenger", "better", "--wait"]);
    ended(&ran, 0);
    assert_eq!(ran.out, "challenger.penin.ai/better aborted\n");
    let asked = server.asked();
    let (_, patch) = asked.iter().find(|(request, _)| request.starts_with("PATCH")).unwrap();
    let expected = json!({"metadata": {
        "uid": "c0ffee00-0000-4000-8000-000000000101",
        "annotations": {"penin.ai/abort": "peninctl-201", "penin.ai/abort-actor": "alice"},
    }});
    assert_eq!(patch, &expected);
}

#[test]
fn an_abort_needs_something_to_abort_and_no_name_of_its_author() {
    let server = Server::start();
    server.on(&one("challengers", "unfair"), &[(200, object("challenger-unfair"))]);
    let ran = server.run(&["abort", "challenger", "unfair"]);
    ended(&ran, 1);
    assert_eq!(ran.err, "error: challenger.penin.ai/unfair has already ended\n");

    server.on(&one("penincycles", "income"), &[(200, object("cycle-idle"))]);
    let ran = server.run(&["abort", "cycle", "income"]);
    ended(&ran, 1);
    assert_eq!(
        ran.err,
        "error: penincycle.penin.ai/income has no challenger in flight\n"
    );

    // The server does not say who asks: the abort goes through all the same.
    server.on(&one("penincycles", "busy"), &[(200, object("cycle-canary"))]);
    server.on(
        &format!("PATCH {API}/namespaces/demo/penincycles/busy"),
        &[(200, object("cycle-canary"))],
    );
    let ran = server.run(&["abort", "cycle", "busy"]);
    ended(&ran, 0);
    assert_eq!(ran.out, "penincycle.penin.ai/busy abort requested\n");
    let ran = server.run(&["abort", "cycle", "busy", "--wait", "--timeout", "100ms"]);
    ended(&ran, 124);
}

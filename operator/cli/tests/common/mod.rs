//! A tiny API server: answers by method and path, in order, and remembers what it was asked.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// An answer: status and body.
pub type Answer = (u16, Value);

#[derive(Default)]
struct Script {
    /// The last answer of a path is given for ever.
    answers: HashMap<String, Vec<Answer>>,
    asked: Vec<(String, Value)>,
}

/// The server, and a configuration file that leads to it.
pub struct Server {
    script: Arc<Mutex<Script>>,
    folder: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), kubeconfig(port)).unwrap();
        Self { script, folder }
    }

    /// Answers to `METHOD /path?query`, in their order; the last one is given for ever.
    pub fn on(&self, request: &str, answers: &[Answer]) -> &Self {
        let mut script = self.script.lock().unwrap();
        script.answers.insert(request.to_owned(), answers.to_vec());
        self
    }

    /// What was asked so far: method with path, and body.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.script.lock().unwrap().asked.clone()
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// Runs the program against this server to its end. A machine that is busy is no reason to give up.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let patient = [arguments, &["--request-timeout", "10m"]].concat();
        run(&patient, &[("KUBECONFIG", self.config().to_str().unwrap())])
    }
}

pub fn kubeconfig(port: u16) -> String {
    let context = |name: &str, namespace: &str| json!({"name": name, "context": {"cluster": "c", "user": "u", "namespace": namespace}});
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [context("here", "demo"), context("there", "other")],
    })
    .to_string()
}

fn serve(mut stream: TcpStream, script: &Mutex<Script>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = first.rsplit_once(' ')?.0.replace("?&", "?");
    let request = request.trim_end_matches('?').to_owned();
    let (status, answer) = {
        let mut script = script.lock().unwrap();
        script
            .asked
            .push((request.clone(), serde_json::from_slice(&body).unwrap_or(Value::Null)));
        match script.answers.get_mut(&request) {
            Some(answers) if answers.len() > 1 => answers.remove(0),
            Some(answers) => answers[0].clone(),
            None => missing(&request),
        }
    };
    let text = answer.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
    .ok()
}

/// The answer of an API server.
pub fn failure(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": message,
    });
    (code, status)
}

pub fn missing(what: &str) -> Answer {
    failure(404, "NotFound", &format!("{what} not found"))
}

/// One of the objects in tests/objects.
pub fn object(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/objects/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A list of objects, with the token of a next page.
pub fn list(items: &[Value], next: Option<&str>) -> Answer {
    let metadata = json!({"resourceVersion": "9", "continue": next.unwrap_or_default()});
    (
        200,
        json!({"apiVersion": "penin.ai/v1alpha1", "kind": "List", "metadata": metadata, "items": items}),
    )
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub fn program(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peninctl"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command
}

pub fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    Ran::from(program(arguments, variables).output().unwrap())
}

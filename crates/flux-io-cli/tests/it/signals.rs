//! Ctrl-C and closed pipes, against a real process that waits for input the test holds back. No
//! clock decides.
#![cfg(unix)]

use crate::program::{events, flux_io, fresh, placed};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

const STREAM: &str = r#"version = 1
name = "stream"
[run]
engine = "ENGINE"
workers = 1
[source.in]
kind = "stdin"
format = "ndjson"
[accumulate]
key = "k"
variable = "v"
required = ["a", "b"]
[sink.out]
kind = "stdout"
takes = ["complete"]
[sink.rest]
path = "OUT/partial.ndjson"
takes = ["partial"]
"#;

struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
    dir: PathBuf,
}

impl Running {
    /// Starts the pipeline; its input is open and empty.
    fn start(dir: &Path, engine: &str) -> Self {
        let file = dir.join("pipeline.toml");
        std::fs::write(&file, placed(dir, STREAM).replace("ENGINE", engine)).unwrap();
        let mut child = flux_io()
            .args(["run", "--json"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        let mut running = Self { child, out, err, dir: dir.to_owned() };
        running.hears("start");
        running
    }

    /// Feeds it until its first result is out: it now waits for input.
    fn feed_a_pair(&mut self) {
        self.feed("{\"k\":1,\"v\":\"a\"}\n{\"k\":2,\"v\":\"a\"}\n{\"k\":1,\"v\":\"b\"}\n");
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"key\":\"1\",\"status\":\"complete\""), "{line}");
    }

    fn feed(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    /// Waits until the program has said so.
    fn hears(&mut self, event: &str) {
        let mut line = String::new();
        while self.err.read_line(&mut line).unwrap() > 0 {
            if events(&line)[0]["event"] == event {
                return;
            }
            line.clear();
        }
        panic!("the program ended without {event}");
    }
}

/// Once: what was read flows through, though the input is still open.
#[test]
fn an_interrupt_drains() {
    let mut running = Running::start(&fresh("drain"), "tokio");
    running.feed_a_pair();
    running.interrupt();
    running.hears("summary");
    assert_eq!(running.child.wait().unwrap().code(), Some(130));
    let partial = std::fs::read_to_string(running.dir.join("partial.ndjson")).unwrap();
    assert!(partial.starts_with("{\"key\":\"2\",\"status\":\"partial\""), "{partial}");
}

/// Twice: the program ends though a sink waits for a reader that does not read, and the other output
/// is there if it was whole by then, else not at all. A result is larger than what a pipe holds: once its first byte is there, the rest waits.
#[test]
fn a_second_interrupt_aborts() {
    for engine in ["sync", "tokio", "rayon"] {
        let mut running = Running::start(&fresh("abort"), engine);
        let large = "x".repeat(900 << 10);
        running.feed(&format!("{{\"k\":1,\"v\":\"a\",\"x\":\"{large}\"}}\n"));
        running.feed("{\"k\":2,\"v\":\"a\"}\n{\"k\":1,\"v\":\"b\"}\n");
        running.out.get_mut().read_exact(&mut [0]).unwrap();
        running.interrupt();
        running.hears("stopping");
        running.interrupt();
        running.hears("aborting");
        assert_eq!(running.child.wait().unwrap().code(), Some(130), "{engine}");
        if let Ok(partial) = std::fs::read_to_string(running.dir.join("partial.ndjson")) {
            assert!(partial.starts_with("{\"key\":\"2\"") && partial.ends_with("}\n"), "{partial}");
        }
    }
}

/// The reader of standard output goes away: a quiet end, known to shells as that of SIGPIPE.
#[test]
fn a_closed_standard_output_is_quiet() {
    let dir = fresh("epipe");
    let mut running = Running::start(&dir, "tokio");
    running.feed_a_pair();
    let Running { child, out, err, .. } = &mut running;
    // The pipe has no reader from here on.
    drop(std::mem::replace(out, BufReader::new(closed())));
    child.stdin.as_mut().unwrap().write_all(b"{\"k\":2,\"v\":\"b\"}\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(141));
    let mut said = String::new();
    err.read_to_string(&mut said).unwrap();
    assert!(events(&said).iter().all(|e| e["event"] != "error"), "{said}");
    let mut help =
        flux_io().arg("schema").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(help.stdout.take());
    let ended = help.wait_with_output().unwrap();
    // The schema may have been written before the reader went.
    assert!(matches!(ended.status.code(), Some(0 | 141)) && ended.stderr.is_empty());
}

/// The standard output of a process that has ended.
fn closed() -> ChildStdout {
    let mut ended = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    ended.wait().unwrap();
    ended.stdout.take().unwrap()
}

//! Inputs that stay open and outputs that nobody reads, against a real process. The tests wait for
//! what the program says; a clock only ends a test that has failed.
#![cfg(unix)]
#![expect(clippy::disallowed_methods, reason = "threads of the test read what a process says")]

use crate::program::{flux_io, fresh, placed};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Far beyond what a busy machine may take.
const LIMIT: Duration = Duration::from_secs(120);

const ENGINES: [&str; 3] = ["tokio", "rayon", "sync"];

/// The lines of a pipe, as they come.
struct Lines(Receiver<String>);

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let (tell, told) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(pipe).lines().map_while(Result::ok);
            for line in lines {
                let _ = tell.send(line);
            }
        });
        Self(told)
    }

    /// The next line.
    fn next(&self) -> String {
        self.0.recv_timeout(LIMIT).expect("a line in time")
    }

    /// So many lines; the last of them.
    fn take(&self, n: usize) -> String {
        (1..n).for_each(|_| drop(self.next()));
        self.next()
    }

    /// The next event of this name.
    fn event(&self, name: &str) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.next()).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }
}

/// A run whose standard input is open and empty.
struct Live {
    child: Child,
    input: Option<ChildStdin>,
    out: Option<ChildStdout>,
    err: Lines,
}

impl Live {
    fn start(dir: &Path, file: &str, args: &[&str]) -> Self {
        let path = dir.join("pipeline.toml");
        std::fs::write(&path, placed(dir, file)).unwrap();
        let mut command = flux_io();
        command.arg("run").args(args).arg(&path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let err = Lines::of(child.stderr.take().unwrap());
        Self { input: child.stdin.take(), out: child.stdout.take(), err, child }
    }

    fn lines(&mut self) -> Lines {
        Lines::of(self.out.take().unwrap())
    }

    fn feed(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// How it ended.
    fn ended(mut self) -> Option<i32> {
        drop(self.input.take());
        let (tell, told) = channel();
        let pid = self.child.id().to_string();
        thread::spawn(move || {
            if told.recv_timeout(LIMIT).is_err() {
                let _ = Command::new("kill").args(["-KILL", &pid]).status();
            }
        });
        let code = self.child.wait().unwrap().code();
        let _ = tell.send(());
        code
    }
}

/// Results wait for the time of standard input, which is silent: it is named, the run goes on, and
/// ends well when the input does.
#[test]
fn a_silent_source_is_told_by_name() {
    for engine in ENGINES {
        let dir = fresh("silent");
        let rows = "{\"k\":1,\"v\":\"a\",\"t\":1}\n{\"k\":2,\"v\":\"a\",\"t\":99000000000}\n";
        std::fs::write(dir.join("in.ndjson"), rows).unwrap();
        let file = r#"version = 1
[run]
engine = "ENGINE"
max_stall = "40ms"
[source.quick]
path = "IN"
format = "ndjson"
[source.live]
kind = "stdin"
format = "ndjson"
[event_time]
field = "t"
[accumulate]
key = "k"
variable = "v"
required = ["a", "b"]
expire_after = "10s"
[sink.out]
path = "OUT/out.ndjson"
takes = ["partial"]
"#;
        let mut run = Live::start(&dir, &file.replace("ENGINE", engine), &["--json"]);
        let out = run.lines();
        // On a busy machine the file may have been silent before.
        let named = |stall: &Value| {
            stall["kind"] == "silent"
                && stall["waits_for"] == serde_json::json!(["live"])
                && stall["what"].as_str().is_some_and(|what| what.contains("idle_after"))
        };
        while !named(&out.event("stall")) {}
        drop(run.input.take());
        let summary = out.event("summary");
        assert_eq!(summary["ended"], "done");
        assert!(summary["stalls"].as_u64() >= Some(1), "{summary}");
        assert_eq!(run.ended(), Some(0), "{engine}");
    }
}

/// Nobody reads standard output: it is told which sink waits, and the run goes on when somebody
/// does.
#[test]
fn a_reader_that_takes_its_time_is_told_and_waited_for() {
    const ROWS: usize = 40_000;
    for engine in ["tokio", "rayon"] {
        let dir = fresh("slow");
        let rows: String = (0..ROWS).map(|n| format!("{{\"n\":{n}}}\n")).collect();
        std::fs::write(dir.join("in.ndjson"), rows).unwrap();
        let file = r#"version = 1
[source.in]
path = "IN"
format = "ndjson"
[sink.out]
kind = "stdout"
takes = ["records"]
"#;
        let args = ["--json", "--engine", engine, "--max-stall", "40ms"];
        let mut run = Live::start(&dir, file, &args);
        // On a busy machine anything may have stood still before.
        while run.err.event("stall")["waits_for"] != serde_json::json!(["out"]) {}
        let out = run.lines();
        assert_eq!(out.take(ROWS), format!("{{\"n\":{}}}", ROWS - 1));
        assert_eq!(run.err.event("summary")["ended"], "done");
        assert_eq!(run.ended(), Some(0), "{engine}");
    }
}

/// A live input: what is complete is written at once, a deadline by the clock comes while the input
/// is quiet, and one Ctrl-C ends the run.
#[test]
fn a_quiet_standard_input_holds_nothing_back() {
    for engine in ENGINES {
        let file = r#"version = 1
[run]
engine = "ENGINE"
[source.s]
kind = "stdin"
format = "ndjson"
[accumulate]
key = "order"
variable = "part"
required = ["head", "tail"]
emit = "merged"
timeout = "500ms"
[sink.out]
kind = "stdout"
takes = ["complete", "partial"]
"#;
        let mut run = Live::start(&fresh("live"), &file.replace("ENGINE", engine), &["--quiet"]);
        let out = run.lines();
        let part = |order: u32, part: &str| format!("{{\"order\":{order},\"part\":\"{part}\"}}\n");
        run.feed(&[part(7, "head"), part(7, "tail"), part(8, "head")].concat());
        let first = out.next();
        assert!(first.starts_with("{\"key\":\"7\",\"status\":\"complete\""), "{engine}: {first}");
        let second = out.next();
        assert!(second.starts_with("{\"key\":\"8\",\"status\":\"partial\""), "{engine}: {second}");
        run.signal("-INT");
        // The input is open until the program has ended.
        let input = run.input.take();
        assert_eq!(run.ended(), Some(130), "{engine}");
        drop(input);
    }
}

/// Records that came before the input went quiet are out, however they fill batches.
#[test]
fn what_came_before_the_quiet_is_written() {
    for engine in ENGINES {
        for rows in [10, 1_024, 2_000, 5_000] {
            let file = r#"version = 1
[source.in]
kind = "stdin"
format = "ndjson"
[sink.out]
kind = "stdout"
takes = ["records"]
"#;
            let args = ["--quiet", "--engine", engine];
            let mut run = Live::start(&fresh("quiet"), file, &args);
            let out = run.lines();
            run.feed(&(0..rows).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
            let last = format!("{{\"n\":{}}}", rows - 1);
            assert_eq!(out.take(rows), last, "{engine}");
            assert_eq!(run.ended(), Some(0), "{engine}");
        }
    }
}

fn fifo(dir: &Path, name: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Named pipes that give nothing, held open or not yet opened by anybody, hold up no other source;
/// the run ends when they do, or at the first signal.
#[test]
fn idle_pipes_hold_up_nobody() {
    for engine in ENGINES {
        for (pipes, held) in [(1, true), (3, true), (2, false)] {
            let dir = fresh("fifo");
            let rows: String = (0..2_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
            std::fs::write(dir.join("in.ndjson"), rows).unwrap();
            let mut file = "version = 1\n[run]\nworkers = 2\n".to_owned();
            for n in 0..pipes {
                file += &format!("[source.f{n}]\npath = \"OUT/f{n}\"\nformat = \"ndjson\"\n");
            }
            file += "[source.z]\npath = \"IN\"\nformat = \"ndjson\"\n";
            file += "[sink.o]\nkind = \"stdout\"\ntakes = [\"records\"]\n";
            let paths: Vec<_> = (0..pipes).map(|n| fifo(&dir, &format!("f{n}"))).collect();
            // The opening of one end waits for that of the other.
            let open = |path| thread::spawn(|| File::options().write(true).open(path).unwrap());
            let writers: Vec<_> = paths.into_iter().filter(|_| held).map(open).collect();
            let mut run = Live::start(&dir, &file, &["--quiet", "--engine", engine]);
            let out = run.lines();
            assert_eq!(out.take(2_000), "{\"n\":1999}", "{engine}");
            if held {
                writers.into_iter().for_each(|w| drop(w.join().unwrap()));
                assert_eq!(run.ended(), Some(0), "{engine}");
            } else {
                run.signal("-TERM");
                assert_eq!(run.ended(), Some(143), "{engine}");
            }
        }
    }
}

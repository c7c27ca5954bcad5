//! The Markdown report.

use std::fmt::{self, Write};

use crate::{
    cases::{Role, WORKLOADS, Workload},
    gates::{Gate, Verdict},
    machine::Machine,
    options::Options,
    results::{CaseResult, Results},
};

/// Above this load average before the run, the report says that it is noisy.
const QUIET_LOAD: f64 = 0.3;

/// Writes the whole report.
pub(crate) fn render(
    options: &Options,
    machine: &Machine,
    results: &Results,
    gates: &[(Gate, Verdict)],
) -> Result<String, fmt::Error> {
    let mut out = String::new();
    heading(&mut out, options, machine)?;
    for workload in WORKLOADS.iter().filter(|workload| options.wants(workload.name)) {
        writeln!(out, "\n## {}: {}\n", workload.name, workload.title)?;
        match workload.name {
            "lat" => latency_table(&mut out, workload, results)?,
            "w7" => unit_cost_table(&mut out, results)?,
            _ => time_table(&mut out, workload, results)?,
        }
    }
    writeln!(out, "\n## Gates\n\n| gate | rule | verdict |\n|---|---|---|")?;
    for (gate, verdict) in gates {
        writeln!(out, "| {} | `{}` | {verdict} |", gate.name, gate.rule)?;
    }
    Ok(out)
}

fn heading(out: &mut String, options: &Options, machine: &Machine) -> fmt::Result {
    let size = if options.quick { "quick (small inputs: no measurement)" } else { "usual sizes" };
    writeln!(out, "# Bench report\n")?;
    if let Some(date) = &options.date {
        writeln!(out, "- date: {date}")?;
    }
    writeln!(out, "- {}; {}", machine.rustc, machine.build)?;
    writeln!(out, "- {} cores of {}", machine.cores, machine.cpu)?;
    writeln!(out, "- allocator of every binary: {}", machine.allocator)?;
    writeln!(out, "- {}", machine.libraries.join(", "))?;
    writeln!(out, "- {size}; median of {} interleaved rounds, a process each", options.rounds)?;
    let noisy = if machine.load_before > QUIET_LOAD { " (NOISY: other work ran)" } else { "" };
    writeln!(out, "- load average before: {:.2}{noisy}", machine.load_before)?;
    writeln!(
        out,
        "- x limit: time over the limit's time, less is better; vs a peer: the peer's time over \
         this one's, more is better"
    )
}

fn items(result: &CaseResult) -> u64 {
    result.lines.first().map_or(0, |line| line.items)
}

fn time_table(out: &mut String, workload: &Workload, results: &Results) -> fmt::Result {
    let with_role = |role| results.of(workload.name).filter(move |r| r.case.role == role);
    let peers: Vec<&CaseResult> = with_role(Role::Peer).collect();
    let limit = with_role(Role::Limit).next().and_then(|limit| limit.median("ns_item"));
    write!(out, "| case | items | ns/item | ± % | x limit |")?;
    for peer in &peers {
        write!(out, " vs {} |", peer.case.name)?;
    }
    writeln!(out, " CPU ns/item | peak RSS MiB |")?;
    writeln!(out, "|---|---|---|---|---|{}---|---|", "---|".repeat(peers.len()))?;
    for result in results.of(workload.name) {
        let Some(time) = result.median("ns_item") else {
            writeln!(out, "| {} | failed |", result.case.name)?;
            continue;
        };
        let mark = if result.case.role == Role::Limit { " (limit)" } else { "" };
        write!(out, "| {}{mark} | {} | {time:.2} |", result.case.name, items(result))?;
        write!(out, " {:.0} |", result.spread_percent().unwrap_or(0.0))?;
        write!(out, " {} |", ratio(Some(time), limit))?;
        for peer in &peers {
            write!(out, " {} |", ratio(peer.median("ns_item"), Some(time)))?;
        }
        let cpu = result.median("cpu_ns_item").unwrap_or(0.0);
        let rss = result.median("rss_mib").unwrap_or(0.0);
        writeln!(out, " {cpu:.2} | {rss:.0} |")?;
    }
    Ok(())
}

fn ratio(over: Option<f64>, under: Option<f64>) -> String {
    match (over, under) {
        (Some(over), Some(under)) => format!("{:.2}", over / under),
        _ => "-".to_owned(),
    }
}

fn latency_table(out: &mut String, workload: &Workload, results: &Results) -> fmt::Result {
    writeln!(
        out,
        "| case | fragments | own peak ns/fragment | p50 us | p99 us | max us | RSS MiB |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for result in results.of(workload.name) {
        let figure = |name| result.median(name).unwrap_or(f64::NAN);
        writeln!(
            out,
            "| {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} |",
            result.case.name,
            items(result),
            figure("peak_ns_item"),
            figure("p50_us"),
            figure("p99_us"),
            figure("max_us"),
            figure("rss_mib"),
        )?;
    }
    Ok(())
}

/// Cases are named `<kind>-<stages>x<batch>`. The cost of one stage more is a third of what four
/// stages cost over one.
fn unit_cost_table(out: &mut String, results: &Results) -> fmt::Result {
    let time = |kind: &str, stages: u32, batch: u32| {
        results.get("w7", &format!("{kind}-{stages}x{batch}"))?.median("cpu_ns_item")
    };
    let extra =
        |kind: &str, batch: u32| Some((time(kind, 4, batch)? - time(kind, 1, batch)?) / 3.0);
    let cell = |ns: Option<f64>| ns.map_or_else(|| "-".to_owned(), |ns| format!("{ns:.3}"));
    writeln!(out, "ns of CPU time per item; a stage is a multiply and an xor in place\n")?;
    writeln!(out, "| kind | batch | 1 stage | 4 stages | one stage more | of it the boundary |")?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for kind in ["fused", "dyn", "async", "async-dyn", "flux", "flux-tokio"] {
        for batch in [64, 256, 1024] {
            if time(kind, 1, batch).is_none() {
                continue;
            }
            let boundary = extra(kind, batch).zip(extra("fused", batch)).map(|(a, b)| a - b);
            writeln!(
                out,
                "| {kind} | {batch} | {} | {} | {} | {} |",
                cell(time(kind, 1, batch)),
                cell(time(kind, 4, batch)),
                cell(extra(kind, batch)),
                cell(boundary),
            )?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::result;

    #[test]
    fn ratios_are_taken_to_the_limit_and_to_each_peer() {
        let results = Results(vec![
            result("w1", "std-iter", &[2.0], "a"),
            result("w1", "dyn-1024", &[4.0], "a"),
            result("w1", "timely-1t", &[20.0], "a"),
        ]);
        let mut out = String::new();
        time_table(&mut out, &WORKLOADS[0], &results).unwrap();
        let want = "| dyn-1024 | 10 | 4.00 | 0 | 2.00 | 5.00 | 4.00 | 100 |";
        assert!(out.lines().any(|line| line == want), "{out}");
    }

    #[test]
    fn one_stage_more_is_a_third_of_three() {
        let results = Results(vec![
            result("w7", "fused-1x64", &[1.0], "a"),
            result("w7", "fused-4x64", &[2.5], "a"),
            result("w7", "dyn-1x64", &[1.0], "a"),
            result("w7", "dyn-4x64", &[4.0], "a"),
        ]);
        let mut out = String::new();
        unit_cost_table(&mut out, &results).unwrap();
        let want = "| dyn | 64 | 1.000 | 4.000 | 1.000 | 0.500 |";
        assert!(out.lines().any(|line| line == want), "{out}");
    }
}

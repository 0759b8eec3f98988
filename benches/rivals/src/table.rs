//! The findings as tables, for a terminal and for a README alike (Markdown).

use crate::findings::{Answer, Findings, Line, Role};
use crate::questions::Kind;
use std::fmt::Write;

/// All tables, and where we are beside what we want to reach.
pub fn all(findings: &Findings) -> String {
    let mut text = format!("{}\n{}\n", findings.caption(), findings.notes);
    if findings.same_core {
        text += "NB: both sides shared one core for part of the time; try again, or trust none of this\n";
    }
    text += "A time of 2.00 beside ringway is twice as long. *: in one process only; ringway is between two.\n";
    for answer in &findings.answers {
        text += &table(answer);
    }
    let missing = findings.rivals.iter().filter_map(|rival| Some((rival.name, rival.failure.as_ref()?)));
    for (name, failure) in missing {
        let _ = writeln!(text, "\n{name} was not measured: {failure}");
    }
    text + &goals(findings)
}

fn table(answer: &Answer) -> String {
    let heads: &[&str] = match answer.kind {
        Kind::Time => &["ns", "time / ringway", "time / limit"],
        Kind::Speed => &["M/s", "GB/s", "time / ringway", "time / limit"],
        Kind::Percentiles => &["p50 ns", "p90", "p99", "p99.9", "p99.99"],
    };
    let mut rows = vec![heads.iter().map(|head| head.to_string()).collect::<Vec<_>>()];
    let ratio = |ratio: Option<f64>| ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
    let cells = |line: &Line| -> Vec<String> {
        let figure = |figure: Option<f64>| figure.map_or("-".into(), rounded);
        let ratios = [ratio(line.beside_ringway), ratio(line.beside_limit)];
        match (answer.kind, line.percentiles) {
            (Kind::Percentiles, Some(percentiles)) => percentiles.map(|at| at.to_string()).into(),
            (Kind::Percentiles, None) => vec!["-".into(); heads.len()],
            (Kind::Time, _) => [vec![figure(line.nanoseconds)], ratios.into()].concat(),
            (Kind::Speed, _) => {
                let speeds = [line.per_second().map(|per| per / 1e6), line.bytes_per_second().map(|per| per / 1e9)];
                [speeds.map(figure).to_vec(), ratios.into()].concat()
            }
        }
    };
    rows.extend(answer.rows.iter().map(cells));
    let names = answer.rows.iter().map(|line| match line.role {
        Role::InProcess => format!("{} *", line.name),
        Role::Ringway => format!("**{}**", line.name),
        _ => line.name.to_owned(),
    });
    let names: Vec<String> = std::iter::once(answer.title.clone()).chain(names).collect();
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let first = width(&mut names.iter().map(String::len));
    let widths: Vec<usize> = (0..heads.len()).map(|head| width(&mut rows.iter().map(|row| row[head].len()))).collect();
    let mut text = String::from("\n");
    for (index, (name, row)) in names.iter().zip(&rows).enumerate() {
        let cells: String = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:>width$} |")).collect();
        let failure = index.checked_sub(1).and_then(|index| answer.rows[index].failure.as_ref());
        let failure = failure.map_or(String::new(), |failure| format!(" {failure}"));
        let _ = writeln!(text, "| {name:<first$} |{cells}{failure}");
        if index == 0 {
            let rules: String = widths.iter().map(|width| format!(" {}: |", "-".repeat(width - 1))).collect();
            let _ = writeln!(text, "| {} |{rules}", "-".repeat(first));
        }
    }
    text
}

/// With three digits that count, or more.
pub fn rounded(figure: f64) -> String {
    match figure {
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        0.1.. => format!("{figure:.2}"),
        _ => format!("{figure:.4}"),
    }
}

/// What we want to reach, and where we are. It only tells: a time is no reason to fail.
fn goals(findings: &Findings) -> String {
    let mut text = String::from("\nin short\n");
    let mut goal = |what: &str, figure: Option<f64>, note: &str, goal: &str| {
        if let Some(figure) = figure {
            let _ = writeln!(text, "  {what:<60}{:>9}{note}   goal {goal}", rounded(figure));
        }
    };
    let ringway = "ringway spsc";
    let beside_limit = |id: &str, name: &str| findings.line(id, name)?.beside_limit;
    // How many times as fast we are as the fastest of those that were measured.
    let ahead = |id: &str, which: &dyn Fn(&Line) -> bool| {
        let lines = findings.answer(id)?.rivals().filter(|line| which(line));
        let ratios = lines.filter_map(|line| Some((line.beside_ringway?, line.name)));
        ratios.min_by(|one, other| one.0.total_cmp(&other.0))
    };
    let mut fastest = |what: &str, id: &str, which: &dyn Fn(&Line) -> bool, least: &str| {
        if let Some((ratio, name)) = ahead(id, which) {
            goal(what, Some(ratio), &format!(" ({name})"), least);
        }
    };
    let any = |_: &Line| true;
    let named = |part: &'static str| move |line: &Line| line.name.contains(part);
    let kernel = |line: &Line| KERNEL.iter().any(|name| line.name.contains(name));
    fastest("spsc, round trip of 8 bytes: the best rival / ringway", "round_trip_8", &any, "above 1");
    fastest("spsc, 8 bytes one by one: the best rival / ringway", "one_by_one_8", &any, "above 1");
    for crowd in ["1p1c", "2p2c", "4p4c"] {
        let id = format!("crowd_{crowd}_8");
        fastest(&format!("mpmc, {crowd}: the best rival / ringway"), &id, &any, "above 1");
        fastest(&format!("mpmc, {crowd}: ArrayQueue / ringway"), &id, &named("ArrayQueue"), "at least 2");
    }
    fastest("iceoryx2, round trip of 8 bytes / ringway", "round_trip_8", &named("iceoryx2"), "at least 4");
    fastest("iceoryx2, 8 bytes one by one / ringway", "one_by_one_8", &named("iceoryx2"), "at least 50");
    fastest("the system's best, round trip of 8 bytes / ringway", "round_trip_8", &kernel, "at least 50");
    goal("spsc, round trip of 8 bytes / two lines", beside_limit("round_trip_8", ringway), "", "at most 1.05");
    let batch = beside_limit("batches_8", ringway).map(|ratio| 1.0 / ratio);
    goal("spsc, 8 bytes in batches: speed / bulk copy", batch, "", "at least 0.7");
    goal("spsc, 64 KiB in place / one memcpy", beside_limit("in_place_65536", ringway), "", "at most 1.2");
    text
}

/// What the system has for passing messages.
const KERNEL: [&str; 5] = ["pipe", "socket", "mq", "message queue", "sem_t"];

//! P21 `docs/api.md` can be followed: each example is answered as the page says.
//!
//! A block `sh` is one `curl`, or one assignment of a value that the answer before gave; a block `http` after it is the answer:
//! its status, some of its headers, and a body of which every member that is shown must be there. `...` stands for anything.

use std::collections::HashMap;

use anyhow::Context;
use reqwest::Method;
use serde_json::Value;
use testkit::{Client, OnServers, Reply, System};

const PAGE: &str = include_str!("../../docs/api.md");

/// A block of the page, with the line it begins in.
struct Block {
    line: usize,
    language: &'static str,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (line, text) in (1..).zip(PAGE.lines()) {
        match text.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                found.push(Block { line, language, text: String::new() });
            }
            None if open => {
                if let Some(block) = found.last_mut() {
                    block.text.push_str(text);
                    block.text.push('\n');
                }
            }
            None => {}
        }
    }
    found
}

/// What `curl` was told to send.
struct Sent {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn read_curl(text: &str, variables: &HashMap<&str, String>) -> anyhow::Result<Sent> {
    let mut words = shlex::split(text).context("no words of a shell")?.into_iter();
    anyhow::ensure!(words.next().as_deref() == Some("curl"), "no curl");
    let (mut method, mut url, mut headers, mut body) = (None, None, Vec::new(), None);
    let filled = |word: String| {
        variables.iter().fold(word, |word, (name, value)| word.replace(&format!("${name}"), value))
    };
    while let Some(word) = words.next() {
        let mut argument = || words.next().map(filled).with_context(|| format!("{word} has no argument"));
        match word.as_str() {
            "-i" => {}
            "-X" => method = Some(argument()?.parse()?),
            "-H" => {
                let header = argument()?;
                let (name, value) = header.split_once(": ").with_context(|| format!("header {header}"))?;
                headers.push((name.to_owned(), value.to_owned()));
            }
            "-d" | "--data-binary" => body = Some(argument()?),
            _ if url.is_none() && !word.starts_with('-') => url = Some(filled(word)),
            _ => anyhow::bail!("the test does not know {word}"),
        }
    }
    let method = method.unwrap_or(if body.is_some() { Method::POST } else { Method::GET });
    Ok(Sent { method, url: url.context("no address")?, headers, body: body.unwrap_or_default() })
}

/// Whether `actual` has all that `shown` has.
fn holds(shown: &Value, actual: &Value) -> bool {
    match (shown, actual) {
        (Value::String(any), _) if any == "..." => true,
        (Value::String(shown), Value::String(actual)) => {
            shown.strip_suffix("...").map_or(shown == actual, |begins| actual.starts_with(begins))
        }
        (Value::Object(shown), Value::Object(actual)) => shown.iter().all(|(name, shown)| {
            name == "..." || actual.get(name).is_some_and(|actual| holds(shown, actual))
        }),
        (Value::Array(shown), Value::Array(actual)) => {
            let open = shown.last().is_some_and(|last| last == "...");
            let shown = &shown[..shown.len() - usize::from(open)];
            (open || shown.len() == actual.len())
                && shown.len() <= actual.len()
                && shown.iter().zip(actual).all(|(shown, actual)| holds(shown, actual))
        }
        _ => shown == actual,
    }
}

fn check(shown: &str, reply: &Reply) -> anyhow::Result<()> {
    let (head, body) = shown.split_once("\n\n").unwrap_or((shown.trim_end(), ""));
    let mut head = head.lines();
    let status = head.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
    anyhow::ensure!(reply.status.as_str() == status, "status {}", reply.status);
    for line in head {
        let (name, value) = line.split_once(": ").with_context(|| format!("header {line}"))?;
        let actual = reply.header(&name.to_lowercase());
        let begins = value.strip_suffix("...");
        let matches =
            begins.map_or(actual == value, |begins| !actual.is_empty() && actual.starts_with(begins));
        anyhow::ensure!(matches, "header {name} is {actual}");
    }
    let (shown, actual) = match &reply.body {
        // Several lines, each of JSON.
        Value::String(lines) if !lines.is_empty() => (lines_of_json(body)?, lines_of_json(lines)?),
        one => (if body.trim().is_empty() { Value::Null } else { serde_json::from_str(body)? }, one.clone()),
    };
    anyhow::ensure!(shown.is_null() || holds(&shown, &actual), "the body lacks something of {shown}");
    Ok(())
}

fn lines_of_json(text: &str) -> serde_json::Result<Value> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(serde_json::from_str)
        .collect::<Result<Vec<_>, _>>()
        .map(Value::Array)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_is_answered_as_the_page_says() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = system.command_service().await?.url();
    system.projectors().await?;
    let queries = system.query_gateway().await?.url();
    let mut variables = HashMap::from([("COMMANDS", commands), ("QUERIES", queries)]);
    let (client, mut last, mut checked) = (Client::new(""), None::<Reply>, 0);
    for block in blocks() {
        let at = || format!("docs/api.md, line {}", block.line);
        match block.language {
            "sh" if block.text.starts_with("COMMANDS=") => {}
            "sh" if block.text.starts_with("curl ") => {
                let sent = read_curl(&block.text, &variables).with_context(at)?;
                let headers: Vec<_> = sent.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                last = Some(client.send(sent.method, &sent.url, &headers, sent.body).await.with_context(at)?);
            }
            "sh" => {
                let (name, _) = block.text.split_once('=').with_context(at)?;
                let reply = last.as_ref().with_context(at)?;
                let value = match name {
                    "TOKEN" => reply.header("consistency-token"),
                    "PAGE" => reply.body["next_page_token"].as_str().unwrap_or_default(),
                    _ => anyhow::bail!("{}: where does {name} come from?", at()),
                };
                anyhow::ensure!(!value.is_empty(), "{}: the answer before gives no {name}", at());
                variables.insert(if name == "TOKEN" { "TOKEN" } else { "PAGE" }, value.to_owned());
            }
            "http" => {
                let reply = last.as_ref().with_context(at)?;
                let answered = || format!("{}: answered {} {}", at(), reply.status, reply.body);
                check(&block.text, reply).with_context(answered)?;
                checked += 1;
            }
            _ => {}
        }
    }
    assert!(checked >= 12, "only {checked} answers are shown");
    Ok(())
}

#[test]
fn what_the_page_shows_is_compared_with_what_is_there() -> serde_json::Result<()> {
    let actual: Value = serde_json::from_str(r#"{"a": 1, "b": [1, 2], "c": "token-1", "d": {"e": null}}"#)?;
    for same in [r#"{"a": 1}"#, r#"{"b": [1, "..."], "c": "tok..."}"#, r#"{"d": {"e": null}, "b": "..."}"#] {
        assert!(holds(&serde_json::from_str(same)?, &actual), "{same}");
    }
    for other in
        [r#"{"a": 2}"#, r#"{"b": [1]}"#, r#"{"z": "..."}"#, r#"{"c": "x..."}"#, r#"{"b": [1, 2, 3, "..."]}"#]
    {
        assert!(!holds(&serde_json::from_str(other)?, &actual), "{other}");
    }
    Ok(())
}

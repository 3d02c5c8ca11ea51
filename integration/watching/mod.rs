//! What the process tells whoever watches it (`HTTP_LISTEN`): the page of metrics, whether it is ready, alert rules.

mod alerts;
mod page;
mod readiness;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::support::system::System;

/// Has the processes that are started from now on answer at a port of their own.
pub fn watched(system: &mut System) {
    system.set(&[("HTTP_LISTEN", "127.0.0.1:0")]);
}

/// Where a component answers.
pub async fn address_of(system: &System, component: &str) -> String {
    let log = || system.log_of(component);
    system
        .until("it answers over HTTP", async || {
            let log = log();
            let (_, rest) = log.split_once("answering at http://")?;
            Some(rest.split_once(": /metrics")?.0.to_owned())
        })
        .await
}

/// Asks for a path; gives the status and the body. Where nobody answers any more the status is 0.
async fn asked(address: &str, path: &str, accept: &str) -> (u16, String) {
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    let Ok(text) = answer.await else { return (0, String::new()) };
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, text.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// The page of metrics in Prometheus' own format.
pub async fn page(address: &str) -> String {
    let (status, page) = asked(address, "/metrics", "*/*").await;
    assert_eq!(status, 200, "{page}");
    page
}

/// The value of a sample, given by all of its line before that.
pub fn sample(page: &str, start: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(start)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a sample, given by all of its line before its value, is as wanted.
pub async fn until_sample(system: &System, address: &str, start: &str, wanted: impl Fn(f64) -> bool) {
    let is_so = async || sample(&page(address).await, start).filter(|value| wanted(*value)).map(drop);
    system.until(&format!("{start} is as it should be"), is_so).await;
}

/// The sum of all samples of a metric.
pub fn sum(page: &str, metric: &str) -> f64 {
    let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Prometheus' own tool, which reads a page or rules as Prometheus does.
async fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(".run/promtool/promtool");
    let program = if fetched.exists() { fetched } else { PathBuf::from("promtool") };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("promtool: scripts/set_up_services --for test fetches it");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).await.expect("it reads");
    drop(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output().await.expect("it ends");
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (status.success(), text)
}

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::*;
use toolkit::config::ShutdownConfig;

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_port_tells_readiness_and_metrics_and_outlives_the_work() {
    let timing = ShutdownConfig { drain_delay_ms: 0, grace_ms: 10_000 };
    let lifecycle = Lifecycle::with_timing(timing).without_signals();
    let telemetry = Telemetry::detached("tester").unwrap();
    telemetry.meter().u64_counter("things_total").build().add(1, &[]);
    let tls = ServerTlsConfig::default();
    let port = OpsPort { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls: &tls };
    let address = serve(port, &lifecycle, &telemetry, &Auth::off(), |_, _| ()).unwrap();
    let kafka = lifecycle.readiness().dependency("kafka");

    let ask = move |path: &'static str| tokio::task::spawn_blocking(move || get(address, path));
    assert_eq!(ask("/livez").await.unwrap().0, 200);
    assert_eq!(ask("/startupz").await.unwrap().0, 503);
    let (status, body) = ask("/readyz").await.unwrap();
    assert_eq!(status, 503);
    assert!(body.contains(r#""kafka":{"up":false,"reason":"starting"}"#), "{body}");
    kafka.up();
    assert_eq!(ask("/readyz").await.unwrap().0, 200);
    assert_eq!(ask("/startupz").await.unwrap().0, 200);
    assert!(ask("/metrics").await.unwrap().1.contains("things_total 1"));

    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("work", async move {
        shutdown.cancelled().await;
        let (status, body) = ask("/readyz").await?;
        anyhow::ensure!(status == 503 && body.contains(r#""shutting_down":true"#), "{status} {body}");
        anyhow::ensure!(ask("/livez").await?.0 == 200, "alive while draining");
        Ok(())
    });
    lifecycle.shutdown().cancel();
    lifecycle.run().await.unwrap();
}

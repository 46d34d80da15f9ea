//! The parts that need no server, and one real broker through its whole life.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("folio-local-{}-{:x}", std::process::id(), ports::random());
        Self(files::make_dir(&std::env::temp_dir().join(name)).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        files::remove_dir(&self.0).unwrap();
    }
}

/// A process that waits for ever, with a command line that says it belongs to the instance folder `dir`.
fn impostor(dir: &Path) -> Child {
    let mark = format!("-Dfolio.instance={}", dir.display());
    let child = Command::new("sh").args(["-c", "read -r _", &mark]).stdin(Stdio::piped()).spawn().unwrap();
    wait_until(|| process::is_ours(child.id() as i32, dir));
    child
}

fn wait_until(state: impl Fn() -> bool) {
    let until = Instant::now() + SOON;
    while !state() {
        assert!(Instant::now() < until, "the awaited state did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_versions_in_the_code_are_those_of_the_poms_and_of_the_compose_file() {
    let deploy = project_root().unwrap().join("deploy");
    let pom = files::read(&deploy.join("local/pom.xml")).unwrap();
    let compose = files::read(&deploy.join("compose.yaml")).unwrap();
    for kind in Kind::ALL {
        let property = format!("<{0}.version>{1}</{0}.version>", kind.name(), kind.version());
        assert!(pom.contains(&property), "deploy/local/pom.xml does not say {property}");
        let image = match kind {
            Kind::Kafka => "apache/kafka",
            Kind::Cassandra => "cassandra",
            Kind::Elasticsearch => "docker.elastic.co/elasticsearch/elasticsearch",
            Kind::Registry => "apicurio/apicurio-registry",
        };
        let image = format!("image: {image}:{}", kind.version());
        assert!(compose.lines().any(|line| line.trim() == image), "deploy/compose.yaml does not say {image}");
    }
    assert_eq!(compose.matches("image: ").count(), Kind::ALL.len(), "servers that do not run here");
}

#[test]
fn the_major_version_of_java_is_read_from_old_and_new_texts() {
    let version = installation::java_version;
    assert_eq!(version("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime"), Some(17));
    assert_eq!(version("Picked up JAVA_TOOL_OPTIONS: -Xint\nopenjdk version \"21\" 2023-09-19"), Some(21));
    assert_eq!(version("java version \"1.8.0_292\""), Some(8));
    assert_eq!(version("openjdk version \"25-ea\" 2025-09-16"), Some(25));
    assert_eq!(version("bash: java: command not found"), None);
}

#[test]
fn a_template_without_a_value_is_an_error() {
    assert_eq!(files::fill("a={{x}}/{{x}}", &[("x", "1")]).unwrap(), "a=1/1");
    assert_eq!(files::fill("# {{...}}\na=1", &[]).unwrap(), "# {{...}}\na=1");
    assert!(files::fill("a={{y}}", &[("x", "1")]).is_err());
}

#[test]
fn free_ports_differ_and_stay_out_of_the_kernels_range() {
    let range = files::read(Path::new("/proc/sys/net/ipv4/ip_local_port_range")).unwrap();
    let first: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let mut ports: Vec<u16> = (0..50).map(|_| free_port().unwrap()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 50);
    assert!(ports.iter().all(|port| *port < first || first < 12_000), "{ports:?} reach into {range}");
}

#[test]
fn only_processes_of_the_folder_are_found_and_killed() {
    let (ours, other) = (Folder::new(), Folder::new());
    // Its name begins with that of our folder, but it does not lie in it.
    let neighbour = PathBuf::from(format!("{}-neighbour", ours.0.display()));
    let mut in_ours = impostor(&ours.0.join("kafka"));
    let mut bystanders = [impostor(&other.0.join("kafka")), impostor(&neighbour)];
    assert_eq!(processes_under(&ours.0), [(in_ours.id() as i32, ours.0.join("kafka"))]);
    // A remembered pid that belongs to someone else now.
    let reused = (bystanders[0].id() as i32, ours.0.join("kafka"));
    assert!(process::end(&[reused], Duration::ZERO).unwrap());

    process::kill_under(&ours.0).unwrap();
    assert!(!in_ours.wait().unwrap().success());
    for bystander in &mut bystanders {
        assert!(bystander.try_wait().unwrap().is_none(), "a process of another folder was killed");
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }
}

#[test]
fn the_watchdog_ends_the_servers_with_the_process_that_held_it() {
    let folder = Folder::new();
    let watchdog = Watchdog::over(&folder.0.join("watched")).unwrap();
    let mut server = impostor(&watchdog.dir().join("kafka"));
    let mut bystander = impostor(&folder.0.join("watched-not"));
    let dir = watchdog.dir().to_owned();
    // As the kernel does when the process ends, by whatever means.
    watchdog.let_go();
    assert!(!server.wait().unwrap().success());
    wait_until(|| !dir.exists());
    assert!(bystander.try_wait().unwrap().is_none());
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn down_of_what_is_not_up_is_harmless() {
    let folder = Folder::new();
    let dir = folder.0.join("servers");
    down_servers(&dir).unwrap();
    down_servers(&dir).unwrap();
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
    // A folder may be named without a parent.
    down_servers(Path::new("no-servers-here")).unwrap();
    assert!(!Path::new("no-servers-here.lock").exists());
}

#[test]
fn a_broker_that_was_killed_comes_back_where_it_was_told_to_be_and_leaves_nothing_when_stopped() {
    let folder = Folder::new();
    let watchdog = Watchdog::over(&folder.0).unwrap();
    // As good as any address that is not the usual one: all of 127.0.0.0/8 is loopback.
    let host = Ipv4Addr::new(127, 0, 0, 2);
    let installation = Installation::prepare(&project_root().unwrap()).unwrap().for_tests().on(host);
    let mut broker = Running::start(Kind::Kafka, &installation, &watchdog.dir().join("kafka")).unwrap();
    broker.wait_ready(Duration::from_mins(2)).unwrap();
    let (pid, port, address) = (broker.pid, broker.port, broker.address());
    assert_eq!(address, format!("127.0.0.2:{port}"));
    let elsewhere = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    assert!(elsewhere.is_err(), "it listens on 127.0.0.1 too");

    broker.kill().unwrap();
    assert!(!broker.is_running() && broker.probe().is_err());
    broker.start_again().unwrap();
    broker.wait_ready(Duration::from_mins(2)).unwrap();
    assert_ne!(broker.pid, pid);
    assert_eq!(broker.address(), address);
    assert!(broker.start_again().is_err(), "it runs already");

    broker.stop().unwrap();
    assert!(processes_under(&folder.0).is_empty());
}

#[test]
fn a_server_that_ends_at_once_says_why() {
    let folder = Folder::new();
    let launch = process::Launch { arguments: vec!["-Xmx0.5nonsense".to_owned()], dir: folder.0.clone() };
    let server =
        Running::spawn(Kind::Kafka, 1, SocketAddrV4::new(Ipv4Addr::LOCALHOST, free_port().unwrap()), launch)
            .unwrap();
    let error = server.wait_ready(SOON).unwrap_err().to_string();
    assert!(error.contains("ended before it was ready"), "{error}");
    assert!(error.contains("Invalid maximum heap size"), "{error}");
    assert!(error.contains("server.log"), "{error}");
}

//! An Apache Kafka broker that is its own controller (KRaft).

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::{folder, once, run};

/// Any will do: one broker is the cluster.
const CLUSTER: &str = "bWlzcC1lY3MtdGVzdHMhIQ";

/// A broker on loopback ports of its own, which it keeps over restarts. Ends when dropped.
pub struct KafkaBroker {
    process: Option<Process>,
    jars: PathBuf,
    config: PathBuf,
    port: u16,
    sasl_port: u16,
    tls_port: u16,
}

impl KafkaBroker {
    /// Starts a broker that keeps its topics in `data`; one listener takes anybody, another only
    /// `user` with `password` (SASL PLAIN and SCRAM-SHA-256), a third speaks TLS with the key and
    /// the certificate of `pem`. Downloads it the first time; blocks.
    ///
    /// # Errors
    /// When it cannot be downloaded or does not start.
    pub fn start(data: &Path, user: &str, password: &str, pem: &Path) -> io::Result<Self> {
        let jars = folder("kafka-4.4.0")?;
        once(&jars, "done", || {
            let pom = own("pom.xml");
            let into = format!("-DoutputDirectory={}", jars.display());
            run(Command::new("mvn")
                .args(["-q", "-B", "-f"])
                .arg(pom)
                .args(["dependency:copy-dependencies", &into]))
        })?;
        let [port, sasl_port, tls_port, controller] = free_ports()?;
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule";
        let text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl_port},SSL://127.0.0.1:{tls_port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl_port},SSL://127.0.0.1:{tls_port}\n\
             listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL\n\
             inter.broker.listener.name=PLAINTEXT\n\
             sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256\n\
             listener.name.sasl_plaintext.plain.sasl.jaas.config={plain} required user_{user}=\"{password}\";\n\
             listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config={scram} required;\n\
             listener.name.ssl.ssl.keystore.type=PEM\n\
             listener.name.ssl.ssl.keystore.location={}\n\
             log.dirs={}\n\
             auto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\n\
             group.initial.rebalance.delay.ms=0\n\
             message.max.bytes=33554432\n\
             socket.request.max.bytes=104857600\n",
            pem.display(),
            data.join("topics").display()
        );
        let config = data.join("server.properties");
        fs::write(&config, text)?;
        let mut broker = Self {
            process: None,
            jars,
            config,
            port,
            sasl_port,
            tls_port,
        };
        let credential = format!("SCRAM-SHA-256=[name={user},password={password}]");
        run(broker
            .java("kafka.tools.StorageTool")
            .args(["format", "-t", CLUSTER, "--add-scram", &credential, "-c"])
            .arg(&broker.config))?;
        broker.resume()?;
        Ok(broker)
    }

    /// The port on 127.0.0.1 that takes anybody.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port on 127.0.0.1 that wants a user name and a password.
    #[must_use]
    pub fn sasl_port(&self) -> u16 {
        self.sasl_port
    }

    /// The port on 127.0.0.1 that speaks TLS.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts it again, at the same ports with the same topics.
    ///
    /// # Errors
    /// When it does not start.
    pub fn resume(&mut self) -> io::Result<()> {
        let mut command = self.java("kafka.Kafka");
        command.arg(&self.config);
        let (process, _) = Process::start(&mut command, "Kafka Server started")?;
        self.process = Some(process);
        Ok(())
    }

    fn java(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx384m"])
            .arg("-cp")
            .arg(self.jars.join("*"))
            .arg(class);
        command
    }
}

/// A file of `tests/services/kafka`.
fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("services/kafka")
        .join(name)
}

/// Ports that were free a moment ago: a broker has to be told which it advertises.
fn free_ports() -> io::Result<[u16; 4]> {
    let listeners = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let [a, b, c, d] = listeners.map(|listener| listener.local_addr());
    Ok([a?.port(), b?.port(), c?.port(), d?.port()])
}

//! Kafka as an [`Output`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use pipeline::{Delivery, Output, OutputError, Verdict};
use rskafka::BackoffConfig;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use tokio::sync::{Mutex, OnceCell};

use super::error::{AtStart, KafkaError};
use super::options::{KafkaCompression, KafkaOptions, SaslMechanism};
use super::record::{Placed, batches, records};
use crate::lines::encode;
use crate::said;
use crate::secret::Secret;
use crate::tls_client::client_config;

/// Produces documents. A batch is acknowledged when all replicas in sync have every record.
pub struct KafkaOutput {
    name: String,
    target: String,
    options: KafkaOptions,
    /// Made when first needed, and again after a failure: files may have been put right.
    link: Mutex<Option<Arc<Link>>>,
}

/// A topic and its partitions, which are connected to when first needed.
struct Link {
    client: Client,
    partitions: Vec<(i32, OnceCell<PartitionClient>)>,
}

impl KafkaOutput {
    /// Touches nothing yet: files are read and brokers are asked with the first batch.
    #[must_use]
    pub fn new(name: &str, options: &KafkaOptions) -> Self {
        Self {
            name: name.to_owned(),
            target: format!("{} {}", options.brokers.join(","), options.topic),
            options: options.clone(),
            link: Mutex::new(None),
        }
    }

    /// Reads the files that the options name; does not ask the brokers. Blocks on the disk.
    ///
    /// # Errors
    /// When an option or a file is not what it should be.
    pub fn open(name: &str, options: &KafkaOptions) -> Result<Self, OutputError> {
        let output = Self::new(name, options);
        output.builder().map_err(OutputError::new)?;
        Ok(output)
    }

    fn builder(&self) -> Result<ClientBuilder, KafkaError> {
        let options = &self.options;
        let bad = |reason| KafkaError::Brokers { reason };
        if options.brokers.is_empty() {
            return Err(bad("is empty"));
        }
        let is_broker = |broker: &String| {
            broker
                .rsplit_once(':')
                .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !options.brokers.iter().all(is_broker) {
            return Err(bad("holds what is no host and port"));
        }
        if !is_topic(&options.topic) {
            return Err(KafkaError::TopicName);
        }
        let mut builder = ClientBuilder::new(options.brokers.clone())
            .client_id("misp-ecs")
            // Enough for a connection that was closed while nothing was sent, and for a new leader.
            // More is the pipeline's: it waits, and says what is wrong meanwhile.
            .backoff_config(BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_millis(200),
                base: 3.0,
                deadline: Some(Duration::from_millis(300)),
            });
        if let Some(tls) = &options.tls {
            builder = builder.tls_config(Arc::new(client_config(tls)?));
        }
        if let Some(sasl) = &options.sasl {
            let password = Secret::read(&sasl.password_file)?.expose().to_owned();
            let credentials = Credentials::new(sasl.user.clone(), password);
            builder = builder.sasl_config(match sasl.mechanism {
                SaslMechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
                SaslMechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
                SaslMechanism::Plain => SaslConfig::Plain(credentials),
            });
        }
        Ok(builder)
    }

    async fn connect(&self) -> Result<Link, KafkaError> {
        let builder = self.builder()?;
        let connected = async {
            let client = builder.build().await?;
            let topics = client.list_topics().await?;
            Ok::<_, Error>((client, topics))
        };
        let (client, topics) = match self.within(connected).await {
            Some(Ok(connected)) => connected,
            Some(Err(error)) => return Err(self.unconnected(&error.to_string())),
            None => return Err(self.unconnected("none came about in time")),
        };
        let topic = topics
            .into_iter()
            .find(|topic| topic.name == self.options.topic)
            .filter(|topic| !topic.partitions.is_empty())
            .ok_or_else(|| self.no_topic())?;
        let numbers = topic.partitions.into_iter();
        Ok(Link {
            client,
            partitions: numbers.map(|number| (number, OnceCell::new())).collect(),
        })
    }

    async fn link(&self) -> Result<Arc<Link>, KafkaError> {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref() {
            return Ok(Arc::clone(link));
        }
        let made = Arc::new(self.connect().await?);
        Ok(Arc::clone(link.insert(made)))
    }

    async fn within<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.options.timeout.get(), future)
            .await
            .ok()
    }

    fn unconnected(&self, reason: &str) -> KafkaError {
        let target = self.options.brokers.join(", ");
        // The client says by its text only what ended its tries.
        let refused = reason.contains("Sasl") || reason.contains("certificate");
        let reason = said::words(reason, []);
        match refused {
            true => KafkaError::Refused { target, reason },
            false => KafkaError::NoConnection { target, reason },
        }
    }

    fn no_topic(&self) -> KafkaError {
        KafkaError::NoTopic {
            topic: self.options.topic.clone(),
        }
    }

    /// Produces to partitions side by side, within each in order; says what was refused for good.
    async fn send(
        &self,
        link: &Link,
        records: Vec<(usize, Vec<Placed>)>,
    ) -> Result<Vec<(usize, String)>, KafkaError> {
        let refused: Vec<Vec<(usize, String)>> = stream::iter(records)
            .map(|(partition, records)| self.send_partition(link, partition, records))
            .buffer_unordered(self.options.in_flight.get())
            .try_collect()
            .await?;
        Ok(refused.into_iter().flatten().collect())
    }

    async fn send_partition(
        &self,
        link: &Link,
        partition: usize,
        records: Vec<Placed>,
    ) -> Result<Vec<(usize, String)>, KafkaError> {
        let mut rest = batches(records, &self.options);
        rest.reverse();
        let mut refused = Vec::new();
        while let Some(mut batch) = rest.pop() {
            let records = batch.iter().map(|placed| placed.record.clone()).collect();
            let Err(error) = self.produce(link, partition, records).await? else {
                continue;
            };
            match (error, batch.as_slice()) {
                (error, [one]) => {
                    let text = format!("the broker refuses it: {error}");
                    refused.push((one.at, said::words(&text, [])));
                }
                _ => {
                    rest.push(batch.split_off(batch.len() / 2));
                    rest.push(batch);
                }
            }
        }
        Ok(refused)
    }

    /// Produces a batch; the inner error is the fault of the records or their size.
    async fn produce(
        &self,
        link: &Link,
        partition: usize,
        records: Vec<rskafka::record::Record>,
    ) -> Result<Result<(), ProtocolError>, KafkaError> {
        let Some((number, cell)) = link.partitions.get(partition) else {
            return Err(self.no_topic());
        };
        let compression = match self.options.compression {
            KafkaCompression::None => Compression::NoCompression,
            KafkaCompression::Gzip => Compression::Gzip,
            KafkaCompression::Zstd => Compression::Zstd,
        };
        let produced = async {
            let topic = self.options.topic.as_str();
            let client = cell
                .get_or_try_init(|| {
                    link.client
                        .partition_client(topic, *number, UnknownTopicHandling::Error)
                })
                .await?;
            client.produce(records, compression).await.map(|_| ())
        };
        match self.within(produced).await {
            Some(Ok(())) => Ok(Ok(())),
            Some(Err(error)) => self.judge(&error).map(Err),
            None => Err(KafkaError::NotAcknowledged {
                target: self.target.clone(),
                reason: "none came in time".to_owned(),
            }),
        }
    }

    fn judge(&self, error: &Error) -> Result<ProtocolError, KafkaError> {
        let target = self.target.clone();
        let reason = said::words(&error.to_string(), []);
        let Error::ServerError { protocol_error, .. } = error else {
            return Err(KafkaError::NotAcknowledged { target, reason });
        };
        match protocol_error {
            ProtocolError::MessageTooLarge
            | ProtocolError::RecordListTooLarge
            | ProtocolError::InvalidRecord => Ok(*protocol_error),
            ProtocolError::UnknownTopicOrPartition => Err(self.no_topic()),
            ProtocolError::TopicAuthorizationFailed
            | ProtocolError::ClusterAuthorizationFailed
            | ProtocolError::SaslAuthenticationFailed => {
                Err(KafkaError::Refused { target, reason })
            }
            _ => Err(KafkaError::NotAcknowledged { target, reason }),
        }
    }

    async fn write_batch(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, KafkaError> {
        let (lines, mut verdicts) = encode(batch, self.options.common());
        if lines.is_empty() {
            return Ok(verdicts);
        }
        let link = self.link().await?;
        let records = records(batch, &verdicts, lines, link.partitions.len());
        let mut refused = match self.send(&link, records).await {
            Ok(refused) => refused,
            Err(error) => {
                *self.link.lock().await = None;
                return Err(error);
            }
        };
        refused.sort_by_key(|(at, _)| *at);
        let mut refused = refused.into_iter().peekable();
        let sent = verdicts
            .iter_mut()
            .filter(|verdict| **verdict == Verdict::Stored);
        for (at, verdict) in sent.enumerate() {
            if let Some((_, text)) = refused.next_if(|(place, _)| *place == at) {
                *verdict = Verdict::Rejected { text };
            }
        }
        Ok(verdicts)
    }
}

/// As Kafka checks them (`org.apache.kafka.common.internals.Topic`).
fn is_topic(name: &str) -> bool {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.chars().all(fits)
}

#[async_trait]
impl Output for KafkaOutput {
    fn name(&self) -> &str {
        &self.name
    }

    /// The topic alone: brokers come and go, and the client does not give the cluster's id.
    fn target(&self) -> String {
        self.options.topic.clone()
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        self.write_batch(batch).await.map_err(OutputError::new)
    }

    async fn check(&self) -> Result<(), OutputError> {
        self.connect()
            .await
            .map(|_| ())
            .map_err(|error| OutputError::new(AtStart(error)))
    }
}

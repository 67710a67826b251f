//! NATS JetStream as an [`Output`].

use std::future::IntoFuture;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{
    ContextBuilder, GetStreamErrorKind, PublishAckFuture, PublishError, PublishErrorKind,
};
use async_nats::jetstream::stream::Stream;
use async_nats::{Auth, AuthError, ConnectError, ConnectErrorKind, ConnectOptions, ServerAddr};
use async_trait::async_trait;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use pipeline::{Delivery, Output, OutputError, TargetIdentity, Verdict};
use tokio::sync::Mutex;
use transport::{FileStamps, is_tls};

use super::error::{AtStart, NatsError};
use super::message::{Message, messages};
use super::options::NatsOptions;
use super::subject::Subject;
use super::unrepeated::unrepeated;
use crate::lines::encode;
use crate::said;
use crate::secret::Secret;
use crate::tls_client::client_config;

/// Publishes documents. A batch is acknowledged when the stream has acknowledged each message.
pub struct NatsOutput {
    name: String,
    target: String,
    options: NatsOptions,
    /// Made when first needed. It is kept when the server goes away: it then connects again by
    /// itself, and what waits in it goes out before what is newer.
    context: Mutex<Option<Connected>>,
}

/// A connection, and the files it was made with.
struct Connected {
    context: Context,
    files: FileStamps,
}

impl NatsOutput {
    /// Touches nothing yet: files are read and servers are asked with the first batch.
    #[must_use]
    pub fn new(name: &str, options: &NatsOptions) -> Self {
        let servers: Vec<String> = options
            .servers
            .iter()
            .map(|server| server.shown())
            .collect();
        Self {
            name: name.to_owned(),
            target: format!("{} {}", servers.join(","), options.subject),
            options: options.clone(),
            context: Mutex::new(None),
        }
    }

    /// Reads the files that the options name; does not ask the servers. Blocks on the disk.
    ///
    /// # Errors
    /// When an option or a file is not what it should be.
    pub fn open(name: &str, options: &NatsOptions) -> Result<Self, OutputError> {
        let output = Self::new(name, options);
        Subject::parse(&options.subject)
            .map_err(NatsError::from)
            .and_then(|_| output.connection().map(|_| ()))
            .map_err(OutputError::new)?;
        Ok(output)
    }

    /// Addresses and how they are to be connected to.
    fn connection(&self) -> Result<(Vec<ServerAddr>, ConnectOptions), NatsError> {
        let options = &self.options;
        let bad = |reason| NatsError::Servers { reason };
        let mut servers = Vec::new();
        for server in &options.servers {
            let address: ServerAddr = server
                .0
                .parse()
                .map_err(|_| bad("holds what is no address of a server"))?;
            if !matches!(address.scheme(), "nats" | "tls") {
                return Err(bad(
                    "holds an address that begins with neither nats:// nor tls://",
                ));
            }
            if address.has_user_pass() {
                return Err(bad("holds a user name or a password, which go into files"));
            }
            servers.push(address);
        }
        if servers.is_empty() {
            return Err(bad("is empty"));
        }
        let connect = credentials(options)?
            .name("misp-ecs")
            .connection_timeout(options.connect_timeout.get())
            .tls_client_config(client_config(&options.tls)?);
        Ok((servers, connect))
    }

    async fn connect(&self) -> Result<Context, NatsError> {
        let (servers, connect) = self.connection()?;
        let client = connect
            .connect(servers)
            .await
            .map_err(|error| self.unconnected(&error))?;
        if !client.server_info().jetstream {
            return Err(NatsError::NoJetStream {
                target: self.target.clone(),
            });
        }
        let timeout = self.options.timeout.get();
        // Acknowledgements that nobody waits for any more, after a failure, hold their place for
        // as long as one that is waited for.
        Ok(ContextBuilder::new()
            .timeout(timeout)
            .ack_timeout(timeout)
            .max_ack_inflight(self.options.in_flight.get().saturating_mul(2))
            .build(client))
    }

    async fn context(&self) -> Result<Context, NatsError> {
        let mut kept = self.context.lock().await;
        let files = self.options.renewable_files();
        // Before they are read: what changes meanwhile is seen the next time.
        let files = FileStamps::of(files.map(PathBuf::as_path));
        let earlier = match kept.as_ref() {
            Some(connected) if connected.files == files => return Ok(connected.context.clone()),
            Some(connected) => Some(connected.context.clone()),
            None => None,
        };
        let context = match (self.connect().await, earlier) {
            (Ok(context), _) => context,
            (Err(error), None) => return Err(error),
            (Err(error), Some(earlier)) => {
                tracing::warn!(
                    output = self.name,
                    %error,
                    "credentials or certificates have changed and make no connection, keeping the \
                     earlier connection"
                );
                return Ok(earlier);
            }
        };
        let connected = kept.insert(Connected { context, files });
        Ok(connected.context.clone())
    }

    fn unconnected(&self, error: &ConnectError) -> NatsError {
        let servers = self.options.servers.iter().map(|server| server.shown());
        let target = servers.collect::<Vec<_>>().join(", ");
        let reason = said::words(&error.to_string(), []);
        match error.kind() {
            _ if is_tls(error) => NatsError::Refused { target, reason },
            ConnectErrorKind::Authentication
            | ConnectErrorKind::AuthorizationViolation
            | ConnectErrorKind::Tls => NatsError::Refused { target, reason },
            ConnectErrorKind::ServerParse
            | ConnectErrorKind::Dns
            | ConnectErrorKind::TimedOut
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => NatsError::NoConnection { target, reason },
        }
    }

    async fn send(&self, messages: &[Message]) -> Result<Vec<Verdict>, NatsError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let context = self.context().await?;
        let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
        let mut verdicts = vec![Verdict::Stored; messages.len()];
        for run in unrepeated(&ids) {
            let start = run.start;
            let run = messages.get(run).unwrap_or_default();
            for (at, verdict) in self.send_run(&context, run).await? {
                if let Some(place) = verdicts.get_mut(start + at) {
                    *place = verdict;
                }
            }
        }
        Ok(verdicts)
    }

    /// Messages of which none says anything of the id of another.
    ///
    /// The time-out of an acknowledgement runs from its first poll, so all are polled from the
    /// moment they are published: one by one a failover costs a time-out a message.
    async fn send_run(
        &self,
        context: &Context,
        messages: &[Message],
    ) -> Result<Vec<(usize, Verdict)>, NatsError> {
        let mut verdicts = Vec::with_capacity(messages.len());
        let mut waiting = FuturesUnordered::new();
        for (at, message) in messages.iter().enumerate() {
            while waiting.len() >= self.options.in_flight.get() {
                verdicts.extend(waiting.next().await.transpose()?);
            }
            let published = context.publish_with_headers(
                message.subject.clone(),
                message.headers.clone(),
                message.payload.clone(),
            );
            match within(self.options.timeout.get(), published).await {
                None => return Err(self.unacknowledged("the connection takes nothing")),
                Some(Err(error)) => verdicts.push((at, self.judge(message, &error)?)),
                Some(Ok(acknowledged)) => waiting.push(self.settled(at, message, acknowledged)),
            }
            while let Some(Some(done)) = waiting.next().now_or_never() {
                verdicts.push(done?);
            }
        }
        while let Some(done) = waiting.next().await {
            verdicts.push(done?);
        }
        Ok(verdicts)
    }

    async fn settled(
        &self,
        at: usize,
        message: &Message,
        acknowledged: PublishAckFuture,
    ) -> Result<(usize, Verdict), NatsError> {
        match acknowledged.await {
            Ok(acknowledged) if acknowledged.duplicate => Ok((at, Verdict::Duplicate)),
            Ok(_) => Ok((at, Verdict::Stored)),
            Err(error) => Ok((at, self.judge(message, &error)?)),
        }
    }

    /// A message that was not stored: its own fault, or that of the whole?
    fn judge(&self, message: &Message, error: &PublishError) -> Result<Verdict, NatsError> {
        let text = said::words(&error.to_string(), []);
        match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => Ok(Verdict::Rejected { text }),
            PublishErrorKind::Other if is_too_large(error) => Ok(Verdict::Rejected { text }),
            PublishErrorKind::StreamNotFound => Err(NatsError::NoStream {
                subject: message.subject.clone(),
            }),
            _ => Err(self.unacknowledged(&text)),
        }
    }

    fn unacknowledged(&self, reason: &str) -> NatsError {
        NatsError::NotAcknowledged {
            target: self.target.clone(),
            reason: reason.to_owned(),
        }
    }

    async fn ask(&self) -> Result<(), NatsError> {
        Subject::parse(&self.options.subject)?;
        // A connection of its own: files may have been put right since the last one.
        let context = self.connect().await?;
        match &self.options.stream {
            Some(stream) => self.stream(&context, stream).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// What is known of the stream is the stream's own: one that was made again is another one.
    async fn identity(&self) -> Result<Option<TargetIdentity>, NatsError> {
        let Some(name) = &self.options.stream else {
            return Ok(None);
        };
        let context = self.context().await?;
        let stream = self.stream(&context, name).await?;
        let info = stream.cached_info();
        let cluster = info.cluster.as_ref();
        Ok(Some(TargetIdentity {
            cluster: cluster
                .and_then(|cluster| cluster.name.clone())
                .unwrap_or_default(),
            index: info.created.unix_timestamp_nanos().to_string(),
            earlier: Vec::new(),
        }))
    }

    async fn stream(&self, context: &Context, stream: &str) -> Result<Stream, NatsError> {
        match context.get_stream(stream).await {
            Ok(found) => Ok(found),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(failed)
                    if failed.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Err(NatsError::NoStream {
                        subject: format!("it by the name of {stream}"),
                    })
                }
                _ => Err(self.unacknowledged(&said::words(&error.to_string(), []))),
            },
        }
    }
}

/// What comes of it, if it comes in time.
async fn within<T>(time: Duration, future: impl IntoFuture<Output = T>) -> Option<T> {
    tokio::time::timeout(time, future).await.ok()
}

/// Did the stream say that it never takes a message of this size?
fn is_too_large(error: &PublishError) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>())
        .is_some_and(|error| {
            matches!(
                error.error_code(),
                ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM
                    | ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM
            )
        })
}

/// Who we are. A token or a password is read again for every connection: it may have been
/// renewed.
fn credentials(options: &NatsOptions) -> Result<ConnectOptions, NatsError> {
    match (
        &options.credentials_file,
        &options.token_file,
        &options.user,
        &options.password_file,
    ) {
        (None, None, None, None) => Ok(ConnectOptions::new()),
        (Some(path), None, None, None) => {
            let text = Secret::read(path)?;
            // What is wrong with it is not said: that may be a part of it.
            ConnectOptions::with_credentials(text.expose())
                .map_err(|_| NatsError::CredentialsFile { path: path.clone() })
        }
        (None, Some(path), None, None) => again(path, |token| {
            let mut auth = Auth::new();
            auth.token = Some(token);
            auth
        }),
        (None, None, Some(user), Some(path)) => {
            let user = user.clone();
            again(path, move |password| {
                let mut auth = Auth::new();
                auth.username = Some(user.clone());
                auth.password = Some(password);
                auth
            })
        }
        _ => Err(NatsError::Credentials),
    }
}

/// Reads the secret now, so that a missing file is seen at once, and for every connection.
fn again(
    path: &Path,
    auth: impl Fn(String) -> Auth + Send + Sync + 'static,
) -> Result<ConnectOptions, NatsError> {
    Secret::read(path)?;
    let path = path.to_owned();
    Ok(ConnectOptions::with_auth_callback(move |_nonce| {
        let read = Secret::read(&path)
            .map(|secret| auth(secret.expose().to_owned()))
            .map_err(AuthError::new);
        std::future::ready(read)
    }))
}

#[async_trait]
impl Output for NatsOutput {
    fn name(&self) -> &str {
        &self.name
    }

    /// The subject, and the stream if one is demanded: servers come and go.
    fn target(&self) -> String {
        match &self.options.stream {
            Some(stream) => format!("{} in {stream}", self.options.subject),
            None => self.options.subject.clone(),
        }
    }

    async fn prepare(&self, _mapping: &str) -> Result<Option<TargetIdentity>, OutputError> {
        self.identity().await.map_err(OutputError::new)
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        let subject = Subject::parse(&self.options.subject)
            .map_err(|error| OutputError::new(NatsError::from(error)))?;
        let (lines, mut verdicts) = encode(batch, self.options.common());
        let stream = self.options.stream.as_deref();
        let messages = messages(batch, &verdicts, lines, &subject, stream);
        let answers = self.send(&messages).await.map_err(OutputError::new)?;
        let sent = verdicts
            .iter_mut()
            .filter(|verdict| **verdict == Verdict::Stored);
        for (verdict, answer) in sent.zip(answers) {
            *verdict = answer;
        }
        Ok(verdicts)
    }

    async fn check(&self) -> Result<(), OutputError> {
        self.ask()
            .await
            .map_err(|error| OutputError::new(AtStart(error)))
    }
}

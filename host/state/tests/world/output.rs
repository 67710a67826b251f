//! An output that fails, refuses and hangs when told to.

use async_trait::async_trait;
use pipeline::{Delivery, Document, Operation, Output, OutputError, TargetIdentity, Verdict};

use super::{Received, Shared, Told};

pub(super) struct FakeOutput {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) received: Shared<Received>,
}

#[async_trait]
impl Output for FakeOutput {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        self.target.clone()
    }

    async fn write(&self, batch: &[Delivery]) -> Result<Vec<Verdict>, OutputError> {
        let hangs = {
            let mut received = self.received.lock().unwrap();
            received.down |= received.down_after == Some(0);
            received.down_after = received.down_after.and_then(|left| left.checked_sub(1));
            if received.down || received.writes_fail {
                return Err(OutputError::new(Told));
            }
            if received.fails_after == Some(0) {
                received.fails_after = None;
                return Err(OutputError::new(Told));
            }
            received.fails_after = received.fails_after.map(|left| left - 1);
            let hangs = received.hangs_after == Some(0);
            received.hangs_after = received.hangs_after.map(|left| left.saturating_sub(1));
            hangs
        };
        let late = self.received.lock().unwrap().hangs_late;
        if hangs && !late {
            std::future::pending::<()>().await;
        }
        let verdicts = self.take(batch);
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(verdicts)
    }

    async fn prepare(&self, _: &str) -> Result<Option<TargetIdentity>, OutputError> {
        let received = self.received.lock().unwrap();
        Ok(received.identity.map(|(cluster, index)| TargetIdentity {
            cluster: cluster.to_owned(),
            index: index.to_owned(),
            earlier: Vec::new(),
        }))
    }

    async fn check(&self) -> Result<(), OutputError> {
        match self.received.lock().unwrap().down {
            true => Err(OutputError::new(Told)),
            false => Ok(()),
        }
    }
}

impl FakeOutput {
    fn take(&self, batch: &[Delivery]) -> Vec<Verdict> {
        let mut received = self.received.lock().unwrap();
        let verdicts = batch.iter().map(|delivery| {
            let Document {
                id,
                body,
                operation,
                ..
            } = &delivery.document;
            if received.refuses.contains(id) {
                return Verdict::Rejected {
                    text: "told to".to_owned(),
                };
            }
            let before = received
                .documents
                .get(id)
                .map_or(0, |(_, version)| *version);
            assert!(before <= delivery.version, "{id} goes back from {before}");
            received.change(delivery);
            match operation {
                Operation::Put => {
                    received.puts += 1;
                    let body = String::from_utf8(body.to_vec()).unwrap();
                    received
                        .documents
                        .insert(id.clone(), (body, delivery.version));
                }
                Operation::Delete => {
                    received.deletes += 1;
                    received.documents.remove(id);
                }
            }
            Verdict::Stored
        });
        verdicts.collect()
    }
}

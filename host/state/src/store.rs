//! The store: one database, one host, one transaction a commit.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use pipeline::{Fate, OutputKey};
use redb::{Builder, Database, ReadableDatabase};

use crate::StoreError;
use crate::error::{IoContext, Trouble};
use crate::lock::Lock;
use crate::memory;
use crate::precedence::Configured;
use crate::private::private_folder;
use crate::schema::{STEPS, Step, upgrade};
use crate::tables::cursors::{self, InstanceState};
use crate::tables::documents::{self, KnownDocument, NewIds};
use crate::tables::export::{self, ExportedDocument, HeldCounts};
use crate::tables::mappings::{self, MappingCount, Reprocess};
use crate::tables::meta::{self, Meta};
use crate::tables::names::{self, Kind};
use crate::tables::wanted;
use crate::transaction::{Reading, Writing};
use crate::versions::Versions;

const FILE: &str = "state.redb";
/// Memory for pages of the database. redb's default is 1 GiB.
const CACHE_BYTES: usize = 64 << 20;

/// What survives the process, in one folder that this host alone has.
///
/// Every call may wait for the disk: from async code, call it on a blocking thread.
pub struct Store {
    path: PathBuf,
    agent_id: String,
    inner: Mutex<Inner>,
    _lock: Lock,
}

struct Inner {
    /// `None` after an I/O error: redb then wants to be opened anew.
    database: Option<Database>,
    /// How often it was opened anew.
    reopened: u64,
    /// Ids of documents that are not in the database's index yet.
    new_ids: Arc<NewIds>,
    versions: Versions,
    configured: Configured,
}

impl Store {
    /// Opens the state in this folder; makes both if they are missing.
    ///
    /// # Errors
    /// When another host holds it, when it is damaged (it is then left as it is), when a
    /// newer program wrote it, or when the disk refuses.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, STEPS)
    }

    pub(crate) fn open_with(folder: &Path, steps: &[Step]) -> Result<Self, StoreError> {
        private_folder(folder)?;
        let lock = Lock::take(folder)?;
        let path = folder.join(FILE);
        if !path.try_exists().context("could not look for", &path)? {
            create(folder, &path, steps)?;
        }
        let (database, meta, new_ids) = open_existing(&path, steps)?;
        let versions = Versions::after_start(meta.reserved_version.max(meta.last_version));
        Ok(Self {
            path,
            agent_id: meta.agent_id,
            inner: Mutex::new(Inner {
                database: Some(database),
                reopened: 0,
                new_ids: Arc::new(new_ids),
                versions,
                configured: None,
            }),
            _lock: lock,
        })
    }

    /// Moves a database out of the way, under a name with the time, so that the next
    /// open starts without state. Gives the new path; `None` if there was none.
    ///
    /// # Errors
    /// When another host holds the state or the disk refuses.
    pub fn set_aside(folder: &Path) -> Result<Option<PathBuf>, StoreError> {
        let _lock = Lock::take(folder)?;
        let path = folder.join(FILE);
        if !path.try_exists().context("could not look for", &path)? {
            return Ok(None);
        }
        let mut time = SystemTime::now();
        let mut target = name_aside(folder, time);
        while target.exists() {
            time += Duration::from_millis(1);
            target = name_aside(folder, time);
        }
        fs::rename(&path, &target).context("could not move away", &path)?;
        sync(folder)?;
        Ok(Some(target))
    }

    /// Identifies this host in its documents (`agent.id`): a random UUID, made with the
    /// state and kept as long as it.
    #[must_use]
    pub fn agent_id(&self) -> &str {
        &self.agent_id
    }

    /// What is remembered of every instance, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn instances(&self) -> Result<Vec<InstanceState>, StoreError> {
        self.read(|transaction| cursors::all(transaction))
    }

    /// How many documents each instance holds at each output.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn held(&self) -> Result<Vec<HeldCounts>, StoreError> {
        self.read(export::counts)
    }

    /// Shows every document that is held now, one by one, until `see` fails; its error comes back
    /// inside. Others may write meanwhile; the file grows by what they replace as long as it takes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn export(
        &self,
        see: &mut dyn FnMut(ExportedDocument) -> std::io::Result<()>,
    ) -> Result<std::io::Result<()>, StoreError> {
        self.read(|transaction| export::each(transaction, see))
    }

    /// Was any document ever made by another mapping than this one, or with other settings?
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn has_other_mappings(&self, digest: &str, settings: &str) -> Result<bool, StoreError> {
        self.read(|transaction| mappings::has_others(transaction, digest, settings))
    }

    /// How many documents of each mapping the outputs have from an instance.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn mappings(&self, instance: &str) -> Result<Vec<MappingCount>, StoreError> {
        self.read(|transaction| mappings::counts(transaction, instance))
    }

    /// How many events of an instance are still to be read again, whatever their clocks say.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn wanted_count(&self, instance: &str) -> Result<u64, StoreError> {
        self.read(
            |transaction| match names::find(transaction, Kind::Instance, instance)? {
                Some(instance) => wanted::count(transaction, instance),
                None => Ok(0),
            },
        )
    }

    /// Wants events read again, whatever their clocks say; says how many. They stay wanted
    /// until they have been read, over any restart.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn reprocess(&self, instance: &str, what: &Reprocess) -> Result<u64, StoreError> {
        let events = self.read(|transaction| mappings::events(transaction, instance, what))?;
        self.write(&mut self.inner(), |transaction| {
            mappings::want(transaction, instance, &events)
        })?;
        Ok(events.len() as u64)
    }

    /// Wants these events read again, and lets what outputs refused of them be sent again; says
    /// how many documents that are.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn replay(&self, instance: &str, events: &[String]) -> Result<u64, StoreError> {
        self.write(&mut self.inner(), |transaction| {
            mappings::want(transaction, instance, events)?;
            let number = names::number(transaction, Kind::Instance, instance)?;
            let outputs = names::outputs_while_writing(transaction)?;
            let mut refused = 0;
            for event in events {
                let event = names::number(transaction, Kind::Event, event)?;
                for output in &outputs {
                    let place = (*output, number, event);
                    refused += documents::send_again(transaction, place, &|_, fate| {
                        fate == Fate::Refused
                    })?;
                }
            }
            Ok(refused)
        })
    }

    /// What is known of these documents at an output, whoever holds them, in order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn known(
        &self,
        output: &OutputKey,
        ids: &[String],
    ) -> Result<Vec<Option<KnownDocument>>, StoreError> {
        self.read(|transaction| documents::known(transaction, output, ids))
    }

    /// Wants events read again, and lets these documents of them be sent again to one output
    /// whatever it has: instance, event and ids, in one transaction.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn send_again(
        &self,
        output: &OutputKey,
        events: &[(String, String, HashSet<String>)],
    ) -> Result<(), StoreError> {
        self.write(&mut self.inner(), |transaction| {
            let output = names::number(transaction, Kind::Output, &names::of_output(output))?;
            for (instance, event, ids) in events {
                mappings::want(transaction, instance, std::slice::from_ref(event))?;
                let place = (
                    output,
                    names::number(transaction, Kind::Instance, instance)?,
                    names::number(transaction, Kind::Event, event)?,
                );
                documents::send_again(transaction, place, &|id, _| ids.contains(id))?;
            }
            Ok(())
        })
    }

    /// Forgets an instance: its next walk is a first one. Write versions go on. Says
    /// whether there was anything to forget.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn reset(&self, instance: &str) -> Result<bool, StoreError> {
        self.write(&mut self.inner(), |transaction| {
            memory::forget(transaction, instance)
        })
    }

    /// As [`pipeline::State::next_version`].
    ///
    /// # Errors
    /// When the store cannot be written, or no version is left.
    pub fn next_version(&self, now_ms: i64) -> Result<u64, StoreError> {
        let mut inner = self.inner();
        let versions = inner.versions;
        let next = versions
            .next(now_ms)
            .ok_or_else(|| StoreError::VersionsUsedUp {
                path: self.path.clone(),
                last: versions.last,
            })?;
        if let Some(bound) = versions.bound_for(next) {
            self.write(&mut inner, |transaction| {
                meta::set_reserved(transaction, bound)
            })?;
            inner.versions.reserved = bound;
        }
        inner.versions.last = next;
        Ok(next)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the store as it is now. Nobody waits for this work, however long it takes: what
    /// is written meanwhile it does not see.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Reading) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let (reading, reopened) = {
            let mut inner = self.inner();
            let configured = inner.configured.clone();
            let reading = self.with(&mut inner, |database, new_ids| {
                let reading = database.begin_read()?;
                Ok(Reading::new(reading, Arc::clone(new_ids), configured))
            });
            (reading?, inner.reopened)
        };
        work(&reading).map_err(|trouble| {
            // As after a write that failed, unless somebody else has opened it anew by now.
            let mut inner = self.inner();
            if inner.reopened == reopened {
                inner.database = None;
            }
            trouble.at(&self.path)
        })
    }

    /// One durable transaction: all of it is on the disk when this returns, or none.
    fn write<T>(
        &self,
        inner: &mut Inner,
        work: impl FnOnce(&Writing) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let configured = inner.configured.clone();
        self.with(inner, |database, new_ids| {
            let writing = database.begin_write()?;
            let writing = Writing::new(writing, std::mem::take(new_ids), configured);
            let done = work(&writing)?;
            *new_ids = writing.commit()?;
            Ok(done)
        })
    }

    /// Says which instances are configured.
    pub(crate) fn set_configured(&self, configured: Configured) {
        self.inner().configured = configured;
    }

    /// As [`Self::write`], for the other files of this crate.
    pub(crate) fn change<T>(
        &self,
        work: impl FnOnce(&Writing) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        self.write(&mut self.inner(), work)
    }

    /// The folder it is in.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new("."))
    }

    /// Works on the database, opened anew if the last work failed.
    fn with<T>(
        &self,
        inner: &mut Inner,
        work: impl FnOnce(&Database, &mut Arc<NewIds>) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let database = match inner.database.take() {
            Some(database) => database,
            None => {
                let (database, _, new_ids) = open_existing(&self.path, STEPS)?;
                inner.reopened += 1;
                inner.new_ids = Arc::new(new_ids);
                database
            }
        };
        // Kept only on success: after an I/O error redb refuses everything.
        let done = work(&database, &mut inner.new_ids).map_err(|trouble| trouble.at(&self.path))?;
        inner.database = Some(database);
        Ok(done)
    }
}

#[cfg(test)]
impl Store {
    /// Ends as a crash does: nothing is tidied up.
    pub(crate) fn crash(self) {
        let mut inner = self.inner();
        inner.versions.last = inner.versions.reserved;
    }

    /// Work that fails, as on a disk that is full for a moment.
    pub(crate) fn fail_once(&self) {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = redb::Error::from(redb::StorageError::Io(full));
        let failed = self.read(|_| Err::<(), _>(Trouble::Database(error)));
        assert_eq!(
            pipeline::Classify::class(&failed.unwrap_err()),
            pipeline::Class::Transient { after: None }
        );
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let mut inner = self.inner();
        let last = inner.versions.last;
        if last == inner.versions.reserved {
            return;
        }
        let lowered = self.write(&mut inner, |transaction| {
            meta::set_reserved(transaction, last)
        });
        if let Err(error) = lowered {
            // The bound stays where it is: a few versions are left out, none comes twice.
            tracing::debug!(%error, "the bound of the write versions was not lowered");
        }
    }
}

/// Makes the database beside its place and moves it there when it is whole: a file
/// under its own name that is empty or cut short is damage, never a first start.
fn create(folder: &Path, path: &Path, steps: &[Step]) -> Result<(), StoreError> {
    let new = folder.join(format!("{FILE}.new"));
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .context("could not create", &new)?;
    builder()
        .create(&new)
        .map_err(Trouble::from)
        .and_then(|database| prepared(database, steps))
        .and_then(|(database, ..)| Ok(database.close()?))
        .map_err(|trouble| trouble.at(&new))?;
    fs::rename(&new, path).context("could not name", path)?;
    sync(folder)?;
    tracing::info!(path = %path.display(), "made a new state");
    Ok(())
}

fn open_existing(path: &Path, steps: &[Step]) -> Result<(Database, Meta, NewIds), StoreError> {
    if fs::metadata(path).context("could not look at", path)?.len() == 0 {
        return Err(Trouble::Damaged("it is empty".to_owned()).at(path));
    }
    builder()
        .open(path)
        .map_err(Trouble::from)
        .and_then(|database| prepared(database, steps))
        .map_err(|trouble| trouble.at(path))
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder
        .set_cache_size(CACHE_BYTES)
        // Reads the file once; without it a file that was altered may make redb panic.
        .set_check_integrity_on_open(true);
    builder
}

/// Brings the database to the newest schema.
fn prepared(database: Database, steps: &[Step]) -> Result<(Database, Meta, NewIds), Trouble> {
    let transaction = database.begin_write()?;
    if let Some(from) = upgrade(&transaction, steps)?.filter(|from| *from > 0) {
        tracing::info!(from, to = steps.len(), "upgraded the state");
    }
    let meta = meta::read(&transaction)?;
    let new_ids = NewIds::load(&transaction)?;
    transaction.commit()?;
    Ok((database, meta, new_ids))
}

/// `state.redb-20260101T000000.000Z`.
fn name_aside(folder: &Path, time: SystemTime) -> PathBuf {
    let stamp = humantime::format_rfc3339_millis(time)
        .to_string()
        .replace(['-', ':'], "");
    folder.join(format!("{FILE}-{stamp}"))
}

fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .context("could not sync", folder)
}

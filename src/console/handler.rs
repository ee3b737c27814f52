//! pgwire's questions, answered by one visit: what a text means, which columns it has, what its rows are.

use super::{
    command::{Command, Statement},
    error::ConsoleError,
    tables::Row,
    visit::{NOTICES_LIMIT, Notice, Visit},
};
use async_trait::async_trait;
use futures::{Sink, SinkExt as _, stream};
use pgwire::{
    api::{
        ClientInfo, ClientPortalStore, DEFAULT_NAME, Type,
        portal::{Format, Portal},
        query::{ExtendedQueryHandler, SimpleQueryHandler},
        results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag},
        stmt::{QueryParser, StoredStatement},
        store::{Entry, PortalStore},
    },
    error::{ErrorInfo, PgWireError, PgWireResult},
    messages::{
        PgWireBackendMessage,
        extendedquery::{
            Bind, BindComplete, Close, CloseComplete, Execute, Parse, ParseComplete,
            TARGET_TYPE_BYTE_STATEMENT,
        },
        response::TransactionStatus,
    },
};
use std::{
    collections::HashSet,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc;

/// Prepared statements and portals of one connection, together.
pub(super) const NAMES_LIMIT: usize = 100;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Handler {
    visit: Arc<Visit>,
    /// The names of statements and portals that are kept.
    names: Mutex<HashSet<String>>,
}

impl Handler {
    pub(super) fn new(visit: Visit) -> Self {
        Self { visit: Arc::new(visit), names: Mutex::default() }
    }

    /// pgwire keeps statements and portals without a limit: names are counted before it sees them.
    fn name(&self, kind: char, name: Option<&str>) -> PgWireResult<()> {
        let Some(name) = name else { return Ok(()) };
        // A set is whole even if a holder panicked.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{kind}{name}");
        if names.len() >= NAMES_LIMIT && !names.contains(&name) {
            return Err(error(&ConsoleError::TooManyNames { limit: NAMES_LIMIT }));
        }
        names.insert(name);
        Ok(())
    }

    fn forget(&self, kind: char, name: Option<&str>) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(&format!("{kind}{}", name.unwrap_or_default()));
    }

    /// Runs it, and tells the client what there is to tell meanwhile.
    async fn run<C>(&self, client: &mut C, statement: &Statement, formats: &Format) -> PgWireResult<Response>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let has_failed = matches!(client.transaction_status(), TransactionStatus::Error);
        let (sender, mut notices) = mpsc::channel(NOTICES_LIMIT);
        let mut work = self.visit.begin(statement, has_failed, sender);
        let done = loop {
            // Each arm only waits: what is not chosen has lost nothing.
            tokio::select! {
                biased;
                Some(notice) = notices.recv() => client.send(told(notice)).await?,
                done = work.join_next() => break done.and_then(Result::ok),
            }
        };
        while let Ok(notice) = notices.try_recv() {
            client.feed(told(notice)).await?;
        }
        let done = done.unwrap_or(Err(ConsoleError::Unfinished));
        let rows = done.map_err(|problem| error(&problem))?;
        match statement.command {
            Command::Heard(tag) => Ok(Response::Execution(Tag::new(tag))),
            Command::Begin => Ok(Response::TransactionStart(Tag::new("BEGIN"))),
            Command::End(tag) => Ok(Response::TransactionEnd(Tag::new(tag))),
            Command::Help
            | Command::Table(_)
            | Command::Word(..)
            | Command::Freeze(_)
            | Command::Thaw(_)
            | Command::Reload
            | Command::Kill(_) => answer(&statement.command, &rows, formats),
        }
    }
}

fn fields(command: &Command, formats: &Format) -> Vec<FieldInfo> {
    let format = |at: usize| match formats {
        Format::UnifiedText => FieldFormat::Text,
        Format::UnifiedBinary => FieldFormat::Binary,
        // A client may have named fewer than there are columns.
        Format::Individual(codes) => FieldFormat::from(codes.get(at).copied().unwrap_or(0)),
    };
    let named = command.columns().into_iter().enumerate();
    named.map(|(at, name)| FieldInfo::new(name.to_owned(), None, None, Type::TEXT, format(at))).collect()
}

/// Every value is a text, which both formats write alike.
fn answer(command: &Command, rows: &[Row], formats: &Format) -> PgWireResult<Response> {
    let fields = Arc::new(fields(command, formats));
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    let mut answered = Vec::new();
    for row in rows {
        // As many values as there are columns: the encoder counts on it.
        for at in 0..fields.len() {
            encoder.encode_field(&row.get(at).cloned().flatten())?;
        }
        answered.push(Ok(encoder.take_row()));
    }
    let mut response = QueryResponse::new(fields, stream::iter(answered));
    response.set_command_tag("SHOW");
    Ok(Response::Query(response))
}

fn told(notice: Notice) -> PgWireBackendMessage {
    let Notice { warns, text, detail } = notice;
    // Source: manual, "PostgreSQL Error Codes", classes 00 and 01.
    let (severity, code) = if warns { ("WARNING", "01000") } else { ("NOTICE", "00000") };
    let info = info(severity, code, text, (detail, None));
    PgWireBackendMessage::NoticeResponse(info.into())
}

fn info(severity: &str, code: &str, text: String, more: (Option<String>, Option<String>)) -> ErrorInfo {
    let mut info = ErrorInfo::new(severity.to_owned(), code.to_owned(), text);
    info.severity_nonlocalized = Some(severity.to_owned());
    (info.detail, info.hint) = more;
    info
}

pub(super) fn error(problem: &ConsoleError) -> PgWireError {
    let more = (problem.detail(), problem.hint());
    PgWireError::UserError(Box::new(info("ERROR", problem.code(), problem.to_string(), more)))
}

#[async_trait]
impl SimpleQueryHandler for Handler {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statements = Statement::read_all(query).map_err(|problem| error(&problem))?;
        let mut responses = Vec::new();
        for statement in statements {
            let done = match statement {
                Ok(statement) => self.run(client, &statement, &Format::UnifiedText).await,
                Err(problem) => Err(error(&problem)),
            };
            match done {
                Ok(response) => responses.push(response),
                // What was done before it is answered, what stands behind it is not done.
                Err(PgWireError::UserError(info)) => {
                    responses.push(Response::Error(info));
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        if responses.is_empty() {
            responses.push(Response::EmptyQuery);
        }
        Ok(responses)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Handler {
    type Statement = Statement;
    type QueryParser = Reader;

    fn query_parser(&self) -> Arc<Reader> {
        Arc::new(Reader)
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.name('s', message.name.as_deref())?;
        parse(client, &message, self.query_parser()).await
    }

    async fn on_bind<C>(&self, client: &mut C, message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.name('p', message.portal_name.as_deref())?;
        bind(client, &message).await
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref();
        if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            client.portal_store().rm_statement(name.unwrap_or(DEFAULT_NAME));
            self.forget('s', name);
        } else {
            client.portal_store().rm_portal(name.unwrap_or(DEFAULT_NAME));
            self.forget('p', name);
        }
        Ok(client.send(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?)
    }

    /// pgwire makes room for as many rows as the client names.
    async fn on_execute<C>(&self, client: &mut C, mut message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !(0..=MAX_ROWS).contains(&message.max_rows) {
            message.max_rows = 0;
        }
        self._on_execute(client, message).await
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Statement>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        self.run(client, &portal.statement.statement, &portal.result_column_format).await
    }
}

/// pgwire's own way, which can't be called once it is overridden.
async fn parse<C>(client: &mut C, message: &Parse, reader: Arc<Reader>) -> PgWireResult<()>
where
    C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::PortalStore: PortalStore<Statement = Statement>,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    match StoredStatement::parse(client, message, reader).await? {
        Some(statement) => client.portal_store().put_statement(Arc::new(statement)),
        None => client.portal_store().put_empty_statement(message.name.as_deref().unwrap_or(DEFAULT_NAME)),
    }
    Ok(client.send(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?)
}

/// As above; no command has parameters.
async fn bind<C>(client: &mut C, message: &Bind) -> PgWireResult<()>
where
    C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
    C::PortalStore: PortalStore<Statement = Statement>,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let name = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
    match client.portal_store().get_statement(name) {
        Some(Entry::Value(statement)) => {
            client.portal_store().put_portal(Arc::new(Portal::try_new(message, statement)?));
        }
        Some(Entry::Empty) => {
            client.portal_store().put_empty_portal(message.portal_name.as_deref().unwrap_or(DEFAULT_NAME));
        }
        None => return Err(PgWireError::StatementNotFound(name.to_owned())),
    }
    Ok(client.send(PgWireBackendMessage::BindComplete(BindComplete::new())).await?)
}

/// The largest number of rows that an Execute is taken at its word for; no answer has more.
const MAX_ROWS: i32 = 10_000;

/// Reads a prepared statement's text.
#[derive(Debug)]
pub(super) struct Reader;

#[async_trait]
impl QueryParser for Reader {
    type Statement = Statement;

    async fn parse_sql<C>(
        &self,
        _client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Statement>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        Statement::read_one(sql).map_err(|problem| error(&problem))
    }

    fn get_parameter_types(&self, _statement: &Statement) -> PgWireResult<Vec<Type>> {
        Ok(Vec::new())
    }

    fn get_result_schema(
        &self,
        statement: &Statement,
        formats: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        Ok(fields(&statement.command, formats.unwrap_or(&Format::UnifiedText)))
    }
}

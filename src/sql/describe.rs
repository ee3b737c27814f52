//! What a known write is aimed at, for people: the audit, the list of refusals, `explain`. It never decides anything.
//!
//! sqlparser gives a tree of most statements; of others, and where its tree stops before the text does, the tokens tell.
//! Its trees are dropped by recursion, left-deep ones deeply, so it is handed short texts of few tokens only.
use sqlparser::{
    ast::{
        CopySource, Expr, FromTable, ObjectName, Query, SetExpr, Statement, TableFactor, TableObject,
        TableWithJoins,
    },
    dialect::PostgreSqlDialect,
    parser::Parser,
};

use super::{
    class::Command,
    encoding::ClientEncoding,
    lexer::Backslash,
    message::{classify, classify_statements},
    targets::targets,
    token::{Kind, Token},
    walk::Walk,
};

/// The longest text that sqlparser is handed.
pub const DESCRIBE_TEXT: usize = 16 * 1024;
/// The most tokens that it is handed: none of its trees is deeper than that.
pub const DESCRIBE_TOKENS: usize = 2_000;
/// The most tables that are told.
pub const DESCRIBE_TABLES: usize = 16;
/// The longest name that is told, in bytes: three names of 63 bytes and two dots; a longer one is cut.
pub const DESCRIBE_NAME: usize = 191;
/// How deep sqlparser may recurse: its frames take some 15 KiB each.
const RECURSION: usize = 24;

/// What a known write is aimed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What the server would call it.
    pub command: Command,
    /// The tables that it names as its targets, as they are spelled, without quotes, each once, in order.
    pub tables: Vec<String>,
}

/// Describes a text that is known to be a write. Any text has a description, of a bounded size.
pub fn describe(text: &[u8]) -> Description {
    let mut tables = Tables(Vec::new());
    if let Some(statements) = statements(text).filter(|statements| statements.len() == count(text)) {
        collect(&statements, &mut tables);
    }
    if tables.0.is_empty() {
        let mut walk = Walk::new(text, Backslash::Ordinary);
        targets(&mut walk, |name| tables.add(name.iter().map(|part| spelled(*part, text))));
    }
    Description { command: classify(text, ClientEncoding::Safe).command, tables: tables.0 }
}

/// sqlparser's tree, if the text is small enough for it and it finds one.
fn statements(text: &[u8]) -> Option<Vec<Statement>> {
    let text = str::from_utf8(text).ok().filter(|text| text.len() <= DESCRIBE_TEXT)?;
    let mut walk = Walk::new(text.as_bytes(), Backslash::Ordinary);
    for _ in 0..DESCRIBE_TOKENS {
        if walk.advance().kind() == Kind::End {
            let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(RECURSION);
            return parser.try_with_sql(text).ok()?.parse_statements().ok();
        }
    }
    None
}

/// Statements by our own tokens: sqlparser may stop before the end of a text without saying so.
fn count(text: &[u8]) -> usize {
    let mut count = 0;
    classify_statements(text, ClientEncoding::Safe, |_, _| count = usize::saturating_add(count, 1));
    count
}

/// Names that were found, bounded.
struct Tables(Vec<String>);

impl Tables {
    fn add(&mut self, parts: impl Iterator<Item = String>) {
        let mut name = parts.collect::<Vec<_>>().join(".");
        let mut end = DESCRIBE_NAME.min(name.len());
        while !name.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        name.truncate(end);
        if self.0.len() < DESCRIBE_TABLES && !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    fn name(&mut self, name: &ObjectName) {
        self.add(name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.clone()));
    }

    /// The name that SELECT INTO gives its table is an expression to sqlparser.
    fn expression(&mut self, name: &Expr) {
        if let Expr::Identifier(name) = name {
            self.add(std::iter::once(name.value.clone()));
        } else if let Expr::CompoundIdentifier(parts) = name {
            self.add(parts.iter().map(|part| part.value.clone()));
        }
    }

    fn factor(&mut self, table: &TableFactor) {
        if let TableFactor::Table { name, .. } = table {
            self.name(name);
        }
    }

    fn joins(&mut self, tables: &[TableWithJoins]) {
        for table in tables {
            self.factor(&table.relation);
        }
    }
}

/// A token's name as it is spelled, its quotes removed.
fn spelled(token: Token, text: &[u8]) -> String {
    let raw = String::from_utf8_lossy(token.of(text));
    let inside = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    inside.map_or_else(|| raw.clone().into_owned(), |inside| inside.replace("\"\"", "\""))
}

/// What is left to visit.
enum Node<'a> {
    Statement(&'a Statement),
    Query(&'a Query),
    Body(&'a SetExpr),
}

/// Collects the targets of a tree, with a list of what is left to visit and no recursion.
fn collect(statements: &[Statement], tables: &mut Tables) {
    let mut left: Vec<Node<'_>> = statements.iter().rev().map(Node::Statement).collect();
    while let Some(node) = left.pop() {
        match node {
            Node::Statement(statement) => collect_statement(statement, tables, &mut left),
            Node::Query(query) => {
                left.push(Node::Body(&query.body));
                if let Some(with) = &query.with {
                    left.extend(with.cte_tables.iter().rev().map(|table| Node::Query(&table.query)));
                }
            }
            Node::Body(SetExpr::Query(query)) => left.push(Node::Query(query)),
            Node::Body(SetExpr::SetOperation { left: first, right, .. }) => {
                left.extend([Node::Body(right), Node::Body(first)]);
            }
            Node::Body(
                SetExpr::Insert(statement)
                | SetExpr::Update(statement)
                | SetExpr::Delete(statement)
                | SetExpr::Merge(statement),
            ) => left.push(Node::Statement(statement)),
            Node::Body(SetExpr::Select(select)) => {
                for target in select.into.iter().flat_map(|into| &into.targets) {
                    tables.expression(target);
                }
            }
            Node::Body(SetExpr::Values(_) | SetExpr::Table(_)) => {}
        }
    }
}

fn collect_statement<'a>(statement: &'a Statement, tables: &mut Tables, left: &mut Vec<Node<'a>>) {
    if let Statement::Insert(insert) = statement {
        if let TableObject::TableName(name) = &insert.table {
            tables.name(name);
        }
        left.extend(insert.source.as_deref().map(Node::Query));
    } else if let Statement::Update(update) = statement {
        tables.factor(&update.table.relation);
    } else if let Statement::Delete(delete) = statement {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        tables.joins(from);
    } else if let Statement::Merge(merge) = statement {
        tables.factor(&merge.table);
    } else if let Statement::Query(query) = statement {
        left.push(Node::Query(query));
    } else if let Statement::Explain { statement, .. } | Statement::Prepare { statement, .. } = statement {
        left.push(Node::Statement(statement));
    } else if let Statement::Copy { source, .. } = statement {
        match source {
            CopySource::Table { table_name, .. } => tables.name(table_name),
            CopySource::Query(query) => left.push(Node::Query(query)),
        }
    } else if let Statement::Truncate(truncate) = statement {
        for target in &truncate.table_names {
            tables.name(&target.name);
        }
    } else if let Statement::Drop { names, .. } = statement {
        for name in names {
            tables.name(name);
        }
    } else if let Statement::CreateTable(create) = statement {
        tables.name(&create.name);
        left.extend(create.query.as_deref().map(Node::Query));
    } else if let Statement::CreateIndex(create) = statement {
        tables.name(&create.table_name);
    } else if let Statement::AlterTable(alter) = statement {
        tables.name(&alter.name);
    } else if let Statement::CreateView(create) = statement {
        tables.name(&create.name);
    } else if let Statement::AlterView { name, .. }
    | Statement::AlterIndex { name, .. }
    | Statement::CreateSequence { name, .. } = statement
    {
        tables.name(name);
    }
}

#[cfg(test)]
#[path = "describe/tests.rs"]
mod tests;

//! The duel: writes in disguise, against PostgreSQL's own read-only setting and against Frostgate. What is told
//! is what was found in the data afterwards.

use super::{
    cast::DATABASE,
    error::DemoError,
    evidence::Observer,
    scene::Scene,
    schema::{OWNER, TWIN, prepared_in},
    stage::Tone,
    tally::Outcome,
};
use tokio_postgres::Client;

/// The name that the one in disguise gives itself.
const INTRUDER: &str = "intruder";

/// A write in disguise: each message is one simple Query; `{gid}` is a transaction prepared before the freeze.
struct Disguise {
    shown: &'static str,
    messages: &'static [&'static str],
}

const DISGUISES: [Disguise; 10] = [
    Disguise {
        shown: "WITH x AS (INSERT …) SELECT * FROM x",
        messages: &["WITH x AS (INSERT INTO loot VALUES ('with') RETURNING *) SELECT * FROM x"],
    },
    Disguise { shown: "SELECT f(), a function that inserts", messages: &["SELECT write_loot('function')"] },
    Disguise {
        shown: "BEGIN READ WRITE; INSERT …; COMMIT",
        messages: &["BEGIN READ WRITE; INSERT INTO loot VALUES ('read write'); COMMIT"],
    },
    Disguise {
        shown: "SET default_transaction_read_only = off, then INSERT",
        messages: &["SET default_transaction_read_only = off", "INSERT INTO loot VALUES ('set')"],
    },
    Disguise {
        shown: "SET SESSION \"Default_Transaction_Read_Only\" TO 'of', INSERT",
        messages: &[
            "SET SESSION \"Default_Transaction_Read_Only\" TO 'of'",
            "INSERT INTO loot VALUES ('set, spelled otherwise')",
        ],
    },
    Disguise {
        shown: "SELECT 1; COMMIT; SET transaction_read_only = off; INSERT",
        messages: &[
            "SELECT 1; COMMIT; SET transaction_read_only = off; INSERT INTO loot VALUES ('behind a commit')",
        ],
    },
    Disguise {
        shown: "SELECT 1 >-- '⏎ 2; COMMIT; BEGIN READ WRITE; INSERT …; --'",
        messages: &[
            "SELECT 1 >-- '\n 2; COMMIT; BEGIN READ WRITE; INSERT INTO loot VALUES ('in a comment'); COMMIT; --'",
        ],
    },
    Disguise {
        shown: "DO $$ … COMMIT; SET TRANSACTION READ WRITE; INSERT … $$",
        messages: &[
            "DO $$BEGIN COMMIT; SET TRANSACTION READ WRITE; INSERT INTO loot VALUES ('do'); COMMIT; END$$",
        ],
    },
    Disguise {
        shown: "EXPLAIN ANALYZE CREATE TABLE … AS SELECT …",
        messages: &["EXPLAIN ANALYZE CREATE TABLE stolen AS SELECT * FROM orders"],
    },
    Disguise {
        shown: "COMMIT PREPARED, of a transaction from before",
        messages: &["COMMIT PREPARED '{gid}'"],
    },
];

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The data is another one afterwards.
    Wrote,
    /// An error, 25006, and the data is what it was.
    Refused,
    /// Another error, or none, and the data is what it was.
    NoEffect,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Wrote => "WROTE",
            Self::Refused => "refused",
            Self::NoEffect => "no effect",
        }
    }

    fn tone(self) -> Tone {
        match self {
            Self::Wrote => Tone::Bad,
            Self::Refused | Self::NoEffect => Tone::Good,
        }
    }
}

pub(super) async fn act(scene: &mut Scene<'_>) -> Result<(), DemoError> {
    scene.stage.act("The duel: writes in disguise").await?;
    scene.stage.tell(&format!(
        "Left, a database that PostgreSQL itself holds read-only, reached directly:\n  \
           ALTER DATABASE {TWIN} SET default_transaction_read_only = on\n\
         Right, the shop behind the frozen Frostgate. Each as an ordinary role, and looked up in the data.\n "
    ))?;
    let twin = Observer::new(scene.server.connect(TWIN).await?);
    twin.run(&format!("ALTER DATABASE {TWIN} SET default_transaction_read_only = on")).await?;
    scene.stage.tell(&row("", ("PostgreSQL", "Frostgate")))?;
    let (mut alone, mut behind) = (Vec::new(), Vec::new());
    for disguise in &DISGUISES {
        let intruder = scene.server.connect_as(OWNER, TWIN, INTRUDER).await?;
        let left = attempt(disguise, &intruder, TWIN, &twin).await?;
        let intruder = scene.ways.driver(OWNER, DATABASE, INTRUDER).await?;
        let right = attempt(disguise, &intruder, DATABASE, &scene.observer).await?;
        let stage = &scene.stage;
        // Padded before it is coloured: the codes have a length, and no width.
        let word = |fate: Fate| stage.tint(fate.tone(), &format!("{:<9}", fate.word()));
        stage.tell(&row(disguise.shown, (&format!("{} ", word(left)), word(right).trim_end())))?;
        alone.push(left);
        behind.push(right);
    }
    scene.observer.run(&format!("ROLLBACK PREPARED '{}'", prepared_in(DATABASE))).await?;
    scene.stage.line("")?;
    let wrote = alone.iter().filter(|fate| **fate == Fate::Wrote).count();
    let of = DISGUISES.len();
    scene.stage.claim(
        &format!("{wrote} of {of} wrote past PostgreSQL's own setting: it is a default, not a lock"),
        wrote > 0,
        "more than none",
        format!("{alone:?}"),
    )?;
    let refused = behind.iter().filter(|fate| **fate == Fate::Refused).count();
    scene.stage.claim(
        &format!("{refused} of {of} were refused by Frostgate with 25006, and the data is what it was"),
        refused == of,
        format!("{of} times `refused`"),
        format!("{behind:?}"),
    )
}

fn row(shown: &str, (left, right): (&str, &str)) -> String {
    format!("  {shown:<60}  {left:<10} {right}")
}

async fn attempt(
    disguise: &Disguise,
    intruder: &Client,
    database: &str,
    observer: &Observer,
) -> Result<Fate, DemoError> {
    let before = observer.contents().await?;
    let mut all_refused = true;
    for message in disguise.messages {
        let message = message.replace("{gid}", &prepared_in(database));
        // It goes on whatever it is told.
        let outcome = Outcome::from(intruder.batch_execute(&message).await);
        all_refused &= matches!(outcome, Outcome::Refused(_));
    }
    if observer.contents().await? != before {
        return Ok(Fate::Wrote);
    }
    Ok(if all_refused { Fate::Refused } else { Fate::NoEffect })
}

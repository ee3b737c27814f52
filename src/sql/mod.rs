//! Text to class: what a statement would do, judged on its raw bytes. Pure. The only folder that names sqlparser.

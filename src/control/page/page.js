// Looks every second, and shows what it is told; all texts are set as texts, never as HTML.
"use strict";

const SECONDS = 120;
const byId = (id) => document.getElementById(id);
const points = []; // { reads, refused } a second, the newest last
let before = null; // the counters of the last look

const made = (tag, text, name) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
};
const ago = (seconds) => {
  const [d, h, m, s] = [seconds / 86400, (seconds / 3600) % 24, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min ${s} s` : `${s} s`;
};
const since = (instant) => Math.max(0, (Date.now() - Date.parse(instant)) / 1000);
const clock = (instant) => new Date(instant).toLocaleString();
const whom = (match) => Object.entries(match).map(([what, name]) => `${what} ${name}`).join(", ");

async function json(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (answer.status === 404) return null; // this proxy does not tell that
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function counters() {
  const page = await (await fetch("metrics", { cache: "no-store" })).text();
  let reads = 0;
  let refused = 0;
  for (const line of page.split("\n")) {
    if (line.startsWith('frostgate_statements_total{class="read"}')) reads += Number(line.split(" ").pop());
    if (line.startsWith("frostgate_statements_refused_total{")) refused += Number(line.split(" ").pop());
  }
  return { reads, refused, at: performance.now() };
}

function showState(status) {
  document.body.dataset.state = status.state;
  document.title = `${status.state} · Frostgate`;
  byId("state").textContent = status.state;
  const told = [];
  if (status.since) told.push(`for ${ago(since(status.since))}, since ${clock(status.since)}`);
  if (status.by) told.push(`by ${status.by}`);
  if (status.until) {
    const left = (Date.parse(status.until) - Date.now()) / 1000;
    told.push(left >= 0 ? `${ago(left)} left` : `overdue by ${ago(-left)}`);
  }
  if (status.state === "open") told.push("reads and writes pass");
  if (status.scope.length) told.push(`only ${status.scope.map(whom).join("; ")}`);
  if (status.thawed.length) told.push(`open again: ${status.thawed.map(whom).join("; ")}`);
  byId("told").textContent = told.join(" · ");
  byId("words").textContent = status.reason || "";
  const fault = byId("fault");
  fault.textContent = status.start_fault || (status.upstream_up === false ? `The server ${status.upstream} can't be reached.` : "");
  fault.hidden = !fault.textContent;
}

function showDrain(status) {
  const drain = byId("drain");
  drain.hidden = status.state !== "draining";
  const left = [
    [status.writing_transactions, "transaction that wrote", "transactions that wrote"],
    [status.unproven, "that may be writing", "that may be writing"],
    [status.settling, "session whose fence is on its way", "sessions whose fence is on its way"],
    [status.orphans, "session of a process before this one", "sessions of a process before this one"],
  ].filter(([count]) => count > 0).map(([count, one, more]) => `${count.toLocaleString()} ${count === 1 ? one : more}`);
  const waits = left.length ? `Waiting for ${left.join(", ")}.` : "Nothing is left to wait for.";
  drain.textContent = status.drain_timed_out ? `${waits} The drain time is over.` : waits;
}

function showNumbers(status) {
  const numbers = [
    ["sessions", status.sessions], ["writing", status.writing_transactions], ["may be writing", status.unproven],
    ["stragglers", status.stragglers, status.stragglers > 0], ["exempt sessions", status.exempt_sessions],
    ["refused since start", status.refused_total], ["fence", status.fence, status.fence === "none" && status.state !== "open"],
    ["the server is quiet", status.quiet.replace("_", " "), status.quiet === "violated"],
    ["kept on disk", status.state_durable ? "yes" : "no", !status.state_durable],
    ["left read-only", status.readonly_leftovers], ["epoch", status.epoch],
  ];
  byId("numbers").replaceChildren(...numbers.map(([name, value, isBad]) => {
    const pair = made("div", undefined, isBad ? "bad" : "");
    pair.append(made("dt", name), made("dd", typeof value === "number" ? value.toLocaleString() : value));
    return pair;
  }));
}

function showChart() {
  const svg = byId("chart");
  const [width, height] = [600, 140];
  const top = (key) => Math.max(1, ...points.map((point) => point[key]));
  const x = (at) => ((SECONDS - points.length + at + 1) / SECONDS) * width;
  const ns = "http://www.w3.org/2000/svg";
  const line = document.createElementNS(ns, "polyline");
  const reads = top("reads");
  line.setAttribute("points", points.map((p, at) => `${x(at)},${height - 4 - (p.reads / reads) * (height - 12)}`).join(" "));
  const refused = top("refused");
  const bars = points.map((point, at) => {
    const bar = document.createElementNS(ns, "rect");
    const tall = point.refused ? Math.max(2, (point.refused / refused) * (height / 2)) : 0;
    for (const [name, value] of Object.entries({ x: x(at) - 4, y: height - tall, width: 4, height: tall })) {
      bar.setAttribute(name, value);
    }
    return bar;
  });
  svg.replaceChildren(...bars, line);
  const last = points[points.length - 1] || { reads: 0, refused: 0 };
  for (const [name, most] of [["reads", reads], ["refused", refused]]) {
    byId(`${name}-now`).textContent = Math.round(last[name]).toLocaleString();
    byId(`${name}-most`).textContent = Math.round(most).toLocaleString();
  }
}

const TABLES = {
  holding_up: [["application", "application"], ["user", "user"], ["database", "database"], ["from", "client"],
    ["standing", "standing"], ["for", (row) => (row.age_s == null ? "" : ago(row.age_s))], ["last command", "last_command"],
    ["ended by", (row) => row.end_with, "code"]],
  refused: [["count", "count", "number"], ["application", "application"], ["user", "user"], ["database", "database"],
    ["from", "client"], ["command", "command"], ["tables", (row) => (row.tables || []).join(", ")],
    ["last", (row) => `${ago(since(row.last))} ago`]],
  exceptions: [["name", "name"], ["while frozen", (row) => (row.kind === "deny" ? "runs nothing" : "may write")],
    ["whom", (row) => whom(row.who) + (row.is_forgeable ? " (anybody can say so)" : "")], ["reason", "reason"],
    ["owner", "owner"], ["sessions", "sessions", "number"], ["writes", "writes", "number"],
    ["ends", (row) => (row.until ? clock(row.until) : row.is_configured ? "never" : "with the freeze")]],
  sessions: [["application", "application"], ["user", "user"], ["database", "database"], ["from", "client"],
    ["standing", (row) => row.standing + (row.entrance === "maintenance" ? ", exempt" : row.is_spared ? ", spared" : "")],
    ["transaction", (row) => (row.in_transaction ? `open ${ago(row.age_s || 0)}` : "")], ["last command", "last_command"]],
  windows: [["began", (row) => clock(row.since)],
    ["lasted", (row) => (row.ended_at ? ago((Date.parse(row.ended_at) - Date.parse(row.since)) / 1000) : "not over")],
    ["reason", "reason"], ["by", "by"], ["refused", "refused", "number"]],
};

function showTable(name, rows, total) {
  const section = document.querySelector(`[data-table="${name}"]`);
  section.hidden = rows === null || (name === "holding_up" && rows.length === 0);
  if (section.hidden) return;
  const columns = TABLES[name].filter(([, of]) => typeof of === "function" || rows.some((row) => row[of] != null));
  const body = rows.slice(0, 100).map((row) => {
    const line = made("tr");
    for (const [title, of, kind] of columns) {
      const text = String((typeof of === "function" ? of(row) : row[of]) ?? "") || "–";
      const cell = made("td", kind === "code" ? undefined : text, kind);
      if (kind === "code") cell.append(made("code", text));
      cell.dataset.title = title; // for phones, where each row is a card
      line.append(cell);
    }
    return line;
  });
  const table = made("table");
  const head = made("tr");
  head.append(...columns.map(([title, , kind]) => made("th", title, kind)));
  table.append(head, ...body);
  const rest = (total || rows.length) - body.length;
  section.replaceChildren(section.querySelector("h2"), rows.length ? table : made("p", "none", "none"));
  if (rest > 0) section.append(made("p", `and ${rest.toLocaleString()} more`, "none"));
}

async function look() {
  const [status, now, refused, exceptions, sessions, windows] = await Promise.all([
    json("v1/status"), counters(), json("v1/refused"), json("v1/exceptions"), json("v1/sessions"), json("v1/windows"),
  ]);
  showState(status);
  showDrain(status);
  showNumbers(status);
  if (before) {
    const seconds = (now.at - before.at) / 1000;
    const rate = (key) => Math.max(0, now[key] - before[key]) / seconds;
    points.push({ reads: rate("reads"), refused: rate("refused") });
    if (points.length > SECONDS) points.shift();
  }
  before = now;
  showChart();
  showTable("holding_up", status.holding_up);
  showTable("refused", refused && refused.refused);
  showTable("exceptions", exceptions && exceptions.exceptions);
  showTable("sessions", sessions && sessions.sessions, sessions && sessions.total);
  showTable("windows", windows && windows.windows, windows && windows.total);
}

async function goOn() {
  try {
    await look();
  } catch (error) {
    document.body.dataset.state = "unknown";
    document.title = "? · Frostgate";
    byId("state").textContent = "no answer";
    byId("told").textContent = "The proxy does not answer: what is below is as it was.";
    byId("words").textContent = String(error.message || error);
  }
  setTimeout(goOn, document.hidden ? 10000 : 1000);
}
goOn();

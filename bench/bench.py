#!/usr/bin/env python3
"""Measures Frostgate beside a direct connection, PgBouncer and HAProxy, in interleaved rounds on this machine.

usage: bench/bench.py [--rounds 5] [--seconds 1] [--only PART,…] [--targets T,…] [--cases REGEX] [--out FILE]

Parts: pgbench, streams, connects, idle, many, row, tls, freeze, busy, refusals. Each number is the median of its rounds; a ratio is of
medians in one run. It makes a PostgreSQL of its own in a temporary folder, and needs its programs, pgbench, and
pgbouncer and haproxy where these are to be measured (Debian's packages of those names). Only Python's own library.
"""
import argparse, multiprocessing, os, platform, re, resource, select, shutil, signal, socket, statistics, struct, subprocess, sys, tempfile, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from wire import Client, http_over_unix, message  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def newest_postgres():
    named = os.environ.get("FROSTGATE_PG_BIN")
    if named:
        return Path(named)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if not found:
        sys.exit("bench: no PostgreSQL under /usr/lib/postgresql; set FROSTGATE_PG_BIN to the folder of initdb")
    return found[-1]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu(pids):
    """Seconds of CPU, user and system, that the processes have used, to the nanosecond; ended threads count. The clock's
    number is what clock_getcpuclockid(3) makes of a process id."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def memory(pid):
    """Kilobytes that the process alone holds."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", text, re.M))


def wait_for(port):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"bench: nothing answers on port {port}")


class Lab:
    """The folder, the server, and the programs that stand in front of it."""

    def __init__(self, targets):
        self.folder = Path(tempfile.mkdtemp(prefix="frostgate-bench-"))
        self.folder.chmod(0o755)
        self.processes = []
        self.user = "postgres" if os.getuid() == 0 else None
        self.bin = newest_postgres()
        self.port = free_port()
        self.start_server()
        # name -> (port, processes whose CPU counts)
        self.targets = {"direct": (self.port, [])}
        for name in targets:
            program = name.removesuffix("_warm")
            if program in ("pgbouncer", "haproxy") and not (shutil.which(program) or Path(f"/usr/sbin/{program}").exists()):
                print(f"bench: {program} is not installed, and {name} is left out", file=sys.stderr)
            elif name != "direct":
                getattr(self, "start_" + name)()

    def as_user(self, command):
        if self.user:
            return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups", *map(str, command)]
        return [str(part) for part in command]

    def spawn(self, command, **more):
        log = open(self.folder / "log", "ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **more)
        self.processes.append(process)
        return process

    def start_server(self):
        data = self.folder / "data"
        data.mkdir()
        if self.user:
            shutil.chown(data, self.user, self.user)
        initdb = [self.bin / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"]
        subprocess.run(self.as_user(initdb), check=True, stdout=subprocess.DEVNULL, cwd="/")
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": data, "fsync": "off",
            "synchronous_commit": "off", "max_connections": 5200, "shared_buffers": "256MB", "autovacuum": "off",
            "max_wal_size": "4GB",
        }
        arguments = [part for item in settings.items() for part in ("-c", "%s=%s" % item)]
        self.spawn(self.as_user([self.bin / "postgres", "-D", data, *arguments]))
        wait_for(self.port)
        end = time.monotonic() + 20
        while self.psql("SELECT 1", check=False).returncode and time.monotonic() < end:
            time.sleep(0.1)
        subprocess.run([self.bin / "pgbench", "-i", "-q", "-s", "5", *self.where(self.port)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.psql("CREATE UNLOGGED TABLE sink (line text)")

    def where(self, port):
        return ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "postgres"]

    def psql(self, sql, check=True):
        return subprocess.run(["psql", "-XAtqc", sql, *self.where(self.port)], check=check, capture_output=True, text=True)

    def start_pgbouncer(self, more="", name="pgbouncer", lifetime=0):
        """Each client gets a new session of the server, as it does everywhere else here: see start_pgbouncer_warm."""
        port, users = free_port(), self.folder / "users"
        ini = self.folder / f"pgbouncer{port}.ini"
        users.write_text('"postgres" ""\n')
        ini.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\npool_mode = session\n"
            "max_client_conn = 6000\ndefault_pool_size = 5100\nlog_connections = 0\n"
            f"log_disconnections = 0\nignore_startup_parameters = extra_float_digits\n"
            f"server_lifetime = {lifetime}\n{more}")
        process = self.spawn(self.as_user([shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", ini]))
        wait_for(port)
        self.targets[name] = (port, [process.pid])

    def start_pgbouncer_warm(self):
        """As users run it: the server's sessions outlive their clients, and so have their caches filled and their memory
        mapped from round to round. What that saves, it saves the server: transactions a second tell of the pool here."""
        self.start_pgbouncer(name="pgbouncer_warm", lifetime=3600)

    def start_haproxy(self):
        port, file = free_port(), self.folder / "haproxy.cfg"
        file.write_text(
            "global\n maxconn 6000\n nbthread 1\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1h\n"
            f" timeout server 1h\nlisten pg\n bind 127.0.0.1:{port}\n server pg 127.0.0.1:{self.port}\n")
        process = self.spawn([shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", file])
        wait_for(port)
        self.targets["haproxy"] = (port, [process.pid])

    def start_frostgate(self, name="frostgate", *flags, upstream=None, connections=6000, more=""):
        port, upstream = free_port(), upstream or self.port
        state = self.folder / f"{name}{port}"
        program = os.environ.get("FROSTGATE_BIN") or ROOT / "target/release/frostgate"
        command = [program, "serve", "--upstream", f"host=127.0.0.1 port={upstream} sslmode=disable", "--listen", f"127.0.0.1:{port}",
                   "--state-dir", state, "--http", f"127.0.0.1:{free_port()}", *flags]
        environment = {**os.environ, "FROSTGATE_LOG": "warn"}
        config = self.folder / f"{name}{port}.toml"
        config.write_text(f"[limits]\nmax_connections = {connections}\n{more}")
        process = self.spawn([*map(str, command), "--config", str(config)], env=environment)
        wait_for(port)
        self.targets[name] = (port, [process.pid])
        return state / "control.sock"

    def start_frozen(self):
        self.start_frostgate("frozen", "--frozen")

    def start_frostgate1(self):
        """On one thread, as PgBouncer and HAProxy run here: what a transaction costs depends on it."""
        self.start_frostgate("frostgate1", "--threads", "1")

    def close(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGINT)
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        if not os.environ.get("BENCH_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)


def median(values):
    return statistics.median(values) if values else float("nan")


def interleaved(lab, rounds, names, measure):
    """What `measure(name)` gives for each name, as lists: round by round, the order turning."""
    found = {name: [] for name in names}
    for turn in range(rounds):
        order = names[turn % len(names):] + names[:turn % len(names)]
        for name in order:
            found[name].append(measure(name))
    return found


def proxies(lab):
    """Those that are measured by more than pgbench."""
    return [name for name in lab.targets if name not in ("direct", "frozen", "pgbouncer_warm")]


PIPELINE = "\\set a random(1, 500000)\n\\startpipeline\n" + \
    "SELECT abalance FROM pgbench_accounts WHERE aid = :a;\n" * 10 + "\\endpipeline\n"


def pgbench_cases(lab):
    pipeline = lab.folder / "pipeline.sql"
    pipeline.write_text(PIPELINE)
    for mode in ("simple", "extended", "prepared"):
        for clients in (1, 8, 32):
            yield f"SELECT, {mode}, {clients} client{'s'[:clients > 1]}", ["-S", "-M", mode, "-c", str(clients)], True
    yield "TPC-B, prepared, 8 clients", ["-M", "prepared", "-c", "8"], False
    yield "pipelines of 10, prepared, 8 clients", ["-f", str(pipeline), "-M", "prepared", "-c", "8"], True


def part_pgbench(lab, options):
    names = list(lab.targets)
    yield "case", *[f"{name}: tps ratio · added µs · CPU µs/tx" for name in names]
    for title, arguments, reads in pgbench_cases(lab):
        if not re.search(options.cases, title):
            continue

        def measure(name):
            port, pids = lab.targets[name]
            before = cpu(pids)
            command = [lab.bin / "pgbench", "-n", "-T", str(options.seconds), *arguments, *lab.where(port)]
            ran = subprocess.run(command, capture_output=True, text=True)
            if ran.returncode:
                sys.exit(f"bench: {title} through {name} failed: {ran.stderr}")
            out = ran.stdout
            done = int(re.search(r"actually processed: (\d+)", out)[1])
            tps = float(re.search(r"tps = ([\d.]+)", out)[1])
            late = float(re.search(r"latency average = ([\d.]+)", out)[1])
            return tps, late * 1000, (cpu(pids) - before) / max(done, 1) * 1e6

        chosen = [name for name in names if reads or name != "frozen"]
        found = interleaved(lab, options.rounds, chosen, measure)
        base = [median([row[i] for row in found["direct"]]) for i in range(2)]
        row = []
        for name in names:
            if name not in found:
                row.append("—")
                continue
            tps, late, used = (median([row[i] for row in found[name]]) for i in range(3))
            row.append(f"{tps:.0f} tps" if name == "direct" else f"{tps / base[0]:.2f} · {late - base[1]:+.0f} · {used:.1f}")
        yield title, *row


def part_streams(lab, options):
    names = proxies(lab)
    yield "CPU s/GB", *names
    size = 256 << 20

    def out_of(name):
        port, pids = lab.targets[name]
        client, before = Client(port), cpu(pids)
        got = client.drain(f"SELECT repeat('x', 1000) FROM generate_series(1, {size // 1000})")
        client.close()
        return (cpu(pids) - before) / got * (1 << 30)

    def into(name):
        port, pids = lab.targets[name]
        lab.psql("TRUNCATE sink")
        client, before = Client(port), cpu(pids)
        sent = client.copy_in("COPY sink FROM STDIN", b"x" * 999 + b"\n", size)
        client.close()
        return (cpu(pids) - before) / sent * (1 << 30)

    for title, measure in (("result stream", out_of), ("COPY in", into)):
        found = interleaved(lab, options.rounds, names, measure)
        yield title, *[f"{median(found[name]):.2f}" for name in names]
    lab.psql("TRUNCATE sink")


def part_connects(lab, options):
    names = ["direct", *proxies(lab)]
    yield "", *names

    def measure(name):
        began = time.perf_counter()
        for _ in range(100):
            Client(lab.targets[name][0]).close()
        return (time.perf_counter() - began) / 100

    found = interleaved(lab, options.rounds, names, measure)
    base = median(found["direct"])
    yield "connect, login and end: ratio to direct", *[f"{median(found[n]) / base:.2f}" for n in names]


def part_idle(lab, options):
    names = proxies(lab)
    yield "", *names
    row = []
    for name in names:
        port, pids = lab.targets[name]
        warm = [Client(port) for _ in range(20)]
        before = memory(pids[0])
        held = [Client(port) for _ in range(1000)]
        for client in held:
            client.query("SELECT 1")
        row.append(f"{(memory(pids[0]) - before) / 1000:.1f}")
        for client in warm + held:
            client.close()
        time.sleep(1)
    yield "KB per idle connection, at 1,000", *row


def serve_nothing(lab):
    """The port of a server that costs nothing."""
    port = free_port()
    lab.spawn([sys.executable, str(Path(__file__).parent / "wire.py"), str(port)])
    wait_for(port)
    return port


def part_many(lab, options):
    """As many connections as the descriptors allow, 10,000 at most, before a server that costs nothing."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(hard, 40_000), hard):
        try:
            # Only a privileged process may raise the hard limit.
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            hard = limit
            break
        except (ValueError, PermissionError):
            continue
    count = min(10_000, (hard - 1000) // 2)
    control = lab.start_frostgate("many", upstream=serve_nothing(lab), connections=count + 100)
    listen, pids = lab.targets.pop("many")
    warm = [Client(listen) for _ in range(20)]
    before, began, used = memory(pids[0]), time.perf_counter(), cpu(pids)
    held = [Client(listen) for _ in range(count)]
    took, used = time.perf_counter() - began, cpu(pids) - used
    grown = (memory(pids[0]) - before) / count
    idle = cpu(pids)
    time.sleep(5)
    idle = (cpu(pids) - idle) / 5 * 100
    began = time.perf_counter()
    http_over_unix(control, "POST", "/v1/freeze", {"reason": "bench", "by": "bench"})
    shut = (time.perf_counter() - began) * 1000
    end = began + 30
    while http_over_unix(control, "GET", "/v1/status")["state"] != "frozen" and time.perf_counter() < end:
        time.sleep(0.005)
    frozen = (time.perf_counter() - began) * 1000
    yield "connections", "KB each", "s to connect them", "CPU µs each", "% of a core, idle", "freeze answered, ms", "frozen, ms"
    yield f"{count}", f"{grown:.1f}", f"{took:.1f}", f"{used / count * 1e6:.0f}", f"{idle:.1f}", f"{shut:.0f}", f"{frozen:.0f}"
    for client in warm + held:
        client.close()


def part_row(lab, options):
    """One row of a gigabyte: what the proxy's memory grows by at its peak."""
    names = [name for name in lab.targets if name in ("pgbouncer", "frostgate")]
    yield "", *names
    row = []
    for name in names:
        port, pids = lab.targets[name]
        peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pids[0]}/status").read_text())[1])
        client, before = Client(port), peak()
        got = client.drain("SELECT repeat('x', 1000000000)")
        client.close()
        row.append(f"{peak() - before} of {got // 1024}")
    yield "KB of memory for one row", *row


def part_tls(lab, options):
    """TLS to the clients, plain text to the server: the same certificate, and the cipher that libpq asks for first."""
    key, certificate = lab.folder / "key.pem", lab.folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=localhost", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    key.chmod(0o600)
    if lab.user:
        shutil.chown(key, lab.user, lab.user)
    names = ["pgbouncer", "frostgate"]
    before = {name: lab.targets.pop(name) for name in names if name in lab.targets}
    if "pgbouncer" in before:
        lab.start_pgbouncer(f"client_tls_sslmode = allow\nclient_tls_key_file = {key}\nclient_tls_cert_file = {certificate}\n")
    lab.start_frostgate("frostgate", more=f"[tls]\ncert = '{certificate}'\nkey = '{key}'\n")
    environment = {**os.environ, "PGSSLMODE": "require"}
    names = [name for name in names if name in lab.targets]
    yield "CPU µs a transaction", *names
    for title, arguments in (("SELECT, prepared, 8 clients", ["-M", "prepared", "-c", "8"]),
                             ("connect, SELECT and end", ["-M", "simple", "-c", "4", "-C"])):
        def measure(name):
            port, pids = lab.targets[name]
            used = cpu(pids)
            command = [lab.bin / "pgbench", "-n", "-S", "-T", str(options.seconds), *arguments, *lab.where(port)]
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
            return (cpu(pids) - used) / max(int(re.search(r"actually processed: (\d+)", out)[1]), 1) * 1e6

        found = interleaved(lab, options.rounds, names, measure)
        yield title, *[f"{median(found[name]):.1f}" for name in names]
    lab.targets.update(before)


def part_freeze(lab, options):
    control = lab.start_frostgate("to_freeze")
    port, _ = lab.targets.pop("to_freeze")
    yield "sessions", "last write that passed, ms", "first refused, ms", "freeze answered (state on disk), ms", "frozen, all fences up, ms"
    for count in (100, 1000):
        held = [Client(port) for _ in range(count)]
        writer = Client(port)
        passed, refused, answered, frozen = [], [], [], []

        def write_until_refused():
            last = began
            while b"E" not in writer.query("UPDATE pgbench_tellers SET tbalance = 0 WHERE tid = 0"):
                last = time.perf_counter()
            passed.append((last - began) * 1000)
            refused.append((time.perf_counter() - began) * 1000)

        for _ in range(options.rounds):
            began = time.perf_counter()
            freeze = {"reason": "bench", "by": "bench"}
            http_over_unix(control, "POST", "/v1/freeze", freeze, meanwhile=write_until_refused)
            answered.append((time.perf_counter() - began) * 1000)
            while http_over_unix(control, "GET", "/v1/status")["state"] != "frozen":
                time.sleep(0.001)
            frozen.append((time.perf_counter() - began) * 1000)
            http_over_unix(control, "POST", "/v1/thaw", {"by": "bench"})
            for client in held:
                client.query("SELECT 1")
        for client in [writer, *held]:
            client.close()
        yield f"{count} idle", *[f"{median(times):.1f}" for times in (passed, refused, answered, frozen)]


def keep_busy(clients):
    """Each has a statement on its way, and the next one as soon as that is answered."""
    ask, poll = message(b"Q", b"SELECT 1\0"), select.epoll()
    sockets = {client.socket.fileno(): client.socket for client in clients}
    for number, each in sockets.items():
        poll.register(number, select.EPOLLIN)
        each.sendall(ask)
    while True:
        for number, _ in poll.poll():
            if sockets[number].recv(65536).endswith(b"Z\0\0\0\5I"):
                sockets[number].sendall(ask)


def part_busy(lab, options):
    """A freeze of sessions that have no pause, before a server that costs nothing: what it takes must grow with them, not faster."""
    upstream = serve_nothing(lab)
    yield "busy sessions", "freeze answered (state on disk), ms", "frozen, all fences up, ms", "µs for each"
    for count in (1250, 2500, 5000):
        control = lab.start_frostgate(f"busy{count}", upstream=upstream, connections=count + 100)
        port, _ = lab.targets.pop(f"busy{count}")
        held = [Client(port) for _ in range(count)]
        asking = multiprocessing.get_context("fork").Process(target=keep_busy, args=(held,), daemon=True)
        asking.start()
        answered, frozen = [], []
        for _ in range(options.rounds):
            time.sleep(1)
            began = time.perf_counter()
            http_over_unix(control, "POST", "/v1/freeze", {"reason": "bench", "by": "bench"})
            answered.append((time.perf_counter() - began) * 1000)
            while http_over_unix(control, "GET", "/v1/status")["state"] != "frozen":
                time.sleep(0.005)
            frozen.append((time.perf_counter() - began) * 1000)
            http_over_unix(control, "POST", "/v1/thaw", {"by": "bench"})
        asking.kill()
        for client in held:
            client.close()
        yield f"{count}", f"{median(answered):.0f}", f"{median(frozen):.0f}", f"{median(frozen) / count * 1000:.0f}"


def part_refusals(lab, options):
    port, pids = lab.targets["frozen"]
    yield "", "a second", "a second of the proxy's CPU"
    rates = []
    for _ in range(options.rounds):
        client, count = Client(port), 100_000
        began, before = time.perf_counter(), cpu(pids)
        client.flood("INSERT INTO pgbench_history (tid) VALUES (1)", count)
        took, used = time.perf_counter() - began, cpu(pids) - before
        rates.append((count / took, count / used))
        client.close()
    yield "refused statements", *[f"{median([rate[i] for rate in rates]):,.0f}" for i in range(2)]


PARTS = {"pgbench": part_pgbench, "streams": part_streams, "connects": part_connects, "idle": part_idle, "many": part_many, "row": part_row, "tls": part_tls,
         "freeze": part_freeze, "busy": part_busy, "refusals": part_refusals}
TARGETS = ["direct", "pgbouncer", "pgbouncer_warm", "haproxy", "frostgate", "frostgate1", "frozen"]


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores, {model[1] if model else platform.machine()}, Linux {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--cases", default="", help="only the pgbench cases whose title this expression matches")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lab = Lab(options.targets.split(","))
    text = [f"Measured on {machine()}; {lab.bin.parent.name}; {options.rounds} rounds of {options.seconds} s.", ""]
    try:
        for part in options.only.split(","):
            lines = []
            for row in PARTS[part](lab, options):
                print(" | ".join(row), flush=True)
                lines.append("| " + " | ".join(row) + " |")
            lines.insert(1, "|" + "---|" * len(row))
            text += [f"### {part}", "", *lines, ""]
    finally:
        lab.close()
    if options.out:
        options.out.write_text("\n".join(text))


if __name__ == "__main__":
    main()

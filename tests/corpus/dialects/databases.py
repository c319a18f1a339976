"""What databases and brokers print."""

from tests.corpus.dialects.shape import Dialect, Said, iso, templates
from tests.corpus.slots import filled


def postgres(said: Said) -> str:
    level = {"D": "DEBUG", "I": "LOG", "W": "WARNING", "E": "ERROR", "F": "FATAL"}[said.level]
    return f"{iso(said.at, 3, ' UTC', ' ')} [{filled('{pid}', said.rng)}] {level}:  {said.text}"


def mysql(said: Said) -> str:
    level = {"D": "System", "I": "Note", "W": "Warning", "E": "ERROR", "F": "ERROR"}[said.level]
    return f"{iso(said.at, 6)} {said.rng.randrange(99)} [{level}] [MY-01{said.rng.randrange(1000, 4000)}] [Server] {said.text}"  # fmt: skip


def redis(said: Said) -> str:
    mark = {"D": ".", "I": "*", "W": "#", "E": "#", "F": "#"}[said.level]
    return f"1:M {said.at:%d %b %Y %H:%M:%S}.{said.at.microsecond // 1000:03d} {mark} {said.text}"


def rabbitmq(said: Said) -> str:
    level = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "critical"}[said.level]
    return f"{iso(said.at, 6, '+00:00', ' ')} [{level}] <0.{said.rng.randrange(200, 99999)}.0> {said.text}"


POSTGRES = templates("""
I checkpoint starting: time
I checkpoint complete: wrote {int} buffers ({pct}%); 0 WAL file(s) added, {small} removed, {small} recycled; write={float} s, sync={unit} s, total={float} s; sync files={int}, longest={unit} s, average={unit} s; distance={int} kB, estimate={int} kB
I connection received: host={ipv4} port={port}
I connection authorized: user={user} database={word} application_name={svc}
I disconnection: session time: 0:00:{float} user={user} database={word} host={ipv4} port={port}
F password authentication failed for user "{user}"
F no pg_hba.conf entry for host "{ipv4}", user "{user}", database "{word}", no encryption
F sorry, too many clients already
F terminating connection due to administrator command
E duplicate key value violates unique constraint "{table}_pkey"
E relation "{table}" does not exist at character {int}
E deadlock detected
E canceling statement due to statement timeout
E canceling statement due to user request
I duration: {float} ms  statement: SELECT * FROM {table} WHERE id = {int}
I duration: {float} ms  execute <unnamed>: UPDATE {table} SET state = $1 WHERE id = $2
I automatic vacuum of table "{word}.public.{table}": index scans: {small}
I automatic analyze of table "{word}.public.{table}"
I could not receive data from client: Connection reset by peer
I unexpected EOF on client connection with an open transaction
I database system is ready to accept connections
I received fast shutdown request
I process {pid} still waiting for ShareLock on transaction {big} after {float} ms
I process {pid} acquired ShareLock on transaction {big} after {float} ms
""")

MYSQL = templates("""
D {path}/mysqld: ready for connections. Version: '8.0.{small}'  socket: '{path}/mysqld.sock'  port: 3306  MySQL Community Server - GPL.
I Aborted connection {int} to db: '{word}' user: '{user}' host: '{ipv4}' (Got an error reading communication packets)
I Aborted connection {int} to db: '{word}' user: '{user}' host: '{ipv4}' (Got timeout reading communication packets)
I Access denied for user '{user}'@'{ipv4}' (using password: YES)
W IP address '{ipv4}' could not be resolved: Name or service not known
W Hostname '{host}' does not resolve to '{ipv4}'.
I InnoDB: page_cleaner: {ms}ms intended loop took {ms}ms. The settings might not be optimal. (flushed={int} and evicted={int}, during the time.)
I InnoDB: Buffer pool(s) load completed at {int} {small}:{small}:{small}
I InnoDB: Starting crash recovery.
E InnoDB: Cannot open datafile for read-only: '{path}/{table}.ibd' OS error: {int}
I Start binlog_dump to master_thread_id({int}) replica_server({int}), pos(binlog.{int}, {int})
E Error reading packet from server for channel '': {err} (server_errno={int})
I Replica I/O thread for channel '': connected to source '{user}@{ipv4}:3306', replication started in log 'binlog.{int}' at position {int}
W Timeout waiting for reply of binlog (file: binlog.{int}, pos: {int}), semi-sync up to file binlog.{int}, position {int}.
I Event Scheduler: Loaded {small} events
I Received SHUTDOWN from user {user}. Shutting down mysqld (Version: 8.0.{small}).
E Table '{word}.{table}' is marked as crashed and should be repaired
""")

REDIS = templates("""
I Ready to accept connections tcp
I DB saved on disk
I Background saving started by pid {pid}
I Background saving terminated with success
W Background saving error
I {int} changes in {int} seconds. Saving...
I Fork CoW for RDB: current {small} MB, peak {small} MB, average {small} MB
I Replica {ipv4}:6379 asks for synchronization
I Synchronization with replica {ipv4}:6379 succeeded
I Full resync requested by replica {ipv4}:6379
I Connection with replica {ipv4}:6379 lost.
W Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for fsync to complete, this may slow down Redis.
I Starting automatic rewriting of AOF on {int}% growth
I Background append only file rewriting started by pid {pid}
I Background AOF rewrite finished successfully
W WARNING Memory overcommit must be enabled! Without it, a background save or replication may fail under low memory condition.
W Client id={int} addr={ipv4}:{port} laddr={ipv4}:6379 fd={small} name= age={int} idle={int} flags=N db=0 closed for overcoming of output buffer limits.
E Can't save in background: fork: Cannot allocate memory
I User requested shutdown...
I Removing the pid file.
I Redis is now ready to exit, bye bye...
""")

RABBITMQ = templates("""
I accepting AMQP connection <0.{int}.0> ({ipv4}:{port} -> {ipv4}:5672)
I connection <0.{int}.0> ({ipv4}:{port} -> {ipv4}:5672): user '{user}' authenticated and granted access to vhost '/'
I connection <0.{int}.0> ({ipv4}:{port} -> {ipv4}:5672 - {svc}) has a client-provided name: {svc}
W closing AMQP connection <0.{int}.0> ({ipv4}:{port} -> {ipv4}:5672, vhost: '/', user: '{user}'): client unexpectedly closed TCP connection
E closing AMQP connection <0.{int}.0> ({ipv4}:{port} -> {ipv4}:5672): missed heartbeats from client, timeout: {int}s
E Channel error on connection <0.{int}.0> ({ipv4}:{port} -> {ipv4}:5672, vhost: '/', user: '{user}'), channel {small}: operation basic.publish caused a channel exception not_found: no exchange '{queue}' in vhost '/'
I rabbit on node rabbit@{word} up
I node rabbit@{word} down: net_tick_timeout
W memory resource limit alarm set on node rabbit@{word}.
I Free disk space is sufficient. Free bytes: {big}. Limit: {big}
W disk resource limit alarm set on node rabbit@{word}.
I Mirrored queue '{queue}' in vhost '/': Adding mirror on node rabbit@{word}: <{int}.{int}.0>
I Mirrored queue '{queue}' in vhost '/': Promoting mirror <{int}.{int}.0> to leader
I Server startup complete; {small} plugins started.
""")  # fmt: skip

DIALECTS = (
    Dialect("postgres", postgres, POSTGRES),
    Dialect("mysql", mysql, MYSQL),
    Dialect("redis", redis, REDIS),
    Dialect("rabbitmq", rabbitmq, RABBITMQ),
)

"""What programs on the JVM and on .NET print."""

import json

from tests.corpus.dialects.shape import Dialect, Said, iso, templates
from tests.corpus.slots import CLASSES, filled

NAMES = {"D": "DEBUG", "I": "INFO", "W": "WARN", "E": "ERROR", "F": "FATAL"}


def spring(said: Said) -> str:
    thread = filled("{thread}", said.rng)[-15:]
    logger = f"c.e.shop.{said.source(*CLASSES)}"
    return f"{iso(said.at)}  {NAMES[said.level]:>5} 1 --- [{thread:>15}] {logger:<40} : {said.text}"


def kafka(said: Said) -> str:
    return f"[{iso(said.at, 3, '', ' ').replace('.', ',')}] {NAMES[said.level]} {said.text} (kafka.server.{said.source(*CLASSES)})"  # fmt: skip


def hdfs(said: Said) -> str:
    logger = said.source("dfs.DataNode$PacketResponder", "dfs.FSNamesystem", "dfs.DataNode$DataXceiver")  # fmt: skip
    return f"{said.at:%y%m%d %H%M%S} {said.rng.randrange(9, 29000)} {NAMES[said.level]} {logger}: {said.text}"


def dotnet(said: Said) -> str:
    level = {"D": "Debug", "I": "Information", "W": "Warning", "E": "Error", "F": "Critical"}[said.level]  # fmt: skip
    line = {"Timestamp": iso(said.at), "EventId": 14, "LogLevel": level, "Category": f"Shop.Api.{said.source(*CLASSES)}", "Message": said.text}  # fmt: skip
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)


SPRING = templates("""
I Starting {class} using Java 21.0.{small} with PID {pid} (/app/app.jar started by {user} in /app)
I Started {class} in {float} seconds (process running for {float})
I No active profile set, falling back to 1 default profile: "default"
I Tomcat initialized with port {port} (http)
I Tomcat started on port {port} (http) with context path '/'
I Initializing Spring DispatcherServlet 'dispatcherServlet'
I HikariPool-1 - Starting...
I HikariPool-1 - Added connection org.postgresql.jdbc.PgConnection@{hex8}
W HikariPool-1 - Thread starvation or clock leap detected (housekeeper delta={dur}).
W HikariPool-1 - Connection is not available, request timed out after {ms}ms.
I Order {big} created for customer {int} with {small} items
I Order {big} paid in {ms} ms
I Order {big} shipped to {word} by carrier {word}
E Order {big} could not be charged: {exc}: {err}
W Slow query took {ms} ms: select * from {table} where id = {int}
I Cache {word} refreshed with {int} entries
I Cache {word} evicted {int} entries
W Retrying call to {svc} after {ms} ms, attempt {small} of 5
E Servlet.service() for servlet [dispatcherServlet] in context with path [] threw exception [Request processing failed: {exc}: {err}] with root cause
I User {user} logged in from {ipv4}
I User {user} logged out
D Publishing event {uuid} to topic {topic}
I Circuit breaker for {svc} changed state from CLOSED to OPEN
I Shutting down ExecutorService 'applicationTaskExecutor'
""")

KAFKA = templates("""
I [GroupCoordinator {small}]: Preparing to rebalance group {svc}-group in state PreparingRebalance with old generation {int} (__consumer_offsets-{small})
I [GroupCoordinator {small}]: Stabilized group {svc}-group generation {int} (__consumer_offsets-{small}) with {small} members
I [GroupCoordinator {small}]: Assignment received from leader consumer-{svc}-{uuid} for group {svc}-group for generation {int}. The group has {small} members, {small} of which are static.
I [Log partition={topic}-{small}, dir=/var/lib/kafka] Rolled new log segment at offset {big} in {small} ms.
I [Log partition={topic}-{small}, dir=/var/lib/kafka] Deleting segments due to retention time {big}ms breach: {numbers}
I [Partition {topic}-{small} broker={small}] Shrinking ISR from {small},{small} to {small}. Leader: (highWatermark: {big}, endOffset: {big}). Out of sync replicas: (brokerId: {small}, endOffset: {big}).
I [Partition {topic}-{small} broker={small}] Expanding ISR from {small} to {small},{small}
I [Partition {topic}-{small} broker={small}] ISR updated to {small},{small} and version updated to {int}
W [ReplicaFetcher replicaId={small}, leaderId={small}, fetcherId=0] Error in response for fetch request (type=FetchRequest, replicaId={small}, maxWait=500)
I [ReplicaFetcherManager on broker {small}] Removed fetcher for partitions Set({topic}-{small}, {topic}-{small})
I [Controller id={small} epoch={int}] Changed partition {topic}-{small} state from OfflinePartition to OnlinePartition
I [ProducerStateManager partition={topic}-{small}] Wrote producer snapshot at offset {big} with {small} producer ids in {small} ms.
I Deleted log {path}/{big}.log.deleted.
W Client session timed out, have not heard from server in {ms}ms for sessionid 0x{hex16}
I Opening socket connection to server {host}/{ipv4}:2181.
I Session establishment complete on server {host}/{ipv4}:2181, session id = 0x{hex16}, negotiated timeout = {ms}
""")  # fmt: skip

HDFS = templates("""
I Receiving block blk_{big} src: /{ipv4}:{port} dest: /{ipv4}:50010
I Received block blk_{big} of size {big} from /{ipv4}
I Received block blk_{big} src: /{ipv4}:{port} dest: /{ipv4}:50010 of size {big}
I PacketResponder {small} for block blk_{big} terminating
I BLOCK* NameSystem.addStoredBlock: blockMap updated: {ipv4}:50010 is added to blk_{big} size {big}
I BLOCK* NameSystem.allocateBlock: {path}/part-{int}. blk_{big}
I BLOCK* NameSystem.delete: blk_{big} is added to invalidSet of {ipv4}:50010
I BLOCK* ask {ipv4}:50010 to replicate blk_{big} to datanode(s) {ipv4}:50010
I BLOCK* ask {ipv4}:50010 to delete blk_{big}
I Verification succeeded for blk_{big}
I Deleting block blk_{big} file /mnt/hadoop/dfs/data/current/subdir{small}/blk_{big}
I {ipv4}:50010 Served block blk_{big} to /{ipv4}
W {ipv4}:50010:Got exception while serving blk_{big} to /{ipv4}:
W PendingReplicationMonitor timed out block blk_{big}
I writeBlock blk_{big} received exception {exc}: {err}
E {ipv4}:50010:DataXceiver: {exc}: {err}
""")

DOTNET = templates("""
I Now listening on: http://[::]:{port}
I Application started. Press Ctrl+C to shut down.
I Hosting environment: Production
I Content root path: /app
I Request starting HTTP/1.1 {method} http://{svc}:{port}{url_path} - {int}
I Request finished HTTP/1.1 {method} http://{svc}:{port}{url_path} - {status} - application/json {float}ms
I Executing endpoint 'Shop.Api.{class}.Get (Shop.Api)'
I Executed endpoint 'Shop.Api.{class}.Get (Shop.Api)'
I Route matched with {action = "Get", controller = "{svc}"}. Executing controller action on controller Shop.Api.{class}.
I Executed DbCommand ({int}ms) [Parameters=[@p0='?' (DbType = Int32)], CommandType='Text', CommandTimeout='30']
W The response could not be cached because the server's response includes set-cookie for {user}.
W As of "{ipv4}", the heartbeat has been running for "{dur}" which is longer than "{dur}".
E An unhandled exception has occurred while executing the request.
E Failed executing DbCommand ({ms}ms) [Parameters=[], CommandType='Text', CommandTimeout='30']
I Authorization failed. These requirements were not met: RolesAuthorizationRequirement:User.IsInRole must be true for one of the following roles: ({user})
I Application is shutting down...
""")

DIALECTS = (
    Dialect("spring", spring, SPRING),
    Dialect("kafka", kafka, KAFKA),
    Dialect("hdfs", hdfs, HDFS),
    Dialect("dotnet", dotnet, DOTNET),
)

"""
A real Apache Kafka for tests and benchmarks: KRaft nodes on loopback, from Maven Central.

`THUMBLINE_TEST_KAFKA=host:port` uses a broker that is there already.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from thumbline_ingest.ports import free_port

CACHE = Path(os.environ.get("THUMBLINE_CACHE", Path(__file__).parent.parent / ".cache")) / "kafka"

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>thumbline.tests</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.4.0</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""

_PROPERTIES = """process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{more_listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{more_advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}
num.partitions=4
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr=1
default.replication.factor={copies}
min.insync.replicas={min_copies}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
{more}
"""


def unavailable_reason() -> str | None:
    """Why no broker can be had here, or None."""
    if os.environ.get("THUMBLINE_TEST_KAFKA"):
        return None
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not found" if missing else None


def fetch() -> Path:
    """The folder with Kafka's jars; fetched once (43 MB)."""
    libs = CACHE / "libs"
    if not (CACHE / "complete").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "pom.xml").write_text(_POM)
        command = [
            "mvn",
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DoutputDirectory=libs",
            "-DincludeScope=runtime",
        ]
        subprocess.run(command, cwd=CACHE, check=True, stdin=subprocess.DEVNULL)
        (CACHE / "complete").touch()
    return libs


class Broker:
    """
    One broker on its own folder; can be stopped, killed, frozen and started again on the same data.

    Alone unless `controllers` has the ports of several: then it is number `node` of a cluster.
    """

    def __init__(
        self, folder: Path, more: str = "", sasl: bool = False, node: int = 1, controllers: tuple[int, ...] = ()
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.sasl_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        controllers = controllers or (free_port(),)
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "server.properties"
        text = _PROPERTIES.format(
            port=self.port,
            node=node,
            voters=",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers, 1)),
            controller=controllers[node - 1],
            copies=len(controllers),
            min_copies=len(controllers) // 2 + 1,
            folder=folder / "data",
            more=more,
            more_listeners=f",SASL_PLAINTEXT://127.0.0.1:{self.sasl_port}" if sasl else "",
            more_advertised=f",SASL_PLAINTEXT://127.0.0.1:{self.sasl_port}" if sasl else "",
        )
        self._config.write_text(text)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _java(self, *arguments: str) -> list[str]:
        return ["java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{fetch()}/*", *arguments]

    def start(self) -> None:
        """Format on first use, run, and wait until the port is open."""
        self.launch()
        self.wait()

    def launch(self, cluster: str = "") -> None:
        """Format on first use and run; of a cluster, all are launched before any is waited for."""
        if not (self.folder / "data").exists():
            cluster = cluster or self.new_cluster()
            command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config))
            subprocess.run(command, check=True, capture_output=True)
        log = (self.folder / "broker.log").open("ab")
        command = self._java("kafka.Kafka", str(self._config))
        self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()

    def new_cluster(self) -> str:
        """An id for a new cluster."""
        command = self._java("kafka.tools.StorageTool", "random-uuid")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]

    def wait(self) -> None:
        """Wait until the port is open."""
        assert self._process is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as sock:
                sock.settimeout(0.2)
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"Kafka did not start: {(self.folder / 'broker.log').read_text()[-2000:]}")

    def freeze(self) -> None:
        """Stop it where it is: connections stay open, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """End it; SIGKILL is a crash."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(sig)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                # A controller without its quorum does not end by itself.
                self._process.kill()
                self._process.wait()
            self._process = None


class Cluster:
    """Brokers that hold every record three times, and take none that fewer than two of them have."""

    def __init__(self, folder: Path, size: int = 3) -> None:
        controllers = tuple(free_port() for _ in range(size))
        self.brokers = [Broker(folder / str(n), node=n, controllers=controllers) for n in range(1, size + 1)]

    @property
    def address(self) -> str:
        return ",".join(broker.address for broker in self.brokers)

    def start(self) -> None:
        """Start all, and wait until all are open."""
        cluster = self.brokers[0].new_cluster()
        for broker in self.brokers:
            broker.launch(cluster)
        for broker in self.brokers:
            broker.wait()

    def stop(self) -> None:
        """End all."""
        for broker in self.brokers:
            broker.stop(signal.SIGKILL)

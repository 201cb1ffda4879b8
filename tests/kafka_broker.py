"""
A real Apache Kafka for tests and benchmarks: one KRaft node on loopback, from Maven Central.

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
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{more_listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{more_advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
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
    """One broker on its own folder; can be stopped, killed and started again on the same data."""

    def __init__(self, folder: Path, more: str = "", sasl: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self.sasl_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "server.properties"
        text = _PROPERTIES.format(
            port=self.port,
            controller=free_port(),
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
        if not (self.folder / "data").exists():
            tool = "kafka.tools.StorageTool"
            made = subprocess.run(self._java(tool, "random-uuid"), check=True, capture_output=True, text=True)
            cluster = made.stdout.split()[-1]
            command = self._java(tool, "format", "-t", cluster, "-c", str(self._config))
            subprocess.run(command, check=True, capture_output=True)
        log = (self.folder / "broker.log").open("ab")
        command = self._java("kafka.Kafka", str(self._config))
        self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
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

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """End it; SIGKILL is a crash."""
        if self._process is not None:
            self._process.send_signal(sig)
            self._process.wait(30)
            self._process = None

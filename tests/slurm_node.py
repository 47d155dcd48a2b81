"""A Slurm of one node, this machine, for the time of a test: Debian's `slurm-wlm` and `munge`, started as root."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scancel")
CONF = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmdPort={node_port}
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AuthInfo=cred_expire=10
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
InactiveLimit=0
KillWait=5
MinJobAge=300
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:2 PriorityTier=1
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster of this machine alone."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None and not Path("/usr/sbin", name).exists()]
    if missing:
        pytest.skip(f"slurm-wlm and munge are not installed: no {missing[0]}")
    if os.getuid() != 0:
        pytest.skip("starting Slurm needs root")
    pytest.importorskip("submitit")
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    text = CONF.format(
        host=socket.gethostname().partition(".")[0], folder=folder, port=free_port(), node_port=free_port(),
        cpus=len(os.sched_getaffinity(0)),
    )  # fmt: skip
    (folder / "slurm.conf").write_text(text)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nIgnoreSystemd=yes\n")
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/usr/bin")
    munged = start_munge()
    subprocess.run(["slurmctld"], check=True)
    subprocess.run(["slurmd", "-N", socket.gethostname().partition(".")[0]], check=True)
    try:
        await_idle()
        yield
    finally:
        subprocess.run(["scancel", "--user=root"], check=False)
        for name in ("slurmd", "slurmctld"):
            stop(folder / f"{name}.pid")
        if munged is not None:
            stop(munged)


def start_munge() -> Path | None:
    """The file with its process id; None where one ran already."""
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return None
    Path("/run/munge").mkdir(exist_ok=True)
    shutil.chown("/run/munge", "munge", "munge")
    Path("/run/munge").chmod(0o755)
    subprocess.run(["runuser", "-u", "munge", "--", "/usr/sbin/munged"], check=True)
    return Path("/run/munge/munged.pid")


def stop(pid_file: Path) -> None:
    """Ends a daemon and waits until it is gone: on its way out it removes the file that the next one writes."""
    pid = pid_file.read_text().strip()
    subprocess.run(["kill", pid], check=False)
    until = time.monotonic() + 30
    while Path("/proc", pid).exists() and time.monotonic() < until:
        time.sleep(0.05)


def await_idle() -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        asked = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
        if "idle" in asked.stdout or "mixed" in asked.stdout:
            return
        time.sleep(0.2)
    pytest.fail("Slurm did not come up")


def tasks() -> list[str]:
    """Of the arrays that run: `12_3`."""
    command = ["squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i"]
    asked = subprocess.run(command, capture_output=True, text=True, check=True)
    return asked.stdout.split()


def restarts() -> int:
    """How often tasks were put back into the queue, all jobs together that Slurm remembers."""
    asked = subprocess.run(["scontrol", "show", "job"], capture_output=True, text=True, check=True)
    return sum(int(found) for found in re.findall(r"Restarts=(\d+)", asked.stdout))

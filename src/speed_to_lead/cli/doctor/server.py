"""Will the server keep what it is given, and can it be read?"""

import re
from collections.abc import Iterator

from speed_to_lead.cli.doctor.diagnosis import Diagnosis, Severity
from speed_to_lead.cli.output import counted
from speed_to_lead.settings import Settings
from speed_to_lead.store import ServerPolicy, Store
from speed_to_lead.workplace import evicts

#: Clocks may differ by this much before somebody should look.
MAX_DRIFT = 1.0
#: The oldest server with the commands we use (ZADD GT, XAUTOCLAIM, ZMSCORE).
LEAST_VERSION = (6, 2)
#: Records opened to see whether the keys for them are set.
LOOKED_AT_FOR_KEYS = 100


def check_policy(policy: ServerPolicy, named: str) -> Iterator[Diagnosis]:
    """How the server is set up: will it keep what it was given?"""
    version = tuple(int(part) for part in re.findall(r"\d+", policy.version)[:2])
    if version and version < LEAST_VERSION:
        yield Diagnosis(
            Severity.PROBLEM,
            f"server: {named} is version {policy.version}; 6.2 or newer is needed",
            "commands it does not know fail, so leads are not routed",
            "upgrade it, or use Valkey",
        )
    else:
        yield Diagnosis(Severity.OK, f"server: {named} answers, version {policy.version}")
    if policy.maxmemory_policy is None:
        yield Diagnosis(
            Severity.WARNING,
            "server: it does not say what it does when memory runs short",
            "if it evicts keys, open leads vanish",
            "look in your provider's console that the eviction policy is noeviction",
        )
    elif evicts(policy):
        yield Diagnosis(
            Severity.PROBLEM,
            f"server: maxmemory-policy is {policy.maxmemory_policy}",
            "when memory runs short it throws keys away, open leads among them; web and workers refuse to start",
            'redis-cli -u "$REDIS_URL" CONFIG SET maxmemory-policy noeviction, and in its configuration file',
        )
    yield from _persistence(policy)
    if abs(policy.drift) > MAX_DRIFT:
        direction = "ahead of" if policy.drift > 0 else "behind"
        yield Diagnosis(
            Severity.WARNING,
            f"clocks: the server's is {abs(policy.drift):.1f} s {direction} this machine's",
            "deadlines go by the server's clock; if that is the wrong one, every alert is off by as much",
            "let both machines keep time by NTP (timedatectl set-ntp true)",
        )


def _persistence(policy: ServerPolicy) -> Iterator[Diagnosis]:
    turn_on = 'redis-cli -u "$REDIS_URL" CONFIG SET appendonly yes, and in its configuration file'
    always = 'redis-cli -u "$REDIS_URL" CONFIG SET appendfsync always, and in its configuration file'
    if policy.append_only is None:
        yield Diagnosis(
            Severity.WARNING,
            "server: it does not say whether it keeps an append-only file",
            "without one, a restart loses every lead since its last snapshot",
            "look in your provider's console that AOF persistence is on",
        )
    elif not policy.append_only:
        yield Diagnosis(
            Severity.PROBLEM,
            "server: it keeps no append-only file (appendonly no)",
            "a restart or crash loses every lead since its last snapshot, though form tools heard 200",
            turn_on,
        )
    elif policy.append_fsync == "always":
        yield Diagnosis(
            Severity.OK, "server: every write is on disk before it is answered (appendfsync always)"
        )
    elif policy.append_fsync == "everysec":
        yield Diagnosis(
            Severity.WARNING,
            "server: appendfsync is everysec",
            "a power loss may cost the last second of submissions; a crash of the process alone costs nothing",
            always,
        )
    elif policy.append_fsync == "no":
        yield Diagnosis(
            Severity.PROBLEM,
            "server: appendfsync is no",
            "a power loss may cost half a minute of submissions, though form tools heard 200",
            always,
        )
    if policy.may_hold_half:
        yield Diagnosis(
            Severity.WARNING,
            "server: it has not written its append-only file anew since it was started, or its last try failed",
            "where a crash had cut a change in half, the next start carries the half out, or loses what was written since this one",
            'redis-cli -u "$REDIS_URL" BGREWRITEAOF; a running clock asks for it within seconds, so where this stays, '
            "its user may not (docs/security.md gives the rights)",
        )


def check_replicas(policy: ServerPolicy, confirmed: int, *, has_sentinels: bool) -> Iterator[Diagnosis]:
    """What a failover could lose (docs/high-availability.md)."""
    replicas = policy.replicas
    if confirmed and replicas is not None:
        if replicas < confirmed:
            yield Diagnosis(
                Severity.PROBLEM,
                f"replicas: STL_CONFIRM_REPLICAS asks for {confirmed}, and {counted(replicas, 'replica')} follow the primary",
                "form tools hear 503 and nobody is told of a lead",
                "mend the replicas (INFO replication), or lower STL_CONFIRM_REPLICAS and accept what a failover may lose",
            )
        else:
            yield Diagnosis(
                Severity.OK,
                f"replicas: {replicas} follow the primary, {confirmed} must hold what is accepted",
            )
    elif has_sentinels or replicas:
        yield Diagnosis(
            Severity.WARNING,
            "replicas: STL_CONFIRM_REPLICAS is not set",
            "replication is asynchronous: a failover may lose the last leads that form tools heard 200 for",
            "set STL_CONFIRM_REPLICAS=1 for every process (docs/high-availability.md says what it costs)",
        )
    if has_sentinels and policy.least_replicas == 0:
        yield Diagnosis(
            Severity.WARNING,
            "replicas: min-replicas-to-write is 0",
            "a primary that was cut off goes on taking writes, and loses them when it finds the new one",
            "on every server: CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10, and in the configuration file",
        )


def check_encryption(store: Store, settings: Settings) -> Iterator[Diagnosis]:
    """Can what is encrypted be read?"""
    locked = store.privacy.locked_among_newest(LOOKED_AT_FOR_KEYS)
    if locked:
        yield Diagnosis(
            Severity.PROBLEM,
            f"encryption: {counted(locked, 'record')} of the newest {LOOKED_AT_FOR_KEYS} "
            f"{'needs' if locked == 1 else 'need'} a key that is not set",
            "processes refuse to start, and those leads cannot be worked on",
            "add the key to STL_ENCRYPTION_KEYS; the first encrypts, all decrypt",
        )
    elif settings.encryption_keys.get_secret_value():
        yield Diagnosis(
            Severity.OK, "encryption: personal data is encrypted, and the newest records can be read"
        )

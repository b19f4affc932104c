"""The certificates that the bridge itself shows, and when they expire: for scrapes, the log and `stepbridge check`.

What others show is theirs to watch, and an authority's file may hold old ones beside those that are in use.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from proxy.clock import wall_ms
from proxy.config.model import Config
from proxy.observe.logs import logger
from proxy.observe.metrics import Sample
from proxy.tls import Validity, validity

DAY_S = 86_400.0
SOON_S = 21 * DAY_S
SOON_SHARE = 1 / 4  # of its life: what renews by itself does so with a third left (cert-manager, ACME clients)

log = logger("certificates")


@dataclass(frozen=True, slots=True)
class Shown:
    """One file: the section that names it, and the time of that certificate in it which expires first."""

    section: str
    file: str
    valid: Validity

    def trouble(self) -> str:
        """What is to be done about it, for people; empty while it has time."""
        left_s = self.valid.until_s - wall_ms() / 1000
        if left_s <= 0:
            return f"expired {in_words(-left_s)} ago: whoever checks it hangs up. Renew {self.file}, then reload"
        if left_s < min(SOON_S, SOON_SHARE * (self.valid.until_s - self.valid.from_s)):
            return f"expires in {in_words(left_s)}. Renew {self.file}, then reload"
        return ""


def shown_by(config: Config) -> list[Shown]:
    """All that the file names. One that cannot be read this moment is left out: the loader has tried them."""
    found = []
    for section, file in _named(config):
        try:
            found.append(Shown(section, file, validity(file)))
        except (OSError, ValueError) as exc:
            log.warning("certificate_unreadable", section=section, certificate=file, reason=str(exc))
    return found


class Certificates:
    """Those that new connections are shown now, whatever has become of the files since."""

    def __init__(self) -> None:
        self._shown: list[Shown] = []

    def follow(self, config: Config) -> None:
        """This is in force from here on. The log says what expires soon."""
        self._shown = shown_by(config)
        for shown in self._shown:
            if trouble := shown.trouble():
                log.warning("certificate_expires", section=shown.section, what=trouble)

    def samples(self) -> Iterator[Sample]:
        for shown in self._shown:
            labels = {"section": shown.section}
            yield Sample("stepbridge_certificate_valid_from_timestamp_seconds", labels, shown.valid.from_s)
            yield Sample("stepbridge_certificate_expires_timestamp_seconds", labels, shown.valid.until_s)


def in_words(seconds: float) -> str:
    """As somebody would say it who has to act."""
    for unit, length_s in (("day", DAY_S), ("hour", 3_600.0)):
        if seconds >= 2 * length_s:
            return f"{int(seconds // length_s)} {unit}s"
    return f"{int(seconds // 60)} min"


def _named(config: Config) -> Iterator[tuple[str, str]]:
    for section, tls in (
        ("server.tls", config.server.tls),
        ("admin.tls", config.admin.tls),
        ("peer.tls", config.peer.tls if config.peer else None),
        ("kafka.security", config.kafka.security),
        *((f"upstreams.{name}.tls", upstream.tls) for name, upstream in config.upstreams.items()),
    ):
        if tls is not None and tls.certificate is not None:
            yield section, tls.certificate

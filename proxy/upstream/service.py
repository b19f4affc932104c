"""One upstream: which of its addresses a request goes to, and whether it goes again.

| what happened | was it sent? | goes once more |
|---|---|---|
| no connection to an address | no | any request, to another address |
| the connection broke before the answer | yes | GET, HEAD, OPTIONS, PUT, DELETE, with no body or a whole one |
| no answer in time | yes | never: it would wait twice, and may have acted |
| the answer broke off | yes | never: its beginning is with the client |
"""

from collections.abc import Sequence

from proxy.clock import now_s
from proxy.config.upstreams import UpstreamService
from proxy.errors import ProxyError, UpstreamAway, UpstreamError, UpstreamFailed
from proxy.observe.logs import Seldom, logger
from proxy.observe.metrics import UpstreamMetrics
from proxy.seams.upstream import Fields, UpstreamRequest
from proxy.tls import reason
from proxy.upstream.address import Address, addresses_of, choose
from proxy.upstream.call import Call, Times
from proxy.upstream.head import request_head
from proxy.upstream.lines import Lines, why
from proxy.upstream.slots import Slots

IDEMPOTENT = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))

log = logger("upstream")


class Service:
    """The `Upstream` of `seams/upstream.py`. Make it in the event loop; `close` it when nothing uses it any more."""

    def __init__(self, name: str, config: UpstreamService, metrics: UpstreamMetrics) -> None:
        self.name = name
        self.config = config
        self.addresses: Sequence[Address] = addresses_of(config)
        self.slots = Slots(config.connections, config.waiting, config.connect_timeout_ms / 1000)
        total_s = config.total_timeout_ms / 1000 if config.total_timeout_ms else None
        self._times = Times(config.timeout_ms / 1000, config.idle_timeout_ms / 1000, total_s)
        self._host = None if config.host in ("preserve", "upstream") else config.host.encode()
        self._lines = Lines(config)
        self._metrics = metrics
        self._seldom = Seldom()
        self._turn = 0

    def __repr__(self) -> str:
        return f"<Service {self.name} {self.slots.count} in use, {self.slots.waiting} waiting>"

    def renew(self) -> None:
        """New connections show and trust what the files of `tls` hold now; if that cannot be used, what they held."""
        try:
            self._lines.renew(self.config.tls)
        except OSError as exc:
            log.error("upstream_certificate_not_renewed", upstream=self.name, reason=reason(exc))

    async def send(self, request: UpstreamRequest) -> "Reply":
        """See `Upstream`."""
        began_s = now_s()
        try:
            await self.slots.enter()
            try:
                reply = await self._send(request)
            except BaseException:
                self.slots.leave()
                raise
        except ProxyError as error:
            self._metrics.ended(error.code)
            raise
        except BaseException:
            self._metrics.ended("abandoned")
            raise
        self._metrics.first_byte_s.observe(now_s() - began_s)
        return reply

    async def _send(self, request: UpstreamRequest) -> "Reply":
        tried: list[Address] = []
        while True:
            address = choose(self._in_turn(), tried, now_s(), self.name)
            try:
                return await self._try(address, request)
            except UpstreamError as error:
                tried.append(address)
                if len(tried) > self.config.retries or not self._may_go_again(request, error, tried):
                    raise
                self._metrics.retried(error.code)

    async def _try(self, address: Address, request: UpstreamRequest) -> "Reply":
        breaker = address.breaker
        head = request_head(request, address.host if self.config.host == "upstream" else self._host, address.host)
        is_trial = breaker.begin(now_s())
        address.in_use += 1
        try:
            call = Call(await self._lines.connect(address.url), self._times)
            await call.begin(request, head)
        except BaseException as exc:
            address.in_use -= 1
            if isinstance(exc, UpstreamError):
                breaker.failed(is_trial, now_s())
                self._note(address, exc)
            else:
                breaker.abandoned(is_trial)
            raise
        breaker.succeeded(is_trial)
        return Reply(call, self, address)

    async def check(self, address: Address, request: UpstreamRequest) -> int:
        """The status that address answers with, beside all limits and counts. Raises as `send`."""
        call = Call(await self._lines.connect(address.url), self._times)
        try:
            await call.begin(request, request_head(request, self._host, address.host))
            while await call.piece():
                pass
            return call.status
        finally:
            call.close()

    def _may_go_again(self, request: UpstreamRequest, error: UpstreamError, tried: Sequence[Address]) -> bool:
        """See the table above. Where no connection could be opened, only another address is worth a try."""
        now = now_s()
        able = [address for address in self.addresses if address.takes(now)]
        if isinstance(error, UpstreamAway):
            return any(address not in tried for address in able)
        is_here = request.body is None or isinstance(request.body, bytes)
        return bool(able) and isinstance(error, UpstreamFailed) and request.method in IDEMPOTENT and is_here

    def _in_turn(self) -> Sequence[Address]:
        """All addresses, each time another first: of two that are as busy the first is chosen."""
        addresses = self.addresses
        if len(addresses) == 1:
            return addresses
        self._turn = (self._turn + 1) % len(addresses)
        return [*addresses[self._turn :], *addresses[: self._turn]]

    def _note(self, address: Address, error: UpstreamError) -> None:
        """For operators: clients are not told of addresses."""
        address.trouble = why(error)
        if self._seldom(address.url):
            log.warning(
                "upstream_failed",
                upstream=self.name,
                address=address.url,
                code=error.code,
                reason=address.trouble,
                breaker=address.breaker.state(now_s()),
            )

    def ended(self, address: Address, error: BaseException | None, *, is_whole: bool) -> None:
        """An answer of it was read to its end, or left. Of `Reply` alone."""
        address.in_use -= 1
        self.slots.leave()
        if isinstance(error, UpstreamError):
            address.breaker.failed(False, now_s())
            self._note(address, error)
        self._metrics.ended("broken_off" if error is not None else "answered" if is_whole else "abandoned")

    async def close(self) -> None:
        await self._lines.close()


class Reply:
    """The `UpstreamAnswer` of `seams/upstream.py`."""

    __slots__ = ("_address", "_call", "_error", "_service", "_whole", "headers", "status")

    def __init__(self, call: Call, service: Service, address: Address) -> None:
        self.status: int = call.status
        self.headers: Fields = call.headers
        self._call = call
        self._address = address
        self._service: Service | None = service
        self._error: BaseException | None = None
        self._whole = False

    def ready(self) -> tuple[bytes, bool]:
        """See `UpstreamAnswer`."""
        data, self._whole = self._call.ready()
        return data, self._whole

    async def piece(self) -> bytes:
        """See `UpstreamAnswer`."""
        try:
            data = await self._call.piece()
        except Exception as exc:
            self._error = exc
            raise
        self._whole = self._whole or not data
        return data

    async def close(self) -> None:
        """See `UpstreamAnswer`."""
        service, self._service = self._service, None
        if service is not None:
            self._call.close()
            service.ended(self._address, self._error, is_whole=self._whole)

"""The Caddyfile of the front door, made from addresses, ports and limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

from deploy.local.door import authority
from deploy.local.errors import StackError

TEMPLATE = Path(__file__).with_name("Caddyfile.template")
SITE = Path(__file__).with_name("site")
ALSO = {"access": "/.well-known/jwks.json"}
"""The one path beside `/v1` that passes to a service: its public keys."""

_UNQUOTABLE = re.compile(r'["\\{}\n`$]')
_LISTENER = """
$addresses {
	bind $bind$tls
	import door
}
$scheme://:$port {
	bind $bind$tls
	import unknown_host
	import errors
}"""
_TRUST = """
http://$bind:$port {
	bind $bind
	handle /assets/* {
		import security
		root * "$site"
		file_server {
			hide .*
		}
	}
	handle {
		import security
		header Cache-Control no-store
		root * "$folder"
		header *.crt Content-Type application/x-x509-ca-cert
		file_server {
			hide .*
		}
	}
	import errors
}
http://:$port {
	bind $bind
	import unknown_host
}"""
_AUTHORITY = """
	pki {
		ca local {
			intermediate_cn "Halfday front door"
			root {
				format pem_file
				cert "$certificate"
				key "$key"
			}
		}
	}"""
_TLS = "\n\ttls internal\n\theader Strict-Transport-Security max-age=31536000"


@dataclass(frozen=True)
class Listener:
    """An address on which the door listens, and the host names for which it answers there; others are 421. `tls`: with
    certificates of the door's own authority.
    """

    bind: str
    port: int
    hosts: tuple[str, ...]
    tls: bool = False

    @property
    def url(self) -> str:
        """The address for people."""
        return f"{'https' if self.tls else 'http'}://{self.hosts[0]}:{self.port}"


@dataclass(frozen=True)
class TrustPage:
    """A listener without TLS that has only the page and certificate in `folder`, for phones that don't trust it yet."""

    bind: str
    port: int
    folder: Path


@dataclass(frozen=True)
class Limits:
    """Bounds of a request: seconds for its header, for its whole body, and for the door's own end; bytes as Caddy
    writes them. The body limit is that of the largest route, each route has its own below it. A body of 200 uploads
    takes 20 s on the slowest mobile network.
    """

    header_s: float = 5
    body_s: float = 30
    grace_s: float = 3
    retry_s: float = 2
    header: str = "16KiB"
    body: str = "2MiB"


@dataclass(frozen=True)
class DoorSettings:
    """Contents of a Caddyfile. `upstreams`: service to `host:port` of its API. `folder`: the door's own, with the root
    certificate of its authority and what Caddy keeps. `site`: static files.
    """

    upstreams: Mapping[str, str]
    listeners: tuple[Listener, ...]
    folder: Path
    site: Path = SITE
    trust: TrustPage | None = None
    limits: Limits = Limits()

    @property
    def storage(self) -> Path:
        """Caddy's folder for certificates."""
        return self.folder / "storage"

    @property
    def authority(self) -> Path:
        """The folder of the root certificate and its key, see `authority.py`."""
        return self.folder / "authority"

    @property
    def certified_hosts(self) -> tuple[str, ...]:
        """The host names that have certificates, of all listeners with TLS."""
        return tuple(host for listener in self.listeners if listener.tls for host in listener.hosts)


def render(settings: DoorSettings) -> str:
    """Return the text of the Caddyfile. Raises StackError for a folder with a name that can't be written in one."""
    limits = settings.limits
    services = [
        f"\timport service {name} {address} /api/{name}{ALSO.get(name, '/v1/*')}"
        for name, address in settings.upstreams.items()
    ]
    sites = [_listener(one) for one in settings.listeners]
    if settings.trust:
        sites.append(_trust(settings.trust, settings.site))
    return Template(TEMPLATE.read_text()).substitute(
        authority=_authority(settings) if settings.certified_hosts else "",
        storage=_quotable(settings.storage),
        site=_quotable(settings.site),
        services="\n".join(services),
        names=", ".join(settings.upstreams),
        sites="\n".join(sites),
        header_limit=limits.header,
        body_limit=limits.body,
        header_s=limits.header_s,
        body_s=limits.body_s,
        grace_s=limits.grace_s,
        retry_s=limits.retry_s,
    )


def _authority(settings: DoorSettings) -> str:
    certificate, key = (_quotable(settings.authority / name) for name in (authority.CERTIFICATE, authority.KEY))
    return Template(_AUTHORITY).substitute(certificate=certificate, key=key)


def _listener(listener: Listener) -> str:
    scheme = "https" if listener.tls else "http"
    return Template(_LISTENER).substitute(
        addresses=", ".join(f"{scheme}://{host}:{listener.port}" for host in listener.hosts),
        scheme=scheme,
        port=listener.port,
        bind=listener.bind,
        tls=_TLS if listener.tls else "",
    )


def _trust(page: TrustPage, site: Path) -> str:
    return Template(_TRUST).substitute(
        bind=page.bind, port=page.port, folder=_quotable(page.folder), site=_quotable(site)
    )


def _quotable(folder: Path) -> str:
    if found := _UNQUOTABLE.search(str(folder)):
        raise StackError(
            f"the front door can't use the folder {folder}: its name has {found[0]!r}; choose another with --data"
        )
    return str(folder)
